//! Our proxy, alone, before servers that stand in for the API.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::native::{free_address, open_folder};
use super::stage::eventually;
use crate::Fault;
use crate::ask::Address;
use crate::health::is_healthy;
use crate::process::in_path;

/// What a row asks of the proxy, beside its defaults.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    /// The most requests at a time on each server.
    pub(super) max_connections: Option<usize>,
    /// The time for a whole request head.
    pub(super) header_timeout: Option<Duration>,
    /// How long a server is out after five answers of 5xx.
    pub(super) ejection: Option<Duration>,
}

/// The running proxy; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Front {
    /// Where it listens.
    pub(super) listen: SocketAddr,
    /// Its process.
    pub(super) pid: u32,
    _child: Child,
    _folder: TempDir,
}

impl Front {
    /// Starts it before these servers, weighted 4:6:…, and waits until it has seen them.
    pub(super) async fn start(
        program: &Path,
        servers: &[SocketAddr],
        wishes: &Wishes,
    ) -> Result<Self, Fault> {
        let folder = open_folder()?;
        let (listen, admin) = (free_address()?, free_address()?);
        let file = folder.path().join("proxy.toml");
        let text = settings(listen, admin, servers, wishes);
        let written = tokio::fs::write(&file, text).await;
        written.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
        let mut command = match in_path("setpriv") {
            // So that it does not outlive a killed probe.
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["serve", "--config"]).arg(&file);
        let log = folder.path().join("log");
        let errors = std::fs::File::create(&log);
        let errors = errors.map_err(|error| Fault::new(format!("{}: {error}", log.display())))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let child = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Fault::new(format!("{}: {error}", program.display())))?;
        let front = Self {
            listen,
            pid: child.id().unwrap_or_default(),
            _child: child,
            _folder: folder,
        };
        if let Err(fault) = front.wait_until_up(admin).await {
            let said = tokio::fs::read_to_string(&log).await.unwrap_or_default();
            return Err(Fault::new(format!("{fault}\n{}", said.trim_end())));
        }
        Ok(front)
    }

    async fn wait_until_up(&self, admin: SocketAddr) -> Result<(), Fault> {
        eventually(Duration::from_secs(30), "the proxy is ready", async || {
            let healthy = is_healthy(&Address::Tcp(admin)).await;
            healthy && all_up(admin).await
        })
        .await
    }

    /// How much memory it has, in MiB.
    pub(super) async fn memory(&self) -> Result<f64, Fault> {
        let path = format!("/proc/{}/status", self.pid);
        let text = tokio::fs::read_to_string(&path).await;
        let text = text.map_err(|error| Fault::new(format!("{path}: {error}")))?;
        resident(&text).ok_or_else(|| Fault::new(format!("{path} does not say VmRSS")))
    }
}

async fn all_up(admin: SocketAddr) -> bool {
    let status = crate::health::proxy_status(admin).await;
    status.is_some_and(|status| {
        let mut servers = status
            .upstreams
            .iter()
            .flat_map(|upstream| &upstream.servers);
        servers.all(|server| server.state == "up")
    })
}

/// The resident memory in MiB, out of `/proc/PID/status`.
fn resident(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

fn settings(
    listen: SocketAddr,
    admin: SocketAddr,
    servers: &[SocketAddr],
    wishes: &Wishes,
) -> String {
    let mut text = format!("listen = [\"{listen}\"]\nadmin = \"{admin}\"\n");
    // Writing to a string cannot fail.
    if let Some(limit) = wishes.header_timeout {
        let _ = writeln!(
            text,
            "[clients]\nheader_timeout = \"{}ms\"",
            limit.as_millis()
        );
    }
    text.push_str("[log]\naccess = \"off\"\n[[routes]]\npath = \"/\"\nupstream = \"music\"\n");
    text.push_str("idempotency = \"mint\"\n[upstreams.music]\nservers = [\n");
    for (index, address) in servers.iter().enumerate() {
        let weight = if index == 0 { 4 } else { 6 };
        let most = wishes
            .max_connections
            .map(|most| format!(", max_connections = {most}"));
        let most = most.unwrap_or_default();
        let _ = writeln!(
            text,
            "  {{ address = \"{address}\", weight = {weight}{most} }},"
        );
    }
    text.push_str("]\nhealth = { path = \"/healthz\" }\n");
    if let Some(base) = wishes.ejection {
        let _ = writeln!(text, "eject = {{ base = \"{}ms\" }}", base.as_millis());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_stand_in_the_settings() {
        let address = "127.0.0.1:1".parse().unwrap();
        let wishes = Wishes {
            max_connections: Some(16),
            header_timeout: Some(Duration::from_secs(2)),
            ejection: None,
        };
        let text = settings(address, address, &[address, address], &wishes);
        assert!(text.contains("header_timeout = \"2000ms\"\n"), "{text}");
        assert!(
            text.contains("weight = 6, max_connections = 16 }"),
            "{text}"
        );
        assert!(!text.contains("eject"), "{text}");
    }

    #[test]
    fn memory_is_read_from_the_process_itself() {
        let status = "Name:\tproxy\nVmRSS:\t   20480 kB\nThreads:\t3\n";
        assert_eq!(resident(status), Some(20.0));
        assert_eq!(resident("Name:\tproxy\n"), None);
    }
}
