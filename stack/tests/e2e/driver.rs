//! What a scenario can do to a stack, whichever way that stack is run.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stack::probe::Authorization;
use stack::probe::scenario::Stage;

/// The two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain processes, by `stack up`.
    Native,
    /// Containers, by docker-compose.
    Compose,
}

impl Kind {
    /// Reads `STACK_DRIVER`; `None` when it is not set.
    pub(crate) fn chosen() -> Option<Self> {
        let chosen = std::env::var_os("STACK_DRIVER")?;
        match chosen.to_str() {
            Some("native") => Some(Self::Native),
            Some("compose") => Some(Self::Compose),
            _ => panic!(
                "STACK_DRIVER={}: expected native or compose",
                chosen.display()
            ),
        }
    }
}

/// A stack under test. Every verb panics when it fails.
pub(crate) trait Driver: Send + Sync {
    /// Starts everything and waits until the tool says that it is done.
    fn up(&self);
    /// Ends everything; the data stays.
    fn down(&self);
    /// Ends everything and removes all traces.
    fn destroy(&self);
    /// Does `stop`, `start`, `kill`, `pause` or `resume` to a service.
    fn verb(&self, verb: Verb, service: &str);
    /// Sets the number of a service's instances.
    fn scale(&self, service: &str, count: usize);
    /// Replaces every API instance by a new one, as an operator would.
    fn rollout(&self);
    /// Has the database run statements, all of them or none; says whether it did.
    fn sql(&self, statements: &str) -> bool;
    /// Puts a stack right that a failed scenario left behind; what is right already is no fault.
    fn restore(&self);
    /// How the administrator is let in.
    fn authorization(&self) -> Authorization;
    /// Everything that was logged so far.
    fn log(&self) -> String;
    /// One line for each process of `service`, another one after every restart.
    fn births(&self, service: &str) -> Vec<String>;
    /// The proxy's own status, where it can be reached.
    fn status(&self) -> Option<Value>;
    /// The stack as the scenarios of `stack probe` strike it.
    fn stage(&self) -> Stage;
    /// Runs one of the programs by itself; files in `folder` are at the same path for it.
    fn program(&self, call: &Call<'_>) -> Output;
}

/// What can be done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Stop,
    Start,
    Kill,
    Pause,
    Resume,
    Restart,
}

/// A program with its arguments and variables.
pub(crate) struct Call<'a> {
    pub(crate) program: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    pub(crate) folder: Option<&'a Path>,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_owned()
}

/// An address of this machine where nobody listens at the moment.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn must(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Has `psql` run statements as one transaction, quietly.
pub(crate) fn psql(statements: &str) -> [&str; 9] {
    let user = "--username=music";
    let stop = "--set=ON_ERROR_STOP=1";
    [
        "psql",
        "--no-psqlrc",
        "--quiet",
        stop,
        user,
        "--dbname=music",
        "--single-transaction",
        "--command",
        statements,
    ]
}
