//! Starts the API: reads the command line, and does what it says.

use std::process::ExitCode;

use api::cli::Cli;
use api::run::run;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("api: {fault}");
            ExitCode::FAILURE
        }
    }
}
