//! The database as a request sees it: a connection is lent for one piece of work, within a budget of time.
//!
//! Whatever happens to Postgres (gone, hung, full, read-only), a request learns it within its [`budget`], and a
//! connection that did not come to a clean end is thrown away, never waited for.

pub mod budget;
mod fault;
mod lease;
mod meters;
mod pool;
mod purge;
mod start;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::config::DatabaseConfig;
use crate::instance::Instance;
use budget::Budget;
use lease::Lease;
use pool::Doubt;

pub use fault::Fault;
pub use meters::Meters;
pub use purge::{keep_purged, purge};
pub use start::{NotReady, latest_migration, prepare, prepared};

/// How many requests may wait for a connection, for each connection of the pool; more are refused at once.
const WAITING_PER_CONNECTION: usize = 32;

/// A handle to the database. Clones share one pool.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    places: Arc<Semaphore>,
    doubt: Doubt,
    meters: Meters,
}

/// A piece of database work, and the budget that it takes from.
pub struct Work<'database> {
    database: &'database Database,
    budget: Budget,
}

impl Database {
    /// Makes the pool. Connects when the first request needs it.
    #[must_use]
    pub fn open(config: &DatabaseConfig, instance: &Instance) -> Self {
        let connections = config.connections as usize;
        let doubt = Doubt::default();
        Self {
            pool: pool::open(config, instance, doubt.clone()),
            doubt,
            places: Arc::new(Semaphore::new(connections * (1 + WAITING_PER_CONNECTION))),
            meters: Meters::default(),
        }
    }

    /// Returns what is measured.
    #[must_use]
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Returns how many connections are in use, and how many are not.
    #[must_use]
    pub fn connections(&self) -> (i64, i64) {
        let idle = i64::try_from(self.pool.num_idle()).unwrap_or(i64::MAX);
        ((i64::from(self.pool.size()) - idle).max(0), idle)
    }

    /// Begins a piece of the database work of the request that is being answered.
    #[must_use]
    pub fn work(&self) -> Work<'_> {
        Work {
            database: self,
            budget: Budget::of_this_request(),
        }
    }

    /// Begins a piece of work with a budget of its own: one of many, which somebody else bounds together.
    #[must_use]
    pub fn work_apart(&self) -> Work<'_> {
        Work {
            database: self,
            budget: Budget::default(),
        }
    }
}

impl Work<'_> {
    /// Lends a connection to `task` and waits for it, no longer than what is left of the budget.
    pub async fn run<T, Task>(&mut self, task: Task) -> Result<T, Fault>
    where
        Task: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let started = Instant::now();
        let deadline = started + self.budget.left();
        let result = self.database.run_until(deadline, task).await;
        let seconds = started.elapsed().as_secs_f64();
        self.database.meters.seconds.observe(seconds);
        self.budget.spend(started.elapsed());
        result
    }
}

impl Database {
    async fn run_until<T, Task>(&self, deadline: Instant, task: Task) -> Result<T, Fault>
    where
        Task: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let _place = self.places.try_acquire().map_err(|_| Fault::Full)?;
        let waiting = self.meters.wait();
        let acquired = timeout_at(deadline, self.pool.acquire()).await;
        drop(waiting);
        let mut lease = Lease::new(
            acquired
                .map_err(|_| Fault::TimedOut)?
                .map_err(Fault::connecting)?,
        );
        let done = timeout_at(deadline, task(lease.connection())).await;
        let result = done
            .map_err(|_| Fault::Unanswered)?
            .map_err(Fault::querying);
        if result.as_ref().err().is_some_and(Fault::casts_doubt) {
            self.doubt.raise(std::time::Instant::now());
        }
        if result
            .as_ref()
            .err()
            .is_none_or(Fault::spares_the_connection)
        {
            lease.give_back();
        }
        result
    }
}
