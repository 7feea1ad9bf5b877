//! From configured addresses to endpoints: names are asked and folders read, again and again.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns_lookup::LookupErrorKind;

use super::Upstream;
use super::server::Endpoint;
use super::settings::{Address, LONGEST_PATH};

/// A name that does not exist is believed to be gone after this many answers.
const GONE_AFTER: u32 = 2;
/// Folders are read at least this often: it costs next to nothing.
const FOLDER_EVERY: Duration = Duration::from_millis(250);

/// What became of one look-up.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Endpoints(Vec<Endpoint>),
    /// It is certain that there are none.
    Nothing,
    /// Nobody could say: what was known stays.
    Unknown,
}

/// What the look-ups of one address add up to.
#[derive(Debug, Default)]
struct Polls {
    missing: u32,
}

impl Polls {
    /// Takes in a look-up; returns the endpoints that there are from now on, `None`: the same as
    /// before.
    fn take_in(&mut self, found: Found) -> Option<Vec<Endpoint>> {
        match found {
            Found::Endpoints(mut endpoints) => {
                self.missing = 0;
                endpoints.sort();
                endpoints.dedup();
                Some(endpoints)
            }
            Found::Nothing => {
                self.missing += 1;
                (self.missing >= GONE_AFTER).then(Vec::new)
            }
            Found::Unknown => None,
        }
    }
}

/// Keeps the endpoints of one configured server up to date until it is aborted.
pub(super) async fn follow(upstream: Arc<Upstream>, address: Address, resolve: Duration) {
    let every = match address {
        Address::SocketFolder(_) => resolve.min(FOLDER_EVERY),
        Address::Host { .. } | Address::Socket(_) => resolve,
    };
    let mut polls = Polls::default();
    loop {
        heed(&upstream, &address, &mut polls, find(&address).await);
        if is_fixed(&address) {
            return;
        }
        tokio::time::sleep(every).await;
    }
}

fn heed(upstream: &Arc<Upstream>, address: &Address, polls: &mut Polls, found: Found) {
    if let Some(endpoints) = polls.take_in(found) {
        upstream.found(address, endpoints, Instant::now());
    }
}

/// Why a server joins that a look-up of this address found, for the event.
pub(super) fn why_found(address: &Address) -> &'static str {
    match address {
        _ if is_fixed(address) => "named in the file",
        Address::SocketFolder(_) => "its socket has appeared",
        Address::Host { .. } | Address::Socket(_) => "its name resolves to it",
    }
}

/// Why a server leaves that a look-up of this address no longer found.
pub(super) fn why_gone(address: &Address) -> &'static str {
    match address {
        Address::SocketFolder(_) => "its socket is gone",
        Address::Host { .. } | Address::Socket(_) => "its name no longer resolves to it",
    }
}

fn is_fixed(address: &Address) -> bool {
    match address {
        Address::Host { host, .. } => host.parse::<IpAddr>().is_ok(),
        Address::Socket(_) => true,
        Address::SocketFolder(_) => false,
    }
}

async fn find(address: &Address) -> Found {
    match address {
        Address::Host { host, port } => resolve(host.clone(), *port).await,
        Address::Socket(path) => Found::Endpoints(vec![Endpoint::Unix(path.clone())]),
        Address::SocketFolder(folder) => match sockets(folder).await {
            Ok(paths) => Found::Endpoints(paths.into_iter().map(Endpoint::Unix).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(_) => Found::Unknown,
        },
    }
}

async fn resolve(host: String, port: u16) -> Found {
    if let Ok(ip) = host.parse() {
        return Found::Endpoints(vec![Endpoint::Inet(SocketAddr::new(ip, port))]);
    }
    let hints = dns_lookup::AddrInfoHints {
        socktype: dns_lookup::SockType::Stream.into(),
        ..dns_lookup::AddrInfoHints::default()
    };
    let answer = tokio::task::spawn_blocking(move || {
        dns_lookup::getaddrinfo(Some(&host), None, Some(hints))
            .map(|found| found.flatten().map(|info| info.sockaddr.ip()).collect())
    })
    .await;
    match answer {
        Ok(Ok(addresses)) => endpoints(addresses, port),
        Ok(Err(error)) => not_found(error.kind()),
        Err(_) => Found::Unknown,
    }
}

/// A name server that cannot answer at the moment (SERVFAIL) has not said that there is no such name.
fn not_found(kind: LookupErrorKind) -> Found {
    match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Found::Nothing,
        _ => Found::Unknown,
    }
}

fn endpoints(addresses: Vec<IpAddr>, port: u16) -> Found {
    let inet = |ip| Endpoint::Inet(SocketAddr::new(ip, port));
    Found::Endpoints(addresses.into_iter().map(inet).collect())
}

async fn sockets(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = tokio::fs::read_dir(folder).await?;
    let mut paths = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        let is_socket = path.extension().is_some_and(|e| e == "sock")
            && tokio::fs::metadata(&path)
                .await
                .is_ok_and(|found| found.file_type().is_socket());
        // Nobody can listen at a longer one.
        if is_socket && path.as_os_str().len() <= LONGEST_PATH {
            paths.push(path);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests;
