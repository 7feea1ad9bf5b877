//! One JSON line per request, written by a thread of its own.
//!
//! The tasks that serve requests only hand a line over; when the writer cannot keep up, lines are
//! dropped and counted rather than requests, or the end of the process, held up.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod entry;

pub use entry::{Entry, TryEntry};

use crate::recent::Recent;

/// How many bytes of lines may wait for the writer.
const WAITING: usize = 8 * 1024 * 1024;
/// What the writer keeps in hand of the memory that lines have waited in.
const KEPT: usize = 1024 * 1024;
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

/// The access log; cheap to use from many tasks.
#[derive(Debug)]
pub struct AccessLog {
    /// Whether anything is written.
    on: AtomicBool,
    tray: Arc<Tray>,
    recent: Recent,
    dropped: Arc<AtomicU64>,
}

/// Where lines wait for the writer, one behind the other.
#[derive(Debug, Default)]
struct Tray {
    /// Held for the copy of one line, or to take all of them.
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// There will be no more.
    is_over: bool,
}

/// The thread that writes; wait for it at the end, so that the last lines are not lost.
#[derive(Debug)]
pub struct Writer(Receiver<()>);

impl AccessLog {
    /// Opens the log and starts its writer.
    pub fn open(destination: Destination) -> io::Result<(Self, Writer)> {
        let dropped = Arc::new(AtomicU64::new(0));
        let tray = Arc::new(Tray::default());
        let taken = Arc::clone(&tray);
        let (alive, ended) = sync_channel(0);
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _alive: SyncSender<()> = alive;
                write_all(&taken, &lost, io::stdout());
            })?;
        let log = Self {
            on: AtomicBool::new(false),
            tray,
            recent: Recent::default(),
            dropped,
        };
        log.switch(destination);
        Ok((log, Writer(ended)))
    }

    /// A log whose lines are left where they wait.
    #[cfg(test)]
    pub(crate) fn to_memory() -> (Self, impl Fn() -> Vec<u8>) {
        let tray = Arc::new(Tray::default());
        let log = Self {
            on: AtomicBool::new(true),
            tray: Arc::clone(&tray),
            recent: Recent::default(),
            dropped: Arc::default(),
        };
        (log, move || std::mem::take(&mut tray.lock().lines))
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
        let mut line = entry.to_json();
        line.push(b'\n');
        if !self.tray.put(&line) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.tray.lock().is_over = true;
        self.tray.filled.notify_one();
    }
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays a line down, unless too many wait.
    fn put(&self, line: &[u8]) -> bool {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > WAITING {
            return false;
        }
        let is_first = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.filled.notify_one();
        }
        true
    }

    /// Waits for the first line; false when there will be none.
    fn wait(&self) -> bool {
        let waiting = self.lock();
        let waiting = self
            .filled
            .wait_while(waiting, |waiting| {
                waiting.lines.is_empty() && !waiting.is_over
            })
            .unwrap_or_else(PoisonError::into_inner);
        !waiting.lines.is_empty()
    }

    /// Takes all lines and leaves an empty buffer in their place.
    fn take(&self, empty: Vec<u8>) -> Vec<u8> {
        std::mem::replace(&mut self.lock().lines, empty)
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

fn write_all(tray: &Tray, dropped: &AtomicU64, mut out: impl Write) {
    let mut told = 0;
    let mut lines = Vec::new();
    while tray.wait() {
        gather();
        lines = tray.take(lines);
        // A closed standard output is no reason to stop serving.
        let _ = out.write_all(&lines).and_then(|()| out.flush());
        lines.clear();
        lines.shrink_to(KEPT);
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
    fn every_line_is_written_before_the_writer_ends() {
        let sink = Sink::default();
        let (log, _) = AccessLog::to_memory();
        let (tray, out) = (Arc::clone(&log.tray), sink.clone());
        let thread = std::thread::spawn(move || write_all(&tray, &AtomicU64::new(0), out));
        for status in 200..300 {
            log.write(&Entry {
                time: std::time::SystemTime::UNIX_EPOCH,
                request_id: "id",
                client: "127.0.0.1".parse().unwrap(),
                protocol: Some("HTTP/1.1"),
                method: Some("GET"),
                host: None,
                path: Some("/\"\n"),
                status,
                bytes: 0,
                route: None,
                upstream: None,
                instance: "proxy",
                tries: &[],
                first_byte: None,
                total: Duration::from_micros(500),
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
