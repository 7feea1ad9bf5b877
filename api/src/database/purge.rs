//! Forgets the keys of writes whose time is over, so that the table stays as small as a day of writes.
//!
//! On a connection of its own, by one instance at a time, in batches: no request waits for it.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Result};
use tokio::time::{sleep, timeout};

use crate::config::DatabaseConfig;
use crate::stop::Stop;

/// The pause between two rounds.
const EVERY: Duration = Duration::from_secs(60);
/// A round may take this long.
const ROUND_LIMIT: Duration = Duration::from_secs(30);
/// How many keys one statement forgets.
const BATCH: i64 = 1000;
/// How many statements a round has; what is left waits for the next.
const BATCHES: usize = 200;
/// The lock of Postgres that whoever purges holds: any number that nobody else uses.
const LOCK: i64 = 0x6d75_7369_6370_7267;

/// Purges again and again until the process is told to end.
pub async fn keep_purged(config: DatabaseConfig, stop: Stop) {
    loop {
        match stop
            .unless(timeout(ROUND_LIMIT, purge(&config.connect)))
            .await
        {
            None => return,
            Some(Ok(Ok(Some(keys)))) => tracing::debug!(keys, "forgot keys of writes"),
            Some(Ok(Ok(None))) => {}
            Some(Ok(Err(cause))) => tracing::warn!(%cause, "cannot forget keys of writes"),
            Some(Err(_)) => tracing::warn!("it takes long to forget keys of writes"),
        }
        if stop.unless(sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Forgets what has expired, up to a limit, and returns how many keys that were; `None` if another instance
/// is at it.
pub async fn purge(connect: &PgConnectOptions) -> Result<Option<u64>> {
    let limits = [("lock_timeout", "300ms"), ("statement_timeout", "5s")];
    let mut connection = PgConnection::connect_with(&connect.clone().options(limits)).await?;
    let ours = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "ours!""#, LOCK)
        .fetch_one(&mut connection)
        .await?;
    let mut forgotten = 0;
    for _ in 0..if ours { BATCHES } else { 0 } {
        let keys = forget_some(&mut connection).await?;
        forgotten += keys;
        if keys < BATCH.unsigned_abs() {
            break;
        }
    }
    connection.close().await?;
    Ok(ours.then_some(forgotten))
}

async fn forget_some(connection: &mut PgConnection) -> Result<u64> {
    let done = sqlx::query!(
        "delete from write_keys where ctid = any(array(
             select ctid from write_keys where expires < now()
             order by expires limit $1 for update skip locked
         ))",
        BATCH,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
