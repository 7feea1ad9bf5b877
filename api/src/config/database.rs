//! Which Postgres to use. Holds a password, so nothing here can be printed.

use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::secret::secret;
use super::{WrongSetting, set};
use crate::cli::DatabaseArguments;

const URL: &str = "DATABASE_URL (--database-url)";
const WAIT: &str = "API_DATABASE_WAIT (--database-wait)";

/// How to reach the database, and how long to wait for it at the start.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// Address and credentials.
    pub connect: PgConnectOptions,
    /// How long to wait at the start for a Postgres that does not answer yet.
    pub wait: Duration,
    /// How many connections the pool may hold.
    pub connections: u32,
}

impl DatabaseConfig {
    /// Parses what the command line gave: a URL, else the variables that libpq knows.
    pub fn parse(arguments: &DatabaseArguments) -> Result<Self, WrongSetting> {
        let url = secret(
            (URL, arguments.database_url.as_deref()),
            (
                "DATABASE_URL_FILE (--database-url-file)",
                arguments.database_url_file.as_deref(),
            ),
        )?;
        let connect = match url {
            Some(url) => from_url(&url)?,
            None => from_parts(arguments)?,
        };
        Ok(Self {
            connect: connect.disable_statement_logging(),
            wait: wait(&arguments.database_wait)?,
            connections: connections(&arguments.database_connections)?,
        })
    }
}

fn from_url(url: &str) -> Result<PgConnectOptions, WrongSetting> {
    let refused = |problem: &str| WrongSetting::new(URL, problem);
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(refused("must begin with postgres://"));
    }
    // The cause is left out: it may quote the part of the URL that holds the password.
    url.parse()
        .map_err(|_| refused("is not a URL such as postgres://user:password@host:5432/database"))
}

fn from_parts(arguments: &DatabaseArguments) -> Result<PgConnectOptions, WrongSetting> {
    let Some(host) = set(arguments.pg_host.as_deref()) else {
        return Err(WrongSetting::new(
            URL,
            "is not set, and neither is PGHOST: where is the database?",
        ));
    };
    let password = secret(
        (
            "PGPASSWORD (--pg-password)",
            arguments.pg_password.as_deref(),
        ),
        (
            "PGPASSWORD_FILE (--pg-password-file)",
            arguments.pg_password_file.as_deref(),
        ),
    )?;
    let mut connect = PgConnectOptions::new()
        .host(host)
        .port(port(arguments.pg_port.as_deref())?);
    // sqlx would take the name of nobody in particular.
    let Some(user) = set(arguments.pg_user.as_deref()) else {
        return Err(WrongSetting::new(
            "PGUSER (--pg-user)",
            "is not set, but PGHOST is: whose name does it give to the database?",
        ));
    };
    connect = connect.username(user);
    if let Some(database) = set(arguments.pg_database.as_deref()) {
        connect = connect.database(database);
    }
    if let Some(password) = password {
        connect = connect.password(&password);
    }
    Ok(connect)
}

fn port(value: Option<&str>) -> Result<u16, WrongSetting> {
    let port = set(value)
        .map_or(Ok(5432), str::parse)
        .ok()
        .filter(|port| *port != 0);
    port.ok_or_else(|| WrongSetting::new("PGPORT (--pg-port)", "must be a number from 1 to 65535"))
}

/// Reads a number of seconds or milliseconds: `60s`, `500ms`.
fn wait(value: &str) -> Result<Duration, WrongSetting> {
    let parsed = match (value.strip_suffix("ms"), value.strip_suffix('s')) {
        (Some(number), _) => number.parse().ok().map(Duration::from_millis),
        (None, Some(number)) => number.parse().ok().map(Duration::from_secs),
        (None, None) => None,
    };
    parsed
        .filter(|wait| *wait <= Duration::from_secs(24 * 60 * 60))
        .ok_or_else(|| {
            WrongSetting::new(
                WAIT,
                format!("must be a time such as 60s or 500ms, not {value:?}"),
            )
        })
}

fn connections(value: &str) -> Result<u32, WrongSetting> {
    value
        .parse()
        .ok()
        .filter(|count| (1..=1000).contains(count))
        .ok_or_else(|| {
            WrongSetting::new(
                "API_DATABASE_CONNECTIONS (--database-connections)",
                format!("must be a number from 1 to 1000, not {value:?}"),
            )
        })
}
