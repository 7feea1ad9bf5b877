//! The connections of an instance: made when they are needed, kept, and tested when they lay idle.
//!
//! Not the pool of sqlx: that one pings the server each time a connection comes back, from a task of its own,
//! and so makes two round trips of every read. What came to a clean end here goes straight back, and the one
//! that came last goes out first, so that few connections do the work of many while there is little of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Error, PgConnection};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::doubt::Doubt;
use super::lease::Lease;
use crate::config::DatabaseConfig;
use crate::instance::Instance;

/// A connection that was used within this time is taken to be alive.
const FRESH: Duration = Duration::from_secs(1);
/// How long an idle connection may take to show that it is alive.
const CHECK_LIMIT: Duration = Duration::from_millis(300);
/// A connection is replaced after this time, so that memory in Postgres does not grow for ever.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// The first pause before another try to connect to a server that is just starting; each is twice the last one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// The connections. The lock is held for one push or pop.
pub(super) struct Pool {
    connect: PgConnectOptions,
    most: usize,
    /// One for each connection that is lent or being made: with those that are idle there are never more than `most`.
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    doubt: Doubt,
}

/// A connection and its age.
pub(super) struct Live {
    pub(super) raw: PgConnection,
    born: Instant,
}

struct Idle {
    live: Live,
    since: Instant,
}

impl Pool {
    /// Makes the pool. Connects when the first request needs it.
    pub(super) fn new(config: &DatabaseConfig, instance: &Instance) -> Arc<Self> {
        let most = config.connections as usize;
        Arc::new(Self {
            connect: limited(config.connect.clone(), instance),
            most,
            places: Arc::new(Semaphore::new(most)),
            idle: Mutex::default(),
            doubt: Doubt::default(),
        })
    }

    /// Returns how many connections are in use, and how many are not.
    pub(super) fn counts(&self) -> (usize, usize) {
        let lent = self.most.saturating_sub(self.places.available_permits());
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        (lent, idle.len())
    }

    /// Lends a connection, as soon as one is free. Who asks bounds the wait.
    pub(super) async fn lend(self: &Arc<Self>) -> sqlx::Result<Lease> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| Error::PoolClosed)?;
        let kept = match self.last_used() {
            Some(idle) => self.still_good(idle).await,
            None => None,
        };
        let live = match kept {
            Some(live) => live,
            None => Live {
                raw: self.connect().await?,
                born: Instant::now(),
            },
        };
        Ok(Lease::new(Arc::clone(self), live, place))
    }

    /// Keeps a connection that has nothing more to say for whoever comes next.
    pub(super) fn keep(&self, live: Live) {
        let idle = Idle {
            live,
            since: Instant::now(),
        };
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(idle);
    }

    /// Has the others tested before their next use: one was not what it was taken for.
    pub(super) fn raise_doubt(&self) {
        self.doubt.raise(Instant::now());
    }

    fn last_used(&self) -> Option<Idle> {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.pop()
    }

    /// Returns a connection if it can still be used. To drop it closes its socket at once.
    async fn still_good(&self, idle: Idle) -> Option<Live> {
        let Idle { mut live, since } = idle;
        let now = Instant::now();
        let age = now.saturating_duration_since(live.born);
        if age > LIFETIME {
            return None;
        }
        let is_fresh = now.saturating_duration_since(since) < FRESH;
        if is_fresh && !self.doubt.covers(age, now) {
            return Some(live);
        }
        match check(&mut live.raw).await {
            Ok(()) => Some(live),
            Err(cause) => {
                tracing::warn!(%cause, "an idle connection to the database was of no more use");
                None
            }
        }
    }

    /// Connects, again and again while the server is only starting.
    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connect.connect().await {
                Err(error) if is_starting(&error) => sleep(pause).await,
                done => return done,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Tells whether a server that is on its way up, or not quite down, may refuse so.
fn is_starting(error: &Error) -> bool {
    match error {
        Error::Io(cause) => cause.kind() == std::io::ErrorKind::ConnectionRefused,
        Error::Database(cause) => cause.is_transient_in_connect_phase(),
        _ => false,
    }
}

/// Sets the limits that Postgres itself keeps for a request's connection.
fn limited(connect: PgConnectOptions, instance: &Instance) -> PgConnectOptions {
    connect.application_name(&instance.to_string()).options([
        ("lock_timeout", "300ms"),
        ("statement_timeout", "1s"),
        ("idle_in_transaction_session_timeout", "2s"),
    ])
}

/// Fails unless the connection answers soon and may write: after a failover the old server may live on.
async fn check(connection: &mut PgConnection) -> sqlx::Result<()> {
    let read_only = sqlx::query_scalar!(
        r#"select current_setting('transaction_read_only')::bool as "read_only!""#
    )
    .fetch_one(connection);
    match timeout(CHECK_LIMIT, read_only).await {
        Ok(Ok(false)) => Ok(()),
        Ok(Ok(true)) => Err(Error::Protocol("the server is read-only".into())),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Protocol("an idle connection did not answer".into())),
    }
}
