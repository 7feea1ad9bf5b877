//! Is this server fit to be picked? A pure state machine fed by probes and by real answers.
//!
//! [`super::server::Server`] holds one behind a lock; `now` is always an argument.

mod cuts;
mod missed;

use std::borrow::Cow;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use cuts::Cuts;
use missed::Missed;

use super::settings::{EjectSettings, HealthSettings};
use super::tls::Distrust;

/// A timed-out probe of a server that finished a request this recently is not held against it.
const BUSY_NOT_DEAD: Duration = Duration::from_secs(1);
/// By when a server that is there should have passed its first check.
const FIRST_PASS: Duration = Duration::from_secs(1);

/// Why a server is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It has not passed its first check yet.
    New,
    /// It refused a connection, or none came about in time.
    NotConnected,
    /// It could not be trusted.
    Tls(Distrust),
    /// It broke off a request that it had in hand.
    BrokeOff,
    /// It answered neither a request nor a probe.
    Silent,
    /// Its health checks failed.
    HealthCheck,
    /// It said that it is stopping.
    Draining,
    /// It answered too many requests in a row with 5xx, or broke them off.
    ServerErrors,
    /// It was drained by hand.
    Drained,
    /// It is down by hand, in the file or at run time.
    Down,
}

impl Cause {
    /// The words for the status page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "no health check passed yet",
            Self::NotConnected => "connection refused or timed out",
            Self::Tls(distrust) => distrust.as_str(),
            Self::BrokeOff => "broke off a request",
            Self::Silent => "silent",
            Self::HealthCheck => "health check failed",
            Self::Draining => "draining",
            Self::ServerErrors => "too many 5xx or broken answers",
            Self::Drained => "drained by hand",
            Self::Down => "down by hand",
        }
    }
}

/// What an operator wants of a server, whatever its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It gets requests when it is well.
    Ready,
    /// It gets no new ones; its health is still watched, so that it is back at once.
    Drain,
    /// It gets none, and nobody asks how it is.
    Down,
}

impl Mode {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Down => "down",
        }
    }

    /// The mode that the file asks for.
    pub fn configured(down: bool) -> Self {
        if down { Self::Down } else { Self::Ready }
    }
}

/// A server's fitness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It gets requests.
    Up,
    /// It gets none.
    Out(Cause),
}

/// Where an answer was broken off, or ceased to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Before its head was whole.
    Head,
    /// Behind its head, which had been a good one or not.
    Body,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It answered that it is well.
    Passed,
    /// It answered that it is stopping.
    Draining,
    /// It answered this status, which is none of 2xx.
    Unwell(u16),
    /// No connection, and why.
    NotConnected(ErrorKind),
    /// The connection ended before the answer.
    BrokeOff,
    /// What came is no answer.
    Garbled,
    /// It could not be trusted.
    Distrusted(Distrust),
    /// No whole answer in time.
    TimedOut,
    /// Nothing: the proxy itself lacked what it takes to ask.
    NotAsked,
}

impl Probe {
    /// Its name among the figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Draining => "draining",
            Self::Unwell(_) => "unwell",
            Self::NotConnected(_) => "not-connected",
            Self::BrokeOff => "broke-off",
            Self::Garbled => "garbled",
            Self::Distrusted(_) => "distrusted",
            Self::TimedOut => "timed-out",
            Self::NotAsked => "not-asked",
        }
    }
}

/// The health of one server.
#[derive(Debug)]
pub struct Health {
    mode: Mode,
    /// Whatever the mode.
    state: State,
    since: Instant,
    passes: u32,
    misses: u32,
    /// 5xx and answers without a head in a row.
    failures: u32,
    /// Answers broken off in their bodies since one came whole.
    cuts: Cuts,
    ejections: u32,
    ejected_until: Option<Instant>,
    last_finished: Option<Instant>,
    /// The last check, if it failed since the state changed.
    missed: Option<Missed>,
    told_late: bool,
}

impl Health {
    /// A server that has passed no check yet: out.
    pub fn new(down: bool, now: Instant) -> Self {
        Self {
            mode: Mode::configured(down),
            state: State::Out(Cause::New),
            since: now,
            passes: 0,
            misses: 0,
            failures: 0,
            cuts: Cuts::default(),
            ejections: 0,
            ejected_until: None,
            last_finished: None,
            missed: None,
            told_late: false,
        }
    }

    /// Up or out, and why.
    pub fn state(&self) -> State {
        match self.mode {
            Mode::Ready => self.state,
            Mode::Drain => State::Out(Cause::Drained),
            Mode::Down => State::Out(Cause::Down),
        }
    }

