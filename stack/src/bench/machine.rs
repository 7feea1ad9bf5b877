//! On what machine, and with what versions, figures were measured.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::peer::Peer;
use crate::process::in_path;

/// A machine and what is on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// The processor's name.
    pub(super) processor: String,
    /// Cores that may be used.
    pub(super) cores: usize,
    /// The kernel's release.
    pub(super) kernel: String,
    /// How busy the machine was before: runnable processes, averaged over a minute.
    pub(super) load_before: String,
    /// The day, in UTC.
    pub(super) day: String,
    /// The programs and their versions; who is absent says so.
    pub(super) versions: Vec<(String, String)>,
}

impl Machine {
    /// Looks at this one.
    pub(super) async fn look() -> Self {
        let text = async |path: &str| tokio::fs::read_to_string(path).await.unwrap_or_default();
        let load = text("/proc/loadavg").await;
        let mut versions = vec![("proxy, api".to_owned(), own_build())];
        for peer in Peer::ALL.into_iter().skip(1) {
            let version = match peer.find() {
                Some(program) => said(&program, argument(peer)).await,
                None => "absent".to_owned(),
            };
            versions.push((peer.name().to_owned(), version));
        }
        for (name, argument) in [("wrk", "-v"), ("openssl", "version")] {
            let version = match in_path(name) {
                Some(program) => said(&program, argument).await,
                None => "absent".to_owned(),
            };
            versions.push((name.to_owned(), version));
        }
        Self {
            processor: crate::probe::scenario::processor(&text("/proc/cpuinfo").await).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: text("/proc/sys/kernel/osrelease").await.trim().to_owned(),
            load_before: load.split(' ').next().unwrap_or_default().to_owned(),
            day: crate::probe::scenario::today(),
            versions,
        }
    }

    /// It in one paragraph.
    pub(super) fn described(&self) -> String {
        let versions: Vec<_> = self
            .versions
            .iter()
            .map(|(name, version)| format!("{name}: {version}"))
            .collect();
        format!(
            "Measured on {}: {}, {} cores, Linux {}; load of the machine before: {}. {}.",
            self.day,
            self.processor,
            self.cores,
            self.kernel,
            self.load_before,
            versions.join("; ")
        )
    }
}

fn own_build() -> String {
    let build = if cfg!(debug_assertions) {
        "a debug build, not worth comparing"
    } else {
        "an optimised build"
    };
    format!("{} ({build})", env!("CARGO_PKG_VERSION"))
}

fn argument(peer: Peer) -> &'static str {
    match peer {
        Peer::Caddy => "version",
        Peer::Ours | Peer::Nginx | Peer::NginxBig | Peer::Haproxy => "-v",
    }
}

/// What a program says of its version: the first line, as far as it is a version.
async fn said(program: &Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output().await else {
        return "does not start".to_owned();
    };
    let all = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    let line = text.lines().next().unwrap_or_default();
    version(line).to_owned()
}

/// The first word with a digit and a dot, without the name before a slash.
fn version(line: &str) -> &str {
    let mut words = line.split_whitespace();
    let word = words.find(|word| word.contains('.') && word.contains(|c: char| c.is_ascii_digit()));
    let word = word.unwrap_or(line);
    word.rsplit_once('/').map_or(word, |(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(version("nginx version: nginx/1.22.1"), "1.22.1");
        assert_eq!(
            version("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/"),
            "2.6.12-1+deb12u4"
        );
        assert_eq!(version("2.6.2"), "2.6.2");
        assert_eq!(version("wrk debian/4.1.0-3+b2 [epoll]"), "4.1.0-3+b2");
        assert_eq!(version("OpenSSL 3.0.22 25 Aug 2026"), "3.0.22");
    }
}
