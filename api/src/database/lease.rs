//! A connection lent to one piece of work.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::pool::{Live, Pool};

/// How long a connection may take to come to rest after a statement that failed.
const REST_LIMIT: Duration = Duration::from_millis(500);

/// A connection that is thrown away when dropped, unless it is given back first.
///
/// A query that was cut short (its time was over, or the client went away) leaves its answer in the
/// connection. Nobody waits for that answer: to drop the connection closes its socket at once.
pub(super) struct Lease {
    pool: Arc<Pool>,
    live: Live,
    place: OwnedSemaphorePermit,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, live: Live, place: OwnedSemaphorePermit) -> Self {
        Self { pool, live, place }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.live.raw
    }

    /// Returns the connection to the pool, after work whose answers were all read to their end.
    pub(super) fn give_back(self) {
        let Self { pool, live, place } = self;
        // Before the place becomes free, or who waits for it would make another connection.
        pool.keep(live);
        drop(place);
    }

    /// Returns the connection to the pool once the server has said all that it had to say of a statement that
    /// failed. No request waits for that.
    pub(super) fn give_back_at_rest(mut self) {
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout(REST_LIMIT, self.live.raw.ping()).await {
                self.give_back();
            }
        });
    }
}
