//! The `stack` command: reads the command line and hands over to [`stack::run`].

use std::process::ExitCode;

use clap::Parser;
use stack::cli::Cli;

// One thread: a child is killed with its parent *thread*, so all of them are started by this one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    stack::run(Cli::parse()).await
}
