//! One JSON line per request, written by a thread of its own.
//!
//! The tasks that serve requests only hand a line over; when the writer cannot keep up, lines are
//! dropped and counted rather than requests, or the end of the process, held up.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::recent::Recent;

/// Lines that may wait for the writer.
const WAITING: usize = 16 * 1024;
/// How long a line may wait for others to be written with it.
const GATHERING: Duration = Duration::from_millis(20);

/// Where access log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Destination {
    /// To standard output.
    #[default]
    Stdout,
    /// Nowhere.
    Off,
}

/// What is logged of one request.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    /// When the request had arrived, RFC 3339.
    pub time: String,
    /// The id that the client and the API saw.
    pub request_id: &'a str,
    /// The client's address.
    pub client: String,
    /// The protocol of the request: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`; not of a head over HTTP/1
    /// that was refused.
    pub protocol: Option<&'static str>,
    /// The method, when it could be read.
    pub method: Option<&'a str>,
    /// The path without its query, when it could be read.
    pub path: Option<&'a str>,
    /// The status; 499 when the client left before it got one.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: usize,
    /// The route that matched.
    pub route: Option<Arc<str>>,
    /// The upstream that the route names.
    pub upstream: Option<&'a str>,
    /// Who answered.
    pub instance: &'a str,
    /// Every try: where, what came of it, and how long it took.
    pub tries: &'a [TryEntry],
    /// From the arrival to the first byte of a server's answer.
    pub first_byte_ms: Option<f64>,
    /// From the arrival to the end of the answer.
    pub total_ms: f64,
    /// Why the proxy refused the request or failed.
    pub cause: Option<&'a str>,
}

/// One try of a request.
#[derive(Debug, Clone, Serialize)]
pub struct TryEntry {
    /// The server's endpoint.
    pub server: Arc<str>,
    /// What came of it.
    pub outcome: &'static str,
    /// What the server answered, if it did.
    pub status: Option<u16>,
    /// From the arrival of the request to the beginning of the try.
    pub began_ms: f64,
    /// How long it took until that was known.
    pub ms: f64,
}

/// The access log; cheap to use from many tasks.
#[derive(Debug)]
pub struct AccessLog {
    /// Whether anything is written.
    on: AtomicBool,
    lines: SyncSender<Vec<u8>>,
    recent: Recent,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes; wait for it at the end, so that the last lines are not lost.
#[derive(Debug)]
pub struct Writer(Receiver<()>);

impl AccessLog {
    /// Opens the log and starts its writer.
    pub fn open(destination: Destination) -> io::Result<(Self, Writer)> {
        let dropped = Arc::new(AtomicU64::new(0));
        let (lines, receiver) = sync_channel(WAITING);
        let (alive, ended) = sync_channel(0);
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _alive: SyncSender<()> = alive;
                write_all(&receiver, &lost, io::stdout());
            })?;
        let log = Self {
            on: AtomicBool::new(false),
            lines,
            recent: Recent::default(),
            dropped,
        };
        log.switch(destination);
        Ok((log, Writer(ended)))
    }

    /// A log whose lines are left to whoever takes the other end.
    #[cfg(test)]
    pub(crate) fn to_memory() -> (Self, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(WAITING);
        let log = Self {
            on: AtomicBool::new(true),
            lines: sender,
            recent: Recent::default(),
            dropped: Arc::default(),
        };
        (log, receiver)
    }

    /// The last requests that may be worth a look.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// How many lines were dropped because the writer could not keep up.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Sends the lines to another destination from now on.
    pub fn switch(&self, destination: Destination) {
        let on = destination == Destination::Stdout;
        self.on.store(on, Ordering::Relaxed);
    }

    /// Logs one request.
    pub fn write(&self, entry: &Entry<'_>) {
        self.recent.take_in(entry);
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        // An entry is made of strings and numbers: serialising it cannot fail.
        let Ok(mut line) = serde_json::to_vec(entry) else {
            return;
        };
        line.push(b'\n');
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// Waits until all lines are written, or until `limit`: nobody may read standard output any
    /// more. Every [`AccessLog`] must have been dropped.
    pub fn finish(self, limit: Duration) {
        // The writer's end of the channel goes with the writer, also when it panics.
        let _ = self.0.recv_timeout(limit);
    }
}

/// A moment as RFC 3339 in UTC with milliseconds.
pub fn timestamp(at: SystemTime) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    // A clock outside of the years 0 to 9999 is no reason to fail.
    time::OffsetDateTime::from(at)
        .format(FORMAT)
        .unwrap_or_default()
}

fn write_all(lines: &Receiver<Vec<u8>>, dropped: &AtomicU64, out: impl Write) {
    let mut told = 0;
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(line) = lines.recv() {
        // A closed standard output is no reason to stop serving.
        let _ = out.write_all(&line);
        gather();
        while let Ok(line) = lines.try_recv() {
            let _ = out.write_all(&line);
        }
        let _ = out.flush();
        let lost = dropped.load(Ordering::Relaxed) - told;
        told += lost;
        if lost > 0 {
            tracing::warn!(
                lost,
                "access log lines dropped: the writer could not keep up"
            );
        }
    }
}

/// Lets lines gather, so that one write carries many and no request has to wake the writer.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own: no worker is blocked"
)]
fn gather() {
    std::thread::sleep(GATHERING);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn moments_are_written_in_utc() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_042);
        assert_eq!(timestamp(at), "1970-01-02T00:00:00.042Z");
    }

    #[test]
    fn every_line_is_written_before_the_writer_ends() {
        let (log, receiver) = AccessLog::to_memory();
        let sink = Sink::default();
        let out = sink.clone();
        let thread = std::thread::spawn(move || write_all(&receiver, &AtomicU64::new(0), out));
        for status in 200..300 {
            log.write(&Entry {
                time: String::new(),
                request_id: "id",
                client: "127.0.0.1".into(),
                protocol: Some("HTTP/1.1"),
                method: Some("GET"),
                path: Some("/\"\n"),
                status,
                bytes: 0,
                route: None,
                upstream: None,
                instance: "proxy",
                tries: &[],
                first_byte_ms: None,
                total_ms: 0.5,
                cause: None,
            });
        }
        drop(log);
        thread.join().unwrap();
        let written = sink.0.lock().unwrap().clone();
        let lines: Vec<serde_json::Value> = written
            .split(|&b| b == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[99]["status"], 299);
        assert_eq!(lines[0]["path"], "/\"\n");
    }
}
