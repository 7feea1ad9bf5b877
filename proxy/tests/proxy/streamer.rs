//! An upstream server that sends one answer in pieces, and can be told to wait before each.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::raw::FINE;

/// The server.
pub(crate) struct Streamer {
    pub(crate) address: SocketAddr,
    may_send: Arc<Semaphore>,
}

impl Streamer {
    /// Starts it; `fields` are those of the answer, each with its line end, and the pieces are its
    /// chunks. Where the answer is to be `cut`, its last chunk is missing.
    pub(crate) async fn start(fields: &str, pieces: Vec<String>, cut: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n");
        let may_send = Arc::new(Semaphore::new(0));
        let shared = Arc::clone(&may_send);
        let script = Arc::new((head, pieces, cut));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&shared)));
            }
        });
        Self { address, may_send }
    }

    /// Has it send the next piece.
    pub(crate) fn go_on(&self) {
        self.may_send.add_permits(1);
    }

    /// Has it send all that is left.
    pub(crate) fn send_all(&self) {
        self.may_send.add_permits(1 << 20);
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<(String, Vec<String>, bool)>,
    may_send: Arc<Semaphore>,
) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            return;
        }
    }
    if bytes.starts_with(b"GET /healthz ") {
        stream.write_all(FINE.as_bytes()).await.unwrap();
        return;
    }
    let (head, pieces, cut) = &*script;
    // The proxy may have gone: that is for the test to see.
    let _ = stream.write_all(head.as_bytes()).await;
    if bytes.starts_with(b"HEAD ") {
        return;
    }
    for piece in pieces {
        may_send.acquire().await.unwrap().forget();
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            return;
        }
    }
    if !cut {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    }
}
