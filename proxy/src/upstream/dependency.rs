//! Is something away that all servers share, such as their database?
//!
//! A server says so of itself, by `X-LB-Cause: database` on its 503. That is no fault of the
//! server's: nobody is ejected for it. When all who are up have said it, the upstream is degraded;
//! to ask another one would only multiply the load on what is coming back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::server::Server;
use super::{Upstream, lock};
use crate::balance::Fitness;

/// How long the word of a server counts: longer than it takes to get the word of another one, who
/// may need all the time that a request has for its database work.
const WORD: Duration = Duration::from_secs(3);
/// How long nobody may have said it before a good answer proves that it is over.
const QUIET: Duration = Duration::from_secs(1);
/// When nobody has asked for so long, nobody knows any more.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// Why it is over.
const ANSWERED: &str = "answered, and nobody says so any more";
/// Why it is taken to be over.
const UNKNOWN: &str = "nobody has asked for 30 s";

/// Whether an upstream is degraded, and since when. Pure: `now` is an argument.
#[derive(Debug, Default)]
struct Degraded {
    since: Option<Instant>,
    last_word: Option<Instant>,
}

impl Degraded {
    /// Takes in that a server has said it, and whether `all` have now. Returns whether that is new.
    fn said(&mut self, all: bool, now: Instant) -> bool {
        self.last_word = Some(now);
        let begins = all && self.since.is_none();
        if begins {
            self.since = Some(now);
        }
        begins
    }

    /// Takes in an answer without that word. Returns whether it ends the state: an answer that
    /// needs no database proves nothing while others still say that it is away.
    fn answered(&mut self, now: Instant) -> bool {
        self.ends(QUIET, now)
    }

    /// Lets time pass. Returns whether that ends the state.
    fn tick(&mut self, now: Instant) -> bool {
        self.ends(FORGOTTEN, now)
    }

    fn ends(&mut self, quiet: Duration, now: Instant) -> bool {
        let is_quiet = self
            .last_word
            .is_none_or(|word| now.saturating_duration_since(word) >= quiet);
        is_quiet && self.since.take().is_some()
    }
}

/// The state of an upstream, for all who answer its requests.
#[derive(Debug, Default)]
pub(super) struct Dependency {
    /// Whether it is degraded, for those who mostly find that it is not.
    is_away: AtomicBool,
    degraded: Mutex<Degraded>,
}

impl Upstream {
    /// Takes in the word of a server that something is away which all share.
    pub fn said_away(&self, server: &Server, now: Instant) {
        server.said_away().set(now);
        let servers = self.servers();
        let mut up = servers.iter().filter(|s| s.fitness() == Fitness::Up);
        let all = up.all(|server| says_away(server, now));
        self.settle("database", |degraded| degraded.said(all, now));
    }

    /// Takes in an answer of one of its servers that does not say so.
    pub fn said_nothing_of_it(&self, now: Instant) {
        if self.is_degraded() {
            self.settle(ANSWERED, |degraded| degraded.answered(now));
        }
    }

    /// Lets time pass.
    pub fn forget_words(&self, now: Instant) {
        if self.is_degraded() {
            self.settle(UNKNOWN, |degraded| degraded.tick(now));
        }
    }

    /// Whether all servers have said that something is away which they share.
    pub fn is_degraded(&self) -> bool {
        self.dependency.is_away.load(Ordering::Acquire)
    }

    /// Since when it is degraded.
    pub fn degraded_since(&self) -> Option<Instant> {
        lock(&self.dependency.degraded).since
    }

    /// The servers that have just said so: no use in asking them.
    pub fn who_says_away(&self, now: Instant) -> Vec<Arc<Server>> {
        let servers = self.servers();
        let say = servers.iter().filter(|server| says_away(server, now));
        say.cloned().collect()
    }

    fn settle(&self, cause: &'static str, change: impl FnOnce(&mut Degraded) -> bool) {
        let mut degraded = lock(&self.dependency.degraded);
        if change(&mut degraded) {
            let is_away = degraded.since.is_some();
            self.dependency.is_away.store(is_away, Ordering::Release);
            self.report_degraded(is_away, cause);
        }
    }
}

fn says_away(server: &Server, now: Instant) -> bool {
    let word = server.said_away().at();
    word.is_some_and(|word| now.saturating_duration_since(word) < WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_once_when_all_have_said_so_and_ends_once() {
        let now = Instant::now();
        let after = |ms: u64| now + Duration::from_millis(ms);
        let mut degraded = Degraded::default();
        assert!(!degraded.said(false, now));
        assert!(!degraded.answered(after(5000)), "it has not begun");
        assert!(degraded.said(true, after(6000)));
        for ms in [6100, 6200, 6300] {
            assert!(!degraded.said(true, after(ms)), "one event");
            assert!(!degraded.said(false, after(ms)));
            assert!(!degraded.answered(after(ms + 10)), "others still say so");
        }
        assert_eq!(degraded.since, Some(after(6000)));
        assert!(!degraded.answered(after(7299)));
        assert!(degraded.answered(after(7300)));
        assert!(!degraded.answered(after(7301)), "one event");
        assert!(degraded.said(true, after(8000)), "and again");
    }

    #[test]
    fn what_nobody_asks_about_is_forgotten() {
        let now = Instant::now();
        let mut degraded = Degraded::default();
        assert!(degraded.said(true, now));
        assert!(!degraded.tick(now + FORGOTTEN - Duration::from_millis(1)));
        assert!(degraded.tick(now + FORGOTTEN));
        assert!(!degraded.tick(now + FORGOTTEN));
    }
}
