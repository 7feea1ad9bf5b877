//! Doubts about upstreams: servers that nobody is sent to, and limits that get in each other's way.

use super::Doubts;
use crate::config::{Config, Target};
use crate::upstream::{QueueSettings, Settings};

pub(super) fn doubts(upstream: &Settings, config: &Config, doubts: &mut Doubts) {
    let mut doubt = |key: &str, sentence: String| {
        doubts.add(format!("upstreams.{}{key}", upstream.name), sentence);
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
    if upstream.health.path.is_none() {
        let sentence = "without one a connection is enough: a server that accepts and answers \
                        nothing passes for healthy";
        doubt(".health.path", sentence.to_owned());
    }
    let is_limited = upstream.servers.iter().any(|s| s.max_connections > 0);
    if upstream.queue != QueueSettings::default() && !is_limited {
        let sentence = "nobody ever waits: no server has `max_connections`";
        doubt(".queue", sentence.to_owned());
    }
    if upstream.retry.tries > 1 && upstream.retry.budget == 0.0 {
        let sentence = "nothing is ever tried again, a refused connection apart";
        doubt(".retry.budget", sentence.to_owned());
    }
    if upstream.eject.at_most == 0.0 {
        doubt(".eject.at_most", "no server is ever ejected".to_owned());
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
