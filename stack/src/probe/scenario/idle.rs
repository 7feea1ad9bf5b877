//! Kept connections that send nothing: what they cost, and that others do not feel them.

use std::path::Path;
use std::time::Instant;

use tokio::time::sleep;

use super::alone::Pair;
use super::event::{Lengths, settings};
use super::front::{Front, Wishes};
use super::measure::{Bound, Load, Marks, Measure, Run};
use super::row::{Place, Row};
use crate::Fault;
use crate::{kept, probe};

/// How many there are.
const CONNECTIONS: u32 = 10_000;

/// Opens all of them, each after one request, and measures new requests beside them.
pub(super) async fn idle(program: &Path, load: Load, lengths: &Lengths) -> Result<Run, Fault> {
    let pair = Pair::start().await?;
    let count = CONNECTIONS / (lengths.shorter * lengths.shorter);
    super::allow_connections(count)?;
    let front = Front::start(program, &pair.addresses(), &Wishes::default()).await?;
    // An empty list.
    let idle = kept::open(front.listen, count, "/api/music/", b"[]".to_vec()).await;
    let load = Load {
        new_connections: true,
        ..load
    };
    let event = Instant::now();
    let probe = probe::start(settings(super::url(front.listen), load), |_| {});
    sleep(lengths.away + lengths.after).await;
    let memory = front.memory().await?;
    let account = probe.account().await?;
    let open = idle.iter().filter(|stream| kept::is_open(stream)).count();
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

/// A number of connections as a value of a measure.
pub(super) fn as_figure(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
