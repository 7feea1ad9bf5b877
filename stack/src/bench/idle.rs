//! Memory: of an idle client connection, and of our proxy at rest, under load and after it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::figure::{Column, Curve, Figure, Goal, Line, OURS};
use super::hop::work;
use super::options::Row;
use super::origin;
use super::peer::Peer;
use super::plot::SECONDS;
use super::record::Record;
use super::site::Site;
use super::usage::memory as held;
use crate::{Fault, kept};

/// Idle connections.
const CONNECTIONS: u32 = 8000;
/// The share of them that must be answered.
const ENOUGH: f64 = 0.95;
/// Connections of the load while memory is looked at.
const BUSY: u32 = 1000;
/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row between which it does not change are taken for rest.
const STILL: usize = 4;
/// Looks until it must have come to rest.
const PATIENCE: usize = 20;

const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

/// Raises the number of open files for all rows, as far as this user may.
pub(super) fn allow_connections() {
    // A row that needs more than there is says so itself.
    let _ = crate::probe::scenario::allow_connections(45_000)
        .or_else(|_| crate::probe::scenario::allow_connections(CONNECTIONS + 1000));
}

/// Measures the memory of an idle connection.
pub(super) async fn idle(row: Row) -> Result<Record, Fault> {
    let site = Site::open(0).await?;
    let mut columns = Vec::new();
    for peer in Peer::ALL {
        if peer.find().is_none() {
            continue;
        }
        let front = peer.start(&site).await?;
        let pid = [front.running.pid()];
        // What it makes for its first connections is none of the others' cost.
        drop(open(front.listen, 64).await);
        let before = at_rest(&pid).await?;
        let kept = open(front.listen, CONNECTIONS).await;
        let count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        // On a busy machine a few are answered too late.
        if f64::from(count) < f64::from(CONNECTIONS) * ENOUGH {
            return Err(Fault::new(format!(
                "{} answered on {count} of {CONNECTIONS} connections",
                peer.name()
            )));
        }
        let after = at_rest(&pid).await?;
        columns.push(Column {
            who: peer.name().to_owned(),
            rounds: vec![(after - before) / f64::from(count) / KIB],
        });
        drop(kept);
        front.running.end().await;
    }
    let figure = Figure::new(row.name(), "KiB/connection", columns);
    let mut record = Record::new(row);
    record.figures = vec![figure.goal(Goal::AtMost(15.0))];
    Ok(record)
}

/// The memory that is held once it changes by no hundredth any more: what a program took to begin, or for a
/// load, it may give back only after a while.
async fn at_rest(pid: &[i32]) -> Result<f64, Fault> {
    let mut looks: Vec<f64> = Vec::new();
    for _ in 0..PATIENCE {
        sleep(LOOK).await;
        looks.push(held(pid).await?);
        if is_still(&looks) {
            break;
        }
    }
    Ok(looks.last().copied().unwrap_or_default())
}

fn is_still(looks: &[f64]) -> bool {
    let Some(last) = looks.len().checked_sub(STILL).map(|from| &looks[from..]) else {
        return false;
    };
    let most = last.iter().copied().fold(f64::MIN, f64::max);
    let least = last.iter().copied().fold(f64::MAX, f64::min);
    most - least <= most / 100.0
}

/// Opens connections that have had one answer of the origin.
async fn open(listen: SocketAddr, count: u32) -> Vec<TcpStream> {
    let body = "x".repeat(origin::length("/"));
    kept::open(listen, count, "/", body.into_bytes()).await
}

/// Looks at our memory at rest, with many busy connections, and after them.
pub(super) async fn memory(row: Row, seconds: u32) -> Result<Record, Fault> {
    let site = Site::open(0).await?;
    let front = Peer::Ours.start(&site).await?;
    let pid = [front.running.pid()];
    let rest = at_rest(&pid).await? / MIB;
    let mut load = work(Row::HopSmall, &front);
    load.connections = BUSY;
    let begin = Instant::now();
    let looking = async {
        let mut points = Vec::new();
        loop {
            sleep(LOOK).await;
            let Ok(bytes) = held(&pid).await else {
                return points;
            };
            points.push((begin.elapsed().as_secs_f64(), bytes / MIB));
            if begin.elapsed() + LOOK > Duration::from_secs(seconds.into()) {
                return points;
            }
        }
    };
    let (answered, points) = tokio::join!(load.run(site.folder(), seconds), looking);
    answered?;
    let after = at_rest(&pid).await? / MIB;
    front.running.end().await;
    let busy: Vec<f64> = points.iter().map(|(_, mib)| *mib).collect();
    let third = busy.len().div_ceil(3);
    let (first, last) = (median(&busy[..third]), median(&busy[busy.len() - third..]));
    let mut record = Record::new(row);
    record.figures = vec![
        Figure::ours("memory at rest", "MiB", rest),
        Figure::new(
            format!("memory, {BUSY} busy connections"),
            "MiB",
            vec![Column {
                who: OURS.to_owned(),
                rounds: busy,
            }],
        ),
        Figure::ours("memory after the load", "MiB", after),
        Figure::ours(
            format!("memory, last third of {seconds} s against the first"),
            "times",
            last / first,
        )
        .goal(Goal::AtMost(1.1)),
    ];
    record.curves = vec![Curve {
        name: "memory".to_owned(),
        title: format!("Memory of the proxy with {BUSY} busy connections"),
        x: SECONDS.to_owned(),
        y: "MiB".to_owned(),
        lines: vec![Line {
            who: OURS.to_owned(),
            points,
        }],
    }];
    Ok(record)
}

fn median(values: &[f64]) -> f64 {
    let column = Column {
        who: String::new(),
        rounds: values.to_vec(),
    };
    column.median().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_not_at_rest() {
        assert!(!is_still(&[]));
        assert!(!is_still(&[100.0, 100.0, 100.0]));
        assert!(is_still(&[200.0, 100.0, 100.0, 100.0, 100.9]));
        assert!(!is_still(&[100.0, 100.0, 100.0, 98.0]));
    }
}
