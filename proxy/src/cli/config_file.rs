//! The argument that names the configuration file: a word of its own, or after `--config`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use super::CONFIG;

const FILE: &str = "file";
const OPTION: &str = "config";

/// The configuration file. Both forms at once are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile(pub PathBuf);

impl Args for ConfigFile {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("The configuration file; the same as --config");
        let option = Arg::new(OPTION)
            .long(OPTION)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .env("PROXY_CONFIG")
            .default_value(CONFIG)
            .help("The configuration file");
        command.arg(file).arg(option)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ConfigFile {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let of = |name: &str| matches.get_one::<PathBuf>(name).cloned();
        let said_twice = matches.value_source(OPTION) == Some(ValueSource::CommandLine);
        match (of(FILE), of(OPTION)) {
            // What the environment says gives way, so clap's own conflicts are no use here.
            (Some(_), Some(_)) if said_twice => Err(Error::raw(
                ErrorKind::ArgumentConflict,
                "the configuration file is given twice: as FILE and with --config\n",
            )),
            (Some(file), _) | (None, Some(file)) => Ok(Self(file)),
            (None, None) => Ok(Self(CONFIG.into())),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
