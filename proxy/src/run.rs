//! From a command to an exit code.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tracing_subscriber::EnvFilter;

use crate::access_log::AccessLog;
use crate::allocator;
use crate::cli::{AdminArguments, Cli, Command, LogFormat};
use crate::config::{self, Config, Refused, Severity};
use crate::control;
use crate::explain;
use crate::healthcheck;
use crate::server::{self, Orders, Sockets, StartError};
use crate::simulate;

/// The exit code for a bad configuration, `EX_CONFIG` of sysexits.
const BAD_CONFIGURATION: u8 = 78;
/// The exit code when a second signal cuts the drain short.
const INTERRUPTED: u8 = 130;
/// How long connections may go on at the end of the process: not at all, they have been drained.
const NO_TIME: Duration = Duration::ZERO;

/// How long the last lines of the access log may take to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Starts the log and runs the command.
pub fn run(cli: Cli) -> ExitCode {
    if let Command::Simulate(flags) = cli.command {
        // No log: what is simulated did not happen.
        return simulate(flags);
    }
    if let Err(error) = start_log(&cli) {
        return fail(BAD_CONFIGURATION, &format!("RUST_LOG (--log): {error}"));
    }
    match cli.command {
        Command::Serve { config } => serve(&config.0),
        Command::Check { config } => check(&config.0),
        Command::Simulate(flags) => simulate(flags),
        Command::Explain(flags) => explain(&flags),
        Command::Healthcheck { admin } => check_health(&admin),
        Command::Status { watch, json, admin } => {
            let show = control::Show { watch, json };
            ask(&admin, async |proxy| control::status(proxy, show).await)
        }
        Command::Drain {
            server,
            wait,
            admin,
        } => ask(&admin, async |proxy| {
            control::drain(proxy, &server, wait).await
        }),
        Command::Enable { server, admin } => {
            ask(&admin, async |proxy| control::enable(proxy, &server).await)
        }
        Command::Weight {
            server,
            weight,
            admin,
        } => ask(&admin, async |proxy| {
            control::weight(proxy, &server, weight).await
        }),
        Command::Reload { admin } => ask(&admin, async |proxy| control::reload(proxy).await),
    }
}

/// Asks the running proxy something.
fn ask<F>(arguments: &AdminArguments, question: F) -> ExitCode
where
    F: AsyncFnOnce(&control::Admin) -> Result<(), control::Fault>,
{
    let proxy = match control::Admin::find(arguments.admin, &arguments.config) {
        Ok(proxy) => proxy,
        Err(refused) => return fail(BAD_CONFIGURATION, &lost(&refused)),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &StartError::Runtime(error)),
    };
    match runtime.block_on(question(&proxy)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fail(1, &fault),
    }
}

/// Starts the log on standard error; standard output belongs to the access log.
fn start_log(cli: &Cli) -> Result<(), tracing_subscriber::filter::ParseError> {
    let terminal = std::io::stderr().is_terminal();
    let json = match cli.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // What Pingora says of single requests stands in the access log.
    let filter = EnvFilter::try_new(&cli.log)?
        .add_directive("pingora_core=off".parse()?)
        .add_directive("pingora_proxy=off".parse()?);
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    if json {
        log.json().flatten_event(true).init();
    } else {
        log.with_target(false).init();
    }
    Ok(())
}

fn serve(file: &Path) -> ExitCode {
    if let Err(error) = outlive_hangups() {
        return fail(1, &StartError::Runtime(error));
    }
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(refused) => return fail(BAD_CONFIGURATION, &refused),
    };
    match serve_until_stopped(config) {
        Ok(code) => code,
        Err(error @ (StartError::Files(_) | StartError::AccessLog(_))) => {
            fail(BAD_CONFIGURATION, &error)
        }
        Err(error) => fail(1, &error),
    }
}

/// Makes SIGHUP harmless from now on: until the proxy serves, there is nothing to reload.
fn outlive_hangups() -> std::io::Result<()> {
    // Once there is a handler for it, the process keeps it for good.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _in_runtime = runtime.enter();
    signal(SignalKind::hangup()).map(drop)
}

