//! Clients that speak HTTP/2: one whose heads can be anything, and one that speaks in frames.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::BOUND;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame as it stands on the wire.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head in the plainest encoding there is: every name and every value in its letters.
pub(crate) fn block(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // A length in seven bits, and more in groups of seven (RFC 7541, 5.1).
            match text.len() {
                short @ 0..127 => block.push(u8::try_from(short).unwrap()),
                long => {
                    block.push(127);
                    let mut rest = long - 127;
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128 + 128).unwrap());
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
            }
            block.extend(text);
        }
    }
    block
}

/// The head of a plain GET, encoded.
pub(crate) fn get(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", path),
    ];
    block(&fields.map(|(name, value)| (name.into(), value.into())))
}

/// Reads one frame; `None` at the end of the connection.
pub(crate) async fn read_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.ok()?;
    let [a, b, c, kind, flags, id @ ..] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, u32::from_be_bytes(id), payload))
}

/// A client that speaks in frames, in clear.
pub(crate) struct Frames {
    pub(crate) stream: TcpStream,
}

impl Frames {
    /// Connects, says nothing but the preface and empty settings, and confirms those of the proxy.
    pub(crate) async fn greet(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        let mut frames = Self { stream };
        frames.send(SETTINGS, 0, 0, &[]).await;
        frames.send(SETTINGS, ACK, 0, &[]).await;
        frames
    }

    /// Sends a frame; whether the proxy still takes something.
    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let frame = frame(kind, flags, stream, payload);
        self.stream.write_all(&frame).await.is_ok()
    }

    /// Reads until the connection ends; what was said of its end, and of single streams.
    pub(crate) async fn until_closed(&mut self) -> Closed {
        let reading = async {
            let mut closed = Closed::default();
            while let Some((kind, _, stream, payload)) = read_frame(&mut self.stream).await {
                let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                match kind {
                    GOAWAY => closed.goaway = Some(Reason::from(code(4))),
                    RST_STREAM => closed.resets.push((stream, Reason::from(code(0)))),
                    HEADERS => closed.answers += 1,
                    _ => {}
                }
            }
            closed
        };
        timeout(BOUND, reading).await.expect("it is not closed")
    }
}

/// How a connection ended.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    pub(crate) goaway: Option<Reason>,
    pub(crate) resets: Vec<(u32, Reason)>,
    pub(crate) answers: usize,
}

/// A client that keeps to the rules, but for the heads that it is told to send in place of its own.
#[derive(Clone)]
pub(crate) struct Client {
    requests: SendRequest<Bytes>,
    heads: Arc<Mutex<VecDeque<Vec<u8>>>>,
}

/// An answer, or why there is none.
pub(crate) type Told = Result<(Response<()>, Vec<u8>), h2::Error>;

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    pub(crate) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (near, far) = tokio::io::duplex(256 * 1024);
        let heads = Arc::default();
        tokio::spawn(carry(far, stream, Arc::clone(&heads)));
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024);
        let (requests, connection) = builder.handshake(near).await.unwrap();
        tokio::spawn(connection);
        Self { requests, heads }
    }

    /// Sends a plain request.
    pub(crate) async fn get(&mut self, path: &str) -> Told {
        self.send(Method::GET, path, None).await
    }

    /// Sends a request, with a body of these pieces if there are any.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Vec<Bytes>>,
    ) -> Told {
        let uri = format!("http://x{path}");
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let asked = async {
            let mut requests = self.requests.clone().ready().await?;
            let (answer, mut sending) = requests.send_request(request, body.is_none())?;
            let pieces = body.unwrap_or_default();
            let last = pieces.len();
            let upload = tokio::spawn(async move {
                for (index, piece) in pieces.into_iter().enumerate() {
                    let mut rest = piece;
                    loop {
                        sending.reserve_capacity(rest.len());
                        let room = match rest.len() {
                            0 => 0,
                            _ => match std::future::poll_fn(|cx| sending.poll_capacity(cx)).await {
                                Some(Ok(room)) => room,
                                _ => return,
                            },
                        };
                        let part = rest.split_to(room.min(rest.len()));
                        let end = rest.is_empty() && index + 1 == last;
                        if sending.send_data(part, end).is_err() {
                            return;
                        }
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                if last == 0 {
                    // A body that has begun and goes no further.
                    std::future::pending::<()>().await;
                }
            });
            let told = async {
                let (head, body) = answer.await?.into_parts();
                let body = read_body(body).await?;
                Ok((Response::from_parts(head, ()), body))
            };
            let told = told.await;
            upload.abort();
            told
        };
        timeout(BOUND, asked).await.expect("no answer")
    }

    /// The same with this head in place of the client's own.
    ///
    /// Whatever follows on this connection must be sent so, too: the client's own heads refer to
    /// fields of earlier ones (RFC 7541, 2.3.2), which the proxy has never seen.
    pub(crate) async fn send_head(
        &mut self,
        head: Vec<u8>,
        method: Method,
        body: Option<Vec<Bytes>>,
    ) -> Told {
        self.heads.lock().unwrap().push_back(head);
        self.send(method, "/", body).await
    }
}

async fn read_body(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend(piece);
    }
    Ok(bytes)
}

/// Carries frames to the proxy and back; heads that are given stand in for those of the client.
async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    client: DuplexStream,
    proxy: S,
    heads: Arc<Mutex<VecDeque<Vec<u8>>>>,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_proxy, mut to_proxy) = tokio::io::split(proxy);
    let there = async {
        let mut preface = [0; PREFACE.len()];
        from_client.read_exact(&mut preface).await.ok()?;
        to_proxy.write_all(&preface).await.ok()?;
        loop {
            let (kind, flags, stream, payload) = read_frame(&mut from_client).await?;
            let head = (kind == HEADERS).then(|| heads.lock().unwrap().pop_front());
            let Some(head) = head.flatten() else {
                let whole = frame(kind, flags, stream, &payload);
                to_proxy.write_all(&whole).await.ok()?;
                continue;
            };
            let mut pieces = head.chunks(16 * 1024).peekable();
            let mut kind = HEADERS;
            let mut flags = flags & END_STREAM;
            while let Some(piece) = pieces.next() {
                if pieces.peek().is_none() {
                    flags |= END_HEADERS;
                }
                let whole = frame(kind, flags, stream, piece);
                to_proxy.write_all(&whole).await.ok()?;
                (kind, flags) = (CONTINUATION, 0);
            }
        }
        #[expect(unreachable_code, reason = "it names the type of what `?` returns")]
        Some(())
    };
    let back = tokio::io::copy(&mut from_proxy, &mut to_client);
    // Whoever closes first closes the other side too.
    tokio::select! {
        _ = there => {}
        _ = back => {}
    }
}
