//! What stands around the programs under test: a folder, files to serve, a certificate, the origin.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::fs;
use tokio::process::Command;

use super::running::{Core, Launch, Running, free_addresses};
use crate::Fault;
use crate::ask::Address;

/// The names of the files and their lengths.
pub(super) const FILES: [(&str, usize); 2] = [("small.txt", 1024), ("1m.txt", 1024 * 1024)];

/// A site; it ends, and its folder is removed, when this is dropped.
#[derive(Debug)]
pub(super) struct Site {
    /// Where the origin listens.
    pub(super) origin: SocketAddr,
    /// Further addresses of the same origin.
    pub(super) more: Vec<SocketAddr>,
    _running: Running,
    folder: TempDir,
}

impl Site {
    /// Makes the folder and starts an origin with so many more addresses.
    pub(super) async fn open(more: usize) -> Result<Self, Fault> {
        let folder = open_folder()?;
        write_files(&folder.path().join("static")).await?;
        make_certificate(folder.path()).await;
        let mut more = free_addresses(more + 1)?;
        let origin = more.remove(0);
        let own = std::env::current_exe();
        let own = own.map_err(|error| Fault::new(format!("this program's own path: {error}")))?;
        let mut launch = Launch::new("origin", own, folder.path())
            .args(["bench-origin".to_owned(), origin.to_string()])
            .args(more.iter().map(SocketAddr::to_string));
        launch.core = Core::Load;
        let mut running = launch.start()?;
        running.listens(&Address::Tcp(origin)).await?;
        Ok(Self {
            origin,
            more,
            _running: running,
            folder,
        })
    }

    /// The folder of everything.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the files to serve.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.path().join("static")
    }

    /// Gives one program a folder with the certificate in it.
    pub(super) async fn copy_certificate(&self, folder: &Path) -> Result<(), Fault> {
        let failed = |error| Fault::new(format!("{}: {error}", folder.display()));
        fs::create_dir_all(folder).await.map_err(failed)?;
        for name in ["tls.crt", "tls.key", "both.pem"] {
            let from = self.folder.path().join(name);
            fs::copy(from, folder.join(name)).await.map_err(|error| {
                Fault::new(format!(
                    "no certificate could be made with openssl: {error}"
                ))
            })?;
        }
        Ok(())
    }
}

/// A new folder that Postgres's and nginx's own users can enter.
pub(super) fn open_folder() -> Result<TempDir, Fault> {
    let folder = tempfile::Builder::new()
        .prefix("stack-bench-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir();
    folder.map_err(|error| Fault::new(format!("a temporary folder: {error}")))
}

async fn write_files(folder: &Path) -> Result<(), Fault> {
    let failed = |error| Fault::new(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).await.map_err(failed)?;
    for (name, length) in FILES {
        let path = folder.join(name);
        fs::write(&path, text(length)).await.map_err(failed)?;
        // Ours compresses by itself. Without gzip the row of compressed files fails at the peers.
        let mut gzip = Command::new("gzip");
        let _ = gzip.args(["-9", "--keep"]).arg(&path).status().await;
    }
    Ok(())
}

/// Text of 64 letters in an order without a pattern, always the same: gzip makes three quarters of it.
fn text(length: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 \n";
    let mut state: u64 = 1;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        LETTERS[usize::try_from(state >> 58).unwrap_or_default()]
    };
    (0..length).map(|_| letter()).collect()
}

async fn make_certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "7", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Whoever needs it says that it is not there.
    let _ = openssl.status().await;
    let certificate = fs::read(folder.join("tls.crt")).await.unwrap_or_default();
    let key = fs::read(folder.join("tls.key")).await.unwrap_or_default();
    let _ = fs::write(folder.join("both.pem"), [certificate, key].concat()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_always_the_same_and_has_all_letters() {
        assert_eq!(text(5000), text(5000));
        for letter in [b'A', b'z', b'9', b' ', b'\n'] {
            assert!(text(5000).contains(&letter));
        }
    }
}
