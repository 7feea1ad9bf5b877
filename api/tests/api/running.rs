//! The program itself, as an instance that a test may pause or kill.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::{Answer, Client, request, within};

/// A running instance, reached by a socket.
pub(crate) struct Running {
    folder: TempDir,
    database: PgConnectOptions,
    child: Child,
}

impl Running {
    /// Starts an instance that anyone may write to, and waits until it serves.
    pub(crate) async fn start(database: &PgConnectOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = spawn(&folder, database);
        let program = Self {
            folder,
            database: database.clone(),
            child,
        };
        program.serves().await;
        program
    }

    pub(crate) async fn serves(&self) {
        within(
            Duration::from_secs(60),
            "an instance that serves",
            || async {
                let health = request(Method::GET, "/healthz", &[], "");
                self.try_send(health)
                    .await
                    .is_ok_and(|answer| answer.status == 200)
            },
        )
        .await;
    }

    /// Starts it again after it was killed, without waiting.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.folder, &self.database);
    }

    /// Kills it, as nothing can be told to prepare for.
    pub(crate) async fn kill(&mut self) {
        // It may be dead already.
        drop(self.child.start_kill());
        self.child.wait().await.unwrap();
    }

    /// Kills it while others still talk to it; it has to be waited for afterwards.
    pub(crate) fn kill_now(&self) {
        self.signal("-KILL");
    }

    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let process = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args([name, &process])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Tells whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it wrote to its log so far.
    pub(crate) async fn log(&self) -> String {
        let log = tokio::fs::read(self.folder.path().join("log"))
            .await
            .unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Sends one request on a connection of its own; an error if there is no whole answer.
    pub(crate) async fn try_send(&self, request: Request<Body>) -> Result<Answer, String> {
        let stream = UnixStream::connect(self.socket()).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let mut client = Client::on(stream).await;
        let sent = timeout(Duration::from_secs(30), client.try_send(request)).await;
        sent.map_err(|_| "no answer".to_owned())?
            .map_err(|error| error.to_string())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }
}

fn spawn(folder: &TempDir, database: &PgConnectOptions) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("log"))
        .unwrap();
    let socket = folder.path().join("api.sock");
    let host = match database.get_socket() {
        Some(folder) => folder.display().to_string(),
        None => database.get_host().to_owned(),
    };
    Command::new(env!("CARGO_BIN_EXE_api"))
        .arg("serve")
        .env_clear()
        .env("API_LISTEN", format!("unix:{}", socket.display()))
        .env("API_PERMISSION", "open")
        .env("API_DATABASE_CONNECTIONS", "4")
        .env("INSTANCE_NAME", "api_8")
        .env("PGHOST", host)
        .env("PGPORT", database.get_port().to_string())
        .env("PGUSER", database.get_username())
        .env("PGDATABASE", database.get_database().unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
