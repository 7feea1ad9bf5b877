//! The Postgres that a stack runs for itself: found on the machine, with its data in the stack's
//! folder, on a Unix socket that nobody else can reach, and on no TCP port.

mod find;
mod prepare;

use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

pub use find::{Installation, find};
pub use prepare::prepare;

use crate::Fault;
use crate::layout::Layout;
use crate::plan::{DATABASE, instance_name};
use crate::process::Recipe;

/// The database and its owner have one name.
pub const NAME: &str = "music";

/// Chooses whom Postgres runs as: it refuses to be root.
pub fn user() -> Result<Option<User>, Fault> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(Some)
        .ok_or_else(|| {
            Fault::new("Postgres must not run as root, and there is no user `postgres` or `nobody`")
        })
}

/// Says how the server is started.
pub fn recipe(
    installation: &Installation,
    layout: &Layout,
    user: Option<User>,
    setpriv: Option<PathBuf>,
) -> Recipe {
    let mut arguments = vec!["-D".into(), layout.data.clone().into_os_string()];
    let sockets = layout.database_socket_folder();
    for setting in [
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        format!("unix_socket_directories={}", quoted(&sockets)),
        "unix_socket_permissions=0700".to_owned(),
        "max_connections=200".to_owned(),
    ] {
        arguments.extend(["-c".into(), setting.into()]);
    }
    Recipe {
        name: instance_name(DATABASE, 1),
        program: installation.postgres(),
        arguments,
        environment: Vec::new(),
        hidden: &[],
        user,
        // Postgres's "fast": clients are cut off, what they committed is kept.
        stop_signal: Signal::SIGINT,
        family: Some(layout.data.clone()),
        colour: 0,
        setpriv,
    }
}

/// Tells whether the server accepts connections: it writes so into line 8 of its own file.
pub async fn is_ready(layout: &Layout, pid: i32) -> bool {
    let Ok(text) = tokio::fs::read_to_string(layout.data.join("postmaster.pid")).await else {
        return false;
    };
    let mut lines = text.lines();
    let own = lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid);
    own && lines.nth(6).is_some_and(|line| line.trim() == "ready")
}

/// A path as an element of Postgres's list of folders.
fn quoted(path: &std::path::Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}
