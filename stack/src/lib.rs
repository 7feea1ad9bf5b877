//! Runs the whole stack as plain processes on one machine, and measures it from outside.
//!
//! - [`cli`]: the command line; [`run`] hands each command to its part
//! - [`up`]: `stack up` from the first check to the last child's end; `end`: what brings that about
//! - `check`: what it makes sure of before anything is started
//! - [`layout`], [`plan`], [`proxy_config`]: where things lie, what is run, and the proxy's file (pure)
//! - [`postgres`]: finds a Postgres on the machine and prepares its folder
//! - [`recipes`]: how each kind of child is started
//! - [`process`], [`keeper`]: one child, and the task that keeps it as it is wanted
//! - [`supervisor`]: all keepers, and the verbs `stop`, `start`, `kill`, `pause`, `resume`, `scale`
//! - [`control`]: the Unix socket by which another terminal reaches those verbs
//! - [`rollout`]: all API instances replaced in turn; [`admin`]: changes of the proxy
//! - `command`: the API's own commands, on the database of the running stack
//! - [`health`], [`ask`]: what the proxy says of its servers; one HTTP request
//! - [`logs`]: the children's lines with a coloured name in front
//! - `kept`: connections that are kept and send nothing
//! - [`mod@bench`]: what a request costs, beside other programs, in the same run
//! - [`probe`]: an open-loop stream of requests and the account of what became of each; beside
//!   events, against the figures that they must keep
//!
//! It depends on `api` and `proxy` only as binaries that lie beside its own.

pub mod admin;
pub mod admin_password;
pub mod ask;
pub mod bench;
mod check;
pub mod cli;
mod command;
pub mod control;
mod end;
pub mod health;
pub mod keeper;
mod kept;
pub mod layout;
pub mod logs;
pub mod plan;
pub mod postgres;
pub mod probe;
pub mod process;
pub mod proxy_config;
pub mod recipes;
pub mod rollout;
pub mod supervisor;
pub mod up;

use std::io::Write;
use std::process::ExitCode;

use cli::{Cli, Command};
use control::Verb;

/// A fault told to the person at the terminal in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

impl Fault {
    /// Makes a fault of a sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Runs one command; the exit code is 0 when it did what it says, else 1.
pub async fn run(cli: Cli) -> ExitCode {
    let dir = cli.dir;
    let outcome = match cli.command {
        Command::Up(options) => up::up(&dir, &options).await,
        Command::Probe(options) => return judged(probe::from_terminal(&dir, &options).await),
        Command::Bench(options) => return judged(bench::from_terminal(&options).await),
        Command::BenchOrigin(options) => bench::origin::serve(&options.listen).await,
        Command::Status { json } => control::request(&dir, &Verb::Status { json }).await,
        Command::Stop { target } => control::request(&dir, &Verb::Stop { target }).await,
        Command::Start { target } => control::request(&dir, &Verb::Start { target }).await,
        Command::Kill { target } => control::request(&dir, &Verb::Kill { target }).await,
        Command::Pause { target } => control::request(&dir, &Verb::Pause { target }).await,
        Command::Resume { target } => control::request(&dir, &Verb::Resume { target }).await,
        Command::Scale { scales } => control::request(&dir, &Verb::Scale { scales }).await,
        Command::Rollout => control::request(&dir, &Verb::Rollout).await,
        Command::Down => control::request(&dir, &Verb::Down).await,
        Command::Api { arguments } => command::run(&dir, arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => failed(&fault),
    }
}

/// The exit code of what ends well, badly, or not at all.
fn judged(outcome: Result<bool, Fault>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => failed(&fault),
    }
}

fn failed(fault: &Fault) -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "stack: {fault}");
    ExitCode::FAILURE
}
