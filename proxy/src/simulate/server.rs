//! A server that is made up: how it takes requests, works on them, and answers health checks.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use fastrand::Rng;

use super::plan::{self, What};
use crate::upstream::health::Probe;
use crate::upstream::server::ProbeTurn;

/// How long a health check takes on a server that is well.
const CHECK_TAKES: Duration = Duration::from_millis(1);

/// A request on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    /// Where its request is kept.
    pub(super) key: usize,
    /// Which request that was: places are used again.
    pub(super) serial: u64,
    /// Which life of its server it began in.
    pub(super) life: u32,
}

/// What a server answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Well,
    ServerError,
    DatabaseAway,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Runs,
    Paused,
    Dead,
}

/// A server that is made up.
#[derive(Debug)]
pub(super) struct Simulated {
    latency: Duration,
    slots: usize,
    life: Life,
    lives: u32,
    extra: Duration,
    answer: Answer,
    /// How long it takes to say that its database is away.
    away_takes: Duration,
    pub(super) drains: bool,
    busy: usize,
    waiting: VecDeque<Job>,
    /// Was done while it stood still.
    held: Vec<Job>,
    /// The turn to probe it out of turn, while that lasts.
    pub(super) turn: Option<ProbeTurn>,
}

impl Simulated {
    pub(super) fn new(plan: &plan::Server) -> Self {
        Self {
            latency: plan.latency,
            slots: match plan.slots {
                0 => usize::MAX,
                slots => usize::try_from(slots).unwrap_or(usize::MAX),
            },
            life: Life::Runs,
            lives: 0,
            extra: Duration::ZERO,
            answer: Answer::Well,
            away_takes: Duration::ZERO,
            drains: false,
            busy: 0,
            waiting: VecDeque::new(),
            held: Vec::new(),
            turn: None,
        }
    }

    /// Whether it accepts connections, or somebody does for it.
    pub(super) fn accepts(&self) -> bool {
        self.life != Life::Dead
    }

    /// Marks a request as one of this life.
    pub(super) fn job(&self, key: usize, serial: u64) -> Job {
        let life = self.lives;
        Job { key, serial, life }
    }

    /// Takes a request in; returns how long it will work on it if it begins at once.
    pub(super) fn take(&mut self, job: Job, dice: &mut Rng) -> Option<Duration> {
        if self.life == Life::Runs && self.busy < self.slots {
            self.busy += 1;
            return Some(self.takes(dice));
        }
        self.waiting.push_back(job);
        None
    }

    /// Ends the work on a request; returns the answer, unless it died or stands still.
    pub(super) fn finish(&mut self, job: Job) -> Option<Answer> {
        match self.life {
            _ if job.life != self.lives => None,
            Life::Dead => None,
            Life::Paused => {
                self.held.push(job);
                None
            }
            Life::Runs => {
                self.busy -= 1;
                Some(self.answer)
            }
        }
    }

    /// Begins with the next request that waits.
    pub(super) fn next(&mut self, dice: &mut Rng) -> Option<(Job, Duration)> {
        if self.life != Life::Runs || self.busy >= self.slots {
            return None;
        }
        let job = self.waiting.pop_front()?;
        self.busy += 1;
        Some((job, self.takes(dice)))
    }

    fn takes(&self, dice: &mut Rng) -> Duration {
        match self.answer {
            Answer::Well => self.latency.mul_f64(0.8 + 0.4 * dice.f64()) + self.extra,
            Answer::ServerError => CHECK_TAKES,
            Answer::DatabaseAway => self.away_takes,
        }
    }

    /// What a health check finds that may take as long as this, and when.
    pub(super) fn check(&self, limit: Duration) -> (Probe, Duration) {
        let takes = if self.busy < self.slots {
            CHECK_TAKES
        } else {
            // It waits like everybody else.
            let before = u32::try_from(self.waiting.len() + 1).unwrap_or(u32::MAX);
            let slots = u32::try_from(self.slots).unwrap_or(u32::MAX);
            self.latency.saturating_mul(before) / slots
        };
        match self.life {
            Life::Dead => (
                Probe::NotConnected(ErrorKind::ConnectionRefused),
                Duration::ZERO,
            ),
            Life::Paused => (Probe::TimedOut, limit),
            Life::Runs if takes > limit => (Probe::TimedOut, limit),
            Life::Runs if self.drains => (Probe::Draining, takes),
            Life::Runs => (Probe::Passed, takes),
        }
    }

    /// Lets something happen to it; returns what it goes on with that was held.
    pub(super) fn happens(&mut self, what: What) -> Vec<Job> {
        match what {
            What::Dies => self.die(),
            What::Returns => {
                self.life = Life::Runs;
                (self.extra, self.answer, self.drains) = (Duration::ZERO, Answer::Well, false);
                // What a paused one held goes on; a dead one holds nothing.
                return std::mem::take(&mut self.held);
            }
            What::Pauses if self.life == Life::Runs => self.life = Life::Paused,
            What::Resumes if self.life == Life::Paused => {
                self.life = Life::Runs;
                return std::mem::take(&mut self.held);
            }
            What::Slows(extra) => self.extra = extra,
            What::Fails => self.answer = Answer::ServerError,
            What::LosesDatabase(takes) => {
                (self.answer, self.away_takes) = (Answer::DatabaseAway, takes);
            }
            What::Drains => self.drains = true,
            What::Pauses | What::Resumes | What::Weighs(_) => {}
        }
        Vec::new()
    }

    fn die(&mut self) {
        self.life = Life::Dead;
        self.lives += 1;
        self.busy = 0;
        self.waiting.clear();
        self.held.clear();
    }
}
