//! `api healthcheck`: asks the instance on the same address whether it is well, as a container's health check.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::Listen;

/// The instance has to answer within this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why the instance is not taken to be well.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// Nothing listens there, or it does not speak HTTP.
    #[error("no answer: {0}")]
    NoAnswer(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {PATIENCE:?}")]
    TooSlow,
    /// It said so itself.
    #[error("the instance answers {0}")]
    Status(StatusCode),
}

/// Asks `/healthz` at the address where an instance listens.
pub async fn ask(listen: &Listen) -> Result<(), Unwell> {
    let status = timeout(PATIENCE, async {
        match listen {
            Listen::Tcp(address) => status(TcpStream::connect(reachable(*address)).await?).await,
            Listen::Unix(path) => status(UnixStream::connect(path).await?).await,
        }
    });
    match status
        .await
        .map_err(|_| Unwell::TooSlow)?
        .map_err(Unwell::NoAnswer)?
    {
        StatusCode::OK => Ok(()),
        other => Err(Unwell::Status(other)),
    }
}

/// Who listens on every address is asked on the loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    address
}

async fn status<S>(stream: S) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/healthz")
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.status())
}
