//! One child process: how it is started, signalled, and ended.
//!
//! A child must not outlive the stack, not even one that is killed with -9: `setpriv --pdeathsig`
//! asks the kernel to kill it with its parent. That bond is to the *thread* that started it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::Fault;
use crate::logs::Logs;

/// How long a child has to end after it was asked to.
pub const GRACE: Duration = Duration::from_secs(15);
/// How long its last lines may take to arrive after its end.
const LAST_LINES: Duration = Duration::from_millis(500);

/// All that is needed to start a child, any number of times.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The instance's name, in front of its lines.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables beyond those that it inherits.
    pub environment: Vec<(&'static str, String)>,
    /// Variables that it must not inherit.
    pub hidden: &'static [&'static str],
    /// Whom it runs as; `None`: as the stack does.
    pub user: Option<User>,
    /// What asks it to end.
    pub stop_signal: Signal,
    /// Processes that work in this folder are part of it (Postgres has one for each client).
    pub family: Option<PathBuf>,
    /// The number of its colour.
    pub colour: usize,
    /// `setpriv`, which ties its life to ours.
    pub setpriv: Option<PathBuf>,
}

/// A child that was started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    pid: Pid,
    family: Option<PathBuf>,
    output: Vec<JoinHandle<()>>,
}

impl Recipe {
    /// Starts the child in a process group of its own, so that Ctrl-C reaches only the stack.
    pub fn start(&self, logs: &Logs) -> Result<Running, Fault> {
        let mut command = match &self.setpriv {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(&self.arguments);
        for name in self.hidden {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| Fault::new(format!("{}: {error}", self.program.display())))?;
        let output = [
            child.stdout.take().map(|out| self.follow(logs, out)),
            child.stderr.take().map(|out| self.follow(logs, out)),
        ];
        Ok(Running {
            pid: Pid::from_raw(child.id().unwrap_or_default().cast_signed()),
            child,
            family: self.family.clone(),
            output: output.into_iter().flatten().collect(),
        })
    }

    fn follow(
        &self,
        logs: &Logs,
        output: impl tokio::io::AsyncRead + Unpin + Send + 'static,
    ) -> JoinHandle<()> {
        tokio::spawn(logs.clone().follow(self.name.clone(), self.colour, output))
    }
}

impl Running {
    /// The process's number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits for its end and for its last lines; may be dropped and called again.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        for output in &mut self.output {
            // Somebody else may hold the pipe open: the lines so far are enough then.
            let _ = tokio::time::timeout(LAST_LINES, output).await;
        }
        self.output.clear();
        Ok(status)
    }

    /// Signals the process itself; one that is gone is no fault.
    pub fn signal(&self, signal: Signal) {
        send(self.pid, signal);
    }

    /// Signals the process first, so that it starts no new ones, then the rest of its family.
    pub async fn signal_family(&self, signal: Signal) {
        send(self.pid, signal);
        if let Some(folder) = &self.family {
            for member in processes_in(folder).await {
                if member != self.pid {
                    send(member, signal);
                }
            }
        }
    }
}

/// Sends a signal; a process that is gone already is what the sender wanted.
pub fn send(pid: Pid, signal: Signal) {
    let _ = kill(pid, signal);
}

/// Tells whether a process of this number exists.
pub fn exists(pid: Pid) -> bool {
    !matches!(kill(pid, None), Err(nix::errno::Errno::ESRCH))
}

/// Finds every process whose working folder is `folder`: all of one Postgres, orphans included.
pub async fn processes_in(folder: &Path) -> Vec<Pid> {
    let mut found = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir("/proc").await else {
        return found;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process that ends meanwhile, or is somebody else's, has no readable link.
        let working = tokio::fs::read_link(entry.path().join("cwd")).await;
        let program = tokio::fs::read_to_string(entry.path().join("comm")).await;
        let is_postgres = program.is_ok_and(|name| name.starts_with("postgres"));
        if is_postgres && working.is_ok_and(|working| working == folder) {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}

/// Finds a program in the folders of PATH.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
