//! Kept connections that send nothing: what they cost, and that others do not feel them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::alone::Pair;
use super::event::{Lengths, settings};
use super::front::{Front, Wishes};
use super::measure::{Bound, Load, Marks, Measure, Run};
use super::row::{Place, Row};
use crate::Fault;
use crate::probe;

/// How many there are.
const CONNECTIONS: u32 = 10_000;
/// How many are opened at a time.
const AT_A_TIME: usize = 64;
/// How long the first answer on each may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens all of them, each after one request, and measures new requests beside them.
pub(super) async fn idle(program: &Path, load: Load, lengths: &Lengths) -> Result<Run, Fault> {
    let pair = Pair::start().await?;
    let count = CONNECTIONS / (lengths.shorter * lengths.shorter);
    super::allow_connections(count)?;
    let front = Front::start(program, &pair.addresses(), &Wishes::default()).await?;
    let kept = open(front.listen, count).await;
    let load = Load {
        new_connections: true,
        ..load
    };
    let event = Instant::now();
    let probe = probe::start(settings(super::url(front.listen), load), |_| {});
    sleep(lengths.away + lengths.after).await;
    let memory = front.memory().await?;
    let account = probe.account().await?;
    let open = kept.iter().filter(|stream| is_open(stream)).count();
    let marks = Marks {
        event,
        victims: Vec::new(),
        leave: None,
        recalled: None,
        listen: None,
    };
    let mut run = Run::new(Row::Idle, Place::Native, load, &account, &marks);
    run.measures = vec![
        Measure {
            what: "connections open in the end",
            value: as_figure(open),
            bound: Bound::AtLeast(f64::from(count)),
            judged: true,
        },
        Measure {
            what: "memory of the proxy, MiB",
            value: memory,
            bound: Bound::AtMost(200.0),
            judged: true,
        },
        Measure {
            what: "p99 of a new request, ms",
            value: account.report.p99.as_secs_f64() * 1000.0,
            bound: Bound::AtMost(20.0),
            judged: false,
        },
    ];
    Ok(run)
}

/// Opens connections, asks once on each, and keeps those that were answered.
async fn open(listen: SocketAddr, count: u32) -> Vec<TcpStream> {
    let mut opening = JoinSet::new();
    let mut kept = Vec::new();
    for _ in 0..count {
        if opening.len() >= AT_A_TIME
            && let Some(Ok(Some(stream))) = opening.join_next().await
        {
            kept.push(stream);
        }
        opening.spawn(async move { timeout(PATIENCE, ask_once(listen)).await.ok().flatten() });
    }
    kept.extend(opening.join_all().await.into_iter().flatten());
    kept
}

/// One request whose answer is read to its end, an empty list.
async fn ask_once(listen: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(listen).await.ok()?;
    let request = b"GET /api/music/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"[]") {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    Some(stream)
}

/// Tells whether the other side still holds a connection.
fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0; 1]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A number of connections as a value of a measure.
pub(super) fn as_figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
