//! May this request be sent again, and where?
//!
//! Pure: [`crate::gateway`] describes what happened and obeys the answer. A request is sent again
//! only if none of it can have been acted on, or if acting twice is the same as acting once
//! (RFC 9110, 9.2.2). A budget keeps retries from multiplying the load of an upstream in trouble.

use std::time::{Duration, Instant};

use http::Method;

/// One retry, in the unit that a budget counts in: whole numbers add up without drift.
const RETRY: u64 = 1000;
/// What a retry budget starts with and may always hold again.
const BUDGET_AT_REST: u64 = 100 * RETRY;
/// How long what was earned can be spent.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);

/// How often a request may be tried, and how many retries an upstream bears.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Tries per request, the first included. Default 3.
    pub tries: u32,
    /// Retries earned by each request. Default 0.2.
    pub budget: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tries: 3,
            budget: 0.2,
        }
    }
}

/// Why a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about: nothing was sent.
    NotConnected,
    /// A pooled connection turned out to be closed before it gave one byte.
    StaleConnection,
    /// The connection ended before its answer began.
    Broken,
    /// The server fell silent: it did not even answer a probe.
    Silent,
    /// The server had its time for the first byte, or for the next one, and did not use it.
    Late,
    /// The server answered 502, 503 or 504.
    Unavailable,
}

/// What is known of the request when one of its tries has failed.
#[derive(Debug, Clone, Copy)]
pub struct Situation {
    /// Sending it twice is the same as sending it once.
    pub repeatable: bool,
    /// All that was read of its body is still at hand.
    pub replayable: bool,
    /// The client has received a part of an answer.
    pub answered: bool,
    /// Tries so far that sent something, the failed one included. A stale connection does not count,
    /// and neither does one that never came about.
    pub tries: u32,
    /// A server is left that this request has not tried.
    pub another: bool,
    /// The time for the whole request is over.
    pub expired: bool,
}

/// What to do with a request whose try has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it to the same server over a new connection.
    SameServer,
    /// Send it to a server that it has not tried.
    AnotherServer,
    /// Let this try's failure stand.
    GiveUp,
}

/// Decides what becomes of a request after a failed try.
///
/// [`Decision::AnotherServer`] after anything but [`Failure::NotConnected`] is paid from the
/// budget by the caller, who gives up when it is empty; after [`Failure::Silent`], by whoever cut
/// the try.
pub fn decide(policy: &Policy, failure: Failure, situation: &Situation) -> Decision {
    let unsent = failure == Failure::NotConnected;
    if situation.answered || situation.expired || !situation.replayable {
        return Decision::GiveUp;
    }
    if !unsent && !situation.repeatable {
        return Decision::GiveUp;
    }
    if failure == Failure::StaleConnection {
        return Decision::SameServer;
    }
    // A refusal costs nobody anything: the servers that are left bound the search.
    if situation.another && (unsent || situation.tries < policy.tries) {
        Decision::AnotherServer
    } else {
        Decision::GiveUp
    }
}

/// Says whether a method may be repeated without asking (RFC 9110, 9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

/// The retries that an upstream can bear now: a token bucket fed by its requests.
#[derive(Debug)]
pub struct Budget {
    earned_per_request: u64,
    tokens: u64,
    window_began: Instant,
    earned_in_window: u64,
    earned_before: u64,
}

impl Budget {
    /// A full budget which earns this many retries, mostly a fraction of one, with each request.
    pub fn new(retries_per_request: f64, now: Instant) -> Self {
        let mut budget = Self {
            earned_per_request: 0,
            tokens: BUDGET_AT_REST,
            window_began: now,
            earned_in_window: 0,
            earned_before: 0,
        };
        budget.set_rate(retries_per_request);
        budget
    }

    /// Sets what each request earns from now on; what was earned stays.
    pub fn set_rate(&mut self, retries_per_request: f64) {
        // `as` saturates: a senseless number becomes a very small or a very large budget.
        self.earned_per_request = (retries_per_request * RETRY as f64).round() as u64;
    }

    /// Books a request.
    pub fn earn(&mut self, now: Instant) {
        self.turn(now);
        let earned = self.earned_per_request;
        self.earned_in_window = self.earned_in_window.saturating_add(earned);
        self.tokens = self.tokens.saturating_add(earned).min(self.cap());
    }

