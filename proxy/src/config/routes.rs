//! Makes the routes, and looks whether their folders are there.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::build::Faults;
use super::raw::{RawRateLimit, RawRoute};
use super::setting::{Folder, Given, Name};
use super::source::Shape;
use super::{Route, Target};
use crate::files::Rules;
use crate::idempotency::Idempotency;
use crate::rate_limit::Rate;
use crate::route::{HostPattern, Matcher, Prefix};
use crate::unreadable;

/// The largest request body where a route does not say: 1 MiB.
const MAX_BODY: u64 = 1 << 20;

/// What routes and upstreams refer to.
pub(super) struct Scope<'s> {
    /// Where the proxy itself listens.
    pub(super) listen: &'s [SocketAddr],
    /// The names of the upstreams.
    pub(super) upstreams: &'s [String],
    /// What of the file was passed over, upstreams among it.
    pub(super) shape: &'s Shape,
    /// The configuration file, beside which relative folders begin.
    pub(super) file: &'s Path,
}

/// Makes the routes, at least one and no two alike.
pub(super) fn routes(
    raw: Vec<Spanned<RawRoute>>,
    scope: &Scope<'_>,
    faults: &mut Faults<'_>,
) -> Vec<Route> {
    if raw.is_empty() {
        let expected = "at least one `[[routes]]` with `path` and `files` or `upstream`";
        faults.missing(None, "routes", expected);
    }
    let mut lines = HashMap::new();
    raw.into_iter()
        .filter_map(|raw| route(raw, scope, &mut lines, faults))
        .collect()
}

/// Makes one route; `lines` remembers where the earlier ones are.
fn route(
    raw: Spanned<RawRoute>,
    scope: &Scope<'_>,
    lines: &mut HashMap<Matcher, usize>,
    faults: &mut Faults<'_>,
) -> Option<Route> {
    let table = raw.span();
    let RawRoute {
        host,
        path,
        files,
        cache_control,
        fallback,
        content_security_policy,
        upstream,
        max_body,
        idempotency,
        rate_limit,
        websocket,
        compress,
    } = raw.into_inner();
    let rate_limit = rate_limit.and_then(|raw| rate(raw, faults));
    let matcher = matcher(host, path, &table, lines, faults);
    let max_body = faults.take_at(max_body);
    let idempotency = faults.take_at(idempotency);
    let websocket = faults.take_at(websocket);
    let compress = faults.take_at(compress);
    let only_upstream = [
        max_body.as_ref().map(|(_, at)| at.clone()),
        idempotency.as_ref().map(|(_, at)| at.clone()),
        websocket.as_ref().map(|(_, at)| at.clone()),
        compress.as_ref().map(|(_, at)| at.clone()),
    ];
    if files.is_some() {
        for at in only_upstream.iter().flatten() {
            faults.add(at, "only for a route with `upstream`");
        }
    }
    let cache_control = faults.take_at(cache_control);
    let fallback = faults.take_at(fallback);
    let policy = faults.take_at(content_security_policy);
    let only_files = [
        cache_control.as_ref().map(|(_, at)| at.clone()),
        fallback.as_ref().map(|(_, at)| at.clone()),
        policy.as_ref().map(|(_, at)| at.clone()),
    ];
    if upstream.is_some() {
        for at in only_files.iter().flatten() {
            faults.add(at, "only for a route with `files`");
        }
    }
    let target = match (files, upstream) {
        (Some(files), None) => folder(files, scope, faults).map(|root| {
            if let Some((name, at)) = &fallback
                && !root.join(name).is_file()
            {
                faults.add(
                    at,
                    format!("there is no such file: {}", root.join(name).display()),
                );
            }
            let rules = Rules {
                cache_control: cache_control.map_or_else(Vec::new, |(rules, _)| rules),
                fallback: fallback.map(|(name, _)| name),
                page_policy: policy.map_or_else(Default::default, |(policy, _)| policy),
            };
            Target::Files { root, rules }
        }),
        (None, Some(upstream)) => {
            known_upstream(upstream, scope, faults).map(|name| Target::Upstream {
                name: name.into(),
                max_body: max_body.map_or(MAX_BODY, |(bytes, _)| bytes),
                idempotency: idempotency.map_or_else(Idempotency::default, |(mode, _)| mode),
                websocket: websocket.is_some_and(|(taken, _)| taken),
                compress: compress.is_some_and(|(wanted, _)| wanted),
            })
        }
        (Some(files), Some(_)) => {
            faults.add(&files.at, "expected `files` or `upstream`, got both");
            None
        }
        (None, None) => {
            faults.missing(Some(&table), "upstream", "`files` or `upstream`");
            None
        }
    };
    Some(Route {
        matcher: matcher?,
        target: target?,
        rate_limit,
    })
}

/// Makes the limit of a route: by default in a second, and no more at once than in that time.
fn rate(raw: Spanned<RawRateLimit>, faults: &mut Faults<'_>) -> Option<Rate> {
    let table = raw.span();
    let RawRateLimit {
        requests,
        per,
        burst,
    } = raw.into_inner();
    if requests.is_none() {
        faults.missing(Some(&table), "requests", "a whole number such as 100");
    }
    let (per, burst) = (faults.take(per), faults.take(burst));
    let requests = faults.take(requests)?;
    Some(Rate {
        requests,
        per: per.unwrap_or(Duration::from_secs(1)),
        burst: burst.unwrap_or(requests),
    })
}

fn matcher(
    host: Option<Given<HostPattern>>,
    path: Option<Given<Prefix>>,
    table: &Range<usize>,
    lines: &mut HashMap<Matcher, usize>,
    faults: &mut Faults<'_>,
) -> Option<Matcher> {
    if path.is_none() {
        faults.missing(Some(table), "path", "a path such as \"/api\"");
    }
    let host = host.map(|host| faults.take(Some(host)));
    let (path, at) = faults.take_at(path)?;
    let matcher = match host {
        None => Matcher::new(None, path),
        Some(host) => Matcher::new(Some(host?), path),
    };
    match lines.get(&matcher) {
        Some(first) => faults.add(
            &at,
            format!("expected a host and path of its own, but `{matcher}` is in line {first} too"),
        ),
        None => {
            lines.insert(matcher.clone(), faults.line(&at));
        }
    }
    Some(matcher)
}

fn known_upstream(
    upstream: Given<Name>,
    scope: &Scope<'_>,
    faults: &mut Faults<'_>,
) -> Option<String> {
    let (name, at) = faults.take_at(Some(upstream))?;
    if !scope.upstreams.contains(&name) && !scope.shape.has_upstream(&name) {
        let known = match scope.upstreams {
            [] => "there is none".to_owned(),
            names => format!("there is \"{}\"", names.join("\", \"")),
        };
        faults.add(
            &at,
            format!("expected the name of an upstream ({known}), got {name:?}"),
        );
    }
    Some(name)
}

fn folder(files: Given<Folder>, scope: &Scope<'_>, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let (folder, at) = faults.take_at(Some(files))?;
    let beside = scope.file.parent().unwrap_or(Path::new(""));
    let root = beside.join(folder);
    if let Err(error) = fs::read_dir(&root) {
        let sentence = unreadable::sentence("folder", &error);
        faults.add(&at, format!("{sentence}: {}", root.display()));
    }
    Some(root)
}
