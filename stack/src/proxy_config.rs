//! The proxy's settings for this stack, as the text of its `proxy.toml`.
//!
//! Each API service is a folder of sockets, one for each instance, so that scaling needs no reload.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// One API service as the proxy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool<'a> {
    /// The folder with a socket for each instance.
    pub sockets: &'a Path,
    /// The weight of each of them.
    pub weight: u32,
}

/// A port over TLS.
#[derive(Debug, Clone, Copy)]
pub struct Secure<'a> {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The folder with `tls.crt` and `tls.key`.
    pub folder: &'a Path,
}

/// Writes the whole file.
pub fn proxy_toml(
    listen: SocketAddr,
    admin: SocketAddr,
    secure: Option<Secure<'_>>,
    static_folder: &Path,
    pools: &[Pool<'_>],
) -> String {
    let files = quoted(&static_folder.to_string_lossy());
    let mut servers = String::new();
    for pool in pools {
        let address = quoted(&format!("unix:{}/*.sock", pool.sockets.to_string_lossy()));
        // Writing to a string cannot fail.
        let _ = writeln!(
            servers,
            "  {{ address = {address}, weight = {} }},",
            pool.weight
        );
    }
    let secure = secure.map_or_else(String::new, tls_table);
    format!(
        r#"# Written by `stack up` at every start: changes here are lost.
listen = ["{listen}"]
admin = "{admin}"
{secure}
[[routes]]
path = "/api/music"
upstream = "music"
max_body = "75 MiB"
idempotency = "mint"

[[routes]]
path = "/api"
upstream = "music"
max_body = "75 MiB"

[[routes]]
path = "/api-auth"
upstream = "music"

[[routes]]
path = "/admin"
upstream = "music"

[[routes]]
path = "/static"
files = {files}
cache_control = [{{ match = "*", value = "no-cache" }}]

[[routes]]
path = "/"
files = {files}
cache_control = [{{ match = "*", value = "no-cache" }}]

[upstreams.music]
method = "round-robin"
servers = [
{servers}]
health = {{ path = "/healthz" }}
"#
    )
}

fn tls_table(secure: Secure<'_>) -> String {
    let file = |name| quoted(&secure.folder.join(name).to_string_lossy());
    let (certificate, key) = (file("tls.crt"), file("tls.key"));
    let listen = secure.listen;
    format!("\n[tls]\nlisten = \"{listen}\"\ncertificate = {certificate}\nkey = {key}\n")
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_a_folder_of_sockets_with_its_weight() {
        let pools = [
            Pool {
                sockets: Path::new("/run/api"),
                weight: 4,
            },
            Pool {
                sockets: Path::new("/run/api2"),
                weight: 6,
            },
        ];
        let text = proxy_toml(
            "127.0.0.1:8080".parse().unwrap(),
            "127.0.0.1:9090".parse().unwrap(),
            Some(Secure {
                listen: "127.0.0.1:8443".parse().unwrap(),
                folder: Path::new("/tls"),
            }),
            Path::new("/srv/static"),
            &pools,
        );
        assert!(text.contains("listen = [\"127.0.0.1:8080\"]"));
        assert!(text.contains("  { address = \"unix:/run/api/*.sock\", weight = 4 },\n"));
        assert!(text.contains("  { address = \"unix:/run/api2/*.sock\", weight = 6 },\n"));
        assert!(
            text.contains("[tls]\nlisten = \"127.0.0.1:8443\"\ncertificate = \"/tls/tls.crt\"\n")
        );
        assert_eq!(text.matches("files = \"/srv/static\"").count(), 2);
    }

    #[test]
    fn a_path_cannot_break_out_of_its_string() {
        assert_eq!(quoted("a\"b\\c\n"), r#""a\"b\\c\u000A""#);
    }
}
