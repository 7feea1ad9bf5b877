//! The program as a child process, for tests of what only a process has: settings, signals, an exit code.

use std::process::{Output, Stdio};

use sqlx::postgres::PgConnectOptions;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::PATIENCE;

/// The password in every URL: it must never be printed.
pub(crate) const SECRET: &str = "hunter2-secret";

/// The program with nothing in its environment but what is given.
pub(crate) fn api(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the program to its end; what it says on standard error beside it.
pub(crate) async fn output(command: &mut Command) -> (Output, String) {
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (output, errors)
}

pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args([name, &pid])
            .status()
            .unwrap()
            .success()
    );
}

/// The URL of the database of a test; Postgres there trusts everyone, whatever the password.
pub(crate) fn url(database: &PgConnectOptions) -> String {
    let name = database.get_database().unwrap();
    let (host, port) = (database.get_host(), database.get_port());
    format!(
        "postgres://{}:{SECRET}@{host}:{port}/{name}",
        database.get_username()
    )
}
