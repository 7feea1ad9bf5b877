//! What came of a simulation, in numbers.

use std::time::Duration;

/// What came of a simulation.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests that clients sent.
    pub sent: u64,
    /// Answered well.
    pub well: u64,
    /// Answered by the proxy with 503 at once: nobody was there who could take it.
    pub refused: u64,
    /// A server's own error was passed on.
    pub errors: u64,
    /// The client was told that nothing came of it, though a server had it.
    pub lost_reads: u64,
    /// The same of a write.
    pub lost_writes: u64,
    /// Writes that were carried out twice.
    pub doubled: u64,
    /// Writes that were carried out although the client was told that they failed.
    pub ghosts: u64,
    /// How long each well answered request took.
    pub times: Vec<Duration>,
    /// By server, in the order of the plan.
    pub servers: Vec<Served>,
    /// Which server each of the first requests was sent to first.
    pub order: Vec<usize>,
    /// What became of the servers, by time.
    pub turns: Vec<Turn>,
    /// When the upstream became degraded, all servers having said that their database is away, and
    /// when it no longer was.
    pub degraded: Vec<(Duration, bool)>,
    /// Requests that waited for a place.
    pub waited: u64,
    /// The most that waited at a time.
    pub most_waiting: usize,
    /// Laws of the method that were broken, the first few.
    pub breaches: Vec<String>,
    /// How many were broken.
    pub broken: u64,
}

/// What a server had to do with.
#[derive(Debug, Default, Clone)]
pub struct Served {
    /// Requests that came to it first.
    pub first: u64,
    /// Requests that came to it after a try elsewhere.
    pub again: u64,
    /// Tries that failed on it.
    pub failed: u64,
    /// The most that it had in hand.
    pub most_in_flight: usize,
    /// Requests that came to it, by tenth of a second.
    pub by_tenth: Vec<u32>,
}

/// A server went out or came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// When, from the beginning.
    pub at: Duration,
    /// Which.
    pub server: usize,
    /// It is up from now on.
    pub up: bool,
    /// Why it is out.
    pub cause: &'static str,
}

impl Outcome {
    /// The time that this share of the well answered requests stayed below.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut times = self.times.clone();
        if times.is_empty() {
            return Duration::ZERO;
        }
        let last = times.len() - 1;
        let index = ((last as f64) * share).round() as usize;
        *times.select_nth_unstable(index.min(last)).1
    }

    /// The times at which a server went out, and when it was back after each.
    pub fn outs(&self, server: usize) -> Vec<(Duration, Option<Duration>)> {
        let turns: Vec<&Turn> = self.turns.iter().filter(|t| t.server == server).collect();
        let outs = turns.iter().enumerate().filter(|(_, turn)| !turn.up);
        outs.map(|(index, out)| {
            let back = turns[index..].iter().find(|turn| turn.up);
            (out.at, back.map(|turn| turn.at))
        })
        .collect()
    }
}
