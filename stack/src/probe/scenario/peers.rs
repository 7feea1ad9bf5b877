//! nginx and haproxy before the same servers, struck by the same events under the same load.
//!
//! Their settings lie in `stack/peers/`, each line with its reason. They are taken as they are found
//! on this machine; Debian's packages are `nginx-light` and `haproxy`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::alone::{Pair, one_misbehaves};
use super::event::{Lengths, VICTIM, on_stage_through};
use super::measure::{Load, Run};
use super::native::{Native, free_address, open_folder};
use super::row::Row;
use super::stage::{Stage, eventually};
use crate::Fault;
use crate::ask::Address;
use crate::process::in_path;

/// Another proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// nginx, the free version.
    Nginx,
    /// haproxy.
    Haproxy,
}

/// A running peer; it ends when this is dropped.
#[derive(Debug)]
struct Running {
    listen: SocketAddr,
    _child: Child,
    _folder: TempDir,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Nginx, Self::Haproxy];

    /// Its name, which is that of its program too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Finds its program; it is usually where only root looks.
    pub fn find(self) -> Result<PathBuf, Fault> {
        let system = Path::new("/usr/sbin").join(self.name());
        in_path(self.name())
            .or_else(|| system.is_file().then_some(system))
            .ok_or_else(|| Fault::new(format!("{} is absent", self.name())))
    }

    /// Runs a row with this peer before the servers of a stack, or before a pair of stand-ins.
    pub async fn run(
        self,
        native: &Native,
        row: Row,
        load: Load,
        lengths: &Lengths,
    ) -> Result<Run, Fault> {
        let mut run = if row.needs_stand_ins() {
            let pair = Pair::start().await?;
            let servers = pair.addresses().map(|address| address.to_string());
            let peer = self.start(&servers).await?;
            one_misbehaves(&pair, peer.listen, row, load, lengths).await?
        } else {
            let mut servers = Vec::new();
            for service in ["api", VICTIM] {
                servers.push(match native.address(service, 1).await {
                    Some(Address::Unix(path)) => self.socket(&path),
                    _ => return Err(Fault::new(format!("{service} has no socket"))),
                });
            }
            let peer = self.start(&servers).await?;
            let stage = Stage::Native(native.clone());
            on_stage_through(&stage, peer.listen, row, load, lengths).await?
        };
        self.name().clone_into(&mut run.proxy);
        Ok(run)
    }

    fn socket(self, path: &Path) -> String {
        match self {
            Self::Nginx => format!("unix:{}", path.display()),
            Self::Haproxy => format!("unix@{}", path.display()),
        }
    }

    async fn start(self, servers: &[String]) -> Result<Running, Fault> {
        let program = self.find()?;
        let folder = open_folder()?;
        let listen = free_address()?;
        let file = folder.path().join("settings");
        let text = self.settings(listen, folder.path(), servers);
        let written = tokio::fs::write(&file, text).await;
        written.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
        let mut command = Command::new(&program);
        match self {
            Self::Nginx => command
                .arg("-e")
                .arg(folder.path().join("nginx.err"))
                .arg("-c"),
            Self::Haproxy => command.arg("-db").arg("-f"),
        };
        let child = command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Fault::new(format!("{}: {error}", program.display())))?;
        let running = Running {
            listen,
            _child: child,
            _folder: folder,
        };
        let what = format!("{} listens", self.name());
        eventually(Duration::from_secs(10), &what, async || {
            TcpStream::connect(listen).await.is_ok()
        })
        .await?;
        Ok(running)
    }

    /// Fills in its settings; the servers are weighted 4 and 6.
    fn settings(self, listen: SocketAddr, folder: &Path, servers: &[String]) -> String {
        let template = match self {
            Self::Nginx => include_str!("../../../peers/nginx.conf"),
            Self::Haproxy => include_str!("../../../peers/haproxy.cfg"),
        };
        let weights = [4, 6];
        let lines: Vec<_> = servers
            .iter()
            .zip(weights)
            .enumerate()
            .map(|(index, (server, weight))| match self {
                // Out at the first failure, for as short as can be set.
                Self::Nginx => {
                    format!("    server {server} weight={weight} max_fails=1 fail_timeout=1s;")
                }
                Self::Haproxy => format!("  server api{index} {server} weight {weight}"),
            })
            .collect();
        // The comment at the top names the words, too: it must not swallow what is filled in.
        let body = template
            .split_once("\n\n")
            .map_or(template, |(_, body)| body);
        body.replace("{{listen}}", &listen.to_string())
            .replace("{{folder}}", &folder.display().to_string())
            .replace("{{servers}}", &lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_settings_is_filled_in() {
        let listen = "127.0.0.1:8080".parse().unwrap();
        for peer in Peer::ALL {
            let servers = [peer.socket(Path::new("/a.sock")), "127.0.0.1:1".to_owned()];
            let text = peer.settings(listen, Path::new("/folder"), &servers);
            assert!(!text.contains("{{"), "{text}");
            assert!(text.contains("127.0.0.1:8080"), "{text}");
            assert_eq!(text.matches("weight").count(), 2, "{text}");
        }
    }
}
