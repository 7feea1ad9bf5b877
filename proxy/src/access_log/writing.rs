//! The thread that writes: where lines wait for it, and what it does with them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Output;
use crate::trouble::Trouble;

/// How many bytes of lines may wait for the writer.
const WAITING: usize = 8 * 1024 * 1024;
/// What the writer keeps in hand of the memory that lines have waited in.
const KEPT: usize = 1024 * 1024;
/// How often the lines that wait may go elsewhere.
const TURNS: usize = 16;
/// How long a line may wait for others to be written with it.
const GATHERING: Duration = Duration::from_millis(20);

/// Where lines wait for the writer, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Tray {
    /// Held for the copy of one line, or to take all of them.
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) lines: Vec<u8>,
    /// Where they go from which byte on, each time that this has changed; few.
    turns: Vec<(usize, Output)>,
    /// There will be no more.
    is_over: bool,
}

impl Tray {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays a line down, unless too many wait.
    pub(super) fn put(&self, line: &[u8]) -> bool {
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

    /// Has what is laid down from now on go elsewhere.
    pub(super) fn turn_to(&self, output: Output) {
        let mut waiting = self.lock();
        let here = waiting.lines.len();
        let is_full = waiting.turns.len() >= TURNS;
        match waiting.turns.last_mut() {
            // No line is lost by it: those between go where the later ones go.
            Some((at, last)) if *at == here || is_full => *last = output,
            _ => waiting.turns.push((here, output)),
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Notes that there will be no more.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.filled.notify_one();
    }

    /// Waits for the first line, or for another place to write to; false when there will be none.
    fn wait(&self) -> bool {
        let waiting = self.lock();
        let waiting = self
            .filled
            .wait_while(waiting, |waiting| waiting.is_empty() && !waiting.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        !waiting.is_empty()
    }

    /// Takes all lines, and from where on they go elsewhere if they do; leaves an empty buffer in
    /// their place.
    pub(super) fn take(&self, empty: Vec<u8>) -> Waiting {
        let mut waiting = self.lock();
        Waiting {
            lines: std::mem::replace(&mut waiting.lines, empty),
            turns: std::mem::take(&mut waiting.turns),
            is_over: waiting.is_over,
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.turns.is_empty()
    }
}

/// Writes what is laid down until there will be no more.
pub(super) fn write_all(tray: &Tray, dropped: &AtomicU64, output: Output) {
    let mut pen = Pen {
        output,
        dropped,
        told: 0,
        trouble: Trouble::default(),
    };
    let mut lines = Vec::new();
    while tray.wait() {
        gather();
        let taken = tray.take(lines);
        let mut written = 0;
        for (at, next) in taken.turns {
            pen.write(&taken.lines[written..at]);
            written = at;
            pen.output = next;
        }
        pen.write(&taken.lines[written..]);
        lines = taken.lines;
        lines.clear();
        lines.shrink_to(KEPT);
    }
}

/// What the writer writes with, and what it has told of its troubles.
struct Pen<'l> {
    output: Output,
    dropped: &'l AtomicU64,
    /// How many of the lines that were dropped have been told of, or could not be written.
    told: u64,
    trouble: Trouble,
}

impl Pen<'_> {
    /// Writes lines; those that cannot be written are counted, and the trouble is told once.
    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        match self.output.write(lines) {
            Ok(()) if self.trouble.is_over() => {
                let dropped = self.dropped.load(Ordering::Relaxed);
                tracing::info!(to = %self.output, dropped, "the access log is written again");
            }
            Ok(()) => {}
            Err(unwritten) => {
                self.dropped.fetch_add(unwritten.lines, Ordering::Relaxed);
                self.told += unwritten.lines;
                if self.trouble.is_here(Instant::now()) {
                    let cause = unwritten.cause;
                    tracing::error!(
                        to = %self.output, %cause,
                        "the access log cannot be written: its lines are dropped until it can"
                    );
                }
            }
        }
        let lost = self.dropped.load(Ordering::Relaxed) - self.told;
        self.told += lost;
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