    /// Why it is out, in words: what the last check found, where that is the reason or tells more.
    pub fn why_out(&self) -> Option<Cow<'static, str>> {
        let State::Out(cause) = self.state() else {
            return None;
        };
        let by_checks = matches!(cause, Cause::New | Cause::HealthCheck);
        let by_requests = matches!(cause, Cause::NotConnected | Cause::BrokeOff | Cause::Silent);
        let missed = self.missed.as_ref();
        let missed = missed.filter(|missed| by_checks || by_requests && missed.answered);
        Some(match missed {
            Some(missed) => missed.words.clone().into(),
            None => cause.as_str().into(),
        })
    }

    /// Whether it has failed its first checks for so long that somebody should be told; once.
    pub fn first_pass_is_late(&mut self, now: Instant) -> bool {
        let is_late = self.state() == State::Out(Cause::New)
            && self.missed.is_some()
            && !self.told_late
            && now.saturating_duration_since(self.since) >= FIRST_PASS;
        self.told_late |= is_late;
        is_late
    }

    /// What the operator wants.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Takes in what the operator wants. Returns whether that is new.
    pub fn set_mode(&mut self, mode: Mode, now: Instant) -> bool {
        let is_new = self.mode != mode;
        if is_new {
            if self.mode == Mode::Down {
                // Nobody has looked at it meanwhile.
                self.enter(State::Out(Cause::New), now);
            }
            self.mode = mode;
            self.since = now;
        }
        is_new
    }

    /// When the state last changed.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Takes in the result of a health check. Returns whether the state changed.
    pub fn probed(&mut self, probe: Probe, settings: &HealthSettings, now: Instant) -> bool {
        let changed = match probe {
            Probe::Passed => self.passed(settings, now),
            Probe::Draining => self.out(Cause::Draining, now),
            Probe::NotAsked => false,
            Probe::Distrusted(distrust) => {
                let is_new = self.state != State::Out(Cause::Tls(distrust));
                self.out(Cause::Tls(distrust), now);
                is_new
            }
            Probe::TimedOut if self.recently_finished(now) => false,
            Probe::Unwell(_)
            | Probe::NotConnected(_)
            | Probe::BrokeOff
            | Probe::Garbled
            | Probe::TimedOut => {
                self.passes = 0;
                self.misses = self.misses.saturating_add(1);
                let changed = self.state == State::Up
                    && self.misses >= settings.fall
                    && self.out(Cause::HealthCheck, now);
                self.missed = Missed::of(probe, settings);
                changed
            }
        };
        changed && self.mode == Mode::Ready
    }

    /// Takes the server out because of a hard fact seen by a request. Returns whether it was up.
    pub fn out(&mut self, cause: Cause, now: Instant) -> bool {
        self.passes = 0;
        match self.state {
            // What it breaks off now was sent before; a passed probe must not end the ejection.
            State::Out(Cause::ServerErrors) if cause == Cause::BrokeOff => false,
            State::Out(Cause::ServerErrors) | State::Up => {
                self.enter(State::Out(cause), now);
                self.mode == Mode::Ready
            }
            State::Out(_) => {
                self.state = State::Out(cause);
                self.missed = None;
                false
            }
        }
    }

    /// Takes in the status of an answer, whose body may be yet to come: a long one counts at once.
    /// Returns true when the server has earned an ejection, which the caller carries out with
    /// [`Self::eject`] if enough others are left.
    pub fn answered(&mut self, server_error: bool, settings: &EjectSettings, now: Instant) -> bool {
        self.last_finished = Some(now);
        if !server_error {
            self.failures = 0;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        self.has_failed_enough(settings) && self.state() == State::Up
    }

    /// Takes in that a good answer has come whole. Only that, and no good head, makes up for bodies
    /// that were broken off; but those of more than a minute ago are forgotten.
    pub fn came_whole(&mut self) {
        self.cuts = Cuts::default();
    }

    /// Takes in that an answer was broken off, or made no sense: as bad as a 5xx.
    ///
    /// Once for each time that it was up: what a dying server breaks off at once is one failure, so
    /// that it is back as soon as it lives. Returns the same as [`Self::answered`].
    pub fn broke_off(&mut self, at: Break, settings: &EjectSettings, now: Instant) -> bool {
        match at {
            Break::Head => self.failures = self.failures.saturating_add(1),
            Break::Body => self.cuts.add(now),
        }
        let is_ejected = self.state == State::Out(Cause::ServerErrors);
        self.has_failed_enough(settings) && !is_ejected && self.mode == Mode::Ready
    }

    fn has_failed_enough(&self, settings: &EjectSettings) -> bool {
        self.failures.saturating_add(self.cuts.count()) >= settings.consecutive_5xx
    }

    /// Ejects the server for its failed answers, each time for twice as long. What was before a time
    /// of `cap` without an ejection is forgotten.
    pub fn eject(&mut self, settings: &EjectSettings, now: Instant) {
        let last = self.ejected_until;
        if last.is_none_or(|last| now.saturating_duration_since(last) >= settings.cap) {
            self.ejections = 0;
        }
        let doubled = settings
            .base
            .saturating_mul(1u32.checked_shl(self.ejections).unwrap_or(u32::MAX));
        self.ejections = self.ejections.saturating_add(1);
        self.forgive();
        self.ejected_until = Some(now + doubled.min(settings.cap));
        self.enter(State::Out(Cause::ServerErrors), now);
    }

    /// Ends an ejection whose time is over. Returns whether the state changed.
    pub fn tick(&mut self, now: Instant) -> bool {
        let over = self.state == State::Out(Cause::ServerErrors)
            && self.ejected_until.is_some_and(|until| until <= now);
        if over {
            self.enter(State::Up, now);
        }
        over && self.mode == Mode::Ready
    }

    fn passed(&mut self, settings: &HealthSettings, now: Instant) -> bool {
        self.misses = 0;
        self.missed = None;
        self.passes = self.passes.saturating_add(1);
        match self.state {
            State::Up | State::Out(Cause::ServerErrors) => false,
            State::Out(Cause::New) => self.enter(State::Up, now),
            State::Out(_) => self.passes >= settings.rise && self.enter(State::Up, now),
        }
    }

    fn enter(&mut self, state: State, now: Instant) -> bool {
        let broke_off = State::Out(Cause::BrokeOff);
        if self.state != broke_off && state != broke_off {
            // A server that only answers its checks fails again and again.
            self.forgive();
        }
        self.state = state;
        self.since = now;
        self.passes = 0;
        self.misses = 0;
        self.missed = None;
        self.told_late = false;
        true
    }

    fn forgive(&mut self) {
        self.failures = 0;
        self.cuts = Cuts::default();
    }

    fn recently_finished(&self, now: Instant) -> bool {
        self.last_finished
            .is_some_and(|at| now.saturating_duration_since(at) < BUSY_NOT_DEAD)
    }
}

#[cfg(test)]
mod tests;
