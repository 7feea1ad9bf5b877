//! The table of `requests.cases`: bytes in, statuses out, and what the upstream may read of them.
//! The other way round, `answers.cases` has what a server says and what a client may get of it.

mod answers;
mod cases;
pub(crate) mod client;
mod scripted;

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::cases::{Case, cases};
use crate::raw::{FINE, RawOrigin, Reply, Request};
use crate::secure::{Pair, Secure};
use crate::steady::steady;
use crate::support::Proxy;

/// Whatever is waited for takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is longer is not sent a byte at a time.
const LONGEST_DRIP: usize = 2000;
/// How many proxies share the cases.
const LANES: usize = 4;

/// Bytes both ways, plain or secure.
trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Bytes for S {}
type Connection = Box<dyn Bytes>;

/// How the bytes of a case are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    NewConnection,
    KeptConnection,
    ByteByByte,
    OverTls,
}

/// What was seen of one case.
#[derive(Debug, Default)]
struct Seen {
    statuses: Vec<u16>,
    closed: bool,
    /// What came behind the answers, or why they could not be read.
    odd: Option<String>,
}

/// Runs one case; the answer is what is wrong about it.
async fn run(
    case: &Case,
    way: Way,
    proxy: &Proxy,
    origin: &RawOrigin,
    pair: Option<&Pair>,
) -> Option<String> {
    let mut stream: Connection = match (pair, proxy.secure) {
        (Some(pair), Some(address)) => Box::new(pair.connect(address).await.unwrap()),
        _ => Box::new(proxy.connect().await),
    };
    if way == Way::KeptConnection {
        let first = b"GET /api/first HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(first).await.unwrap();
        let mut reader = AnswerReader::new(&mut stream);
        assert_eq!(reader.next(true).await.unwrap(), Some(200));
        assert!(reader.ahead.is_empty());
        let seen = origin.take_seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
    }
    let seen = exchange(case, way, &mut stream).await;
    let read: Vec<String> = origin.take_seen().iter().map(in_short).collect();
    judge(case, &seen, &read)
        .map(|wrong| format!("{way:?}: {}: {wrong}\n    {seen:?} {read:?}", case.name))
}

async fn exchange(case: &Case, way: Way, stream: &mut Connection) -> Seen {
    let (mut reading, mut writing) = tokio::io::split(&mut *stream);
    // What a refused client still sends may meet a closed connection.
    let send = async {
        if way == Way::ByteByByte {
            for byte in &case.sent {
                if writing.write_all(std::slice::from_ref(byte)).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        } else {
            let _ = writing.write_all(&case.sent).await;
        }
    };
    let receive = async {
        let mut seen = Seen::default();
        let mut reader = AnswerReader::new(&mut reading);
        for (_, has_body) in &case.answers {
            match reader.next(*has_body).await {
                Ok(Some(status)) => seen.statuses.push(status),
                Ok(None) => break,
                Err(odd) => {
                    seen.odd = Some(odd);
                    return seen;
                }
            }
        }
        if !reader.ahead.is_empty() {
            seen.odd = Some(String::from_utf8_lossy(&reader.ahead).into_owned());
        }
        seen
    };
    let ((), mut seen) = tokio::join!(send, receive);
    seen.closed = is_closed(stream, case.may_be_kept).await;
    seen
}

/// Whether the connection is closed; if it may be kept, a last request tells.
async fn is_closed(stream: &mut Connection, may_be_kept: bool) -> bool {
    if may_be_kept {
        let last = b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n";
        if stream.write_all(last).await.is_err() {
            return true;
        }
        let mut reader = AnswerReader::new(stream);
        return !matches!(reader.next(true).await, Ok(Some(404)));
    }
    let mut rest = Vec::new();
    match timeout(PATIENCE, stream.read_to_end(&mut rest)).await {
        // A reset ends it as well.
        Ok(_) => rest.is_empty(),
        Err(_) => false,
    }
}

/// Says what of a case is not as the table has it.
fn judge(case: &Case, seen: &Seen, read: &[String]) -> Option<String> {
    let right = seen.statuses.len() == case.answers.len()
        && case
            .answers
            .iter()
            .zip(&seen.statuses)
            .all(|((right, _), status)| right.contains(status));
    if !right || seen.odd.is_some() {
        return Some(format!("expected the statuses {:?}", case.answers));
    }
    if seen.closed && !case.may_be_closed || !seen.closed && !case.may_be_kept {
        return Some("the connection is not as expected".to_owned());
    }
    let passed = !case.read_is_optional || seen.statuses.contains(&200);
    let expected: &[String] = if passed { &case.read } else { &[] };
    (read != expected).then(|| format!("the upstream should have read {:?}", Shortened(expected)))
}

/// A list of which long entries are shown in part.
struct Shortened<'a>(&'a [String]);

