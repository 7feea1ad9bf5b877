//! Silence, not slowness, ends a try early.
//!
//! A server that has not been heard for a while though a request waits on it is asked whether it
//! lives. Only if it does not answer that either are its tries given up: those whose request can
//! go elsewhere at that moment; the others wait on. A server that answers is merely slow, and is
//! left in peace, and so is one that has said that it is stopping and takes no connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::{Cause, Probe};
use super::server::Server;
use super::settings::Timeouts;
use super::tries::{Cut, Try};
use super::{Upstream, probe};

/// How long a server may be quiet before it is probed, and how long the probe may take.
pub const QUIET: Duration = Duration::from_millis(250);
/// How often the tries in hand are looked at.
pub const EVERY: Duration = Duration::from_millis(25);

/// What is to be done about one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Wait,
    ProbeServer,
    CutLate,
    Disconnect,
}

/// What is known of the moments of one try.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    /// A piece of its request was last passed on.
    moved: Option<Instant>,
    /// Its request was sent whole.
    sent: Option<Instant>,
    /// It is given up, its request having been sent whole.
    gives_up: Option<Instant>,
    /// A piece of its answer last came.
    heard: Option<Instant>,
    /// Its server was last heard by anybody.
    server_heard: Option<Instant>,
}

/// Judges one try.
fn judge(now: Instant, moments: Moments, limits: &Timeouts) -> Verdict {
    let passed = |since: Instant| now.saturating_duration_since(since);
    if let Some(heard) = moments.heard {
        return if passed(heard) >= limits.idle {
            Verdict::Disconnect
        } else {
            Verdict::Wait
        };
    }
    let Some(sent) = moments.sent else {
        // The client's own silence is bounded elsewhere: this is a server that does not read.
        let stuck = moments
            .moved
            .is_some_and(|moved| passed(moved) >= limits.idle);
        return if stuck {
            Verdict::CutLate
        } else {
            Verdict::Wait
        };
    };
    let server_heard = moments.server_heard;
    if moments.gives_up.is_some_and(|at| now >= at) {
        Verdict::CutLate
    } else if passed(sent) >= QUIET && server_heard.is_none_or(|heard| passed(heard) >= QUIET) {
        Verdict::ProbeServer
    } else {
        Verdict::Wait
    }
}

/// Watches the tries of an upstream until it is closed and no request knows it.
pub(super) async fn watch(upstream: Arc<Upstream>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        upstream.forget_words(Instant::now());
        if upstream.is_closed() && Arc::strong_count(&upstream) == 1 {
            return;
        }
        let leaving = upstream.leaving();
        for server in upstream.servers().iter().chain(&leaving) {
            if server.in_flight() > 0 && look_at(&upstream, server, Instant::now()) {
                probe_now(&upstream, server);
            }
        }
    }
}

/// Looks at what a server has in hand and cuts what is late; returns whether it is to be probed.
pub fn look_at(upstream: &Upstream, server: &Server, now: Instant) -> bool {
    let mut quiet = false;
    let tries = server.tries().snapshot();
    for entry in tries.iter().filter(|entry| !entry.is_tunnel()) {
        match verdict(entry, server, upstream, now) {
            Verdict::Wait => {}
            Verdict::ProbeServer => quiet = true,
            Verdict::CutLate => entry.cut(Cut::Late),
            Verdict::Disconnect if entry.has_unread() => {}
            Verdict::Disconnect => entry.disconnect(),
        }
    }
    quiet
}

fn verdict(entry: &Try, server: &Server, upstream: &Upstream, now: Instant) -> Verdict {
    let moments = Moments {
        moved: entry.moved.at(),
        sent: entry.sent.at(),
        gives_up: entry.gives_up.at(),
        heard: entry.heard.at(),
        server_heard: server.heard().at(),
    };
    judge(now, moments, &upstream.settings().timeouts)
}

/// Asks a server that may be dead out of its turn; when it is, its movable tries are cut.
pub(super) fn probe_now(upstream: &Arc<Upstream>, server: &Arc<Server>) {
    if let Some(turn) = server.begin_probe() {
        let (upstream, server) = (Arc::clone(upstream), Arc::clone(server));
        tokio::spawn(async move {
            question(&upstream, &server).await;
            drop(turn);
        });
    }
}

async fn question(upstream: &Upstream, server: &Arc<Server>) {
    let asked = Instant::now();
    let result = probe::ask(server, &upstream.settings(), QUIET).await;
    conclude(upstream, server, result, asked, Instant::now());
}

/// Takes in what came of a probe out of turn: cuts what can move when the server is dead.
pub fn conclude(
    upstream: &Upstream,
    server: &Arc<Server>,
    result: Probe,
    asked: Instant,
    now: Instant,
) {
    let is_dead = match result {
        // What it has said to others meanwhile counts too.
        Probe::TimedOut => server.heard().at().is_none_or(|heard| heard < asked),
        // One that is stopping finishes what it has in hand.
        Probe::NotConnected(_) | Probe::BrokeOff | Probe::Garbled => !server.is_draining(),
        Probe::Passed | Probe::Draining | Probe::Distrusted(_) => {
            upstream.probed(server, result, now);
            false
        }
        Probe::Unwell(_) | Probe::NotAsked => false,
    };
    if !is_dead {
        server.heard().set(now);
        return;
    }
    upstream.take_out(server, Cause::Silent, now);
    for entry in server.tries().snapshot() {
        let goes_elsewhere = entry
            .movable_from()
            .is_some_and(|before| upstream.may_move(before, now));
        if goes_elsewhere {
            entry.cut(Cut::Silent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds before now; `None` where it did not happen.
    fn check(sent: Option<u64>, heard: Option<u64>, server: Option<u64>, expected: Verdict) {
        let now = Instant::now() + Duration::from_secs(1000);
        let ago = |ms: Option<u64>| ms.map(|ms| now - Duration::from_millis(ms));
        let moments = Moments {
            moved: ago(sent),
            sent: ago(sent),
            gives_up: ago(sent).map(|sent| sent + Timeouts::default().first_byte),
            heard: ago(heard),
            server_heard: ago(server),
        };
        let verdict = judge(now, moments, &Timeouts::default());
        assert_eq!(verdict, expected, "{sent:?} {heard:?} {server:?}");
    }

    #[test]
    fn slow_is_not_silent() {
        check(None, None, None, Verdict::Wait);
        check(Some(249), None, None, Verdict::Wait);
        check(Some(250), None, None, Verdict::ProbeServer);
        check(Some(3000), None, Some(249), Verdict::Wait);
        check(Some(3000), None, Some(250), Verdict::ProbeServer);
        check(Some(250), None, Some(100), Verdict::Wait);
    }

    #[test]
    fn limits() {
        check(Some(9_999), None, Some(1), Verdict::Wait);
        check(Some(10_000), None, Some(1), Verdict::CutLate);
        check(Some(50_000), Some(59_999), None, Verdict::Wait);
        check(Some(99_000), Some(60_000), None, Verdict::Disconnect);
        check(None, Some(1), None, Verdict::Wait);
    }

    #[test]
    fn a_slow_upload_is_left_alone_and_a_stuck_one_is_cut() {
        let now = Instant::now() + Duration::from_secs(1000);
        for (seconds, expected) in [(59, Verdict::Wait), (60, Verdict::CutLate)] {
            let moments = Moments {
                moved: Some(now - Duration::from_secs(seconds)),
                ..Moments::default()
            };
            assert_eq!(judge(now, moments, &Timeouts::default()), expected);
        }
    }
}
