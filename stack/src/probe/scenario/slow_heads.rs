//! Connections that send their request heads byte by byte: each is closed in time, and honest
//! clients notice nothing.

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
use super::idle::as_figure;
use super::measure::{Bound, Load, Marks, Measure, Run};
use super::row::{Place, Row};
use crate::Fault;
use crate::probe::report::percentile;
use crate::probe::{self, Sample};

/// How many there are.
const CONNECTIONS: u32 = 2_000;
/// The time for a whole head, as shipped.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two bytes of a head.
const DRIP: Duration = Duration::from_millis(500);
/// All are opened within this, one after the other: what is measured is what they cost while they drip, not the
/// work that this program has with opening them at once.
const OPENING: Duration = Duration::from_secs(2);

/// Opens all of them beside an honest load.
pub(super) async fn slow_heads(
    program: &Path,
    load: Load,
    lengths: &Lengths,
) -> Result<Run, Fault> {
    let pair = Pair::start().await?;
    let limit = HEADER_TIMEOUT / lengths.shorter;
    let count = CONNECTIONS / (lengths.shorter * lengths.shorter);
    let wishes = Wishes {
        header_timeout: Some(limit),
        ..Wishes::default()
    };
    super::allow_connections(count)?;
    let front = Front::start(program, &pair.addresses(), &wishes).await?;
    let probe = probe::start(settings(super::url(front.listen), load), |_| {});
    sleep(lengths.quiet).await;
    let event = Instant::now();
    let apart = OPENING / lengths.shorter / count;
    let ends = all_heads(front.listen, count, apart, limit * 5).await;
    let over = Instant::now();
    sleep(lengths.after).await;
    let account = probe.account().await?;
    let marks = Marks {
        event,
        victims: Vec::new(),
        leave: None,
        recalled: None,
        listen: None,
    };
    let mut run = Run::new(Row::SlowHeads, Place::Native, load, &account, &marks);
    run.measures = measures(&ends, limit, &account.samples, event, over);
    Ok(run)
}

/// What became of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Refused,
    ClosedAfter(Duration),
    StillOpen,
}

/// Opens the connections this far apart, drips into each, and says what became of them.
async fn all_heads(
    listen: SocketAddr,
    count: u32,
    apart: Duration,
    patience: Duration,
) -> Vec<End> {
    let mut heads = JoinSet::new();
    for number in 0..count {
        heads.spawn(async move {
            sleep(apart * number).await;
            let head = timeout(patience, slow_head(listen)).await;
            head.unwrap_or(End::StillOpen)
        });
    }
    heads.join_all().await
}

/// Drips into one connection until it is closed.
async fn slow_head(listen: SocketAddr) -> End {
    let Ok(mut stream) = TcpStream::connect(listen).await else {
        return End::Refused;
    };
    let opened = Instant::now();
    let (mut input, mut output) = stream.split();
    let drip = async {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ";
        let mut written = output.write_all(head).await;
        while written.is_ok() {
            sleep(DRIP).await;
            written = output.write_all(b"x").await;
        }
    };
    let closed = async {
        let mut answer = [0; 512];
        while input.read(&mut answer).await.is_ok_and(|length| length > 0) {}
    };
    tokio::select! {
        () = drip => {}
        () = closed => {}
    }
    End::ClosedAfter(opened.elapsed())
}

fn measures(
    ends: &[End],
    limit: Duration,
    samples: &[Sample],
    event: Instant,
    over: Instant,
) -> Vec<Measure> {
    let count = |what: End| as_figure(ends.iter().filter(|&&end| end == what).count());
    let closed = ends.iter().filter_map(|end| match end {
        End::ClosedAfter(time) => Some(*time),
        End::Refused | End::StillOpen => None,
    });
    let last = closed.max().unwrap_or_default();
    let p99 = |from: Option<Instant>, to: Instant| {
        let within = samples
            .iter()
            .filter(|sample| sample.due < to && from.is_none_or(|from| sample.due >= from));
        let mut latencies: Vec<_> = within.map(|sample| sample.latency).collect();
        latencies.sort_unstable();
        percentile(&latencies, 99).as_secs_f64()
    };
    let usual = p99(None, event).max(0.001);
    vec![
        Measure {
            what: "connections refused",
            value: count(End::Refused),
            bound: Bound::AtMost(0.0),
            judged: true,
        },
        Measure {
            what: "still open in the end",
            value: count(End::StillOpen),
            bound: Bound::AtMost(0.0),
            judged: true,
        },
        Measure {
            what: "the last one closed after, s",
            value: last.as_secs_f64(),
            bound: Bound::AtMost(limit.as_secs_f64()),
            judged: false,
        },
        Measure {
            what: "p99 of honest requests, times that before",
            value: p99(Some(event), over) / usual,
            bound: Bound::AtMost(2.0),
            judged: false,
        },
    ]
}
