//! Equal reads that wait at the same moment are answered by one query.
//!
//! The rule: whoever asks is answered by a query that was sent *after* it asked. No answer is kept, so none
//! can be out of date: a client that was told that a write is done and then reads, reads it.
//!
//! Of each read one query has its turn. Who asks meanwhile came too late for that one; they gather, and the
//! next query, sent when the first has its answer, is sent for all of them. So however many ask, two queries
//! are enough for everyone who is there, and whoever asks alone is answered as if nobody shared anything: its
//! query is sent at once, by the request itself.
//!
//! - Nobody waits for long that others are answered: a query that takes its time (the database hangs, or the
//!   table is long) is followed by the next one before it has its answer.
//! - The query of those who gathered is in a task that is none of theirs: whoever leaves takes nobody along.
//! - An error is shared like an answer, by those who waited for that one query and nobody else.
//! - Each waits as long as its own budget lets it, and takes one of the places of the
//!   [database](super::Database) meanwhile: there is no queue here that is longer than the one there.
//! - What may be shared is the rows. Who asks, and whether it may, was found out before, for each by itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Database, Fault};

#[cfg(test)]
mod tests;

/// A read as a value: equal ones, asked at one moment, have equal answers.
pub trait Read: Clone + Eq + Hash + Send + Sync + 'static {
    /// What is read. Everyone who shares it gets a clone, so that should be cheap.
    type Answer: Clone + Send + 'static;

    /// Asks the database.
    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<Self::Answer>>;
}

/// Those who asked since the last query was sent.
type Gathered<R> = Vec<oneshot::Sender<Result<<R as Read>::Answer, Fault>>>;

/// Whoever gathers waits so long for the query before; then the next one is sent all the same.
const PATIENCE: Duration = Duration::from_millis(250);

/// The reads of one kind that are under way. Clones share them.
pub struct Shared<R: Read>(Arc<Parts<R>>);

struct Parts<R: Read> {
    database: Database,
    patience: Duration,
    /// A read is in it exactly while it is the turn of a query of it. The lock is held for a few statements.
    under_way: Mutex<HashMap<R, Gathered<R>>>,
}

impl<R: Read> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Read> Shared<R> {
    /// Begins with none.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self::with_patience(database, PATIENCE)
    }

    fn with_patience(database: Database, patience: Duration) -> Self {
        Self(Arc::new(Parts {
            database,
            patience,
            under_way: Mutex::default(),
        }))
    }

    /// Answers a read by a query that is sent from now on, within the budget of the request.
    pub async fn read(&self, read: R) -> Result<R::Answer, Fault> {
        let database = &self.0.database;
        let _place = database.place()?;
        let mut work = database.work();
        match self.join(&read) {
            Joined::First(turn) => {
                let answer = work.run_placed(move |connection| read.query(connection));
                turn.last_for(answer).await
            }
            Joined::Gathering(answer) => work.wait_for(answer).await,
        }
    }

    /// Finds out whether a query is under way already, and gathers if so.
    fn join(&self, read: &R) -> Joined<R> {
        let mut under_way = self.lock();
        match under_way.entry(read.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Vec::new());
                Joined::First(Turn {
                    shared: self.clone(),
                    read: read.clone(),
                })
            }
            Entry::Occupied(mut entry) => {
                let gathered = entry.get_mut();
                if gathered.len() == gathered.capacity() {
                    // Before it grows: those who have left need no room.
                    gathered.retain(|one| !one.is_closed());
                }
                let (sender, answer) = oneshot::channel();
                gathered.push(sender);
                Joined::Gathering(answer)
            }
        }
    }

    /// Returns those who gathered and are still there. If there are none, nothing is under way any more.
    fn gathered(&self, read: &R) -> Option<Gathered<R>> {
        let mut under_way = self.lock();
        let mut gathered = mem::take(under_way.get_mut(read)?);
        gathered.retain(|one| !one.is_closed());
        if gathered.is_empty() {
            under_way.remove(read);
            return None;
        }
        Some(gathered)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<R, Gathered<R>>> {
        let under_way = self.0.under_way.lock();
        under_way.unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a read begins.
enum Joined<R: Read> {
    /// Nobody else reads this now.
    First(Turn<R>),
    /// The answer will come from the next query.
    Gathering(oneshot::Receiver<Result<R::Answer, Fault>>),
}

/// The turn of a query. However it ends, those who gathered meanwhile have the next one.
struct Turn<R: Read> {
    shared: Shared<R>,
    read: R,
}

impl<R: Read> Turn<R> {
    /// Answers those who gathered for it.
    async fn answer(self, gathered: Gathered<R>) {
        let database = self.shared.0.database.clone();
        let shared = gathered.len() as u64 - 1;
        let read = self.read.clone();
        let mut work = database.work_apart();
        let answer = work.run_placed(move |connection| read.query(connection));
        let answer = self.last_for(answer).await;
        for one in gathered {
            // Who has left needs none.
            drop(one.send(answer.clone()));
        }
        database.meters().shared.inc_by(shared);
    }

    /// Waits for the answer, and ends the turn when it is there, or earlier if it takes long.
    async fn last_for<T>(self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        match timeout(self.shared.0.patience, &mut answer).await {
            Ok(answer) => answer,
            Err(_) => {
                drop(self);
                answer.await
            }
        }
    }
}

impl<R: Read> Drop for Turn<R> {
    fn drop(&mut self) {
        let Some(gathered) = self.shared.gathered(&self.read) else {
            return;
        };
        let turn = Self {
            shared: self.shared.clone(),
            read: self.read.clone(),
        };
        // Without a runtime the process is ending, and so is everyone who waits.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(turn.answer(gathered));
        }
    }
}
