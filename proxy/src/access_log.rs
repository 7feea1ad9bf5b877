//! One JSON line per request, written by a thread of its own.
//!
//! The tasks that serve requests only hand a line over; when the writer cannot keep up, or cannot
//! write, lines are dropped and counted rather than requests, or the end of the process, held up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

mod destination;
mod entry;
mod output;
mod writing;

pub use destination::Destination;
pub use entry::{Entry, TryEntry};
pub use output::Output;

use crate::recent::Recent;
use writing::{Tray, write_all};

/// The access log; cheap to use from many tasks.
#[derive(Debug)]
pub struct AccessLog {
    /// Whether anything is written.
    on: AtomicBool,
    tray: Arc<Tray>,
    recent: Recent,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes; wait for it at the end, so that the last lines are not lost.
#[derive(Debug)]
pub struct Writer(Receiver<()>);

impl AccessLog {
    /// Opens the log and starts its writer.
    pub fn open(destination: &Destination) -> io::Result<(Self, Writer)> {
        let output = destination.open()?;
        let is_on = output.is_on();
        let dropped = Arc::new(AtomicU64::new(0));
        let tray = Arc::new(Tray::default());
        let taken = Arc::clone(&tray);
        let (alive, ended) = sync_channel(0);
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _alive: SyncSender<()> = alive;
                write_all(&taken, &lost, output);
            })?;
        let log = Self {
            on: AtomicBool::new(is_on),
            tray,
            recent: Recent::default(),
            dropped,
        };
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
        (log, move || tray.take(Vec::new()).lines)
    }

    /// The last requests that may be worth a look.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// How many lines were dropped because the writer could not keep up, or could not write.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Sends the lines elsewhere from now on, or to the same file opened anew; those that wait
    /// already still go where they would have gone.
    pub fn switch(&self, output: Output) {
        let is_on = output.is_on();
        self.tray.turn_to(output);
        self.on.store(is_on, Ordering::Relaxed);
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
        self.tray.end();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        fn lines(&self) -> Vec<serde_json::Value> {
            let written = self.0.lock().unwrap().clone();
            let lines = written.split(|&b| b == b'\n').filter(|l| !l.is_empty());
            lines
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect()
        }
    }

    fn log(log: &AccessLog, status: u16) {
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

    /// A log whose writer writes to this sink.
    fn to(sink: &Sink) -> (AccessLog, std::thread::JoinHandle<()>) {
        let (log, _) = AccessLog::to_memory();
        let (tray, output) = (Arc::clone(&log.tray), Output::to("a sink", sink.clone()));
        let dropped = Arc::clone(&log.dropped);
        let writer = std::thread::spawn(move || write_all(&tray, &dropped, output));
        (log, writer)
    }

    #[test]
    fn every_line_is_written_before_the_writer_ends() {
        let sink = Sink::default();
        let (access_log, writer) = to(&sink);
        for status in 200..300 {
            log(&access_log, status);
        }
        drop(access_log);
        writer.join().unwrap();
        let lines = sink.lines();
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[99]["status"], 299);
        assert_eq!(lines[0]["path"], "/\"\n");
    }

    #[test]
    fn a_switch_loses_no_line_and_off_is_off() {
        let sinks = [(); 2].map(|()| Sink::default());
        let (access_log, writer) = to(&sinks[0]);
        log(&access_log, 201);
        access_log.switch(Output::to("another sink", sinks[1].clone()));
        log(&access_log, 202);
        access_log.switch(Output::to("the same", sinks[1].clone()));
        log(&access_log, 203);
        access_log.switch(Output::OFF);
        log(&access_log, 500);
        drop(access_log);
        writer.join().unwrap();
        let status = |line: &serde_json::Value| line["status"].as_u64().unwrap();
        let written = sinks.map(|sink| sink.lines().iter().map(status).collect::<Vec<_>>());
        assert_eq!(written, [vec![201], vec![202, 203]]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_the_rest_goes_on() {
        let (log_to_full, writer) = to(&Sink::default());
        log_to_full.switch(Destination::File("/dev/full".into()).open().unwrap());
        log(&log_to_full, 200);
        while log_to_full.dropped() == 0 {
            std::thread::yield_now();
        }
        let sink = Sink::default();
        log_to_full.switch(Output::to("a sink", sink.clone()));
        log(&log_to_full, 201);
        let dropped = Arc::clone(&log_to_full.dropped);
        drop(log_to_full);
        writer.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        assert_eq!(sink.lines()[0]["status"], 201);
    }
}
