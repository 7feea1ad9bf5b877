//! A Postgres of a test's own, which it may pause, kill, fill or make read-only without harm to other tests.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{eventually, within};

/// A server in a folder of its own, reached by a socket in it.
pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    account: Option<(u32, u32)>,
    settings: Vec<String>,
    server: Option<Child>,
}

/// Nothing of it outlives its test.
impl Drop for Cluster {
    fn drop(&mut self) {
        let processes = self.processes();
        // Told to end, it takes its shared memory with it; one that was paused has to wake up for that.
        send("-QUIT", processes.get(..1).unwrap_or_default());
        send("-CONT", &processes);
        for _ in 0..200 {
            let ended = |server: &mut Child| !matches!(server.try_wait(), Ok(None));
            if self.server.as_mut().is_none_or(ended) {
                break;
            }
            #[expect(clippy::disallowed_methods, reason = "a drop cannot await")]
            std::thread::sleep(Duration::from_millis(20));
        }
        send("-KILL", &processes);
    }
}

impl Cluster {
    /// Makes a server with these settings, such as `max_connections=20`, and starts it.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        let mut cluster = Self::new(settings);
        let data = cluster.data();
        let made = cluster
            .program("initdb")
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        cluster.serve().await;
        cluster
    }

    fn new(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let account = unprivileged_account();
        if let Some((user, group)) = account {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self {
            folder,
            programs: programs(),
            account,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            server: None,
        }
    }

    /// Makes a copy that follows this server and is read-only until it is promoted.
    pub(crate) async fn standby(&self) -> Self {
        let mut standby = Self::new(&[]);
        let copied = standby
            .program("pg_basebackup")
            .args(["--username=postgres", "--no-sync", "--checkpoint=fast"])
            .args(["--write-recovery-conf", "--host"])
            .arg(self.folder())
            .args(["--port=5432", "--pgdata"])
            .arg(standby.data())
            .output()
            .await
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        standby.serve().await;
        standby
    }

    /// Starts the server, again if need be, and waits until it answers.
    pub(crate) async fn serve(&mut self) {
        let socket = format!("unix_socket_directories={}", self.folder().display());
        let mut program = self.program("postgres");
        program.arg("-D").arg(self.data());
        // A server that is killed loses nothing that it gave to the system: no need to wait for a disk.
        for setting in [
            &socket,
            "port=5432",
            "listen_addresses=",
            "fsync=off",
            "shared_buffers=16MB",
        ] {
            program.args(["-c", setting]);
        }
        for setting in &self.settings {
            program.args(["-c", setting]);
        }
        self.server = Some(program.spawn().unwrap());
        let database = self.database();
        within(
            Duration::from_secs(60),
            "a Postgres of one's own",
            || async { PgConnection::connect_with(&database).await.is_ok() },
        )
        .await;
    }

    /// Stops the server, cutting every connection, as an operator does who restarts it.
    pub(crate) async fn stop(&mut self) {
        self.end("-INT").await;
    }

    /// Kills every process of the server at once.
    pub(crate) async fn kill(&mut self) {
        self.end("-KILL").await;
        // Nobody has this number any more, but somebody may get it.
        drop(std::fs::remove_file(self.data().join("postmaster.pid")));
    }

    /// Stops every process of the server where it stands.
    pub(crate) fn pause(&self) {
        send("-STOP", &self.processes());
    }

    pub(crate) fn resume(&self) {
        send("-CONT", &self.processes());
    }

    async fn end(&mut self, signal: &str) {
        let processes = self.processes();
        match signal {
            "-KILL" => send(signal, &processes),
            signal => send(signal, &processes[..1]),
        }
        self.server.take().unwrap().wait().await.unwrap();
        eventually("the end of every process of Postgres", || async {
            let gone = |process: &u32| !Path::new(&format!("/proc/{process}")).exists();
            processes.iter().all(gone)
        })
        .await;
    }

    /// Promotes a standby.
    pub(crate) async fn promote(&self) {
        let done = sqlx::query_scalar("select pg_promote()");
        let promoted: bool = done.fetch_one(&mut self.connect().await).await.unwrap();
        assert!(promoted);
    }

    pub(crate) fn database(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder())
            .port(5432)
            .username("postgres")
            .database("postgres")
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.database()).await.unwrap()
    }

    /// Brings the tables up to date, and lends a pool.
    pub(crate) async fn migrated(&self) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(3);
        let pool = pool.connect_with(self.database()).await.unwrap();
        sqlx::migrate!("../migrations").run(&pool).await.unwrap();
        pool
    }

    /// Makes a folder that the server may write to.
    pub(crate) fn folder_for_server(&self, name: &str) -> PathBuf {
        let folder = self.folder().join(name);
        std::fs::create_dir(&folder).unwrap();
        self.give_to_server(&folder);
        folder
    }

    pub(crate) fn give_to_server(&self, folder: &Path) {
        if let Some((user, group)) = self.account {
            chown(folder, Some(user), Some(group)).unwrap();
        }
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The first process of the server, and all that it started.
    fn processes(&self) -> Vec<u32> {
        let Some(first) = self.server.as_ref().and_then(Child::id) else {
            return Vec::new();
        };
        let mut processes = vec![first];
        for folder in std::fs::read_dir("/proc").unwrap().flatten() {
            let process = folder
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok());
            #[expect(
                clippy::disallowed_methods,
                reason = "a file that is no file, read in no time"
            )]
            let stat = std::fs::read_to_string(folder.path().join("stat")).unwrap_or_default();
            // "pid (name) state parent …"
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.get(2..));
            let parent = parent.and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
            processes.extend(process.filter(|_| parent == Some(first)));
        }
        processes
    }

    /// A program of Postgres, which refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = self.account {
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups");
        }
        command
            .arg("--pdeathsig=KILL")
            .arg(self.programs.join(name));
        command
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn send(signal: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let processes = processes.iter().map(ToString::to_string);
    let mut kill = std::process::Command::new("kill");
    kill.arg(signal).args(processes).stderr(Stdio::null());
    // Some may be gone by now.
    drop(kill.status());
}

/// The account for Postgres, if this is root.
fn unprivileged_account() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = std::process::Command::new("id").args(arguments).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.trim().parse::<u32>().ok()
    };
    let is_root = id(&["-u"]) == Some(0);
    let account = |name: &str| Some((id(&["-u", name])?, id(&["-g", name])?));
    is_root.then(|| account("postgres").or_else(|| account("nobody")).unwrap())
}

/// The folder of the newest server's programs.
fn programs() -> PathBuf {
    let listed = std::process::Command::new("bash")
        .args([
            "-c",
            "ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1 | grep . \
             || dirname \"$(command -v postgres)\"",
        ])
        .output()
        .unwrap();
    PathBuf::from(String::from_utf8(listed.stdout).unwrap().trim())
}
