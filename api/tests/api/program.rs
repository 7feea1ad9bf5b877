//! The program as a child process, for tests of what only a process has: settings, signals, an exit code.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use axum::body::Body;
use http::Method;
use sqlx::postgres::PgConnectOptions;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{Answer, Client, PATIENCE, eventually, request};

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

/// An instance in a process of its own, on a Unix socket, with all that it prints in a file.
pub(crate) struct Serving {
    pub(crate) child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Serving {
    /// Starts an instance called `name` in `folder`, and waits until it is well.
    pub(crate) async fn start(
        folder: &Path,
        name: &str,
        database: &PgConnectOptions,
        more: &[(&str, &str)],
    ) -> Self {
        let socket = folder.join(format!("{name}.sock"));
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let (listen, url) = (format!("unix:{}", socket.display()), url(database));
        let mut environment = vec![
            ("API_LISTEN", listen.as_str()),
            ("INSTANCE_NAME", name),
            ("DATABASE_URL", url.as_str()),
        ];
        environment.extend(more);
        let mut command = api(&["serve"], &environment);
        let child = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let serving = Self { child, socket, log };
        eventually("a healthy instance", || async {
            let answer = serving
                .try_send(request(Method::GET, "/healthz", &[], ""))
                .await;
            answer.is_some_and(|answer| answer.status == 200)
        })
        .await;
        serving
    }

    /// Sends a request on a connection of its own; `None` if nobody answers.
    pub(crate) async fn try_send(&self, request: http::Request<Body>) -> Option<Answer> {
        let stream = UnixStream::connect(&self.socket).await.ok()?;
        Client::on(stream).await.try_send(request).await.ok()
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, request: http::Request<Body>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// Returns all that it has printed.
    pub(crate) async fn log(&self) -> String {
        tokio::fs::read_to_string(&self.log).await.unwrap()
    }
}
