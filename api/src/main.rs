//! Starts the API: reads the command line, then hands each part what it needs.

use std::process::ExitCode;

use api::cli::{Cli, Command};
use api::config::{DatabaseConfig, ServeConfig};
use api::database::{self, Database};
use api::healthcheck;
use api::instance::Instance;
use api::logging;
use api::router::{self, App};
use api::server::{self, Claim, Limits};
use api::stop::Stop;
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

async fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    match cli.command {
        Command::Serve(arguments) => {
            let config = ServeConfig::parse(&arguments)?;
            logging::start(&cli.log)?;
            serve(config, Stop::on_signals()?).await
        }
        Command::Migrate(arguments) => {
            let config = DatabaseConfig::parse(&arguments)?;
            logging::start(&cli.log)?;
            Ok(database::prepare(&config).await?)
        }
        Command::Healthcheck(arguments) => Ok(healthcheck::ask(&arguments.listen.parse()?).await?),
    }
}

async fn serve(config: ServeConfig, stop: Stop) -> Result<(), Box<dyn std::error::Error>> {
    let claim = Claim::of(&config.listen).await?;
    let instance = Instance::named(config.instance_name).await;
    let Some(prepared) = stop.unless(database::prepare(&config.database)).await else {
        return Ok(());
    };
    prepared?;
    let database = Database::open(&config.database, &instance);
    let app = App::new(instance, database, config.access, stop.clone());
    let listener = claim.listen().await?;
    server::serve(listener, router::app(app), stop, Limits::default()).await;
    Ok(())
}
