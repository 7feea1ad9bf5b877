//! Reading the configuration again while the proxy runs: all of it is taken, or nothing.
//!
//! One task reloads, one reload at a time, on SIGHUP, on `POST /reload` and when the file has
//! changed ([`watch`]). The new value is made whole before anything changes; then the upstreams
//! take their settings in place, and [`crate::live`] is swapped in one step. Requests in flight
//! keep the value that they began with.

mod changes;
pub mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::MissedTickBehavior;

use crate::access_log::{AccessLog, Destination, Output};
use crate::config::{Config, Fault, Refused, Severity};
use crate::events::{Events, What};
use crate::live::{InForce, Live};
use crate::server::descriptors;
use crate::server::places::Places;
use crate::upstream::Upstream;
use watch::Watch;

/// Requests for a reload that may wait.
const WAITING: usize = 16;
/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long routes wait for the first healthy server of an upstream that is new.
const WARM_UP: Duration = Duration::from_secs(2);
/// How often they look for it.
const WARM_UP_EVERY: Duration = Duration::from_millis(10);

/// What came of a reload: the tables that have changed, or what is wrong with the file.
pub type Outcome = Result<Vec<String>, Refused>;

/// What makes the proxy read its configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Signal,
    FileChange,
    Request,
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "SIGHUP",
            Self::FileChange => "the file has changed",
            Self::Request => "POST /reload",
        }
    }
}

/// Where a reload is asked for.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<oneshot::Sender<Outcome>>);

impl Reloads {
    /// The two ends: one to ask, one for the task that reloads.
    pub fn channel() -> (Self, mpsc::Receiver<oneshot::Sender<Outcome>>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Reloads and returns what came of it; `None` when too many wait for it already.
    pub async fn ask(&self) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.0.try_send(answer).ok()?;
        outcome.await.ok()
    }
}

/// What a reload changes.
#[derive(Debug)]
pub struct Reloading {
    /// The configuration that is in force.
    pub config: Arc<Config>,
    /// What was made of it.
    pub live: InForce,
    /// Who is told.
    pub events: Arc<Events>,
    /// The places for connections.
    pub places: Arc<Places>,
    /// The access log, which may go elsewhere, and whose file is opened anew.
    pub access_log: Arc<AccessLog>,
    /// SIGHUP came.
    pub hangup: Arc<Notify>,
    /// Requests for a reload.
    pub asked: mpsc::Receiver<oneshot::Sender<Outcome>>,
}

impl Reloading {
    /// Reloads whenever there is a reason to, for as long as the process lives.
    pub async fn run(mut self) {
        let mut watch = Watch::new(self.config.file.clone());
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (trigger, answer) = tokio::select! {
                () = self.hangup.notified() => (Trigger::Signal, None),
                Some(answer) = self.asked.recv() => (Trigger::Request, Some(answer)),
                _ = look.tick() => {
                    if !watch.has_changed().await {
                        continue;
                    }
                    (Trigger::FileChange, None)
                }
            };
            watch.is_being_read().await;
            let outcome = self.reload(trigger).await;
            if let Some(answer) = answer {
                // Whoever asked may have left meanwhile.
                let _ = answer.send(outcome);
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger) -> Outcome {
        let cause = trigger.as_str();
        match self.read().await {
            Ok((config, live, log)) => {
                let changed = changes::between(&self.config, &config);
                if changed.is_empty() && trigger == Trigger::FileChange {
                    return Ok(changed);
                }
                self.adopt(config, live, log).await;
                let reloaded = What::Reloaded {
                    changed: changed.clone(),
                };
                self.events.tell(reloaded, cause);
                Ok(changed)
            }
            Err(refused) => {
                if trigger == Trigger::Signal {
                    // Whoever has moved the file away does not know of the fault.
                    self.open_log_anew().await;
                }
                let faults = refused.faults().iter().map(ToString::to_string).collect();
                self.events.tell(What::ReloadRefused { faults }, cause);
                Err(refused)
            }
        }
    }

    /// Makes the whole new value; nothing has changed yet.
    async fn read(&self) -> Result<(Config, Live, Output), Refused> {
        let config = Arc::clone(&self.config);
        let before = self.live.load_full();
        let events = Arc::clone(&self.events);
        let reading = tokio::task::spawn_blocking(move || {
            let new = config.load_again()?;
            let live = Live::of(&new, Some(&before), &events, Instant::now())
                .map_err(|error| broken(&config, error.to_string()))?;
            let log = open(&new.access_log).map_err(|fault| broken(&config, fault))?;
            Ok((new, live, log))
        });
        let panicked = |error: JoinError| Err(broken(&self.config, error.to_string()));
        reading.await.unwrap_or_else(panicked)
    }

    /// Opens the file of the access log anew, though nothing else changes.
    async fn open_log_anew(&self) {
        let config = Arc::clone(&self.config);
        let opening = tokio::task::spawn_blocking(move || open(&config.access_log));
        let opened = opening.await.map_err(|error| error.to_string());
        match opened.flatten() {
            Ok(log) => self.access_log.switch(log),
            Err(cause) => tracing::error!(%cause, "the access log goes on where it was"),
        }
    }

    async fn adopt(&mut self, config: Config, live: Live, log: Output) {
        let now = Instant::now();
        let before = self.live.load_full();
        let is_in = |upstreams: &[Arc<Upstream>], one: &Arc<Upstream>| {
            upstreams.iter().any(|other| Arc::ptr_eq(other, one))
        };
        for (upstream, settings) in live.upstreams.iter().zip(&config.upstreams) {
            if is_in(&before.upstreams, upstream) {
                upstream.change(settings.clone(), now);
            } else {
                upstream.start();
            }
        }
        let new: Vec<_> = live
            .upstreams
            .iter()
            .filter(|u| !is_in(&before.upstreams, u))
            .collect();
        warm_up(&new).await;
        let after = Arc::new(live);
        self.live.store(Arc::clone(&after));
        for upstream in &before.upstreams {
            if !is_in(&after.upstreams, upstream) {
                upstream.close();
            }
        }
        let wanted = config.clients.max_connections;
        if wanted != self.config.clients.max_connections {
            descriptors::warn_if_short(wanted, self.places.ceiling());
        }
        self.places.set_most(wanted);
        self.access_log.switch(log);
        self.config = Arc::new(config);
    }
}

fn open(log: &Destination) -> Result<Output, String> {
    log.open().map_err(|error| format!("log.access: {error}"))
}

/// Waits, within bounds, until every new upstream has a healthy server: a route that leads there
/// would else meet nobody.
async fn warm_up(new: &[&Arc<Upstream>]) {
    let end = Instant::now() + WARM_UP;
    while !new.iter().all(|upstream| upstream.has_healthy()) && Instant::now() < end {
        tokio::time::sleep(WARM_UP_EVERY).await;
    }
}

fn broken(config: &Config, sentence: String) -> Refused {
    Refused::from(Fault {
        file: config.file.clone(),
        line: None,
        key: String::new(),
        sentence,
        severity: Severity::Error,
    })
}
