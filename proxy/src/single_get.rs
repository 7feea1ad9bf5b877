//! One GET on a connection of its own, for health checks of servers and of the proxy itself.

use std::io;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Asks for `path` over `stream` and returns the head of the answer.
pub(crate) async fn single_get<S>(
    stream: S,
    host: &str,
    path: &str,
) -> io::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "proxy-health")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let answer = sender.send_request(request);
    tokio::pin!(answer, connection);
    tokio::select! {
        biased;
        answer = &mut answer => return answer.map_err(io::Error::other),
        ended = &mut connection => ended.map_err(io::Error::other)?,
    }
    // The connection may end in the very step that brings the answer.
    answer.await.map_err(io::Error::other)
}
