//! How the admin listener of a running proxy is reached, read from its file.
//!
//! The file may have been broken since the proxy read it; only these two keys count here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{Fault, Refused, read};

/// How the admin listener of a proxy is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAccess {
    /// Where it listens.
    pub address: SocketAddr,
    /// The file with the token for changes.
    pub token_file: Option<PathBuf>,
}

/// Reads the two keys from a file, whatever else stands in it.
pub fn admin_access(file: &Path) -> Result<AdminAccess, Refused> {
    let refuse = |key: &str, sentence: String| {
        let mut fault = Fault::of_file(file, None, sentence);
        key.clone_into(&mut fault.key);
        Refused::from(fault)
    };
    let table = table(&read(file)?);
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str);
    let Some(address) = text("admin") else {
        let sentence = "missing: without it there is no admin listener to ask";
        return Err(refuse("admin", sentence.to_owned()));
    };
    let address = address.parse().map_err(|_| {
        let sentence = format!("expected an IP address and a port, got {address:?}");
        refuse("admin", sentence)
    })?;
    let beside = file.parent().unwrap_or(Path::new(""));
    Ok(AdminAccess {
        address: reachable(address),
        token_file: text("admin_token_file").map(|token| beside.join(token)),
    })
}

/// Reads the keys that stand before the first table: line by line where the file is no TOML any more.
fn table(text: &str) -> toml::Table {
    text.parse().unwrap_or_else(|_| {
        let lines = text.lines().take_while(|line| !line.starts_with('['));
        let tables = lines.filter_map(|line| line.parse::<toml::Table>().ok());
        tables.flatten().collect()
    })
}

/// An unspecified address means every address of this machine; loopback is one of them.
fn reachable(mut admin: SocketAddr) -> SocketAddr {
    match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => admin.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => admin.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    admin
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn a_file_that_was_broken_since_still_says_where_to_ask() {
        let text = "listen = [\n  \"0.0.0.0:8080\",\n]\nadmin = \"127.0.0.1:9090\" # status\nx = [\n[log]\nadmin = 5\n";
        let table = table(text);
        assert_eq!(table["admin"].as_str(), Some("127.0.0.1:9090"));
        assert_eq!(table.len(), 1);
    }
}
