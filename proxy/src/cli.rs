//! The command line: what to do, with which configuration, and how to log.
//!
//! Every flag has a twin in the environment, and nothing else reads the environment.

mod config_file;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{explain, simulate};

pub use config_file::ConfigFile;

/// Where the configuration is in the image.
pub(crate) const CONFIG: &str = "/etc/proxy/proxy.toml";

/// A load-balancing reverse proxy: weighted upstreams, failover, static files.
#[derive(Debug, Clone, PartialEq, Parser)]
#[command(name = "proxy", version, propagate_version = true)]
#[command(after_help = "Example: proxy serve --config proxy/conf/proxy.toml")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How the program's own messages look on stderr.
    #[arg(
        long,
        global = true,
        value_enum,
        env = "LOG_FORMAT",
        default_value = "auto"
    )]
    pub log_format: LogFormat,

    /// Which messages: a level, or a list such as `info,proxy::upstream=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "RUST_LOG",
        default_value = "info"
    )]
    pub log: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum Command {
    /// Serves until SIGTERM or SIGINT, then drains.
    #[command(after_help = "Example: proxy serve --config proxy/conf/proxy.toml")]
    Serve {
        /// The configuration file.
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Says what is wrong or doubtful in a configuration, one line each.
    #[command(
        long_about = "Says what is wrong or doubtful in a configuration, one line each.\n\n\
                      Exits with 78 if the file would be refused, else with 0; a line with \
                      `warning:` is about something legal that is unsafe or without use.",
        after_help = "Example: proxy check proxy/conf/proxy.toml"
    )]
    Check {
        /// The configuration file.
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Simulates the balancing of a described fleet, in virtual time and without a network.
    #[command(after_help = "Example: proxy simulate --server a:4 --server b:6 --event 3s:a:dies")]
    Simulate(simulate::Flags),
    /// Asks the running proxy where a request would go, and why not elsewhere; takes no turn.
    #[command(after_help = "Example: proxy explain /api/music/ --config proxy/conf/proxy.toml")]
    Explain(explain::Flags),
    /// Shows the upstreams of the running proxy and how their servers fare.
    #[command(after_help = "Example: proxy status --watch")]
    Status {
        /// Draws it anew every second, until Ctrl-C.
        #[arg(long)]
        watch: bool,
        /// Prints what the admin listener answers.
        #[arg(long)]
        json: bool,
        /// Where the proxy is.
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Sends nothing new to a server; what it has in hand goes on.
    #[command(
        long_about = "Sends nothing new to a server; what it has in hand goes on.\n\n\
                      Its health is still watched, so that `enable` brings it back at once. With \
                      --wait the command ends with 0 when nothing is in flight there any more, and \
                      with 1 if that takes longer.",
        after_help = "Example: proxy drain api2:8000 --wait 30s"
    )]
    Drain {
        /// As configured (then all that it stands for), by address, by its own name, or
        /// UPSTREAM/SERVER.
        server: String,
        /// How long to wait until it has nothing in flight, such as 30s.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        wait: Option<Duration>,
        /// Where the proxy is.
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Sends requests to a server again that was drained or down.
    #[command(after_help = "Example: proxy enable music/api2")]
    Enable {
        /// As configured, by address, by its own name, or UPSTREAM/SERVER.
        server: String,
        /// Where the proxy is.
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Gives a server another weight, which counts from the next request.
    #[command(after_help = "Example: proxy weight api2:8000 1")]
    Weight {
        /// As configured, by address, by its own name, or UPSTREAM/SERVER.
        server: String,
        /// Its share among the others, 0 to 1000; 0 is never picked.
        #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
        weight: u32,
        /// Where the proxy is.
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Has the running proxy read its configuration again: all of it is taken, or nothing.
    #[command(after_help = "Example: proxy reload")]
    Reload {
        /// Where the proxy is.
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Asks the running proxy's admin listener whether it serves; exits with 0 or 1.
    #[command(after_help = "Example: proxy healthcheck --config proxy/conf/proxy.toml")]
    Healthcheck {
        /// Where the proxy is.
        #[command(flatten)]
        admin: AdminArguments,
    },
}

/// Where the admin listener of the running proxy is.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AdminArguments {
    /// The configuration file of the running proxy, which names its admin listener and its token.
    #[arg(long, value_name = "FILE", env = "PROXY_CONFIG", default_value = CONFIG)]
    pub config: PathBuf,
    /// The address of the admin listener, if not the one in the file.
    #[arg(long, value_name = "ADDRESS", env = "PROXY_ADMIN")]
    pub admin: Option<SocketAddr>,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
        .ok_or_else(|| "expected a duration such as \"500ms\", \"30s\" or \"2m\"".to_owned())
}

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON lines otherwise.
    Auto,
    /// Readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            let example = subcommand.get_after_help().map(ToString::to_string);
            let example = example.unwrap();
            let words = example.strip_prefix("Example: ").unwrap().split(' ');
            let parsed = Cli::try_parse_from(words).unwrap();
            if let Command::Simulate(flags) = parsed.command {
                assert_eq!(flags.plan().unwrap().servers.len(), 2);
            }
        }
        let wait = Cli::try_parse_from(["proxy", "drain", "a", "--wait", "30s"]).unwrap();
        let Command::Drain {
            server,
            wait,
            admin,
        } = wait.command
        else {
            panic!("{wait:?}");
        };
        assert_eq!(
            (server.as_str(), wait),
            ("a", Some(Duration::from_secs(30)))
        );
        assert_eq!(admin.config, PathBuf::from(CONFIG));
    }

    #[test]
    fn flags_and_what_is_refused() {
        let cli = Cli::try_parse_from(["proxy", "serve", "--log-format", "json"]).unwrap();
        assert_eq!(cli.log_format, LogFormat::Json);
        for (command, words) in [
            ("serve", &["a.toml"][..]),
            ("serve", &["--config", "a.toml"]),
            ("check", &["a.toml"]),
            ("check", &["--config", "a.toml"]),
        ] {
            let words = [&["proxy", command][..], words].concat();
            let (Command::Serve { config } | Command::Check { config }) =
                Cli::try_parse_from(words).unwrap().command
            else {
                panic!("{command}");
            };
            assert_eq!(config, ConfigFile("a.toml".into()), "{command}");
        }
        for wrong in [
            &["proxy"][..],
            &["proxy", "start"],
            &["proxy", "serve", "a", "b"],
            &["proxy", "serve", "a", "--config", "b"],
            &["proxy", "check", "a", "--config", "a"],
            &["proxy", "serve", "--log-format", "xml"],
            &["proxy", "check", "a", "b"],
            &["proxy", "simulate", "--server", "a:4,slots"],
            &["proxy", "simulate", "--event", "3s:a:sleeps"],
            &["proxy", "simulate", "--for", "10"],
            &["proxy", "drain"],
            &["proxy", "drain", "a", "--wait", "30"],
            &["proxy", "weight", "a", "1001"],
            &["proxy", "weight", "a", "-1"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
