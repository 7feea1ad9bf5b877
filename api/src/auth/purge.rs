//! Deletes sessions that have expired and failed tries that no longer count, now and then, a few at a time.

use std::time::Duration;

use sqlx::ConnectOptions;
use tokio::time::{sleep, timeout};

use super::store;
use crate::config::DatabaseConfig;
use crate::stop::Stop;

/// From one purge to the next.
const PAUSE: Duration = Duration::from_secs(15 * 60);
/// How many rows of each table one statement deletes at most.
const BATCH: i64 = 1000;
/// How long one batch may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Purges again and again until the process is to end. Each instance does, and they do not wait for each other.
pub async fn for_ever(config: DatabaseConfig, stop: Stop) {
    loop {
        if stop.unless(sleep(PAUSE)).await.is_none() {
            return;
        }
        match once(&config).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "purged sessions and failed sign-ins"),
            // The next time will do.
            Err(cause) => tracing::debug!(%cause, "could not purge sessions"),
        }
    }
}

/// Purges what is over at this moment, and returns how many rows that were.
pub async fn once(config: &DatabaseConfig) -> sqlx::Result<u64> {
    let mut purged = 0;
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let mut connection = timeout(LIMIT, config.connect.connect())
        .await
        .map_err(late)??;
    loop {
        let rows = timeout(LIMIT, store::purge(&mut connection, BATCH))
            .await
            .map_err(late)??;
        purged += rows;
        if rows == 0 {
            return Ok(purged);
        }
    }
}
