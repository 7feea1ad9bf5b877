//! The Django peer: nginx, two uWSGI servers with four workers each, pooled connections to the same Postgres.
//!
//! Its code and settings are in `stack/bench/django/`; `scripts/bench` makes its Python environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::peer::Peer;
use super::postgres::Postgres;
use super::running::{Core, Launch, Running, free_address};
use super::whole::answers;
use crate::Fault;
use crate::ask::Address;

/// The servers behind nginx.
const SERVERS: usize = 2;
/// Where its code lies.
const CODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/django");

/// The peer at work.
#[derive(Debug)]
pub(super) struct Django {
    /// Where its nginx listens.
    pub(super) listen: SocketAddr,
    nginx: Running,
    servers: Vec<Running>,
}

/// What the peer needs of this machine.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    python: PathBuf,
    uwsgi: PathBuf,
    nginx: PathBuf,
}

impl Installed {
    /// Finds its parts; `None` if one is absent.
    pub(super) fn find(environment: &Path) -> Option<Self> {
        let environment = std::path::absolute(environment).ok()?;
        let program = |name: &str| {
            let path = environment.join("bin").join(name);
            path.is_file().then_some(path)
        };
        Some(Self {
            python: program("python")?,
            uwsgi: program("uwsgi")?,
            nginx: Peer::Nginx.find()?,
        })
    }

    /// Makes a database with so many songs.
    pub(super) async fn prepare(
        &self,
        postgres: &Postgres,
        database: &str,
        songs: u32,
    ) -> Result<(), Fault> {
        postgres.create(database).await?;
        let mut migrate = Command::new(&self.python);
        migrate
            .args(["manage.py", "migrate", "--run-syncdb", "--verbosity=0"])
            .current_dir(CODE)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .envs(postgres.environment(database));
        let output = migrate.output().await;
        let output = output.map_err(|error| Fault::new(format!("Django: {error}")))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Fault::new(format!("Django's migrate: {}", errors.trim())));
        }
        postgres.fill(database, songs).await
    }

    /// Starts it and waits until it answers.
    pub(super) async fn start(
        &self,
        postgres: &Postgres,
        database: &str,
        folder: &Path,
    ) -> Result<Django, Fault> {
        let mut servers = Vec::new();
        let mut sockets = String::new();
        for number in 1..=SERVERS {
            let name = format!("uwsgi-{database}-{number}");
            let socket = folder.join(format!("{name}.sock"));
            sockets.push_str(&format!("    server unix:{};\n", socket.display()));
            let mut launch = Launch::new(&name, self.uwsgi.clone(), folder)
                .args(["--ini".to_owned(), format!("{CODE}/uwsgi.ini")])
                .args(["--chdir".to_owned(), CODE.to_owned()])
                .args(["--socket".to_owned(), socket.display().to_string()]);
            launch.core = Core::Any;
            launch.environment = postgres.environment(database);
            launch.environment.extend([
                ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
                ("VIRTUAL_ENV", environment_of(&self.python)),
            ]);
            let mut running = launch.start()?;
            running.listens(&Address::Unix(socket)).await?;
            servers.push(running);
        }
        let listen = free_address()?;
        let file = folder.join(format!("nginx-{database}.conf"));
        let text = include_str!("../../bench/django/nginx.conf");
        let text = text.split_once('\n').map_or(text, |(_, rest)| rest);
        let text = text
            .replace("{{listen}}", &listen.to_string())
            .replace("{{folder}}", &folder.display().to_string())
            .replace("{{database}}", database)
            .replace("{{servers}}", &sockets);
        let written = tokio::fs::write(&file, text).await;
        written.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
        let errors = folder.join("nginx-django.err");
        let mut launch = Launch::new(&format!("nginx-{database}"), self.nginx.clone(), folder)
            .args(["-e".into(), errors, "-c".into(), file]);
        launch.core = Core::Any;
        let mut nginx = launch.start()?;
        let address = Address::Tcp(listen);
        nginx
            .until("get ready", async || {
                answers(&address, "/api/music/1/").await
            })
            .await?;
        Ok(Django {
            listen,
            nginx,
            servers,
        })
    }
}

fn environment_of(python: &Path) -> String {
    let folder = python.parent().and_then(Path::parent);
    folder.unwrap_or(Path::new("/")).display().to_string()
}

impl Django {
    /// The numbers of its processes, and of the database that works for it.
    pub(super) fn processes(&self, postgres: &Postgres) -> Vec<i32> {
        let mut pids: Vec<_> = self.servers.iter().map(Running::pid).collect();
        pids.extend([self.nginx.pid(), postgres.pid()]);
        pids
    }

    /// Ends it in order.
    pub(super) async fn end(self) {
        self.nginx.end().await;
        for server in self.servers {
            server.end().await;
        }
    }
}
