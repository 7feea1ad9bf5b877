//! One HTTP request on a connection of its own, over TCP or a Unix socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The largest answer that is read.
const LARGEST_ANSWER: usize = 256 * 1024 * 1024;

/// Where an HTTP server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The path of a socket.
    Unix(PathBuf),
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// A field's value; empty when it is not there.
    pub fn header(&self, name: impl Into<HeaderNameText>) -> &str {
        let value = self.headers.get(&name.into().0);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The name of the instance that answered.
    pub fn instance(&self) -> &str {
        self.header("x-instance")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A field's name, written in lower case.
#[derive(Debug)]
pub struct HeaderNameText(HeaderName);

impl From<&'static str> for HeaderNameText {
    fn from(name: &'static str) -> Self {
        Self(HeaderName::from_static(name))
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nobody accepted the connection.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// The connection ended, or what came was not HTTP.
    #[error("cut: {0}")]
    Cut(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer took too long.
    #[error("no answer in time")]
    Late,
}

/// Sends one request and reads the whole answer, all within `limit`.
pub async fn ask(
    address: &Address,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<Answer, NoAnswer> {
    let exchange = async {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await;
                exchange(stream.map_err(NoAnswer::Connect)?, request).await
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                exchange(stream.map_err(NoAnswer::Connect)?, request).await
            }
        }
    };
    tokio::time::timeout(limit, exchange)
        .await
        .unwrap_or(Err(NoAnswer::Late))
}

/// Asks for a path with GET.
pub async fn get(address: &Address, path: &str, limit: Duration) -> Result<Answer, NoAnswer> {
    let request = request(Method::GET, address, path, Bytes::new());
    ask(address, request.map_err(cut)?, limit).await
}

/// Makes a request for `address` with the fields that every request needs.
pub fn request(
    method: Method,
    address: &Address,
    path: &str,
    body: Bytes,
) -> http::Result<Request<Full<Bytes>>> {
    let host = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let builder = Request::builder().method(method).uri(path);
    let builder = builder.header("host", host);
    let builder = if body.is_empty() {
        builder
    } else {
        builder.header("content-type", "application/json")
    };
    builder.body(Full::new(body))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, NoAnswer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(cut)?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let (head, body) = sender
        .send_request(request)
        .await
        .map_err(cut)?
        .into_parts();
    let body = Limited::new(body, LARGEST_ANSWER)
        .collect()
        .await
        .map_err(NoAnswer::Cut)?;
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes(),
    })
}

fn cut(error: impl std::error::Error + Send + Sync + 'static) -> NoAnswer {
    NoAnswer::Cut(Box::new(error))
}
