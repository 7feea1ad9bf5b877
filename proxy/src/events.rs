//! What has changed, and why: every change of state as an event, kept for a while and told.
//!
//! [`crate::upstream`], [`crate::reload`] and [`crate::admin`] tell; whoever asks the admin
//! listener for `/events` hears. Telling never waits: what is kept is bounded, and a subscriber
//! that cannot keep up misses events rather than hold anybody up.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::figures::Tally;
use crate::moment::timestamp;

/// How many events are kept for those who ask later.
const KEPT: usize = 1000;
/// How many events a subscriber may be behind before it misses some.
const BEHIND: usize = 256;

/// One change of state.
#[derive(Debug, Serialize)]
pub struct Event {
    /// Counts up from 1 without a gap.
    pub id: u64,
    /// When it happened, RFC 3339.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// Why.
    pub cause: Cow<'static, str>,
}

/// The server that an event is about.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// The name of its upstream.
    pub upstream: Arc<str>,
    /// Its address as configured.
    pub server: String,
    /// Where it listens.
    pub endpoint: Arc<str>,
}

/// Who or what has brought a change about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The admin listener was asked.
    Admin,
    /// The configuration file.
    File,
}

impl By {
    /// The same as the cause of an event.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Admin => "changed by hand",
            Self::File => "changed in the file",
        }
    }
}

/// What happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A server belongs to its upstream from now on; it is out until a health check passes.
    ServerFound(Place),
    /// A server no longer belongs to its upstream; what it has in hand goes on.
    ServerGone(Place),
    /// A server gets requests.
    ServerUp(Place),
    /// A server gets none.
    ServerOut(Place),
    /// All servers of an upstream have said that something is away which they share; it is the cause.
    UpstreamDegraded {
        /// The upstream.
        upstream: Arc<str>,
    },
    /// It is back, or nobody has asked for so long that nobody knows.
    UpstreamRecovered {
        /// The upstream.
        upstream: Arc<str>,
    },
    /// Somebody wants a server in another mode: `ready`, `drain` or `down`.
    ServerMode {
        /// Which one.
        #[serde(flatten)]
        place: Place,
        /// The mode.
        mode: &'static str,
        /// Who.
        by: By,
    },
    /// A server's weight was changed.
    ServerWeight {
        /// Which one.
        #[serde(flatten)]
        place: Place,
        /// The new weight.
        weight: u32,
        /// Who.
        by: By,
    },
    /// An upstream balances by another method.
    UpstreamMethod {
        /// The upstream.
        upstream: Arc<str>,
        /// The new method.
        method: String,
        /// Who.
        by: By,
    },
    /// The configuration was read again and is in force.
    Reloaded {
        /// The tables that differ from before.
        changed: Vec<String>,
    },
    /// The configuration was read again and refused; the old one stays.
    ReloadRefused {
        /// What is wrong, with file, line and key.
        faults: Vec<String>,
    },
    /// The proxy has begun to stop.
    Stopping,
}

impl What {
    /// Its name, the `event` of the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ServerFound(_) => "server-found",
            Self::ServerGone(_) => "server-gone",
            Self::ServerUp(_) => "server-up",
            Self::ServerOut(_) => "server-out",
            Self::UpstreamDegraded { .. } => "upstream-degraded",
            Self::UpstreamRecovered { .. } => "upstream-recovered",
            Self::ServerMode { .. } => "server-mode",
            Self::ServerWeight { .. } => "server-weight",
            Self::UpstreamMethod { .. } => "upstream-method",
            Self::Reloaded { .. } => "reloaded",
            Self::ReloadRefused { .. } => "reload-refused",
            Self::Stopping => "stopping",
        }
    }

    fn log(&self, cause: &str) {
        // What an operator should look at is a warning.
        let is_trouble = matches!(
            self,
            Self::ServerOut(_) | Self::UpstreamDegraded { .. } | Self::ReloadRefused { .. }
        );
        // The same fields as in the JSON; those that an event does not have are left out.
        let told = serde_json::to_value(self).unwrap_or_default();
        let text = |key: &str| told[key].as_str();
        let list = |key: &str| {
            let items = told[key].as_array()?.iter().filter_map(Value::as_str);
            Some(items.collect::<Vec<_>>().join("; "))
        };
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    upstream = text("upstream"),
                    server = text("server"),
                    endpoint = text("endpoint"),
                    mode = text("mode"),
                    weight = told["weight"].as_u64(),
                    method = text("method"),
                    by = text("by"),
                    changed = list("changed"),
                    faults = list("faults"),
                    cause,
                    "{}",
                    self.name()
                )
            };
        }
        if is_trouble {
            log!(warn);
        } else {
            log!(info);
        }
    }
}

/// All events of the process.
#[derive(Debug)]
pub struct Events {
    /// Held for one insertion or one copy.
    kept: Mutex<Kept>,
    told: broadcast::Sender<Arc<Event>>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    ring: VecDeque<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            told: broadcast::Sender::new(BEHIND),
            tally: Tally::default(),
        }
    }
}

impl Events {
    /// Tells an event and why it came: to the log, to all subscribers, and to those who come later.
    pub fn tell(&self, what: What, cause: impl Into<Cow<'static, str>>) {
        let cause = cause.into();
        what.log(&cause);
        self.tally.count(what.name());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let event = Arc::new(Event {
            id: kept.last,
            time: timestamp(SystemTime::now()),
            what,
            cause,
        });
        if kept.ring.len() == KEPT {
            kept.ring.pop_front();
        }
        kept.ring.push_back(Arc::clone(&event));
        // Under the lock, so that all hear them in the order of their ids. Nobody listening is fine.
        let _ = self.told.send(event);
    }

    /// How many there were of each kind.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Returns the kept events after `id`, and a receiver of all that follow them.
    pub fn since(&self, id: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let later = kept.ring.iter().filter(|event| event.id > id);
        (later.cloned().collect(), self.told.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(number: usize) -> What {
        What::UpstreamMethod {
            upstream: "u".into(),
            method: number.to_string(),
            by: By::Admin,
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_in_order() {
        let events = Events::default();
        for number in 0..KEPT + 10 {
            events.tell(method(number), By::Admin.cause());
        }
        let (kept, _) = events.since(0);
        let ids: Vec<u64> = kept.iter().map(|event| event.id).collect();
        let (first, last) = (11, KEPT as u64 + 10);
        assert!(ids.iter().copied().eq(first..=last), "{ids:?}");
        assert_eq!(events.since(last - 1).0.len(), 1);
    }

    #[test]
    fn one_who_is_too_slow_misses_some_and_nobody_waits() {
        let events = Events::default();
        let (_, mut receiver) = events.since(0);
        for number in 0..BEHIND + 3 {
            events.tell(method(number), By::Admin.cause());
        }
        let missed = receiver.try_recv().unwrap_err();
        assert_eq!(missed, broadcast::error::TryRecvError::Lagged(3));
        assert_eq!(receiver.try_recv().unwrap().id, 4);
    }

    #[test]
    fn an_event_is_flat_json() {
        let events = Events::default();
        let place = Place {
            upstream: "music".into(),
            server: "api:8000".to_owned(),
            endpoint: "10.0.0.3:8000".into(),
        };
        events.tell(What::ServerOut(place), "silent");
        let json = serde_json::to_value(&*events.since(0).0[0]).unwrap();
        assert_eq!(json["event"], "server-out");
        assert_eq!(json["server"], "api:8000");
        assert_eq!((&json["id"], &json["cause"]), (&1.into(), &"silent".into()));
    }
}
