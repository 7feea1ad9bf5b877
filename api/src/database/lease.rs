//! A connection lent to one piece of work.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};
use tokio::time::timeout;

/// How long the pool may take to see that a returned connection still answers.
const RETURN_LIMIT: Duration = Duration::from_millis(500);

/// A connection that is thrown away when dropped, unless it is given back first.
///
/// A query that was cut short (its time was over, or the client went away) leaves its answer in the
/// connection. The pool would wait for that answer without limit, and a place in it would be lost meanwhile.
pub(super) struct Lease(Option<PoolConnection<Postgres>>);

impl Lease {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.0
            .as_deref_mut()
            .expect("only give_back and drop take the connection, and both end the lease")
    }

    /// Returns the connection to the pool, after work that came to its end.
    pub(super) fn give_back(mut self) {
        if let Some(mut connection) = self.0.take() {
            // The pool's own way back pings without a limit; dropping this future closes the connection.
            tokio::spawn(timeout(RETURN_LIMIT, connection.return_to_pool()));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Detached, it no longer counts in the pool, and its socket closes here.
        drop(self.0.take().map(PoolConnection::detach));
    }
}
