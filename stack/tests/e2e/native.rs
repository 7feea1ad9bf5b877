//! The stack as plain processes: the `stack` binary itself, as a person uses it.

use std::fs::{File, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::Mutex;

use serde_json::Value;
use stack::ask::{Address, get};
use stack::layout::Layout;
use stack::probe::Authorization;
use stack::probe::scenario::{self, Stage};
use tempfile::TempDir;

use crate::driver::{Call, Driver, Verb, free_address, must, psql, root};
use crate::world::{Clock, MINUTE, SECOND};

/// The binary under test.
pub(crate) const STACK: &str = env!("CARGO_BIN_EXE_stack");

/// One stack in a folder of its own.
pub(crate) struct Native {
    folder: TempDir,
    listen: SocketAddr,
    admin: SocketAddr,
    running: Mutex<Option<Child>>,
    clock: Clock,
    environment: &'static [(&'static str, &'static str)],
}

impl Native {
    pub(crate) fn new(listen: SocketAddr, clock: Clock) -> Self {
        // Postgres's user must be able to enter it.
        let open = Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir();
        Self {
            folder: folder.unwrap(),
            listen,
            admin: free_address(),
            running: Mutex::new(None),
            clock,
            environment: &[],
        }
    }

    /// A stack whose instances find these variables.
    pub(crate) fn with(
        listen: SocketAddr,
        clock: Clock,
        environment: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            environment,
            ..Self::new(listen, clock)
        }
    }

    /// The stack's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("stack")
    }

    /// `stack` with arguments, for this stack.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(STACK);
        command.args(arguments).arg("--dir").arg(self.dir());
        command
    }

    /// The process of `stack up`.
    pub(crate) fn pid(&self) -> u32 {
        self.running.lock().unwrap().as_ref().unwrap().id()
    }

    /// Waits until `stack up` has ended, and says whether it succeeded.
    pub(crate) fn ended(&self) -> bool {
        let mut child = self.running.lock().unwrap().take().unwrap();
        let mut status = None;
        self.clock.eventually(30 * SECOND, "stack up ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }

    /// `stack status --json`.
    pub(crate) fn instances(&self) -> Vec<Value> {
        let text = must(&mut self.command(&["status", "--json"]));
        serde_json::from_str(&text).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Builds the programs that `stack` starts: cargo does not do that for a test of one package.
pub(crate) fn build_programs() {
    let profile = Path::new(STACK).parent().unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).arg("build").arg("--target-dir");
    command.arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        command.arg("--release");
    }
    // Always these three: another set would mean other features, and a build from the ground.
    must(command.args(["--quiet", "-p", "api", "-p", "proxy", "-p", "stack"]));
}

impl Driver for Native {
    fn up(&self) {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log_file())
            .unwrap();
        let before = self.log().matches("\nready: ").count();
        let mut command = self.command(&["up"]);
        command.arg("--listen").arg(self.listen.to_string());
        command.arg("--admin").arg(self.admin.to_string());
        command.envs(self.environment.iter().copied());
        let mut child = command
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.clock.eventually(2 * MINUTE, "stack up is ready", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "stack up ended:\n{}", self.log());
            self.log().matches("\nready: ").count() > before
        });
        *self.running.lock().unwrap() = Some(child);
    }

    fn down(&self) {
        must(&mut self.command(&["down"]));
        assert!(self.ended(), "stack up failed:\n{}", self.log());
    }

    fn destroy(&self) {
        // The folder goes with the process.
        if self.running.lock().unwrap().is_some() {
            self.down();
        }
    }

    fn verb(&self, verb: Verb, service: &str) {
        let name = match verb {
            Verb::Restart => {
                self.verb(Verb::Stop, service);
                "start"
            }
            Verb::Stop => "stop",
            Verb::Start => "start",
            Verb::Kill => "kill",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
        };
        must(&mut self.command(&[name, service]));
    }

    fn scale(&self, service: &str, count: usize) {
        must(&mut self.command(&["scale", &format!("{service}={count}")]));
    }

    fn rollout(&self) {
        must(&mut self.command(&["rollout"]));
    }

    fn sql(&self, statements: &str) -> bool {
        let layout = self.clock.block_on(Layout::find(&self.dir())).unwrap();
        let [program, arguments @ ..] = psql(statements);
        let mut command = Command::new(program);
        command.args(arguments);
        command.arg("--host").arg(layout.database_socket_folder());
        command.output().unwrap().status.success()
    }

    fn restore(&self) {
        for instance in self.instances() {
            let name = instance["instance"].as_str().unwrap();
            match instance["state"].as_str().unwrap() {
                "paused" => self.verb(Verb::Resume, name),
                "down" => self.verb(Verb::Start, name),
                _ => {}
            }
        }
        self.scale("api", 1);
    }

    fn authorization(&self) -> Authorization {
        let dir = self.dir();
        let found = self.clock.block_on(Authorization::of_stack(&dir));
        found.unwrap().unwrap()
    }

    fn log(&self) -> String {
        let bytes = self.clock.block_on(tokio::fs::read(self.log_file()));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    fn births(&self, service: &str) -> Vec<String> {
        self.instances()
            .iter()
            .filter(|instance| instance["service"] == service)
            .map(|instance| instance["pid"].to_string())
            .collect()
    }

    fn status(&self) -> Option<Value> {
        let address = Address::Tcp(self.admin);
        let answer = self.clock.block_on(get(&address, "/status", 5 * SECOND));
        Some(answer.unwrap().json())
    }

    fn stage(&self) -> Stage {
        Stage::Native(scenario::native::Native {
            program: STACK.into(),
            dir: self.dir(),
            listen: self.listen,
            admin: self.admin,
        })
    }

    fn program(&self, call: &Call<'_>) -> Output {
        let program = Path::new(STACK).with_file_name(call.program);
        let mut command = Command::new(program);
        command.args(call.arguments);
        command.envs(call.environment.iter().copied());
        command.output().unwrap()
    }
}
