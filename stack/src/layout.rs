//! Where a stack's files lie, and the lock that keeps a second one out.
//!
//! `DIR/data` is the database, `DIR/run` holds the sockets, `DIR/proxy.toml` the generated settings,
//! `DIR/lock` the lock. Two things move elsewhere when they must: sockets, when the path is too
//! long for one; both, when Postgres's own user cannot reach DIR (a clone in `/root`, say).

use std::fs::{File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::fs;

use crate::Fault;

/// The longest path of a Unix socket on Linux, in bytes.
const LONGEST_SOCKET: usize = 107;
/// The longest name that is put under the run folder.
const LONGEST_NAME: usize = "/db/.s.PGSQL.5432".len();

/// The places of one stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The stack's folder, absolute.
    pub dir: PathBuf,
    /// The folder of all sockets.
    pub run: PathBuf,
    /// The database's folder; it exists only once it is complete.
    pub data: PathBuf,
}

impl Layout {
    /// Finds the places for `dir`, which exists; the answer is the same in every terminal.
    pub async fn find(dir: &Path) -> Result<Self, Fault> {
        let dir = fs::canonicalize(dir)
            .await
            .map_err(|error| Fault::new(format!("the folder {}: {error}", dir.display())))?;
        let root = nix::unistd::geteuid().is_root();
        let open = !root || open_to_everyone(&dir).await;
        Ok(Self::decide(dir, open))
    }

    fn decide(dir: PathBuf, open: bool) -> Self {
        let base = if open {
            dir.clone()
        } else {
            Path::new("/var/lib/music-stack").join(tag(&dir))
        };
        let fits = base.join("run").as_os_str().len() + LONGEST_NAME <= LONGEST_SOCKET;
        let run = if fits {
            base.join("run")
        } else {
            PathBuf::from(format!("/tmp/music-stack-{}", tag(&dir)))
        };
        Self {
            data: base.join("data"),
            dir,
            run,
        }
    }

    /// Says where things lie that are not in `dir`, and why.
    pub fn remark(&self) -> Option<String> {
        if !self.data.starts_with(&self.dir) {
            let base = self.data.parent().unwrap_or(&self.data);
            return Some(format!(
                "Postgres must not run as root and its user cannot enter {}, so the database is in {}",
                self.dir.display(),
                base.display()
            ));
        }
        (!self.run.starts_with(&self.dir)).then(|| {
            format!(
                "the path {} is too long for Unix sockets ({LONGEST_SOCKET} bytes), so they are in {}",
                self.dir.display(),
                self.run.display()
            )
        })
    }

    /// Makes the folders above the sockets and the database.
    pub async fn make_folders(&self) -> Result<(), Fault> {
        for folder in [self.data.parent(), Some(self.run.as_path())] {
            let folder = folder.unwrap_or(&self.dir);
            make_own_folder(folder)
                .await
                .map_err(|error| Fault::new(format!("the folder {}: {error}", folder.display())))?;
        }
        Ok(())
    }

    /// The socket by which other terminals reach the running stack.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// The folder of the database's socket.
    pub fn database_socket_folder(&self) -> PathBuf {
        self.run.join("db")
    }

    /// The folder in which each instance of `service` has its socket.
    pub fn socket_folder(&self, service: &str) -> PathBuf {
        self.run.join(service)
    }

    /// The socket of a service's N-th instance.
    pub fn api_socket(&self, service: &str, number: usize) -> PathBuf {
        self.socket_folder(service).join(format!("{number}.sock"))
    }

    /// The proxy's generated settings.
    pub fn proxy_config(&self) -> PathBuf {
        self.dir.join("proxy.toml")
    }

    /// The password of the first account, beside the database that knows it.
    pub fn admin_password(&self) -> PathBuf {
        self.data.with_file_name("admin_password")
    }

    /// Takes the stack's lock; it is free again when the file is closed, however the process ends.
    pub fn lock(&self) -> Result<File, Fault> {
        let path = self.dir.join("lock");
        let failed = |error| Fault::new(format!("{}: {error}", path.display()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                file.read_to_string(&mut owner).map_err(failed)?;
                return Err(Fault::new(format!(
                    "a stack is running in {} already (process {}); `stack down` ends it, --dir chooses another folder",
                    self.dir.display(),
                    owner.trim()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(file)
    }
}

/// A short name that is always the same for the same folder.
fn tag(dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Tells whether any user may go through every folder down to `dir`.
async fn open_to_everyone(dir: &Path) -> bool {
    for folder in dir.ancestors() {
        match fs::metadata(folder).await {
            Ok(metadata) if metadata.permissions().mode() & 0o001 != 0 => {}
            _ => return false,
        }
    }
    true
}

/// Makes a folder that others may pass through, or accepts one that is ours already.
async fn make_own_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder).await?;
    let found = fs::symlink_metadata(folder).await?;
    // Somebody else may have put a folder or a link of this name into /tmp before us.
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(std::io::Error::new(
            ErrorKind::PermissionDenied,
            "it belongs to another user",
        ));
    }
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_folder_when_it_can_be() {
        let layout = Layout::decide("/srv/stack".into(), true);
        assert_eq!(layout.run, Path::new("/srv/stack/run"));
        assert_eq!(layout.data, Path::new("/srv/stack/data"));
        assert_eq!(layout.remark(), None);
    }

    #[test]
    fn sockets_move_when_their_path_would_be_too_long() {
        for length in [85, 86, 87, 120] {
            let dir = format!("/{}", "x".repeat(length - 1));
            let layout = Layout::decide(dir.clone().into(), true);
            let socket = layout.database_socket_folder().join(".s.PGSQL.5432");
            assert!(socket.as_os_str().len() <= LONGEST_SOCKET, "{length}");
            assert_eq!(layout.run.starts_with(&dir), layout.remark().is_none());
            assert_eq!(layout.run.starts_with(&dir), length <= 86, "{length}");
        }
    }

    #[test]
    fn the_database_moves_when_its_user_cannot_reach_the_folder() {
        let layout = Layout::decide("/root/stack".into(), false);
        assert!(layout.data.starts_with("/var/lib/music-stack"));
        assert!(layout.run.starts_with("/var/lib/music-stack"));
        assert!(layout.remark().unwrap().contains("/root/stack"));
    }

    #[tokio::test]
    async fn a_second_stack_is_told_who_has_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::find(folder.path()).await.unwrap();
        let lock = layout.lock().unwrap();
        let refusal = layout.lock().unwrap_err().to_string();
        assert!(
            refusal.contains(&std::process::id().to_string()),
            "{refusal}"
        );
        drop(lock);
        layout.lock().unwrap();
    }
}
