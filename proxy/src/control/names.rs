//! Which server does a word mean? Pure: a status in, a server out.
//!
//! A word is a configured address (`api:8000`, and then all servers that it stands for), the
//! endpoint of one server (`172.18.0.3:8000`), the name that a server gives itself (`api_1`) or
//! the host of a configured address (`api`); `music/api` means the one of upstream `music`. The
//! first of these kinds that fits counts.

use std::fmt;

use super::view::{Server, Status, Upstream};

/// A server, or all that a configured address stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The upstream.
    pub(super) upstream: String,
    /// The name that the admin listener knows it by.
    pub(super) name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.upstream, self.name)
    }
}

/// Finds what `word` means; the error is a whole sentence.
pub(super) fn find(status: &Status, word: &str) -> Result<Named, String> {
    let (upstream, server) = match word.split_once('/') {
        // The path of a socket has slashes, too, but begins with `unix:`.
        Some((upstream, server)) if !upstream.contains(':') => (Some(upstream), server),
        _ => (None, word),
    };
    let among: Vec<&Upstream> = status
        .upstreams
        .iter()
        .filter(|u| upstream.is_none_or(|name| u.name == name))
        .collect();
    let kinds: [fn(&Upstream, &str) -> Vec<String>; 4] = [configured, endpoints, instances, hosts];
    for kind in kinds {
        let found: Vec<Named> = among
            .iter()
            .flat_map(|upstream| {
                kind(upstream, server).into_iter().map(|name| Named {
                    upstream: upstream.name.clone(),
                    name,
                })
            })
            .collect();
        match &found[..] {
            [] => {}
            [one] => return Ok(one.clone()),
            several => {
                let several: Vec<String> = several.iter().map(Named::to_string).collect();
                let several = several.join(" or ");
                return Err(format!("\"{word}\" may mean {several}: say which"));
            }
        }
    }
    let of = |upstream: &Upstream| {
        let named = |address| format!("{}/{address}", upstream.name);
        addresses(upstream)
            .into_iter()
            .map(named)
            .collect::<Vec<_>>()
    };
    let known: Vec<String> = among.iter().flat_map(|upstream| of(upstream)).collect();
    Err(format!(
        "there is no server \"{word}\"; there is {}",
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    ))
}

/// How many requests the named server, or servers, have in hand, those that have left included.
pub(super) fn in_hand(status: &Status, named: &Named) -> u64 {
    let is_meant = |address: &str, endpoint: &str| address == named.name || endpoint == named.name;
    let upstreams = status.upstreams.iter();
    upstreams
        .filter(|upstream| upstream.name == named.upstream)
        .flat_map(|upstream| {
            let members = upstream.servers.iter().filter(|server| {
                is_meant(&server.address, &server.endpoint)
                    || server.instance.as_ref() == Some(&named.name)
            });
            let leaving = upstream.leaving.iter();
            let leaving = leaving.filter(|server| is_meant(&server.address, &server.endpoint));
            let members = members.map(|server| server.in_flight);
            members.chain(leaving.map(|server| server.in_flight))
        })
        .sum()
}

fn addresses(upstream: &Upstream) -> Vec<String> {
    let found = upstream.servers.iter().map(|server| server.address.clone());
    let mut all: Vec<String> = found.chain(upstream.unresolved.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

fn configured(upstream: &Upstream, word: &str) -> Vec<String> {
    let addresses = addresses(upstream).into_iter();
    addresses.filter(|address| address == word).collect()
}

fn endpoints(upstream: &Upstream, word: &str) -> Vec<String> {
    those(upstream, |server| (server.endpoint == word).then_some(word))
}

fn instances(upstream: &Upstream, word: &str) -> Vec<String> {
    let is_named = |server: &Server| server.instance.as_deref() == Some(word);
    // Two servers of one name are told by where they listen.
    let servers = upstream.servers.iter().filter(|server| is_named(server));
    servers.map(|server| server.endpoint.clone()).collect()
}

fn hosts(upstream: &Upstream, word: &str) -> Vec<String> {
    let is_host = |address: &String| {
        let host = address.rsplit_once(':').map(|(host, _)| host);
        host == Some(word)
    };
    addresses(upstream).into_iter().filter(is_host).collect()
}

fn those<'w>(upstream: &Upstream, name: impl Fn(&Server) -> Option<&'w str>) -> Vec<String> {
    let names = upstream.servers.iter().filter_map(name);
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        let server = |address: &str, endpoint: &str, instance: &str| {
            json!({ "address": address, "endpoint": endpoint, "instance": instance, "weight": 1,
                    "state": "up", "cause": null, "in_flight": 2, "requests": 0, "failures": 0 })
        };
        let upstream = |name: &str, servers: Vec<serde_json::Value>| {
            json!({ "name": name, "method": "round-robin", "servers": servers,
                    "unresolved": ["new:80"],
                    "leaving": [{ "address": "api:8000", "endpoint": "10.0.0.9:8000", "in_flight": 1 }] })
        };
        let music = vec![
            server("api:8000", "10.0.0.1:8000", "api_1"),
            server("api:8000", "10.0.0.2:8000", "api_2"),
            server("unix:/run/a.sock", "unix:/run/a.sock", "sock"),
        ];
        let other = vec![
            server("web:80", "10.0.0.3:80", "web"),
            server("web:81", "10.0.0.3:81", "x"),
        ];
        let answer = json!({ "version": "0", "draining": false, "in_flight": 0,
                             "upstreams": [upstream("music", music), upstream("other", other)] });
        serde_json::from_value(answer).unwrap()
    }

    fn check(word: &str, expected: Result<&str, &str>) {
        match (find(&status(), word), expected) {
            (Ok(named), Ok(expected)) => assert_eq!(named.to_string(), expected, "{word}"),
            (Err(sentence), Err(part)) => assert!(sentence.contains(part), "{word}: {sentence}"),
            (found, _) => panic!("{word}: {found:?}"),
        }
    }

    #[test]
    fn every_kind_of_name() {
        check("api:8000", Ok("music/api:8000"));
        check("10.0.0.2:8000", Ok("music/10.0.0.2:8000"));
        check("api_2", Ok("music/10.0.0.2:8000"));
        check("api", Ok("music/api:8000"));
        check("music/api", Ok("music/api:8000"));
        check("unix:/run/a.sock", Ok("music/unix:/run/a.sock"));
        check("music/unix:/run/a.sock", Ok("music/unix:/run/a.sock"));
        check("other/web:81", Ok("other/web:81"));
    }

    #[test]
    fn what_is_ambiguous_or_unknown_is_told() {
        check("web", Ok("other/10.0.0.3:80"));
        check("new", Err("music/new:80 or other/new:80"));
        check("music/new", Ok("music/new:80"));
        check(
            "nobody",
            Err(
                "there is music/api:8000, music/new:80, music/unix:/run/a.sock, other/new:80, \
                 other/web:80, other/web:81",
            ),
        );
        check("none/api", Err("there is none"));
    }

    #[test]
    fn what_is_in_hand_counts_those_that_have_left() {
        let named = |word: &str| find(&status(), word).unwrap();
        assert_eq!(in_hand(&status(), &named("api")), 5);
        assert_eq!(in_hand(&status(), &named("10.0.0.1:8000")), 2);
    }
}
