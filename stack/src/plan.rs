//! What is run: the services, the names of their instances, and what each child is told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Fault;
use crate::layout::Layout;

/// The service of the database.
pub const DATABASE: &str = "db";
/// The service of the proxy.
pub const PROXY: &str = "proxy";

/// The account that the API makes when there is none.
pub const ADMIN: &str = "admin";

/// The names of the API services: one for each weight, `api`, `api2`, `api3`, …
pub fn api_services(count: usize) -> Vec<String> {
    (1..=count)
        .map(|number| match number {
            1 => "api".to_owned(),
            _ => format!("api{number}"),
        })
        .collect()
}

/// The name of a service's N-th instance, as docker-compose 1.29 forms it.
pub fn instance_name(service: &str, number: usize) -> String {
    format!("{service}_{number}")
}

/// The address by which this machine itself reaches a listener.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// What a browser on this machine would be given for a listener.
pub fn browser_url(listen: SocketAddr) -> String {
    format!("http://{}/", reachable(listen))
}

/// How the API instances reach the database.
#[derive(Clone)]
pub enum Database {
    /// The Postgres that this stack runs.
    Own,
    /// One that somebody else runs, by its URL, which holds a password and is never printed.
    Url(String),
}

/// The variables by which an API instance finds the database.
pub fn database_environment(database: &Database, layout: &Layout) -> Vec<(&'static str, String)> {
    match database {
        Database::Url(url) => vec![("DATABASE_URL", url.clone())],
        Database::Own => vec![
            (
                "PGHOST",
                layout.database_socket_folder().display().to_string(),
            ),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", "music".to_owned()),
            ("PGDATABASE", "music".to_owned()),
        ],
    }
}

/// Variables of the caller's own that would lead an API instance to another database or first account.
pub const FOREIGN: [&str; 11] = [
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGPASSWORD_FILE",
    "ADMIN_USERNAME",
    "ADMIN_PASSWORD",
    "API_METRICS_LISTEN",
];

/// The programs that are started, all of them found before anything runs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The API's binary.
    pub api: PathBuf,
    /// The proxy's binary.
    pub proxy: PathBuf,
}

impl Programs {
    /// Looks beside the running executable.
    pub fn find() -> Result<Self, Fault> {
        let own = std::env::current_exe()
            .map_err(|error| Fault::new(format!("this program's own path: {error}")))?;
        let folder = own.parent().unwrap_or(Path::new("/"));
        let program = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                Ok(path)
            } else {
                Err(Fault::new(format!(
                    "the program `{name}` is not in {}; `cargo build` makes it",
                    folder.display()
                )))
            }
        };
        Ok(Self {
            api: program("api")?,
            proxy: program("proxy")?,
        })
    }
}

/// Finds the folder of static files: the one given, else the repository's.
pub fn static_folder(given: Option<&Path>) -> Result<PathBuf, Fault> {
    if let Some(folder) = given {
        return std::path::absolute(folder)
            .ok()
            .filter(|folder| folder.is_dir())
            .ok_or_else(|| {
                Fault::new(format!("--static: there is no folder {}", folder.display()))
            });
    }
    let executable = std::env::current_exe().unwrap_or_default();
    let working = std::env::current_dir().unwrap_or_default();
    // The executable lies in the repository's target folder, unless cargo was told another one.
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    executable
        .ancestors()
        .chain([working.as_path()])
        .chain(built_from)
        .map(|folder| folder.join("static"))
        .find(|folder| folder.join("index.html").is_file())
        .ok_or_else(|| Fault::new("the folder `static` was not found; --static says where it is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_compose() {
        assert_eq!(api_services(3), ["api", "api2", "api3"]);
        assert_eq!(instance_name("api2", 1), "api2_1");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        let url = |text: &str| browser_url(text.parse().unwrap());
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080/");
        assert_eq!(url("[::]:80"), "http://[::1]:80/");
        assert_eq!(url("192.0.2.1:80"), "http://192.0.2.1:80/");
    }

    #[test]
    fn a_missing_static_folder_is_named() {
        let fault = static_folder(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(fault.to_string().contains("/nowhere/at/all"));
    }
}
