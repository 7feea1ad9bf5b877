//! The command line: what to do, with which configuration, and how to log.
//!
//! Every flag has a twin in the environment, and nothing else reads the environment.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{explain, simulate};

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
        #[arg(long, value_name = "FILE", env = "PROXY_CONFIG", default_value = CONFIG)]
        config: PathBuf,
    },
    /// Says what is wrong or doubtful in a configuration, one line each.
    #[command(
        long_about = "Says what is wrong or doubtful in a configuration, one line each.\n\n\
                      Exits with 0 if nothing is, with 78 if the file would be refused, with 1 if \
                      it is only doubtful.",
        after_help = "Example: proxy check proxy/conf/proxy.toml"
    )]
    Check {
        /// The configuration file.
        #[arg(value_name = "FILE", env = "PROXY_CONFIG", default_value = CONFIG)]
        file: PathBuf,
    },
    /// Simulates the balancing of a described fleet, in virtual time and without a network.
    #[command(after_help = "Example: proxy simulate --server a:4 --server b:6 --event 3s:a:dies")]
    Simulate(simulate::Flags),
    /// Asks the running proxy where a request would go, and why not elsewhere; takes no turn.
    #[command(after_help = "Example: proxy explain /api/music/ --config proxy/conf/proxy.toml")]
    Explain(explain::Flags),
    /// Asks the running proxy's admin listener whether it serves; exits with 0 or 1.
    #[command(after_help = "Example: proxy healthcheck --config proxy/conf/proxy.toml")]
    Healthcheck {
        /// The configuration file of the running proxy, which names its admin listener.
        #[arg(long, value_name = "FILE", env = "PROXY_CONFIG", default_value = CONFIG)]
        config: PathBuf,
    },
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
            let file = match parsed.command {
                Command::Serve { config } | Command::Healthcheck { config } => config,
                Command::Check { file } => file,
                Command::Explain(flags) => flags.config,
                Command::Simulate(flags) => {
                    assert_eq!(flags.plan().unwrap().servers.len(), 2);
                    continue;
                }
            };
            assert_eq!(file, PathBuf::from("proxy/conf/proxy.toml"));
        }
    }

    #[test]
    fn flags_and_what_is_refused() {
        let cli = Cli::try_parse_from(["proxy", "serve", "--log-format", "json"]).unwrap();
        assert_eq!(cli.log_format, LogFormat::Json);
        for wrong in [
            &["proxy"][..],
            &["proxy", "start"],
            &["proxy", "serve", "extra"],
            &["proxy", "serve", "--log-format", "xml"],
            &["proxy", "check", "a", "b"],
            &["proxy", "simulate", "--server", "a:4,slots"],
            &["proxy", "simulate", "--event", "3s:a:sleeps"],
            &["proxy", "simulate", "--for", "10"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
