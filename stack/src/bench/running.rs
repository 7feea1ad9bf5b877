//! A program under test: started on its core, waited for, and ended with all its children.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::Fault;
use crate::ask::Address;
use crate::process::in_path;

/// How long a program may take until it listens.
const UNTIL_READY: Duration = Duration::from_secs(60);
/// How often is tried meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to end in order.
const GRACE: Duration = Duration::from_secs(10);

/// Which cores the program under test and the load have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Core {
    /// The first: the program under test.
    Tested,
    /// The second: load and backend.
    Load,
    /// Any.
    Any,
}

/// How a program is started.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// What it is called in faults.
    pub(super) name: String,
    /// The program.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<OsString>,
    /// Its variables, beside ours.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Where it runs.
    pub(super) core: Core,
    /// Whom it runs as; `None`: as we do.
    pub(super) user: Option<User>,
    /// What asks it to end.
    pub(super) stop: Signal,
    /// A file for what it says on standard error.
    pub(super) errors: PathBuf,
}

/// A program that runs; it is killed with its children when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    name: String,
    child: Child,
    pid: i32,
    stop: Signal,
    errors: PathBuf,
}

impl Core {
    /// Puts `taskset` before a program, where there are two cores and the tool.
    pub(super) fn command(self, program: &Path) -> Command {
        let number = match self {
            Self::Tested => "0",
            Self::Load => "1",
            Self::Any => return Command::new(program),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        match in_path("taskset").filter(|_| cores > 1) {
            Some(taskset) => {
                let mut command = Command::new(taskset);
                command.args(["-c", number]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }
}

impl Launch {
    /// A program that runs as we do, on the core of the tested.
    pub(super) fn new(name: &str, program: PathBuf, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            core: Core::Tested,
            user: None,
            stop: Signal::SIGTERM,
            errors: folder.join(format!("{name}.err")),
        }
    }

    /// The same with more arguments.
    pub(super) fn args<A: Into<OsString>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts it.
    pub(super) fn start(self) -> Result<Running, Fault> {
        let failed = |error: std::io::Error| Fault::new(format!("{}: {error}", self.name));
        let mut command = match in_path("setpriv") {
            Some(setpriv) => {
                let mut command = self.core.command(&setpriv);
                // Ends in order, with its children, if we are killed.
                command.args(["--pdeathsig", self.stop.as_str().trim_start_matches("SIG")]);
                command.arg("--").arg(&self.program);
                command
            }
            None => self.core.command(&self.program),
        };
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let errors = std::fs::File::create(&self.errors).map_err(failed)?;
        let child = command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Running {
            pid: child.id().unwrap_or_default().cast_signed(),
            name: self.name,
            child,
            stop: self.stop,
            errors: self.errors,
        })
    }
}

impl Running {
    /// Its number.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until it accepts connections.
    pub(super) async fn listens(&mut self, address: &Address) -> Result<(), Fault> {
        self.until("listen", async || match address {
            Address::Tcp(address) => TcpStream::connect(*address).await.is_ok(),
            Address::Unix(path) => UnixStream::connect(path).await.is_ok(),
        })
        .await
    }

    /// Waits until something is so, as long as the program lives.
    pub(super) async fn until(
        &mut self,
        what: &str,
        condition: impl AsyncFn() -> bool,
    ) -> Result<(), Fault> {
        let begin = Instant::now();
        while !condition().await {
            let ended = self.child.try_wait().ok().flatten().is_some();
            if ended || begin.elapsed() > UNTIL_READY {
                let errors = tokio::fs::read(&self.errors).await.unwrap_or_default();
                let errors = String::from_utf8_lossy(&errors);
                let lines: Vec<_> = errors.lines().collect();
                let last = lines[lines.len().saturating_sub(8)..].join("\n");
                return Err(Fault::new(format!("{} did not {what}:\n{last}", self.name)));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Ends it in order.
    pub(super) async fn end(mut self) {
        crate::process::send(Pid::from_raw(self.pid), self.stop);
        // One that does not end is killed below.
        let _ = timeout(GRACE, self.child.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Usually nobody is left in the group.
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
    }
}

/// An address of this machine where nobody listens at the moment.
pub(super) fn free_address() -> Result<SocketAddr, Fault> {
    free_addresses(1)?
        .pop()
        .ok_or_else(|| Fault::new("no free port"))
}

/// Several of them, each another.
pub(super) fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, Fault> {
    let failed = |error: std::io::Error| Fault::new(format!("a free port: {error}"));
    // All are held until the last is found, so that none is found twice.
    let held: Result<Vec<_>, _> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect();
    let addresses = held.map_err(failed)?;
    let addresses = addresses.iter().map(std::net::TcpListener::local_addr);
    addresses.collect::<Result<_, _>>().map_err(failed)
}
