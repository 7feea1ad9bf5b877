//! Does what the command line says.

use std::io::{self, Write};
use std::time::Duration;

use crate::auth::{accounts, first, purge};
use crate::cli::{ChangePasswordArguments, Cli, Command, CreateSuperuserArguments, TokenArguments};
use crate::config::{DatabaseConfig, ServeConfig};
use crate::database::{self, Database};
use crate::instance::Instance;
use crate::router::{self, App};
use crate::server::{self, CannotListen, Claim, Limits};
use crate::stop::Stop;
use crate::{ask, config, healthcheck, logging, schema, seed};

/// The limits of the listener for metrics, which few ask, and no crowd.
const FOR_METRICS: Limits = Limits {
    idle: Duration::from_secs(75),
    write: Duration::from_secs(30),
    connections: 32,
    last_call: Duration::from_millis(1500),
    drain: Duration::from_secs(8),
};

/// What ends a command early, in one sentence.
type Failure = Box<dyn std::error::Error>;

/// Runs a command to its end.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Serve(arguments) => {
            let config = ServeConfig::parse(&arguments)?;
            let log = logging::start(&cli.log)?;
            let served = serve(config, Stop::on_signals()?).await;
            log.finish().await;
            served
        }
        Command::OpenApi(arguments) => {
            let permission = config::permission(&arguments.permission)?;
            say(&schema::pretty(permission))
        }
        Command::Healthcheck(arguments) => Ok(healthcheck::ask(&arguments.listen.parse()?).await?),
        other => {
            let _log = logging::start(&cli.log)?;
            on_the_database(other).await
        }
    }
}

async fn on_the_database(command: Command) -> Result<(), Failure> {
    match command {
        Command::Migrate(arguments) => {
            let config = DatabaseConfig::parse(&arguments)?;
            Ok(database::prepare(&config).await?)
        }
        Command::CreateSuperuser(arguments) => create_superuser(arguments).await,
        Command::ChangePassword(arguments) => change_password(arguments).await,
        Command::Token(arguments) => token(&arguments).await,
        Command::Seed(arguments) => {
            let config = DatabaseConfig::parse(&arguments.database)?;
            let mut connection = database::prepared(&config).await?;
            Ok(seed::run(&mut connection, arguments.count).await?)
        }
        Command::Serve(_) | Command::Healthcheck(_) | Command::OpenApi(_) => Ok(()),
    }
}

async fn serve(config: ServeConfig, stop: Stop) -> Result<(), Failure> {
    let claim = Claim::of(&config.listen).await?;
    let for_metrics = match &config.metrics_listen {
        Some(listen) => Some(
            Claim::of(listen)
                .await
                .map_err(|cannot| of_metrics(&cannot))?,
        ),
        None => None,
    };
    let instance = Instance::named(config.instance_name.clone()).await;
    let Some(prepared) = stop.unless(prepare(&config)).await else {
        return Ok(());
    };
    prepared?;
    let database = Database::open(&config.database, &instance);
    let app = App::new(instance, database, config.access, stop.clone());
    let listener = claim.listen().await?;
    if let Some(claim) = for_metrics {
        let listener = claim.listen().await.map_err(|cannot| of_metrics(&cannot))?;
        let routes = router::for_metrics(app.clone());
        tokio::spawn(server::serve(listener, routes, stop.clone(), FOR_METRICS));
    }
    tokio::spawn(purge::for_ever(config.database.clone(), stop.clone()));
    tokio::spawn(database::keep_purged(config.database, stop.clone()));
    server::serve(listener, router::app(app), stop, Limits::default()).await;
    Ok(())
}

/// Says which of the two listeners an address belongs to.
fn of_metrics(cannot: &CannotListen) -> String {
    cannot.to_string().replace(
        "API_LISTEN (--listen)",
        "API_METRICS_LISTEN (--metrics-listen)",
    )
}

async fn prepare(config: &ServeConfig) -> Result<(), Failure> {
    let mut connection = database::prepared(&config.database).await?;
    if let Some(account) = config.first_account.clone() {
        first::make(&mut connection, account).await?;
    }
    Ok(())
}

async fn create_superuser(arguments: CreateSuperuserArguments) -> Result<(), Failure> {
    let config = DatabaseConfig::parse(&arguments.database)?;
    let (name, password) = if arguments.noinput {
        let name = arguments.username.ok_or(
            "--noinput needs DJANGO_SUPERUSER_USERNAME (--username): what is the account called?",
        )?;
        let password = arguments
            .password
            .ok_or("--noinput needs DJANGO_SUPERUSER_PASSWORD: what is the password?")?;
        (name, Some(password))
    } else {
        ask::refuse_without_terminal("DJANGO_SUPERUSER_USERNAME and DJANGO_SUPERUSER_PASSWORD")?;
        let name = match arguments.username {
            Some(name) => name,
            None => ask::line("Username").await?,
        };
        (name, None)
    };
    let mut connection = database::prepared(&config).await?;
    accounts::check_is_free(&mut connection, &name).await?;
    let password = match password {
        Some(password) => password,
        None => ask::new_password().await?,
    };
    accounts::create_superuser(&mut connection, &name, password).await?;
    say(&format!("Superuser {name} created."))
}

async fn change_password(arguments: ChangePasswordArguments) -> Result<(), Failure> {
    let config = DatabaseConfig::parse(&arguments.database)?;
    let given = match (arguments.noinput, arguments.password) {
        (true, None) => {
            return Err("--noinput needs API_NEW_PASSWORD: what is the password?".into());
        }
        (true, Some(password)) => Some(password),
        (false, _) => {
            ask::refuse_without_terminal("API_NEW_PASSWORD")?;
            None
        }
    };
    let mut connection = database::prepared(&config).await?;
    accounts::check_exists(&mut connection, &arguments.username).await?;
    let password = match given {
        Some(password) => password,
        None => ask::new_password().await?,
    };
    accounts::change_password(&mut connection, &arguments.username, password).await?;
    say(&format!("Password of {} changed.", arguments.username))
}

async fn token(arguments: &TokenArguments) -> Result<(), Failure> {
    let config = DatabaseConfig::parse(&arguments.database)?;
    let mut connection = database::prepared(&config).await?;
    if arguments.revoke {
        let count = accounts::revoke_tokens(&mut connection, &arguments.username).await?;
        return say(&format!(
            "Tokens of {} revoked: {count}.",
            arguments.username
        ));
    }
    let token = accounts::add_token(&mut connection, &arguments.username).await?;
    say(token.reveal())
}

/// Prints what a person or a script asked for.
fn say(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
