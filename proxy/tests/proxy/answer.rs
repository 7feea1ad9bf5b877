//! Answers as they stand on the wire.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::BOUND;

/// An answer, read to the end of its connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

impl Answer {
    fn parse(text: &str, took: Duration) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
            took,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn instance(&self) -> &str {
        self.field("x-instance").unwrap_or("")
    }
}

/// Sends bytes on a connection of their own and reads until the other side closes.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

/// Reads what comes next.
pub(crate) async fn read_some(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(BOUND, stream.read_buf(&mut bytes)).await;
    assert!(read.expect("nothing came").unwrap() > 0, "closed");
    String::from_utf8(bytes).unwrap()
}

/// Reads what comes until the other side closes.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    let began = Instant::now();
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(BOUND, stream.read_to_end(&mut bytes)).await;
    // A reset behind the answer is as good as an end.
    let _ = read.expect("the proxy never closed the connection");
    Answer::parse(&String::from_utf8_lossy(&bytes), began.elapsed())
}

/// Reads until `text` has arrived.
pub(crate) async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let read = stream.read_buf(&mut bytes).await.unwrap();
            assert!(
                read > 0,
                "closed before {text:?}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    };
    tokio::time::timeout(BOUND, reading).await.unwrap();
    String::from_utf8(bytes).unwrap()
}