fn serve_until_stopped(config: Config) -> Result<ExitCode, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.threads.get())
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    server::descriptors::raise_limit();
    let (access_log, writer) =
        AccessLog::open(&config.access_log).map_err(StartError::AccessLog)?;
    let sockets = Sockets::bind(&config)?;
    let code = runtime.block_on(async {
        let mut stops = Stops::install().map_err(StartError::Runtime)?;
        // Whoever reads that it serves may send one at once.
        let hangup = pass_on_hangups().map_err(StartError::Runtime)?;
        announce(&sockets);
        tokio::spawn(allocator::give_back());
        let (told, stop) = tokio::sync::oneshot::channel();
        let stop = async {
            // A sender that is gone means the same as a signal.
            let _ = stop.await;
        };
        let serving = server::run(config, sockets, access_log, Orders { stop, hangup });
        tokio::pin!(serving);
        tokio::select! {
            served = &mut serving => return served.map(|()| ExitCode::SUCCESS),
            () = stops.next() => {}
        }
        let _ = told.send(());
        tokio::select! {
            served = &mut serving => served.map(|()| ExitCode::SUCCESS),
            () = stops.next() => Ok(ExitCode::from(INTERRUPTED)),
        }
    });
    runtime.shutdown_timeout(NO_TIME);
    writer.finish(LAST_LINES);
    code
}

/// Notifies of each SIGHUP; a storm of them becomes one notification.
fn pass_on_hangups() -> std::io::Result<Arc<Notify>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let hangup = Arc::new(Notify::new());
    let notify = Arc::clone(&hangup);
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            notify.notify_one();
        }
    });
    Ok(hangup)
}

fn announce(sockets: &Sockets) {
    let list = |addresses: &[SocketAddr]| {
        let words: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        words.join(", ")
    };
    let secure = sockets.secure_address().map(|address| list(&[address]));
    let admin = sockets.admin_address().map(|address| list(&[address]));
    tracing::info!(
        listen = list(&sockets.addresses()),
        tls = secure.as_deref().unwrap_or("off"),
        admin = admin.as_deref().unwrap_or("off"),
        "serving"
    );
}

/// The signals that ask the process to stop.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn simulate(flags: simulate::Flags) -> ExitCode {
    match flags.plan() {
        Ok(plan) => {
            let outcome = simulate::run(&plan, Instant::now());
            say(simulate::draw(&plan, &outcome).trim_end());
            ExitCode::from(u8::from(outcome.broken > 0))
        }
        Err(sentence) => fail(BAD_CONFIGURATION, &sentence),
    }
}

fn check(file: &Path) -> ExitCode {
    let faults = config::check(file);
    for fault in &faults {
        say(&fault.to_string());
    }
    if faults.iter().any(|f| f.severity == Severity::Error) {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    if faults.is_empty() {
        say(&format!("{}: fine", file.display()));
    }
    ExitCode::SUCCESS
}

fn check_health(admin: &AdminArguments) -> ExitCode {
    match ask_admin(admin, healthcheck::ask) {
        Ok(()) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn explain(flags: &explain::Flags) -> ExitCode {
    let asked = ask_admin(&flags.admin, |admin| explain::ask(admin, flags));
    match asked {
        Ok(answer) => {
            say(&answer);
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}

/// Asks the admin listener that is given, or that a configuration names; says what is wrong and returns the code.
fn ask_admin<T, F>(admin: &AdminArguments, ask: impl FnOnce(SocketAddr) -> F) -> Result<T, ExitCode>
where
    F: Future<Output = Result<T, String>>,
{
    let address = match admin.admin {
        Some(address) => address,
        // The file may have been broken since the proxy read it: that makes no running proxy unwell.
        None => {
            let access = config::admin_access(&admin.config);
            access
                .map_err(|refused| fail(BAD_CONFIGURATION, &lost(&refused)))?
                .address
        }
    };
    Runtime::new()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(ask(address)))
        .map_err(|reason| fail(1, &reason))
}

/// Says why no admin listener is found, and how to say where it is.
fn lost(refused: &Refused) -> String {
    format!("{refused}; say where the proxy is with --admin ADDRESS or --config FILE")
}

#[expect(
    clippy::print_stdout,
    reason = "the answer to a command belongs on standard output"
)]
fn say(line: &str) {
    println!("{line}");
}

fn fail(code: u8, reason: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("proxy: {reason}");
    ExitCode::from(code)
}
