//! How the pool connects, and how it tells a connection that died while it lay idle.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Error, PgConnection, PgPool};
use tokio::time::timeout;

use super::budget::BUDGET;
use crate::config::DatabaseConfig;
use crate::instance::Instance;

/// A connection that was used within this time is taken to be alive.
const FRESH: Duration = Duration::from_secs(1);
/// How long an idle connection may take to show that it is alive.
const CHECK_LIMIT: Duration = Duration::from_millis(300);
/// A connection is replaced after this time, so that memory in Postgres does not grow for ever.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long after a fault connections are checked that were made before it. What is in use comes back and
/// what is not becomes idle meanwhile, so each is checked once or lies idle.
const DOUBTFUL: Duration = Duration::from_secs(2);

/// When a connection last proved dead or read-only: the others of its age may be so, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt(Arc<Mutex<Option<Instant>>>);

impl Doubt {
    /// Notes that a connection was not what it was taken for.
    pub(super) fn raise(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether a connection of this age was there when one proved bad a short time ago.
    fn covers(&self, age: Duration, now: Instant) -> bool {
        let raised = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        raised.is_some_and(|raised| {
            let since = now.saturating_duration_since(raised);
            since < DOUBTFUL && age >= since
        })
    }
}

pub(super) fn open(config: &DatabaseConfig, instance: &Instance, doubt: Doubt) -> PgPool {
    PgPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(BUDGET)
        .idle_timeout(None)
        .max_lifetime(LIFETIME)
        // The pool's own check has no limit of time, and costs a round trip for each request.
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let in_doubt = doubt.covers(meta.age, Instant::now());
            Box::pin(async move {
                if meta.idle_for >= FRESH || in_doubt {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_there_when_another_proved_bad_is_doubted_for_a_while() {
        let now = Instant::now();
        let after = |ms: u64| now + Duration::from_millis(ms);
        let doubt = Doubt::default();
        assert!(!doubt.covers(Duration::from_secs(9), now));
        doubt.raise(now);
        assert!(doubt.covers(Duration::from_secs(9), after(100)));
        assert!(
            !doubt.covers(Duration::from_millis(50), after(100)),
            "made since"
        );
        assert!(!doubt.covers(Duration::from_secs(9), after(2000)));
    }
}
