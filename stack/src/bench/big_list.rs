//! A list of a million rows through the whole stack: when it begins, how fast it comes, what memory it takes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::figure::{Column, Figure, Goal, OURS};
use super::options::Row;
use super::postgres::Postgres;
use super::record::Record;
use super::site::open_folder;
use super::usage::{reset_peak, resident};
use super::whole::Whole;
use crate::Fault;

/// Rows of the list.
const SONGS: u32 = 1_000_000;
/// How long one list may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that a row has at least.
const LEAST_ROW: f64 = 100.0;
const MIB: f64 = 1024.0 * 1024.0;

/// One list, as a client sees it.
struct Seen {
    first_byte_ms: f64,
    bytes: f64,
    seconds: f64,
}

/// Reads the whole list, at most five times.
pub(super) async fn big_list(row: Row, rounds: u32) -> Result<Record, Fault> {
    let folder = open_folder()?;
    let postgres = Postgres::start().await?;
    Whole::prepare(&postgres, "many", SONGS).await?;
    let whole = Whole::start(&postgres, "many", folder.path(), 1).await?;
    let pids = [("proxy", whole.proxy.pid()), ("api", whole.apis[0].pid())];
    let mut rest = Vec::new();
    for (_, pid) in pids {
        reset_peak(pid).await?;
        rest.push(resident(pid).await?.0);
    }
    let (mut first, mut speed) = (Vec::new(), Vec::new());
    for _ in 0..rounds.min(5) {
        let seen = timeout(PATIENCE, read_list(whole.listen)).await;
        let seen = seen.map_err(|_| Fault::new(format!("the list took over {PATIENCE:?}")))??;
        first.push(seen.first_byte_ms);
        speed.push(seen.bytes / seen.seconds / 1e6);
    }
    let ours = |what: &str, unit: &str, rounds| {
        let who = OURS.to_owned();
        let row = format!("{}, {what}", row.name());
        Figure::new(row, unit, vec![Column { who, rounds }])
    };
    let mut record = Record::new(row);
    record.figures = vec![
        ours("first byte", "ms", first).goal(Goal::AtMost(20.0)),
        ours("speed", "MB/s", speed).goal(Goal::AtLeast(100.0)),
    ];
    for ((name, pid), rest) in pids.into_iter().zip(rest) {
        let (_, peak) = resident(pid).await?;
        let more = vec![(peak - rest) / MIB];
        let figure = ours(&format!("memory of {name} above rest"), "MiB", more);
        record.figures.push(figure.goal(Goal::AtMost(32.0)));
    }
    whole.end().await;
    postgres.end().await;
    Ok(record)
}

async fn read_list(listen: SocketAddr) -> Result<Seen, Fault> {
    let failed = |error: std::io::Error| Fault::new(format!("the list: {error}"));
    let mut stream = TcpStream::connect(listen).await.map_err(failed)?;
    let request =
        format!("GET /api/music/ HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    let begin = Instant::now();
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut head = Vec::new();
    // The first byte that counts is the body's.
    let first_byte = loop {
        let read = stream.read(&mut buffer).await.map_err(failed)?;
        head.extend_from_slice(&buffer[..read]);
        let end = head.windows(4).position(|four| four == b"\r\n\r\n");
        if read == 0 || end.is_some_and(|end| head.len() > end + 4) {
            break begin.elapsed();
        }
    };
    if !head.starts_with(b"HTTP/1.1 200") {
        return Err(Fault::new("the list was not answered with 200"));
    }
    let mut bytes = f64::from(u32::try_from(head.len()).unwrap_or(u32::MAX));
    let mut tail = head;
    loop {
        let read = stream.read(&mut buffer).await.map_err(failed)?;
        if read == 0 {
            break;
        }
        bytes += f64::from(u32::try_from(read).unwrap_or(u32::MAX));
        tail.extend_from_slice(&buffer[..read]);
        let old = tail.len().saturating_sub(16);
        tail.drain(..old);
    }
    let seconds = begin.elapsed().as_secs_f64();
    // The list's bracket, then the end of the chunks.
    if !String::from_utf8_lossy(&tail).contains(']') || bytes < LEAST_ROW * f64::from(SONGS) {
        return Err(Fault::new(format!(
            "the list ended early, after {bytes} bytes"
        )));
    }
    Ok(Seen {
        first_byte_ms: first_byte.as_secs_f64() * 1000.0,
        bytes,
        seconds,
    })
}