impl fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &String| text.chars().take(100).collect::<String>();
        f.debug_list().entries(self.0.iter().map(short)).finish()
    }
}

pub(crate) fn in_short(request: &Request) -> String {
    let Request {
        method,
        target,
        body,
        ..
    } = request;
    match body.as_slice() {
        [] => format!("{method} {target}"),
        body => format!("{method} {target} \"{}\"", String::from_utf8_lossy(body)),
    }
}

/// Reads answers one by one.
struct AnswerReader<'s, S> {
    stream: &'s mut S,
    ahead: Vec<u8>,
}

impl<'s, S: AsyncRead + Unpin> AnswerReader<'s, S> {
    fn new(stream: &'s mut S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// The status of the next answer, interim ones aside; `None` when the connection ended before it.
    async fn next(&mut self, has_body: bool) -> Result<Option<u16>, String> {
        loop {
            let Some(end) = self.until(|bytes| find(bytes, b"\r\n\r\n")).await? else {
                let nothing = self.ahead.is_empty();
                return if nothing {
                    Ok(None)
                } else {
                    Err(format!("{:?}", String::from_utf8_lossy(&self.ahead)))
                };
            };
            let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let status = head
                .get(9..12)
                .and_then(|status| status.parse().ok())
                .ok_or(head.clone())?;
            if status >= 200 {
                if !head.contains("\r\nx-instance: ") {
                    return Err(format!("no X-Instance: {head}"));
                }
                let field = head.split("\r\ncontent-length: ").nth(1);
                let length = field.and_then(|field| field.split("\r\n").next()?.parse().ok());
                let length = length.filter(|_| has_body).unwrap_or(0);
                let whole = self
                    .until(|bytes| (bytes.len() >= length).then_some(length))
                    .await?;
                self.ahead.drain(..whole.ok_or("the body is cut")?);
                return Ok(Some(status));
            }
        }
    }

    async fn until(
        &mut self,
        found: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<Option<usize>, String> {
        loop {
            if let Some(at) = found(&self.ahead) {
                return Ok(Some(at));
            }
            match timeout(PATIENCE, self.stream.read_buf(&mut self.ahead)).await {
                Err(_) => return Err("no answer".to_owned()),
                Ok(Ok(bytes)) if bytes > 0 => {}
                Ok(_) => return Ok(None),
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Runs every [`LANES`]th case from `lane` on; returns what is wrong.
async fn run_lane(
    lane: usize,
    way: Way,
    proxy: &Proxy,
    origin: &RawOrigin,
    pair: Option<&Pair>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in cases().iter().skip(lane).step_by(LANES) {
        if way != Way::ByteByByte || case.sent.len() <= LONGEST_DRIP {
            wrong.extend(run(case, way, proxy, origin, pair).await);
        }
    }
    wrong
}

async fn run_all(way: Way) {
    let all = cases().len();
    assert!(all >= 400, "the table has {all} cases");
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(async move {
            if way == Way::OverTls {
                let secure = Secure::start(false).await;
                run_lane(lane, way, &secure.proxy, &secure.origin, Some(&secure.pair)).await
            } else {
                let origin = RawOrigin::start(Reply::Keep(FINE)).await;
                let proxy = steady(origin.address).await;
                run_lane(lane, way, &proxy, &origin, None).await
            }
        });
    }
    let wrong = lanes.join_all().await.concat();
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count} of {all}:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_on_a_new_connection() {
    run_all(Way::NewConnection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_behind_a_good_request() {
    run_all(Way::KeptConnection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_a_byte_at_a_time() {
    run_all(Way::ByteByByte).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_over_tls() {
    run_all(Way::OverTls).await;
}
