//! Two ways to run the stack, behind the same verbs: its own supervisor, and docker-compose.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use crate::support::eventually;

/// The compose project of these tests.
const PROJECT: &str = "music-stack-e2e";

/// How the stack is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As plain processes.
    Native,
    /// On docker-compose.
    Compose,
}

impl Kind {
    /// What `STACK_DRIVER` asks for.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test binary has no flags of its own"
    )]
    pub(crate) fn wanted() -> Self {
        match std::env::var("STACK_DRIVER").as_deref() {
            Err(_) | Ok("" | "native") => Self::Native,
            Ok("compose") => Self::Compose,
            Ok(other) => panic!("STACK_DRIVER: expected native or compose, got {other}"),
        }
    }
}

/// A stack that can be told what to do.
pub(crate) struct Driver {
    pub(crate) kind: Kind,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    folder: tempfile::TempDir,
    supervisor: tokio::sync::Mutex<Option<Child>>,
}

impl Driver {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            address: free_address(),
            admin: free_address(),
            folder: tempfile::Builder::new().prefix("e2e").tempdir().unwrap(),
            supervisor: tokio::sync::Mutex::default(),
        }
    }

    /// The folder that the native stack lives in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("stack")
    }

    /// Starts everything; the data of an earlier start are there again.
    pub(crate) async fn up(&self) {
        match self.kind {
            Kind::Compose => self.run("up -d").await,
            Kind::Native => {
                let log = std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(self.log())
                    .unwrap();
                let child = self
                    .supervisor_command(&format!(
                        "up --listen {} --admin {}",
                        self.address, self.admin
                    ))
                    .stdin(Stdio::null())
                    .stdout(log.try_clone().unwrap())
                    .stderr(log)
                    .spawn()
                    .unwrap();
                *self.supervisor.lock().await = Some(child);
            }
        }
    }

    /// Ends everything and keeps the data.
    pub(crate) async fn down(&self) {
        self.run("down").await;
        if let Some(mut supervisor) = self.supervisor.lock().await.take() {
            assert!(
                supervisor.wait().await.unwrap().success(),
                "stack up did not end well"
            );
        }
    }

    /// Ends everything for good.
    pub(crate) async fn remove(&self) {
        match self.kind {
            Kind::Compose => {
                self.run("down --volumes --remove-orphans --timeout 10")
                    .await
            }
            Kind::Native => {
                self.try_run("down").await;
                if let Some(mut supervisor) = self.supervisor.lock().await.take() {
                    supervisor.wait().await.unwrap();
                }
            }
        }
    }

    /// Runs a verb that must succeed, such as `stop api`.
    pub(crate) async fn run(&self, words: &str) {
        let output = self.try_run(words).await;
        assert!(
            output.status.success(),
            "{words}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs a verb that may fail.
    pub(crate) async fn try_run(&self, words: &str) -> Output {
        let words = match self.kind {
            Kind::Native => words.to_owned(),
            // The one verb that Compose calls otherwise, and the one that is an option of another.
            Kind::Compose => words
                .replace("resume", "unpause")
                .replace("scale ", "up -d --no-recreate --scale "),
        };
        let mut command = match self.kind {
            Kind::Native => self.supervisor_command(&words),
            Kind::Compose => self.compose_command(&words),
        };
        command.output().await.unwrap()
    }

    /// What the proxy says of itself, read where only the operator can.
    pub(crate) async fn proxy_status(&self) -> serde_json::Value {
        let ask = |port| {
            format!(
                r#"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /status HTTP/1.0\r\n\r\n' >&3; cat <&3"#
            )
        };
        let mut command = match self.kind {
            Kind::Native => {
                let mut command = Command::new("bash");
                command.args(["-c", &ask(self.admin.port())]);
                command
            }
            Kind::Compose => {
                let mut command = self.compose_command("exec -T proxy bash -c");
                command.arg(ask(9090));
                command
            }
        };
        let output = command.output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_default()
    }

    /// Prints the last lines of every log.
    pub(crate) async fn show_logs(&self) {
        let text = match self.kind {
            Kind::Native => tokio::fs::read_to_string(self.log())
                .await
                .unwrap_or_default(),
            Kind::Compose => {
                let output = self.try_run("logs --no-color --tail 40").await;
                String::from_utf8_lossy(&output.stdout).into_owned()
            }
        };
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("{}", lines[lines.len().saturating_sub(200)..].join("\n"));
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn supervisor_command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stack"));
        command
            .arg("--dir")
            .arg(self.folder())
            .args(words.split(' '));
        command.current_dir(repository());
        command
    }

    fn compose_command(&self, words: &str) -> Command {
        let mut command = Command::new(repository().join("scripts/compose"));
        command
            .args(words.split(' '))
            .env("COMPOSE_PROJECT_NAME", PROJECT)
            .env("PORT", self.address.port().to_string())
            .stdin(Stdio::null());
        command
    }
}

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// An address of this machine that nobody listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Waits until a port is free again.
pub(crate) async fn until_free(address: SocketAddr) {
    eventually("the port is free", || async {
        TcpListener::bind(address).is_ok()
    })
    .await;
}
