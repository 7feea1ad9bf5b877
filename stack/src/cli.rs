//! The command line, parsed once into types that cannot be wrong.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use http::Uri;

use crate::bench::options::{BenchOptions, OriginOptions};
use crate::probe::authorization::Credentials;
use crate::probe::scenario::tasks::Wanted;

/// The whole stack as plain processes on one machine: Postgres, the API instances and the proxy.
#[derive(Debug, Parser)]
#[command(name = "stack", version)]
pub struct Cli {
    /// Folder of this stack: its database, sockets and the proxy's generated file
    #[arg(long, global = true, default_value = ".stack", env = "STACK_DIR")]
    pub dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One verb of the command line.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts everything, shows the logs, and ends it all on Ctrl-C
    Up(UpOptions),
    /// Shows every instance: state, process, and what the proxy thinks of it
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Stops a service or an instance: SIGTERM, and SIGKILL after 15 s
    Stop {
        /// `db`, `api`, `api2`, `proxy`, or one instance such as `api_2`
        target: String,
    },
    /// Starts what was stopped or killed, and waits until it is healthy
    Start {
        /// A service or an instance
        target: String,
    },
    /// Kills with SIGKILL, without a warning
    Kill {
        /// A service or an instance
        target: String,
    },
    /// Freezes with SIGSTOP: the process is there, but does not answer
    Pause {
        /// A service or an instance
        target: String,
    },
    /// Lets a frozen one go on
    Resume {
        /// A service or an instance
        target: String,
    },
    /// Runs N instances of an API service: `scale api=3`, or `scale 3` for `api`
    Scale {
        /// `SERVICE=N`, or `N` for the service `api`
        #[arg(required = true, value_name = "SERVICE=N")]
        scales: Vec<Scale>,
    },
    /// Replaces every API instance in turn, drained first, so that no client notices
    Rollout,
    /// Ends the stack; the data stays
    Down,
    /// Runs a command of the API on this stack's database: `api createsuperuser`, `api token leo`, `api --help`
    #[command(disable_help_flag = true)]
    Api {
        /// What `api` is told
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENT"
        )]
        arguments: Vec<OsString>,
    },
    /// Sends a steady stream of requests and accounts for every one of them
    Probe(ProbeOptions),
    /// Measures what a request costs, beside nginx, haproxy, Caddy and Django where they are installed
    Bench(BenchOptions),
    /// The fixed backend of `bench`
    #[command(hide = true)]
    BenchOrigin(OriginOptions),
}

/// What `stack up` is told.
#[derive(Debug, Args)]
pub struct UpOptions {
    /// Address of the proxy
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address of the proxy's status page; by default 127.0.0.1:9090, or a free port where that is taken
    #[arg(long)]
    pub admin: Option<SocketAddr>,
    /// Address of the proxy over TLS; by default none
    #[arg(long)]
    pub tls: Option<SocketAddr>,
    /// Folder of the certificate `tls.crt` and its key `tls.key`, as scripts/certificate makes them
    #[arg(long, value_name = "FOLDER", default_value = "secrets/tls")]
    pub tls_folder: PathBuf,
    /// Weights of the API services `api`, `api2`, …: one service for each
    #[arg(long, value_delimiter = ',', default_value = "4,6", value_parser = weight)]
    pub weights: Vec<u32>,
    /// Use this Postgres instead of starting one
    #[arg(
        long,
        env = "STACK_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub database_url: Option<String>,
    /// Password of the account `admin` of a new database, in a file; by default a random one, which
    /// `stack probe` finds too
    #[arg(long, value_name = "FILE")]
    pub admin_password_file: Option<PathBuf>,
    /// Folder of the page and its files; by default the repository's `static`
    #[arg(long = "static", value_name = "FOLDER")]
    pub static_folder: Option<PathBuf>,
}

/// What `stack probe` is told.
#[derive(Debug, Clone, Args)]
pub struct ProbeOptions {
    /// Where the stack listens
    #[arg(default_value = "http://127.0.0.1:8080/", conflicts_with_all = ["rows", "all"])]
    pub url: Uri,
    /// Requests per second: 200, or what a scenario is measured with
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// Who sends them.
    #[command(flatten)]
    pub credentials: Credentials,
    /// For how long
    #[arg(long = "for", default_value = "30s", value_parser = duration, value_name = "TIME", conflicts_with_all = ["rows", "all"])]
    pub duration: Duration,
    /// Share of requests that add a song, 0 to 1: 0.3, or what a scenario is measured with
    #[arg(long, value_parser = share)]
    pub post: Option<f64>,
    /// A connection of its own for every request
    #[arg(long)]
    pub new_connections: bool,
    /// What the reads ask for; by default one song that the probe adds for that purpose
    #[arg(long, conflicts_with_all = ["rows", "all"])]
    pub path: Option<String>,
    /// An answer later than this counts as slow
    #[arg(long, default_value = "1s", value_parser = duration, value_name = "TIME", conflicts_with_all = ["rows", "all"])]
    pub slow: Duration,
    /// An answer later than this does not count any more
    #[arg(long, default_value = "35s", value_parser = duration, value_name = "TIME", conflicts_with_all = ["rows", "all"])]
    pub timeout: Duration,
    /// Leave the songs that it added
    #[arg(long, conflicts_with_all = ["rows", "all"])]
    pub keep: bool,
    /// Also aim at a machine other than this one
    #[arg(long, conflicts_with_all = ["rows", "all"])]
    pub anywhere: bool,
    /// Events to be measured, with stacks of their own.
    #[command(flatten)]
    pub wanted: Wanted,
}

