//! How far a long command is: a bar on a terminal, a line for each tenth elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const WIDTH: u64 = 30;

/// What is shown of the work that is done. Goes to stderr, so that it is in no pipe.
pub(super) struct Progress {
    whole: u64,
    started: Instant,
    on_terminal: bool,
    tenths_shown: u64,
}

impl Progress {
    pub(super) fn start(whole: u64) -> Self {
        Self {
            whole,
            started: Instant::now(),
            on_terminal: io::stderr().is_terminal(),
            tenths_shown: 0,
        }
    }

    /// Shows that `done` of the whole is done. That nobody looks is no reason to end.
    pub(super) fn show(&mut self, done: u64) {
        let text = bar(done, self.whole, self.started.elapsed());
        let tenths = done * 10 / self.whole;
        let mut out = io::stderr();
        if self.on_terminal {
            let _ = write!(out, "\r{text}");
        } else if tenths > self.tenths_shown {
            self.tenths_shown = tenths;
            let _ = writeln!(out, "{text}");
        }
    }

    pub(super) fn end(&self) {
        if self.on_terminal {
            let _ = writeln!(io::stderr());
        }
    }
}

fn bar(done: u64, whole: u64, elapsed: Duration) -> String {
    let full = (done * WIDTH / whole) as usize;
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "[{}{}] {:3} %  {done} of {whole} songs, {rate:.0} a second",
        "#".repeat(full),
        "-".repeat(WIDTH as usize - full),
        done * 100 / whole,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_up() {
        let show = |done| bar(done, 1000, Duration::from_secs(2));
        assert_eq!(
            show(500),
            "[###############---------------]  50 %  500 of 1000 songs, 250 a second"
        );
        assert!(show(0).starts_with("[------------------------------]   0 %"));
        assert!(show(1000).starts_with("[##############################] 100 %"));
    }
}
