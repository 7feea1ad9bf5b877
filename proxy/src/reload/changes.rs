//! What is different between two configurations, by the names of their tables.

use crate::config::Config;

/// Returns the tables that differ: `clients`, `log`, `routes`, `upstreams.NAME` and so on.
pub(super) fn between(before: &Config, after: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    let tables = [
        (
            "admin_token_file",
            before.admin_token_file != after.admin_token_file,
        ),
        ("clients", before.clients != after.clients),
        ("log", before.access_log != after.access_log),
        ("routes", before.routes != after.routes),
        ("tls", before.tls != after.tls),
    ];
    for (table, has_changed) in tables {
        if has_changed {
            changed.push(table.to_owned());
        }
    }
    let name = |name: &str| format!("upstreams.{name}");
    for upstream in &after.upstreams {
        if !before.upstreams.contains(upstream) {
            changed.push(name(&upstream.name));
        }
    }
    for upstream in &before.upstreams {
        if !after
            .upstreams
            .iter()
            .any(|other| other.name == upstream.name)
        {
            changed.push(name(&upstream.name));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Tls;
    use std::path::Path;

    const BEFORE: &str = "routes = [{ path = '/', upstream = 'a' }]\n\
                          upstreams.a.servers = [{ address = 'a:1' }]\n\
                          upstreams.b.servers = [{ address = 'b:1' }]\n";

    fn check(from: &str, to: &str, expected: &[&str]) {
        let parse = |text: &str| Config::parse(text, Path::new("proxy.toml")).unwrap();
        let after = BEFORE.replace(from, to);
        assert_eq!(between(&parse(BEFORE), &parse(&after)), expected, "{after}");
    }

    #[test]
    fn the_tables_that_differ() {
        check("", "", &[]);
        check("b:1", "b:2", &["upstreams.b"]);
        check(
            "upstreams.b",
            "upstreams.c",
            &["upstreams.c", "upstreams.b"],
        );
        check("upstream = 'a'", "upstream = 'b'", &["routes"]);
        check(
            "routes",
            "log.access = 'off'\nclients.idle_timeout = '1s'\nroutes",
            &["clients", "log"],
        );
    }

    #[test]
    fn a_redirect_that_is_switched_on() {
        let with = |redirect| {
            let mut config = Config::parse(BEFORE, Path::new("proxy.toml")).unwrap();
            config.tls = Some(Tls {
                listen: "[::]:8443".parse().unwrap(),
                certificate: "tls.crt".into(),
                key: "tls.key".into(),
                redirect,
            });
            config
        };
        assert_eq!(between(&with(false), &with(true)), ["tls"]);
        assert_eq!(between(&with(true), &with(true)), [""; 0]);
    }
}
