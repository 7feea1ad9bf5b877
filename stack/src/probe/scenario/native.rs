//! A stack of plain processes: one of its own, or one that runs already.

use std::fs::Permissions;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::stage::{Deed, Stage, output};
use crate::Fault;
use crate::ask::{Address, get};
use crate::cli::Scale;
use crate::control::{Verb, converse};
use crate::layout::Layout;
use crate::plan::ADMIN;

/// How long a stack of one's own may take until it is ready.
const UNTIL_READY: Duration = Duration::from_secs(120);

/// A stack that `stack up` runs in `dir`.
#[derive(Debug, Clone)]
pub struct Native {
    /// The program `stack`.
    pub program: PathBuf,
    /// Its folder.
    pub dir: PathBuf,
    /// Where its proxy listens.
    pub listen: SocketAddr,
    /// Where its proxy says how it is.
    pub admin: SocketAddr,
}

/// A stack that lives no longer than this value.
#[derive(Debug)]
pub struct Own {
    /// The stack.
    pub stage: Stage,
    child: Child,
    folder: TempDir,
}

impl Own {
    /// Runs `stack up` in a new folder, on free ports, and waits until it is ready.
    pub async fn start(stack: &Path) -> Result<Self, Fault> {
        let folder = open_folder()?;
        let native = Native {
            program: stack.to_owned(),
            dir: folder.path().join("stack"),
            listen: free_address()?,
            admin: free_address()?,
        };
        let log = std::fs::File::create(folder.path().join("log"));
        let log = log.map_err(|error| Fault::new(format!("a log: {error}")))?;
        let errors = log.try_clone();
        let errors = errors.map_err(|error| Fault::new(format!("a log: {error}")))?;
        let mut command = Command::new(stack);
        command
            .arg("up")
            .arg("--dir")
            .arg(&native.dir)
            .args(["--listen", &native.listen.to_string()])
            .args(["--admin", &native.admin.to_string()])
            // A database of one's own is to be stopped and started.
            .env_remove("STACK_DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|error| Fault::new(format!("{}: {error}", stack.display())))?;
        let mut own = Self {
            stage: Stage::Native(native),
            child,
            folder,
        };
        own.wait_until_ready().await?;
        Ok(own)
    }

    async fn wait_until_ready(&mut self) -> Result<(), Fault> {
        let begin = Instant::now();
        loop {
            let log = self.log().await;
            if log.contains("\nready: ") {
                return Ok(());
            }
            let ended = self.child.try_wait().ok().flatten().is_some();
            if ended || begin.elapsed() > UNTIL_READY {
                let lines: Vec<_> = log.lines().collect();
                let last = lines.len().saturating_sub(10);
                let last = lines[last..].join("\n");
                return Err(Fault::new(format!("the stack did not start:\n{last}")));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that it has logged.
    pub async fn log(&self) -> String {
        let bytes = tokio::fs::read(self.folder.path().join("log")).await;
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// Ends it and removes its folder; it ends by itself too when this process does.
    pub async fn end(mut self) -> Result<(), Fault> {
        if let Stage::Native(native) = &self.stage {
            converse(&native.dir, &Verb::Down, |_| {}).await?;
        }
        let ended = self.child.wait().await;
        ended.map_err(|error| Fault::new(format!("stack up: {error}")))?;
        Ok(())
    }
}

impl Native {
    /// A new token of the administrator.
    pub async fn token(&self) -> Result<String, Fault> {
        let mut command = Command::new(&self.program);
        command.arg("--dir").arg(&self.dir);
        command.args(["api", "token", ADMIN]);
        output(command).await
    }

    /// Does something to an API, the database or the proxy.
    pub async fn act(&self, deed: Deed, service: &str) -> Result<(), Fault> {
        let target = service.to_owned();
        let verb = match deed {
            Deed::Kill => Verb::Kill { target },
            Deed::Stop => Verb::Stop { target },
            Deed::Start => Verb::Start { target },
            Deed::Pause => Verb::Pause { target },
            Deed::Resume => Verb::Resume { target },
            Deed::Cut | Deed::Join => {
                return Err(Fault::new("plain processes have no network of their own"));
            }
        };
        self.converse(&verb).await
    }

    /// Sets the number of a service's instances.
    pub async fn scale(&self, service: &str, count: usize) -> Result<(), Fault> {
        let scale = Scale {
            service: service.to_owned(),
            count,
        };
        let scales = vec![scale];
        self.converse(&Verb::Scale { scales }).await
    }

    /// Replaces every API instance in turn.
    pub async fn rollout(&self) -> Result<(), Fault> {
        self.converse(&Verb::Rollout).await
    }

    async fn converse(&self, verb: &Verb) -> Result<(), Fault> {
        converse(&self.dir, verb, |_| {}).await
    }

    /// Where an API instance listens.
    pub async fn address(&self, service: &str, number: usize) -> Option<Address> {
        let layout = Layout::find(&self.dir).await.ok()?;
        Some(Address::Unix(layout.api_socket(service, number)))
    }

    /// Every instance as `stack status --json` describes it.
    pub async fn instances(&self) -> Result<Vec<Value>, Fault> {
        let mut text = String::new();
        let verb = Verb::Status { json: true };
        converse(&self.dir, &verb, |sentence| text.push_str(sentence)).await?;
        serde_json::from_str(&text).map_err(|error| Fault::new(format!("stack status: {error}")))
    }

    /// The proxy's own status.
    pub async fn status(&self) -> Result<Value, Fault> {
        let address = Address::Tcp(self.admin);
        let answer = get(&address, "/status", Duration::from_secs(5)).await;
        let answer = answer.map_err(|error| Fault::new(format!("the proxy's status: {error}")))?;
        Ok(answer.json())
    }
}

/// A new folder that Postgres's own user can enter.
pub(super) fn open_folder() -> Result<TempDir, Fault> {
    let open = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new()
        .prefix("stack-probe-")
        .permissions(open)
        .tempdir();
    folder.map_err(|error| Fault::new(format!("a temporary folder: {error}")))
}

/// An address of this machine where nobody listens at the moment.
pub(super) fn free_address() -> Result<SocketAddr, Fault> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Fault::new(format!("a free port: {error}")))
}