    /// Pays for a retry; false when the budget is empty.
    pub fn spend(&mut self, now: Instant) -> bool {
        self.turn(now);
        let left = self.tokens.checked_sub(RETRY);
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    /// Holds at most what ten seconds of requests earn, and never less than at rest.
    fn cap(&self) -> u64 {
        BUDGET_AT_REST.max(self.earned_before.max(self.earned_in_window))
    }

    fn turn(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.window_began);
        if passed < BUDGET_WINDOW {
            return;
        }
        self.earned_before = if passed < 2 * BUDGET_WINDOW {
            self.earned_in_window
        } else {
            0
        };
        self.earned_in_window = 0;
        self.window_began = now;
        self.tokens = self.tokens.min(self.cap());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRESH: Situation = Situation {
        repeatable: true,
        replayable: true,
        answered: false,
        tries: 1,
        another: true,
        expired: false,
    };

    fn check(failure: Failure, situation: Situation, expected: Decision) {
        let decision = decide(&Policy::default(), failure, &situation);
        assert_eq!(decision, expected, "{failure:?} {situation:?}");
    }

    #[test]
    fn a_write_moves_on_only_when_nothing_was_sent() {
        let write = Situation {
            repeatable: false,
            ..FRESH
        };
        check(Failure::NotConnected, write, Decision::AnotherServer);
        for failure in [
            Failure::StaleConnection,
            Failure::Broken,
            Failure::Silent,
            Failure::Late,
            Failure::Unavailable,
        ] {
            check(failure, write, Decision::GiveUp);
        }
    }

    #[test]
    fn a_read_moves_on_after_any_failure() {
        for failure in [
            Failure::NotConnected,
            Failure::Broken,
            Failure::Silent,
            Failure::Late,
            Failure::Unavailable,
        ] {
            check(failure, FRESH, Decision::AnotherServer);
        }
        check(Failure::StaleConnection, FRESH, Decision::SameServer);
    }

    #[test]
    fn limits_end_it() {
        let last = Situation { tries: 3, ..FRESH };
        let alone = Situation {
            another: false,
            ..FRESH
        };
        let expired = Situation {
            expired: true,
            ..FRESH
        };
        for situation in [last, alone, expired] {
            check(Failure::Broken, situation, Decision::GiveUp);
        }
        for situation in [alone, expired] {
            check(Failure::NotConnected, situation, Decision::GiveUp);
        }
        check(Failure::NotConnected, last, Decision::AnotherServer);
    }

    #[test]
    fn the_budget_runs_dry_and_is_earned_again() {
        let now = Instant::now();
        let mut budget = Budget::new(0.2, now);
        assert_eq!((0..500).filter(|_| budget.spend(now)).count(), 100);
        for _ in 0..10 {
            budget.earn(now);
        }
        assert_eq!((0..500).filter(|_| budget.spend(now)).count(), 2);
    }

    #[test]
    fn the_budget_holds_ten_seconds_worth_at_most() {
        let now = Instant::now();
        let mut budget = Budget::new(0.2, now);
        for _ in 0..10_000 {
            budget.earn(now);
        }
        assert_eq!((0..9000).filter(|_| budget.spend(now)).count(), 2000);
        let later = now + 3 * BUDGET_WINDOW;
        for _ in 0..10_000 {
            budget.earn(now);
        }
        assert_eq!((0..9000).filter(|_| budget.spend(later)).count(), 100);
    }

    proptest! {
        /// Once a byte went to the client, nothing is ever sent again.
        #[test]
        fn an_answered_request_is_never_sent_again(
            repeatable: bool, replayable: bool, another: bool, expired: bool, tries in 0..9u32, kind in 0..6usize,
        ) {
            let failure = [
                Failure::NotConnected, Failure::StaleConnection, Failure::Broken,
                Failure::Silent, Failure::Late, Failure::Unavailable,
            ][kind];
            let situation = Situation { repeatable, replayable, answered: true, tries, another, expired };
            prop_assert_eq!(decide(&Policy::default(), failure, &situation), Decision::GiveUp);
        }
    }
}