/// How many instances one service shall have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Scale {
    /// The service's name.
    pub service: String,
    /// How many instances, at least one.
    pub count: usize,
}

/// More instances than this on one machine are a slip of the finger.
const MOST_INSTANCES: usize = 50;

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, count) = text.split_once('=').unwrap_or(("api", text));
        match count.parse() {
            Ok(count) if (1..=MOST_INSTANCES).contains(&count) && !service.is_empty() => Ok(Self {
                service: service.to_owned(),
                count,
            }),
            _ => Err(format!(
                "expected SERVICE=N with N from 1 to {MOST_INSTANCES}, as in api=3"
            )),
        }
    }
}

fn weight(text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(weight @ 1..=1000) => Ok(weight),
        _ => Err("a weight is a number from 1 to 1000".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.1..=20_000.0).contains(&rate) => Ok(rate),
        _ => Err("requests per second, from 0.1 to 20000".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share from 0 to 1".to_owned()),
    }
}

/// Reads `500ms`, `30s`, `2m`; a bare number is refused because nobody knows its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a time such as 500ms, 30s or 2m".to_owned();
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(time) if time > Duration::ZERO => Ok(time),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["30", "", "s", "0s", "-1s", "3h", "1e99s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn scale_is_for_api_unless_it_says_otherwise() {
        let scale = |service: &str, count| Scale {
            service: service.to_owned(),
            count,
        };
        assert_eq!("3".parse(), Ok(scale("api", 3)));
        assert_eq!("api2=1".parse(), Ok(scale("api2", 1)));
        for wrong in ["", "0", "api=0", "api=x", "=2", "api=51"] {
            assert!(wrong.parse::<Scale>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn weights_are_a_list_of_positive_numbers() {
        let weights =
            |list: &str| match Cli::try_parse_from(["stack", "up", "--weights", list])?.command {
                Command::Up(options) => Ok::<_, clap::Error>(options.weights),
                other => panic!("{other:?}"),
            };
        assert_eq!(weights("4,6").unwrap(), [4, 6]);
        assert_eq!(weights("1").unwrap(), [1]);
        assert!(weights("4,0").is_err());
        assert!(weights("").is_err());
    }

    #[test]
    fn what_a_scenario_settles_itself_is_refused_beside_it() {
        for beside in [
            &["--for", "5s"][..],
            &["--path", "/"],
            &["--slow", "2s"],
            &["--timeout", "2s"],
            &["--keep"],
            &["--anywhere"],
            &["http://127.0.0.1:1/"],
        ] {
            for event in [&["--scenario", "kill"][..], &["--all"]] {
                let line = [&["stack", "probe"], event, beside].concat();
                let told = Cli::try_parse_from(line).unwrap_err().to_string();
                assert!(told.contains("cannot be used with"), "{told}");
            }
            let alone = [&["stack", "probe"], beside].concat();
            Cli::try_parse_from(alone).unwrap();
        }
        let load = "stack probe --scenario kill --rate 5 --post 0 --new-connections";
        Cli::try_parse_from(load.split(' ')).unwrap();
    }

    #[test]
    fn the_folder_may_stand_after_the_verb() {
        let cli = Cli::try_parse_from(["stack", "stop", "api", "--dir", "/x"]).unwrap();
        assert_eq!(cli.dir, PathBuf::from("/x"));
    }

    #[test]
    fn what_the_api_is_told_goes_to_it_whole() {
        for told in [
            "createsuperuser --noinput --username leo",
            "token leo --dir elsewhere",
            "seed 10 -- x",
            "--help",
            "-h",
            "--version",
        ] {
            let line = format!("stack --dir /x api {told}");
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.dir, PathBuf::from("/x"), "{told}");
            let Command::Api { arguments } = cli.command else {
                panic!("{told}: {:?}", cli.command);
            };
            assert!(arguments.iter().eq(told.split(' ')), "{arguments:?}");
        }
        Cli::try_parse_from(["stack", "api"]).unwrap();
    }
}
