//! What a configuration may say but hardly means; [`super::check`] tells it, `serve` does not ask.

use std::fs;
use std::net::SocketAddr;

use super::{Config, Target};
use crate::upstream::{QueueSettings, Settings};

/// Something doubtful.
pub(super) struct Doubt {
    /// The key from the top.
    pub(super) key: String,
    /// What is doubtful.
    pub(super) sentence: String,
}

/// Returns what is doubtful.
pub(super) fn doubts(config: &Config) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let is_public = |admin: &SocketAddr| !admin.ip().to_canonical().is_loopback();
    if config.admin.as_ref().is_some_and(is_public) && config.admin_token_file.is_none() {
        doubts.push(Doubt {
            key: "admin".to_owned(),
            sentence: "not loopback and no `admin_token_file`: everyone may read it, and nothing \
                       can be changed through it"
                .to_owned(),
        });
    }
    let everyone = config.clients.trusted_proxies.iter().enumerate();
    for (index, _) in everyone.filter(|(_, range)| range.prefix_len() == 0) {
        doubts.push(Doubt {
            key: format!("clients.trusted_proxies[{index}]"),
            sentence: "every client may claim any address".to_owned(),
        });
    }
    for (index, route) in config.routes.iter().enumerate() {
        let Target::Files { root, .. } = &route.target else {
            continue;
        };
        if fs::read_dir(root).is_ok_and(|mut files| files.next().is_none()) {
            doubts.push(Doubt {
                key: format!("routes[{index}].files"),
                sentence: format!("the folder is empty: {}", root.display()),
            });
        }
    }
    for upstream in &config.upstreams {
        of_upstream(upstream, config, &mut doubts);
    }
    doubts
}

fn of_upstream(upstream: &Settings, config: &Config, doubts: &mut Vec<Doubt>) {
    let mut doubt = |key: &str, sentence: String| {
        let key = format!("upstreams.{}{key}", upstream.name);
        doubts.push(Doubt { key, sentence });
    };
    let is_used = config.routes.iter().any(
        |route| matches!(&route.target, Target::Upstream { name, .. } if *name == upstream.name),
    );
    if !is_used {
        doubt("", "no route leads here".to_owned());
    }
    let picked = |weight: u32, down: bool| weight > 0 && !down;
    if !upstream.servers.iter().any(|s| picked(s.weight, s.down)) {
        let sentence = "every server is down or has weight 0: none is ever picked";
        doubt(".servers", sentence.to_owned());
    }
    if upstream.servers.iter().all(|server| server.backup) {
        doubt(
            ".servers",
            "every server is a backup: so is none".to_owned(),
        );
    }
    let is_limited = upstream.servers.iter().any(|s| s.max_connections > 0);
    if upstream.queue != QueueSettings::default() && !is_limited {
        let sentence = "nobody ever waits: no server has `max_connections`";
        doubt(".queue", sentence.to_owned());
    }
    let timeouts = &upstream.timeouts;
    for (key, short, name, long, why) in [
        (
            ".health.timeout",
            upstream.health.timeout,
            "every",
            upstream.health.every,
            "the next check begins before this one has ended",
        ),
        (
            ".timeouts.connect",
            timeouts.connect,
            "first_byte",
            timeouts.first_byte,
            "a server may take longer to be reached than to answer",
        ),
        (
            ".timeouts.first_byte",
            timeouts.first_byte,
            "request",
            timeouts.request,
            "the first try may use up the time of all",
        ),
    ] {
        if short >= long {
            doubt(
                key,
                format!("{short:?} is not below `{name}` ({long:?}): {why}"),
            );
        }
    }
}
