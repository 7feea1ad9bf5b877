//! An upstream server made of bytes: it records what it reads and answers what it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The values of a field, in their order.
    pub(crate) fn field(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// What it does when it has read a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Answers and reads the next request.
    Keep(&'static str),
    /// Answers and closes the connection.
    Close(&'static str),
    /// Answers as soon as it has read the head, and never reads the body.
    Early(&'static str),
    /// Answers the first request of a connection and closes when the second one comes.
    OnlyOnce(&'static str),
}

#[derive(Debug)]
struct Script {
    reply: Mutex<Reply>,
    seen: Mutex<Vec<Request>>,
    /// What no strict parser takes for a request.
    garbage: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

/// A server that speaks in bytes.
pub(crate) struct RawOrigin {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
}

/// A plain answer.
pub(crate) const FINE: &str = "HTTP/1.1 200 OK\r\nX-Instance: raw\r\nContent-Length: 2\r\n\r\nok";

impl RawOrigin {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Script {
            reply: Mutex::new(reply),
            seen: Mutex::default(),
            garbage: Mutex::default(),
            connections: Mutex::default(),
        });
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, script }
    }

    /// Answers differently from now on.
    pub(crate) fn reply(&self, reply: Reply) {
        *self.script.reply.lock().unwrap() = reply;
    }

    /// What it has read since it was last asked, health checks apart.
    pub(crate) fn take_seen(&self) -> Vec<Request> {
        let garbage = self.script.garbage.lock().unwrap();
        assert!(garbage.is_empty(), "the upstream read garbage: {garbage:?}");
        std::mem::take(&mut *self.script.seen.lock().unwrap())
    }

    /// Whether no connection has carried a request yet.
    pub(crate) fn is_idle(&self) -> bool {
        self.connections() == 0
    }

    /// How many connections have carried requests, health checks apart.
    pub(crate) fn connections(&self) -> usize {
        *self.script.connections.lock().unwrap()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>) {
    let mut bytes = Vec::new();
    let mut answered = 0;
    loop {
        let Some(mut request) = read_head(&mut stream, &mut bytes, &script.garbage).await else {
            return;
        };
        if request.target == "/healthz" {
            stream.write_all(FINE.as_bytes()).await.unwrap();
            return;
        }
        if answered == 0 {
            *script.connections.lock().unwrap() += 1;
        }
        let reply = *script.reply.lock().unwrap();
        if matches!(reply, Reply::OnlyOnce(_)) && answered > 0 {
            return;
        }
        if !matches!(reply, Reply::Early(_)) {
            let Some(body) = read_body(&mut stream, &mut bytes, &request).await else {
                return;
            };
            request.body = body;
        }
        let is_head = request.method == "HEAD";
        script.seen.lock().unwrap().push(request);
        answered += 1;
        let (Reply::Keep(text) | Reply::Close(text) | Reply::Early(text) | Reply::OnlyOnce(text)) =
            reply;
        let text = match text.find("\r\n\r\n") {
            Some(end) if is_head => &text[..end + 4],
            _ => text,
        };
        // The proxy may have gone: that is for the test to see.
        let _ = stream.write_all(text.as_bytes()).await;
        match reply {
            Reply::Keep(_) | Reply::OnlyOnce(_) => {}
            Reply::Close(_) => return,
            Reply::Early(_) => return linger(stream).await,
        }
    }
}

/// Keeps a connection open without reading from it.
async fn linger(stream: TcpStream) {
    let _open = stream;
    std::future::pending::<()>().await;
}

/// Reads the head of a request; what no strict parser takes for one is noted as `garbage`.
pub(crate) async fn read_head(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    garbage: &Mutex<Vec<String>>,
) -> Option<Request> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 200];
        let mut parser = httparse::Request::new(&mut fields);
        match parser.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let fields = parser.headers.iter();
                let request = Request {
                    method: parser.method.unwrap().to_owned(),
                    target: parser.path.unwrap().to_owned(),
                    fields: fields
                        .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
                        .collect(),
                    body: Vec::new(),
                };
                bytes.drain(..length);
                return Some(request);
            }
            Ok(httparse::Status::Partial) => {}
            Err(_) => {
                let odd = String::from_utf8_lossy(bytes).into_owned();
                garbage.lock().unwrap().push(odd);
                return None;
            }
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads a body by the fields of its request; both kinds of framing at once are garbage.
pub(crate) async fn read_body(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    request: &Request,
) -> Option<Vec<u8>> {
    let lengths = request.field("content-length");
    let encodings = request.field("transfer-encoding");
    match (lengths.as_slice(), encodings.as_slice()) {
        ([], []) => Some(Vec::new()),
        ([length], []) => take(stream, bytes, length.parse().unwrap()).await,
        ([], ["chunked"]) => {
            let mut body = Vec::new();
            loop {
                let size = read_line(stream, bytes).await?;
                let size = usize::from_str_radix(&size, 16).unwrap();
                body.extend(take(stream, bytes, size).await?);
                assert_eq!(read_line(stream, bytes).await?, "");
                if size == 0 {
                    return Some(body);
                }
            }
        }
        both => panic!("the upstream was sent {both:?}"),
    }
}

async fn take(stream: &mut TcpStream, bytes: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while bytes.len() < length {
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(bytes.drain(..length).collect())
}

async fn read_line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
            let line = bytes.drain(..end + 2).take(end).collect();
            return Some(String::from_utf8(line).unwrap());
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}
