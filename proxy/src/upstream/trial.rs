//! When all servers are out by a hard fact, one request at a time may try one all the same.
//!
//! Health checks bring servers back; this is for where they err, or come a moment too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Upstream;
use super::health::{Cause, State};
use super::pick::Picked;
use super::server::Server;

/// How long a connection for it may take: the client is to be told within a moment that nobody is there.
pub(super) const CONNECT: Duration = Duration::from_millis(30);
/// A server whose checks fail is tried only if it said something a short time ago: one that is mute
/// would keep the client waiting.
const SPOKE: Duration = Duration::from_secs(1);

/// The turn of the one request, and whose turn it is to be tried.
#[derive(Debug, Default)]
pub(super) struct Trials {
    under_way: Arc<AtomicBool>,
    made: AtomicUsize,
}

/// The turn to try a server that is out; given back when dropped.
#[derive(Debug)]
pub(super) struct Trial(Arc<AtomicBool>);

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Upstream {
    /// Picks a server that is out, for a request that finds nobody else.
    pub(super) fn try_one_that_is_out(
        &self,
        servers: &[Arc<Server>],
        now: Instant,
    ) -> Option<Picked> {
        let out: Vec<_> = servers
            .iter()
            .filter(|server| may_be_tried(server, now))
            .collect();
        if out.is_empty() || self.trials.under_way.swap(true, Ordering::AcqRel) {
            return None;
        }
        let trial = Trial(Arc::clone(&self.trials.under_way));
        let turn = self.trials.made.fetch_add(1, Ordering::Relaxed) % out.len();
        let mut picked = out[turn].take();
        picked.slot.is_trial(trial);
        Some(picked)
    }
}

/// Whether a server is out by what was seen of it, rather than by what it or somebody has said.
fn may_be_tried(server: &Server, now: Instant) -> bool {
    let spoke = [server.heard().at(), server.answered_probe().at()]
        .into_iter()
        .flatten()
        .any(|at| now.saturating_duration_since(at) < SPOKE);
    let seen = match server.with_health(|health| health.state()) {
        State::Out(Cause::NotConnected | Cause::BrokeOff) => true,
        State::Out(Cause::Silent | Cause::HealthCheck) => spoke,
        _ => false,
    };
    seen && server.weight() > 0 && !server.is_full() && !server.is_retired()
}
