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
        if let Some(other) = hidden_by(route, &config.routes) {
            let sentence = format!("requests for the host of `{other}` do not come here");
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

/// The route for one host that takes requests which a longer path without that host seems to take:
/// the host is looked at first.
fn hidden_by<'r>(route: &Route, routes: &'r [Route]) -> Option<&'r Matcher> {
    let mut others = routes.iter().map(|other| &other.matcher);
    others.find(|other| {
        let has_the_same = |own: &Route| own.matcher.is_twin(&route.matcher, other);
        other.hides(&route.matcher) && !routes.iter().any(has_the_same)
    })
}

fn never_tries_again(upstream: &Settings) -> bool {
    upstream.retry.tries == 1 || upstream.retry.budget == 0.0
}
