//! Makes the data folder once, and clears away what a killed stack left behind.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::User;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::sleep;

use super::{Installation, NAME};
use crate::Fault;
use crate::layout::Layout;
use crate::process::{processes_in, send};

/// How long a Postgres that was left behind may take to end in order.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);

/// The locale of a new database, which is that of compose's, too: it knows the letters of all languages.
const LOCALE: &str = "C.UTF-8";
/// What is to be told where a machine has no such locale.
const ONLY_ASCII: &str = "this machine has no locale C.UTF-8, so the new database knows only ASCII's letters: a search does not find ü for Ü";

/// Makes everything ready for the server to be started; returns a remark on a new database, if there is one.
pub async fn prepare(
    installation: &Installation,
    layout: &Layout,
    user: Option<&User>,
) -> Result<Option<&'static str>, Fault> {
    if fs::try_exists(&layout.data).await.unwrap_or(false) {
        end_leftovers(&layout.data).await?;
        make_socket_folder(layout, user).await?;
        return Ok(None);
    }
    make_socket_folder(layout, user).await?;
    // Built under another name: a folder called `data` is always complete.
    let building = building_folder(layout);
    end_leftovers(&building).await?;
    // Usually there is none.
    let _ = fs::remove_dir_all(&building).await;
    own_folder(&building, user).await?;
    // A machine without the locale is told by initdb, before it has made anything.
    let made = initdb(installation, &building, user, LOCALE).await;
    let remark = match made {
        Ok(()) => None,
        Err(_) => {
            initdb(installation, &building, user, "C").await?;
            Some(ONLY_ASCII)
        }
    };
    create_database(installation, &building, user).await?;
    fs::rename(&building, &layout.data)
        .await
        .map_err(|error| fault(&layout.data, &error))?;
    Ok(remark)
}

/// Makes the folder anew: a killed server leaves its socket there, and a lock beside it.
async fn make_socket_folder(layout: &Layout, user: Option<&User>) -> Result<(), Fault> {
    let sockets = layout.database_socket_folder();
    // Usually there is none.
    let _ = fs::remove_dir_all(&sockets).await;
    own_folder(&sockets, user).await
}

fn building_folder(layout: &Layout) -> PathBuf {
    layout.data.with_file_name("data.new")
}

/// Makes a folder that only the database's user can enter.
async fn own_folder(folder: &Path, user: Option<&User>) -> Result<(), Fault> {
    let failed = |error: std::io::Error| fault(folder, &error);
    fs::create_dir_all(folder).await.map_err(failed)?;
    fs::set_permissions(folder, PermissionsExt::from_mode(0o700))
        .await
        .map_err(failed)?;
    if let Some(user) = user {
        chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(failed)?;
    }
    Ok(())
}

async fn initdb(
    installation: &Installation,
    data: &Path,
    user: Option<&User>,
    locale: &str,
) -> Result<(), Fault> {
    let mut command = as_user(&installation.initdb(), user);
    // Only the folder's owner and root can reach the socket, so whoever connects is trusted.
    command
        .args(["--encoding=UTF8", "--auth=trust"])
        .arg(format!("--locale={locale}"))
        .arg(format!("--username={NAME}"))
        .arg("-D")
        .arg(data);
    run(command, "initdb", b"").await
}

/// Adds the database in single-user mode, which needs no server and no client program.
async fn create_database(
    installation: &Installation,
    data: &Path,
    user: Option<&User>,
) -> Result<(), Fault> {
    let mut command = as_user(&installation.postgres(), user);
    command.arg("--single").arg("-D").arg(data).arg("postgres");
    let statement = format!("create database {NAME}\n");
    run(command, "postgres --single", statement.as_bytes()).await
}

fn as_user(program: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(program);
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
        .current_dir("/")
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn run(mut command: Command, what: &str, input: &[u8]) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::new(format!("{what}: {error}"));
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).await.map_err(failed)?;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let cause = errors.lines().rfind(|line| !line.trim().is_empty());
    Err(Fault::new(format!(
        "{what} failed ({}): {}",
        output.status,
        cause.unwrap_or("it gave no reason")
    )))
}

/// Ends what still works in the folder after a stack was killed, and the file that says it runs.
///
/// We hold the stack's lock, so whoever is there has no stack any more. The number in
/// `postmaster.pid` may belong to a stranger by now, and then Postgres would refuse to start.
async fn end_leftovers(data: &Path) -> Result<(), Fault> {
    let Ok(folder) = fs::canonicalize(data).await else {
        return Ok(());
    };
    // A frozen process acts on a signal only once it goes on.
    for signal in [Signal::SIGINT, Signal::SIGCONT] {
        signal_all(&folder, signal).await;
    }
    if !gone_within(&folder, LEFTOVER_GRACE).await {
        signal_all(&folder, Signal::SIGKILL).await;
        if !gone_within(&folder, LEFTOVER_GRACE).await {
            return Err(Fault::new(format!(
                "another Postgres works in {} and does not end",
                folder.display()
            )));
        }
    }
    match fs::remove_file(folder.join("postmaster.pid")).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fault(&folder, &error)),
        _ => Ok(()),
    }
}

async fn signal_all(folder: &Path, signal: Signal) {
    for pid in processes_in(folder).await {
        send(pid, signal);
    }
}

async fn gone_within(folder: &Path, limit: Duration) -> bool {
    let gone = async {
        while !processes_in(folder).await.is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(limit, gone).await.is_ok()
}

fn fault(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(format!("{}: {error}", path.display()))
}
