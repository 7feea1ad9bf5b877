//! Doubts about routes: limits that limit nothing, and requests that another route takes.

use super::Doubts;
use crate::config::{Config, Route, Target};
use crate::idempotency::Idempotency;
use crate::route::Matcher;
use crate::upstream::Settings;

/// A body above this is more than a proxy should take on trust, in bytes: 1 GiB.
const HUGE: u64 = 1 << 30;

pub(super) fn doubts(config: &Config, doubts: &mut Doubts) {
    for (index, route) in config.routes.iter().enumerate() {
        let key = |name: &str| format!("routes[{index}].{name}");
        let hidden = hidden_by(&route.matcher, &config.routes);
        if !hidden.is_empty() {
            let sentence = format!(
                "requests for this host come here, not to the longer `{}`: the host is looked at \
                 before the path",
                hidden.join("` and `")
            );
            doubts.add(key("path"), sentence);
        }
        let Target::Upstream {
            name,
            max_body,
            idempotency,
            ..
        } = &route.target
        else {
            continue;
        };
        if *max_body > HUGE {
            doubts.add(key("max_body"), "any client may send as much");
        }
        let upstream = config.upstreams.iter().find(|u| u.name == *name);
        if *idempotency != Idempotency::Off && upstream.is_some_and(never_tries_again) {
            let sentence = "no request is ever sent again: the retries of its upstream are off";
            doubts.add(key("idempotency"), sentence);
        }
    }
}

/// The longer paths without its host of which a route takes requests for that host, although they
/// seem to be meant. Where a route takes a host as a whole, that is plainly meant.
fn hidden_by(matcher: &Matcher, routes: &[Route]) -> Vec<String> {
    if matcher.takes_every_path() {
        return Vec::new();
    }
    let others = routes.iter().map(|other| &other.matcher);
    let hidden = others.filter(|other| {
        let has_the_same = |own: &Route| own.matcher.is_twin(other, matcher);
        matcher.hides(other) && !routes.iter().any(has_the_same)
    });
    hidden.map(Matcher::to_string).collect()
}

fn never_tries_again(upstream: &Settings) -> bool {
    upstream.retry.tries == 1 || upstream.retry.budget == 0.0
}
