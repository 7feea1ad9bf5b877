//! An upstream server that takes `WebSocket`s, as far as a proxy can tell: it answers a handshake and
//! then sends back what it gets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use crate::raw::FINE;

/// The answer to a handshake.
pub(crate) const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: chat\r\nServer: talker\r\nX-Instance: talker\r\n\r\n";
/// Said in a tunnel, it has the server close.
pub(crate) const BYE: &[u8] = b"bye";

/// What it has seen, health checks apart.
#[derive(Debug, Default)]
struct Seen {
    heads: Vec<String>,
    /// What came after its answers.
    said: Vec<u8>,
    /// How many clients have closed their tunnel.
    closed: usize,
}

/// The server.
pub(crate) struct Talker {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Talker {
    /// Starts it; `answer` is what it says to a handshake, [`SWITCHED`] or something else.
    pub(crate) async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, Arc::clone(&shared)));
            }
        });
        Self { address, seen }
    }

    /// Starts it on a Unix socket; it has no address.
    pub(crate) fn on_unix(path: &Path, answer: &'static str) {
        let listener = UnixListener::bind(path).unwrap();
        let seen = Arc::<Mutex<Seen>>::default();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, Arc::clone(&seen)));
            }
        });
    }

    /// The heads of the requests that it got.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }

    /// What was said to it after its answers.
    pub(crate) fn said(&self) -> Vec<u8> {
        self.seen.lock().unwrap().said.clone()
    }

    /// How many tunnels the other side has closed.
    pub(crate) fn closed(&self) -> usize {
        self.seen.lock().unwrap().closed
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answer: &'static str,
    seen: Arc<Mutex<Seen>>,
) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        };
        let head: Vec<u8> = bytes.drain(..end).collect();
        let head = String::from_utf8(head).unwrap();
        if head.starts_with("GET /healthz ") {
            stream.write_all(FINE.as_bytes()).await.unwrap();
            continue;
        }
        seen.lock().unwrap().heads.push(head);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if answer.starts_with("HTTP/1.1 101 ") {
            return talk(stream, bytes, &seen).await;
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    early: Vec<u8>,
    seen: &Mutex<Seen>,
) {
    let mut bytes = early;
    loop {
        if !bytes.is_empty() {
            seen.lock().unwrap().said.extend(&bytes);
            if bytes.ends_with(BYE) || stream.write_all(&bytes).await.is_err() {
                return;
            }
            bytes.clear();
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            seen.lock().unwrap().closed += 1;
            return;
        }
    }
}
