//! How each kind of child is started: its program, arguments and variables.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::User;

use crate::layout::Layout;
use crate::plan::{ADMIN, Database, FOREIGN, PROXY, Programs, database_environment, instance_name};
use crate::postgres::{self, Installation};
use crate::process::Recipe;

/// What all recipes are made of.
#[derive(Clone)]
pub struct Recipes {
    /// Where things lie.
    pub layout: Layout,
    /// The binaries.
    pub programs: Programs,
    /// How the API finds its database.
    pub database: Database,
    /// `setpriv`, if it is there.
    pub setpriv: Option<PathBuf>,
    /// Whether a person is likely to read the logs.
    pub for_people: bool,
}

/// As in the image of the proxy (`Dockerfile`): what it frees goes back to the system after 300 ms.
///
/// Not after a second: a long answer comes in pieces of many sizes, whose memory would add up to 40 MiB meanwhile.
pub fn proxy_memory() -> (&'static str, String) {
    ("MIMALLOC_PURGE_DELAY", "300".to_owned())
}

impl Recipes {
    /// The database's recipe.
    pub fn database(&self, installation: &Installation, user: Option<User>) -> Recipe {
        postgres::recipe(installation, &self.layout, user, self.setpriv.clone())
    }

    /// The proxy's recipe.
    pub fn proxy(&self) -> Recipe {
        let config = self.layout.proxy_config();
        Recipe {
            name: instance_name(PROXY, 1),
            program: self.programs.proxy.clone(),
            arguments: vec!["serve".into(), "--config".into(), config.into()],
            environment: self
                .log_format()
                .into_iter()
                .chain([proxy_memory()])
                .collect(),
            hidden: &[],
            user: None,
            stop_signal: Signal::SIGTERM,
            family: None,
            colour: 1,
            setpriv: self.setpriv.clone(),
        }
    }

    /// The recipe of a service's N-th API instance.
    pub fn api(&self, service: &str, number: usize, colour: usize) -> Recipe {
        let name = instance_name(service, number);
        let socket = self.layout.api_socket(service, number);
        let mut environment = database_environment(&self.database, &self.layout);
        environment.extend([
            ("INSTANCE_NAME", name.clone()),
            ("API_LISTEN", format!("unix:{}", socket.display())),
            ("ADMIN_USERNAME", ADMIN.to_owned()),
            (
                "ADMIN_PASSWORD_FILE",
                self.layout.admin_password().display().to_string(),
            ),
        ]);
        // As in the compose file: who is signed in may add a song, unless the caller says otherwise.
        if std::env::var_os("API_PERMISSION").is_none() {
            environment.push(("API_PERMISSION", "read-only".to_owned()));
        }
        environment.extend(self.log_format());
        Recipe {
            name,
            program: self.programs.api.clone(),
            arguments: vec!["serve".into()],
            environment,
            hidden: &FOREIGN,
            user: None,
            stop_signal: Signal::SIGTERM,
            family: None,
            colour,
            setpriv: self.setpriv.clone(),
        }
    }

    /// Children write into a pipe, but a person reads it when the stack has a terminal.
    fn log_format(&self) -> Option<(&'static str, String)> {
        let chosen = std::env::var_os("LOG_FORMAT").is_some();
        (self.for_people && !chosen).then(|| ("LOG_FORMAT", "text".to_owned()))
    }
}
