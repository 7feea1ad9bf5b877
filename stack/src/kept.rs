//! Connections that are kept after one request each, and send nothing more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many are opened at a time.
const AT_A_TIME: usize = 64;
/// How long the answer on one of them may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens so many, asks for `path` on each, and keeps those on which the whole answer has come:
/// its end is the end of `body`.
pub(crate) async fn open(
    listen: SocketAddr,
    count: u32,
    path: &str,
    body: Vec<u8>,
) -> Vec<TcpStream> {
    let question = format!("GET {path} HTTP/1.1\r\nHost: {listen}\r\n\r\n");
    let (question, body) = (Arc::<str>::from(question), Arc::<[u8]>::from(body));
    let mut opening = JoinSet::new();
    let mut kept = Vec::new();
    for _ in 0..count {
        if opening.len() >= AT_A_TIME
            && let Some(Ok(Some(stream))) = opening.join_next().await
        {
            kept.push(stream);
        }
        let (question, body) = (Arc::clone(&question), Arc::clone(&body));
        opening.spawn(async move {
            let asking = ask_once(listen, &question, &body);
            timeout(PATIENCE, asking).await.ok().flatten()
        });
    }
    kept.extend(opening.join_all().await.into_iter().flatten());
    kept
}

async fn ask_once(listen: SocketAddr, question: &str, body: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(listen).await.ok()?;
    stream.write_all(question.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(body) {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    Some(stream)
}

/// Tells whether the other side still holds a connection.
pub(crate) fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0; 1]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}
