//! Writes the lines of requests to standard output, by a thread of its own.
//!
//! Who answers a request only hands its line over. Lines gather for a moment, so that one write carries many
//! and no request has to wake the writer. When the writer cannot keep up, lines are dropped and counted
//! rather than requests held up.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Lines that may wait for the writer.
const WAITING: usize = 16 * 1024;
/// How long a line may wait for others to be written with it.
const GATHERING: Duration = Duration::from_millis(20);
/// How long the end may wait for the last lines: nobody may read them any more.
const LAST: Duration = Duration::from_secs(1);

/// What the writer is told.
enum Told {
    Line(Vec<u8>),
    /// Write what there is, then say so.
    Flush(oneshot::Sender<()>),
}

/// Where lines are handed over. Clones lead to the same writer.
#[derive(Clone)]
pub(super) struct Lines {
    sender: SyncSender<Told>,
    dropped: Arc<AtomicU64>,
}

/// The writer as the end of the process sees it.
#[must_use = "the last lines are only written if they are waited for"]
pub struct Log(Lines);

impl Lines {
    /// Starts a writer to standard output.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        std::thread::Builder::new()
            .name("request-log".into())
            .spawn(move || write_all(&receiver, &lost, io::stdout()))?;
        Ok(Self { sender, dropped })
    }

    /// Hands a line over, with its end.
    pub(super) fn send(&self, line: Vec<u8>) {
        if self.sender.try_send(Told::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn log(&self) -> Log {
        Log(self.clone())
    }
}

impl Log {
    /// Waits until all lines are written, within a limit.
    pub async fn finish(self) {
        let (sender, written) = oneshot::channel();
        if self.0.sender.try_send(Told::Flush(sender)).is_ok() {
            // Whether they were written or not, this is the end.
            drop(timeout(LAST, written).await);
        }
    }
}

fn write_all(told: &Receiver<Told>, dropped: &AtomicU64, out: impl Write) {
    let mut counted = 0;
    let mut out = io::BufWriter::with_capacity(64 * 1024, out);
    while let Ok(first) = told.recv() {
        let mut asked = Vec::new();
        let mut take = |told, asked: &mut Vec<_>| match told {
            // A closed standard output is no reason to stop serving.
            Told::Line(line) => drop(out.write_all(&line)),
            Told::Flush(sender) => asked.push(sender),
        };
        take(first, &mut asked);
        if asked.is_empty() {
            gather();
        }
        while let Ok(next) = told.try_recv() {
            take(next, &mut asked);
        }
        drop(out.flush());
        for sender in asked {
            // Whoever asked may have waited long enough.
            let _ = sender.send(());
        }
        let lost = dropped.load(Ordering::Relaxed) - counted;
        counted += lost;
        if lost > 0 {
            tracing::warn!(
                lost,
                "lines of requests dropped: the writer could not keep up"
            );
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own: no worker is blocked"
)]
fn gather() {
    std::thread::sleep(GATHERING);
}

#[cfg(test)]
pub(super) struct Memory(Receiver<Told>);

#[cfg(test)]
impl Lines {
    /// Lines that are left to whoever takes the other end.
    pub(super) fn to_memory() -> (Self, Memory) {
        let (sender, receiver) = sync_channel(WAITING);
        let dropped = Arc::default();
        (Self { sender, dropped }, Memory(receiver))
    }
}

#[cfg(test)]
impl Memory {
    pub(super) fn line(&self) -> Option<Vec<u8>> {
        match self.0.try_recv() {
            Ok(Told::Line(line)) => Some(line),
            _ => None,
        }
    }
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

    #[tokio::test]
    async fn every_line_is_written_before_the_end() {
        let (lines, Memory(receiver)) = Lines::to_memory();
        let sink = Sink::default();
        let out = sink.clone();
        let thread = std::thread::spawn(move || write_all(&receiver, &AtomicU64::new(0), out));
        for number in 0..100 {
            lines.send(format!("{number}\n").into_bytes());
        }
        lines.log().finish().await;
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(written, expected);
        drop(lines);
        thread.join().unwrap();
    }

    #[test]
    fn what_cannot_be_written_in_time_is_counted() {
        let (lines, _receiver) = Lines::to_memory();
        for _ in 0..WAITING + 3 {
            lines.send(Vec::new());
        }
        assert_eq!(lines.dropped.load(Ordering::Relaxed), 3);
    }
}
