//! The fixed backend of all hops: answers of three sizes, made once, in one thread.
//!
//! It reads only as much HTTP as the proxies under test send. `stack bench-origin` runs it, as a process of
//! its own so that it has the core of the load.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Fault;

/// The longest request that is read.
const LONGEST: usize = 64 * 1024;

/// Bytes in the body of an answer.
pub(super) const fn length(path: &str) -> usize {
    match path.as_bytes() {
        b"/8k" => 8 * 1024,
        b"/100k" => 100 * 1024,
        _ => 100,
    }
}

/// Serves until it is killed.
pub(crate) async fn serve(addresses: &[SocketAddr]) -> Result<(), Fault> {
    let mut listeners = JoinSet::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| Fault::new(format!("{address}: {error}")))?;
        listeners.spawn(accept(listener, Answers::new()));
    }
    while listeners.join_next().await.is_some() {}
    Ok(())
}

/// Every answer, whole.
#[derive(Clone)]
struct Answers {
    small: Bytes,
    middle: Bytes,
    large: Bytes,
}

impl Answers {
    fn new() -> Self {
        let answer = |path| {
            let body = "x".repeat(length(path));
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
            Bytes::from(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
        };
        Self {
            small: answer("/"),
            middle: answer("/8k"),
            large: answer("/100k"),
        }
    }

    fn to(&self, head: &[u8]) -> &Bytes {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        match path {
            b"/8k" => &self.middle,
            b"/100k" => &self.large,
            _ => &self.small,
        }
    }
}

async fn accept(listener: TcpListener, answers: Answers) {
    while let Ok((stream, _)) = listener.accept().await {
        let answers = answers.clone();
        tokio::spawn(async move {
            // A connection that breaks is the proxy's to tell.
            let _ = converse(stream, &answers).await;
        });
    }
}

async fn converse(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut read = BytesMut::with_capacity(LONGEST);
    loop {
        while let Some(end) = end_of_head(&read) {
            let whole = end + body_length(&read[..end]);
            if read.len() < whole {
                break;
            }
            stream.write_all(answers.to(&read)).await?;
            let _ = read.split_to(whole);
        }
        read.reserve(4096);
        if read.len() > LONGEST || stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(at + 4)
}

fn body_length(head: &[u8]) -> usize {
    // A GET has none, and most are GETs.
    if head.starts_with(b"GET") {
        return 0;
    }
    let text = String::from_utf8_lossy(head);
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_request_gets_its_answer_also_behind_a_body() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Answers::new()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        for (request, path) in [
            ("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello", "/"),
            ("GET /8k HTTP/1.1\r\n\r\n", "/8k"),
            ("GET /100k HTTP/1.1\r\n\r\n", "/100k"),
        ] {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = BytesMut::new();
            loop {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
                if let Some(end) = end_of_head(&answer)
                    && answer.len() == end + length(path)
                {
                    break;
                }
            }
        }
    }
}
