//! What is done before the first request: wait until Postgres answers, then bring its tables up to date.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout};

use crate::config::DatabaseConfig;

/// One try to connect may take this long.
const TRY_LIMIT: Duration = Duration::from_secs(3);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it says that it still waits.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// Version 14, as Postgres counts: that of Ubuntu 22.04, the oldest which we expect on a machine.
const OLDEST_VERSION: i32 = 140_000;

/// What keeps the database from being used, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// Nothing answered in the time that was set.
    #[error(
        "Postgres at {place} did not answer within {waited:?}: {}",
        sentence(cause)
    )]
    Away {
        /// Host and port, or the socket's folder.
        place: String,
        /// How long it was waited for.
        waited: Duration,
        /// The last error.
        cause: sqlx::Error,
    },
    /// It answered, and waiting longer would not help.
    #[error("Postgres at {place} refused: {}", sentence(cause))]
    Refused {
        /// Host and port, or the socket's folder.
        place: String,
        /// Why.
        cause: sqlx::Error,
    },
    /// The server lacks what the SQL needs.
    #[error("Postgres at {place} is version {found}, and 14 or newer is needed")]
    TooOld {
        /// Host and port, or the socket's folder.
        place: String,
        /// The version as the server names it.
        found: String,
    },
    /// A migration failed.
    #[error("the database could not be brought up to date: {0}")]
    Migration(#[from] MigrateError),
    /// The connection was lost on the way.
    #[error("the database failed while it was being prepared: {}", sentence(.0))]
    Lost(#[from] sqlx::Error),
}

/// Waits for Postgres and brings its tables up to date.
///
/// On a connection of its own without a request's limits: a migration may take long, and a second instance
/// that starts at the same time waits for the first on the migrator's lock.
pub async fn prepare(config: &DatabaseConfig) -> Result<(), NotReady> {
    Ok(prepared(config).await?.close().await?)
}

/// Does the same, and returns the connection, for work that is not a request's.
pub async fn prepared(config: &DatabaseConfig) -> Result<PgConnection, NotReady> {
    let mut connection = wait_for(config).await?;
    refuse_old_version(&mut connection, &place(&config.connect)).await?;
    migrator().run_direct(None, &mut connection, false).await?;
    Ok(connection)
}

/// Returns the version of the newest migration that this program knows.
#[must_use]
pub fn latest_migration() -> i64 {
    migrator()
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("../migrations");
    // The release before this one must still start on a database that is already further.
    migrator.set_ignore_missing(true);
    migrator
}

async fn wait_for(config: &DatabaseConfig) -> Result<PgConnection, NotReady> {
    let started = Instant::now();
    let mut said = None::<Instant>;
    loop {
        let cause = match timeout(TRY_LIMIT, config.connect.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(cause)) => cause,
            Err(_) => sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
        };
        let place = place(&config.connect);
        if is_final(&cause) {
            return Err(NotReady::Refused { place, cause });
        }
        if started.elapsed() + PAUSE >= config.wait {
            return Err(NotReady::Away {
                place,
                waited: config.wait,
                cause,
            });
        }
        if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
            tracing::warn!(%place, %cause, "waiting for Postgres");
            said = Some(Instant::now());
        }
        sleep(PAUSE).await;
    }
}

/// Says what is wrong in Postgres's own words, without the line of its source that sqlx adds.
fn sentence(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        other => other.to_string(),
    }
}

/// Tells whether waiting cannot help: wrong credentials, no such database, a setting that sqlx cannot follow.
fn is_final(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(cause) => cause
            .code()
            .is_some_and(|code| code.starts_with("28") || code == "3D000"),
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => true,
        _ => false,
    }
}

async fn refuse_old_version(connection: &mut PgConnection, place: &str) -> Result<(), NotReady> {
    let version = sqlx::query!(
        r#"select current_setting('server_version_num')::int as "number!",
                  current_setting('server_version') as "name!""#
    )
    .fetch_one(connection)
    .await?;
    if version.number < OLDEST_VERSION {
        return Err(NotReady::TooOld {
            place: place.to_owned(),
            found: version.name,
        });
    }
    Ok(())
}

/// Names the server without what is secret.
fn place(connect: &PgConnectOptions) -> String {
    match connect.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", connect.get_host(), connect.get_port()),
    }
}
