//! The programs that a hop is measured through: ours and its peers, each with its settings in `stack/bench/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::figure::OURS;
use super::running::{Launch, Running, free_address};
use super::site::Site;
use super::whole::answers;
use crate::Fault;
use crate::ask::Address;
use crate::plan::Programs;
use crate::process::in_path;
use crate::recipes::proxy_memory;

/// One program before the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Our proxy.
    Ours,
    /// nginx, the free version.
    Nginx,
    /// nginx with buffers that hold the largest answer.
    NginxBig,
    /// haproxy.
    Haproxy,
    /// Caddy.
    Caddy,
}

/// One of them at work.
#[derive(Debug)]
pub(super) struct Fronting {
    /// The process.
    pub(super) running: Running,
    /// Where it listens.
    pub(super) listen: SocketAddr,
    /// Where it listens for TLS.
    pub(super) tls: SocketAddr,
}

impl Peer {
    /// All that are programs of their own.
    pub(super) const ALL: [Self; 4] = [Self::Ours, Self::Nginx, Self::Haproxy, Self::Caddy];

    /// Its name in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => OURS,
            Self::Nginx => "nginx",
            Self::NginxBig => "nginx, big buffers",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
        }
    }

    /// Its program, if this machine has it; it may be where only root looks.
    pub(super) fn find(self) -> Option<PathBuf> {
        let name = match self {
            Self::Ours => return Programs::find().ok().map(|programs| programs.proxy),
            Self::Nginx | Self::NginxBig => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        };
        let system = Path::new("/usr/sbin").join(name);
        in_path(name).or_else(|| system.is_file().then_some(system))
    }

    /// Starts it with one origin.
    pub(super) async fn start(self, site: &Site) -> Result<Fronting, Fault> {
        self.start_before(site, &[site.origin], 0).await
    }

    /// Starts it with several origins and routes that nobody asks for; only ours takes them.
    pub(super) async fn start_before(
        self,
        site: &Site,
        origins: &[SocketAddr],
        routes: usize,
    ) -> Result<Fronting, Fault> {
        let program = self
            .find()
            .ok_or_else(|| Fault::new(format!("{} is absent", self.name())))?;
        let (listen, tls) = (free_address()?, free_address()?);
        // Several of one kind run side by side.
        let name = format!("{}-{}", self.word(), listen.port());
        let folder = site.folder().join(&name);
        site.copy_certificate(&folder).await?;
        let file = folder.join("settings");
        let text = self
            .template()
            .replace("{{listen}}", &listen.to_string())
            .replace("{{tls}}", &tls.to_string())
            .replace("{{folder}}", &folder.display().to_string())
            .replace("{{static}}", &site.files().display().to_string())
            .replace("{{origin}}", &site.origin.to_string())
            .replace("{{servers}}", &servers(origins))
            .replace("{{routes}}", &idle_routes(routes))
            .replace("{{buffers}}", self.buffers());
        let written = tokio::fs::write(&file, text).await;
        written.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
        let mut launch = Launch::new(&name, program, site.folder());
        let launch = match self {
            Self::Ours => {
                launch.environment = vec![proxy_memory()];
                launch.args(["serve", "--config"]).args([file])
            }
            Self::Nginx | Self::NginxBig => {
                launch.args(["-e".into(), folder.join("nginx.err"), "-c".into(), file])
            }
            Self::Haproxy => launch.args(["-db", "-f"]).args([file]),
            Self::Caddy => {
                let mut launch = launch
                    .args(["run", "--adapter", "caddyfile", "--config"])
                    .args([file]);
                launch.environment = vec![("HOME", folder.display().to_string())];
                launch
            }
        };
        let mut running = launch.start()?;
        let address = Address::Tcp(listen);
        running
            .until("answer", async || answers(&address, "/").await)
            .await?;
        Ok(Fronting {
            running,
            listen,
            tls,
        })
    }

    /// Its name in the names of files.
    fn word(self) -> &'static str {
        match self {
            Self::Ours => "proxy",
            Self::Nginx => "nginx",
            Self::NginxBig => "nginx-big",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    fn template(self) -> &'static str {
        let whole = match self {
            Self::Ours => include_str!("../../bench/proxy.toml"),
            Self::Nginx | Self::NginxBig => include_str!("../../bench/nginx.conf"),
            Self::Haproxy => include_str!("../../bench/haproxy.cfg"),
            Self::Caddy => include_str!("../../bench/Caddyfile"),
        };
        // The comment at the top names the braces: nothing is to be filled in there.
        whole.split_once('\n').map_or(whole, |(_, rest)| rest)
    }

    fn buffers(self) -> &'static str {
        match self {
            Self::NginxBig => {
                "proxy_buffers 8 32k; proxy_buffer_size 32k; proxy_busy_buffers_size 128k;"
            }
            Self::Ours | Self::Nginx | Self::Haproxy | Self::Caddy => "",
        }
    }
}

fn servers(origins: &[SocketAddr]) -> String {
    let lines = origins
        .iter()
        .map(|o| format!("  {{ address = \"{o}\" }},\n"));
    lines.collect()
}

fn idle_routes(count: usize) -> String {
    let route = |n| format!("\n[[routes]]\npath = \"/never/asked/{n}\"\nupstream = \"origin\"\n");
    (0..count).map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_that_is_filled_in() {
        let known = [
            "listen", "tls", "folder", "static", "origin", "servers", "routes", "buffers",
        ];
        for peer in Peer::ALL {
            for part in peer.template().split("{{").skip(1) {
                let word = part.split_once("}}").unwrap().0;
                assert!(known.contains(&word), "{word}");
            }
        }
    }
}
