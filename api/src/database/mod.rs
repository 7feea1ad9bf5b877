//! The database as a request sees it: a connection is lent for one piece of work, within a budget of time.
//!
//! Whatever happens to Postgres (gone, hung, full, read-only), a request learns it within its [`budget`], and a
//! connection that did not come to a clean end is thrown away, never waited for.

pub mod budget;
mod doubt;
mod fault;
mod lease;
mod meters;
mod pool;
mod purge;
mod shared;
mod start;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::sync::oneshot::Receiver;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::config::DatabaseConfig;
use crate::instance::Instance;
use budget::Budget;
use pool::Pool;

pub use fault::Fault;
pub use meters::Meters;
pub use purge::{keep_purged, purge};
pub use shared::{Read, Shared};
pub use start::{NotReady, latest_migration, prepare, prepared};

/// How many requests may wait for a connection, for each connection of the pool; more are refused at once.
const WAITING_PER_CONNECTION: usize = 32;

/// A handle to the database. Clones share one pool.
#[derive(Clone)]
pub struct Database {
    pool: Arc<Pool>,
    places: Arc<Semaphore>,
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
        Self {
            pool: Pool::new(config, instance),
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
        let (in_use, idle) = self.pool.counts();
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        (number(in_use), number(idle))
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
    ///
    /// A task that succeeds has read every answer to its end, and has committed or rolled back what it began: a
    /// transaction that is dropped lives on in Postgres, with its locks, until the connection is used again.
    pub async fn run<T, Task>(&mut self, task: Task) -> Result<T, Fault>
    where
        Task: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let _place = self.database.place()?;
        self.run_placed(task).await
    }

    /// Does the same on behalf of those who have their places already.
    async fn run_placed<T, Task>(&mut self, task: Task) -> Result<T, Fault>
    where
        Task: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let started = Instant::now();
        let deadline = started + self.budget.left();
        let result = self.database.run_until(deadline, task).await;
        let elapsed = started.elapsed();
        self.database.meters.seconds.observe(elapsed.as_secs_f64());
        self.budget.spend(elapsed);
        result
    }

    /// Waits for an answer that somebody else asks for, no longer than what is left of the budget.
    async fn wait_for<T>(&mut self, answer: Receiver<Result<T, Fault>>) -> Result<T, Fault> {
        let started = Instant::now();
        let answer = timeout_at(started + self.budget.left(), answer).await;
        self.budget.spend(started.elapsed());
        match answer {
            Ok(Ok(answer)) => answer,
            // It takes too long, or whoever asked broke off.
            Err(_) | Ok(Err(_)) => Err(Fault::Unanswered),
        }
    }
}

impl Database {
    /// Takes one of the places for requests that use or await a connection.
    fn place(&self) -> Result<SemaphorePermit<'_>, Fault> {
        self.places.try_acquire().map_err(|_| Fault::Full)
    }

    async fn run_until<T, Task>(&self, deadline: Instant, task: Task) -> Result<T, Fault>
    where
        Task: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    {
        let waiting = self.meters.wait();
        let lent = timeout_at(deadline, self.pool.lend()).await;
        drop(waiting);
        let mut lease = lent
            .map_err(|_| Fault::TimedOut)?
            .map_err(Fault::connecting)?;
        let done = timeout_at(deadline, task(lease.connection())).await;
        let result = done
            .map_err(|_| Fault::Unanswered)?
            .map_err(Fault::querying);
        match &result {
            Ok(_) => lease.give_back(),
            Err(fault) => {
                if fault.casts_doubt() {
                    self.pool.raise_doubt();
                }
                if fault.spares_the_connection() {
                    lease.give_back_at_rest();
                }
            }
        }
        result
    }
}
