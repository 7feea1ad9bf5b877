//! How the pool connects, and how it tells a connection that died while it lay idle.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Error, PgConnection, PgPool};
use tokio::time::timeout;

use super::BUDGET;
use crate::config::DatabaseConfig;
use crate::instance::Instance;

/// A connection that was used within this time is taken to be alive.
const FRESH: Duration = Duration::from_secs(1);
/// How long an idle connection may take to show that it is alive.
const CHECK_LIMIT: Duration = Duration::from_millis(300);
/// A connection is replaced after this time, so that memory in Postgres does not grow for ever.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

pub(super) fn open(config: &DatabaseConfig, instance: &Instance) -> PgPool {
    PgPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(BUDGET)
        .idle_timeout(None)
        .max_lifetime(LIFETIME)
        // The pool's own check has no limit of time, and costs a round trip for each request.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for >= FRESH {
                    check(connection).await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(limited(config.connect.clone(), instance))
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
///
/// `Err`, not `Ok(false)`: that would close the connection politely, which is, wait for it.
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
