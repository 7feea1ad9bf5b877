//! One Postgres for every whole stack that is measured, with a database for each.

use std::path::PathBuf;

use nix::unistd::User;
use tempfile::TempDir;
use tokio::process::Command;

use super::running::{Core, Launch, Running};
use super::site::open_folder;
use crate::Fault;
use crate::layout::Layout;
use crate::postgres::{Installation, NAME, find, is_ready, prepare, recipe, user};

/// A server that lives no longer than this value.
#[derive(Debug)]
pub(super) struct Postgres {
    running: Running,
    layout: Layout,
    installation: Installation,
    _folder: TempDir,
}

impl Postgres {
    /// Makes its data folder and starts it, with Postgres's own defaults.
    pub(super) async fn start() -> Result<Self, Fault> {
        let folder = open_folder()?;
        let layout = Layout::find(folder.path()).await?;
        layout.make_folders().await?;
        let installation = find(&layout).await?;
        let user: Option<User> = user()?;
        prepare(&installation, &layout, user.as_ref()).await?;
        let recipe = recipe(&installation, &layout, user, None);
        let mut launch = Launch::new("postgres", recipe.program, folder.path());
        launch.arguments = recipe.arguments;
        launch.user = recipe.user;
        launch.stop = recipe.stop_signal;
        launch.core = Core::Any;
        let mut running = launch.start()?;
        let pid = running.pid();
        running
            .until("get ready", async || is_ready(&layout, pid).await)
            .await?;
        Ok(Self {
            running,
            layout,
            installation,
            _folder: folder,
        })
    }

    /// The number of its first process.
    pub(super) fn pid(&self) -> i32 {
        self.running.pid()
    }

    /// The variables by which a client finds a database of it.
    pub(super) fn environment(&self, database: &str) -> Vec<(&'static str, String)> {
        vec![
            ("PGHOST", self.sockets().display().to_string()),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", NAME.to_owned()),
            ("PGDATABASE", database.to_owned()),
        ]
    }

    fn sockets(&self) -> PathBuf {
        self.layout.database_socket_folder()
    }

    /// Runs statements in a database.
    pub(super) async fn run(&self, database: &str, statements: &[&str]) -> Result<(), Fault> {
        let mut command = Command::new(self.installation.programs.join("psql"));
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        command.envs(self.environment(database));
        let output = command.output().await;
        let output = output.map_err(|error| Fault::new(format!("psql: {error}")))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Fault::new(format!("psql: {}", errors.trim())))
    }

    /// Makes a database.
    pub(super) async fn create(&self, database: &str) -> Result<(), Fault> {
        let statement = format!("create database {database}");
        self.run(NAME, &[&statement]).await
    }

    /// Puts so many songs into a database whose table `music` is there and empty.
    pub(super) async fn fill(&self, database: &str, songs: u32) -> Result<(), Fault> {
        let insert = format!(
            "insert into music (song, singer, last_modify_date, created) \
             select 'Song ' || n, 'Singer ' || n % 100, now(), now() from generate_series(1, {songs}) n"
        );
        self.run(database, &[&insert, "vacuum analyze music", "checkpoint"])
            .await
    }

    /// Ends it in order.
    pub(super) async fn end(self) {
        self.running.end().await;
    }
}
