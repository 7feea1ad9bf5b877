//! Makes the settings of the upstreams.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::build::Faults;
use super::bytes_of;
use super::raw::{
    RawEject, RawHealth, RawQueue, RawRetry, RawServer, RawSticky, RawTimeouts, RawUpstream,
    RawUpstreamTls,
};
use super::routes::Scope;
use super::setting::{Given, MethodName, Name};
use super::tls::FilePath;
use crate::balance::{Key, Method};
use crate::retry;
use crate::upstream::{
    Address, Authorities, EjectSettings, HealthSettings, QueueSettings, ServerSettings, Settings,
    Timeouts, Tls,
};

/// How often names are asked where an upstream does not say.
const RESOLVE: Duration = Duration::from_secs(1);

/// Makes the settings of all upstreams, in the order of the file.
///
/// None of their servers may be the proxy itself.
pub(super) fn upstreams(
    raw: BTreeMap<Spanned<String>, Spanned<RawUpstream>>,
    scope: &Scope<'_>,
    faults: &mut Faults<'_>,
) -> Vec<Settings> {
    let mut raw: Vec<_> = raw.into_iter().collect();
    raw.sort_by_key(|(name, _)| name.span().start);
    raw.into_iter()
        .map(|(name, raw)| upstream(&name, raw, scope, faults))
        .collect()
}

fn upstream(
    name: &Spanned<String>,
    raw: Spanned<RawUpstream>,
    scope: &Scope<'_>,
    faults: &mut Faults<'_>,
) -> Settings {
    let table = name.span();
    let RawUpstream {
        method,
        servers,
        sticky,
        hash,
        resolve,
        slow_start,
        max_connections,
        queue,
        timeouts,
        retry,
        health,
        eject,
        tls,
    } = raw.into_inner();
    let most = faults.take(max_connections).unwrap_or(0);
    if let Err(sentence) = Name::check(name.get_ref()) {
        faults.add(&table, sentence);
    }
    if servers.is_none() {
        let expected = "a list such as [{ address = \"api:8000\" }]";
        faults.missing(Some(&table), "servers", expected);
    }
    Settings {
        name: name.get_ref().as_str().into(),
        servers: servers.map_or(Vec::new(), |list| {
            self::servers(list, most, scope.listen, faults)
        }),
        queue: self::queue(queue, faults),
        tls: self::tls(tls, scope.file, faults),
        method: self::method(method, hash, faults),
        sticky: self::sticky(sticky, faults),
        slow_start: faults.take(slow_start).unwrap_or_default(),
        resolve: faults.take(resolve).unwrap_or(RESOLVE),
        timeouts: self::timeouts(timeouts, faults),
        retry: self::retry(retry, faults),
        health: self::health(health, faults),
        eject: self::eject(eject, faults),
    }
}

fn method(
    name: Option<Given<MethodName>>,
    hash: Option<Given<Key>>,
    faults: &mut Faults<'_>,
) -> Method {
    let is_wrong = name.as_ref().is_some_and(|name| name.value.is_err());
    let hash_is_wrong = hash.as_ref().is_some_and(|hash| hash.value.is_err());
    let name = faults.take_at(name);
    let hash = faults.take_at(hash);
    if is_wrong || hash_is_wrong {
        return Method::default();
    }
    let at = match (&name, &hash) {
        // A key that no method takes is at fault itself, else the method that needs one.
        (Some((name, at)), None) => Some((*name, at.clone())),
        (Some((name, _)), Some((_, at))) => Some((*name, at.clone())),
        (None, Some((_, at))) => Some((Method::default().name(), at.clone())),
        (None, None) => None,
    };
    let Some((name, at)) = at else {
        return Method::default();
    };
    Method::named(name, hash.map(|(key, _)| key)).unwrap_or_else(|sentence| {
        faults.add(&at, sentence);
        Method::default()
    })
}

fn sticky(raw: Option<Spanned<RawSticky>>, faults: &mut Faults<'_>) -> Option<Arc<str>> {
    let raw = raw?;
    let table = raw.span();
    let RawSticky { cookie } = raw.into_inner();
    if cookie.is_none() {
        faults.missing(
            Some(&table),
            "cookie",
            "the name of a cookie such as \"lb\"",
        );
    }
    faults.take(cookie).map(Into::into)
}

/// Makes the servers; `most` is the limit of those that have none of their own, and `own` where the
/// proxy itself listens.
fn servers(
    list: Spanned<Vec<Spanned<RawServer>>>,
    most: u32,
    own: &[SocketAddr],
    faults: &mut Faults<'_>,
) -> Vec<ServerSettings> {
    let at = list.span();
    let list = list.into_inner();
    if list.is_empty() {
        faults.add(&at, "expected at least one server, got none");
        return Vec::new();
    }
    let whole = list.len();
    let mut lines = HashMap::new();
    let servers: Vec<_> = list
        .into_iter()
        .filter_map(|raw| server(raw, most, own, &mut lines, faults))
        .collect();
    if servers.len() == whole && servers.iter().all(|server| server.weight == 0) {
        faults.add(
            &at,
            "expected a weight above 0 for at least one server, got 0 for all",
        );
    }
    servers
}

/// Makes one server; `lines` remembers where the earlier ones are.
fn server(
    raw: Spanned<RawServer>,
    most: u32,
    own: &[SocketAddr],
    lines: &mut HashMap<Address, usize>,
    faults: &mut Faults<'_>,
) -> Option<ServerSettings> {
    let table: Range<usize> = raw.span();
    let RawServer {
        address,
        weight,
        backup,
        down,
        max_connections,
    } = raw.into_inner();
    let backup = faults.take(backup).unwrap_or(false);
    let max_connections = faults.take(max_connections).unwrap_or(most);
    if address.is_none() {
        let expected = "host:port, unix:/path.sock or unix:/folder/*.sock";
        faults.missing(Some(&table), "address", expected);
    }
    let weight = weight.map_or(Some(1), |weight| faults.take(Some(weight)));
    let down = faults.take(down).unwrap_or(false);
    let (address, at) = faults.take_at(address)?;
    if let Some(listener) = own.iter().find(|listener| address.is_at(listener)) {
        faults.add(
            &at,
            format!(
                "expected another program, but the proxy itself listens on \"{listener}\": its \
                 requests would go round in a circle"
            ),
        );
    }
    match lines.get(&address) {
        Some(first) => faults.add(
            &at,
            format!("expected each server once, but \"{address}\" is in line {first} too"),
        ),
        None => {
            lines.insert(address.clone(), faults.line(&at));
        }
    }
    Some(ServerSettings {
        address,
        weight: weight?,
        backup,
        down,
        max_connections,
    })
}

fn tls(raw: Option<Spanned<RawUpstreamTls>>, file: &Path, faults: &mut Faults<'_>) -> Option<Tls> {
    let raw = raw?;
    let table = raw.span();
    let RawUpstreamTls { server_name, ca } = raw.into_inner();
    if server_name.is_none() {
        let expected = "the name in the servers' certificates, such as \"api.internal\"";
        faults.missing(Some(&table), "server_name", expected);
    }
    let name = faults.take(server_name);
    let authorities = ca.map(|ca| authorities(ca, file, faults));
    let (authorities, at) = match authorities {
        Some(given) => given.map(|(given, at)| (Some(given), at))?,
        None => (None, table),
    };
    Tls::new(name?, authorities)
        .map_err(|sentence| faults.add(&at, sentence))
        .ok()
}

/// Reads those who may sign from a file.
fn authorities(
    ca: Given<FilePath>,
    file: &Path,
    faults: &mut Faults<'_>,
) -> Option<(Authorities, Range<usize>)> {
    let (path, at) = faults.take_at(Some(ca))?;
    let path = file.parent().unwrap_or(Path::new("")).join(path);
    let read = bytes_of(&path).and_then(|pem| Authorities::of_pem(&pem));
    read.map_err(|sentence| faults.add(&at, format!("{sentence}: {}", path.display())))
        .ok()
        .map(|authorities| (authorities, at))
}

fn queue(raw: RawQueue, faults: &mut Faults<'_>) -> QueueSettings {
    let RawQueue { length, wait } = raw;
    let mut queue = QueueSettings::default();
    if let Some(length) = faults.take(length) {
        queue.length = usize::try_from(length).unwrap_or(usize::MAX);
    }
    faults.set(&mut queue.wait, wait);
    queue
}

fn timeouts(raw: RawTimeouts, faults: &mut Faults<'_>) -> Timeouts {
    let RawTimeouts {
        connect,
        first_byte,
        request,
        idle,
        keep_alive,
    } = raw;
    let mut timeouts = Timeouts::default();
    faults.set(&mut timeouts.connect, connect);
    faults.set(&mut timeouts.first_byte, first_byte);
    faults.set(&mut timeouts.request, request);
    faults.set(&mut timeouts.idle, idle);
    faults.set(&mut timeouts.keep_alive, keep_alive);
    timeouts
}

fn retry(raw: RawRetry, faults: &mut Faults<'_>) -> retry::Policy {
    let RawRetry { tries, budget } = raw;
    let mut retry = retry::Policy::default();
    faults.set(&mut retry.tries, tries);
    faults.set(&mut retry.budget, budget);
    retry
}

fn health(raw: RawHealth, faults: &mut Faults<'_>) -> HealthSettings {
    let RawHealth {
        path,
        every,
        timeout,
        rise,
        fall,
    } = raw;
    let mut health = HealthSettings {
        path: faults.take(path),
        ..HealthSettings::default()
    };
    faults.set(&mut health.every, every);
    faults.set(&mut health.timeout, timeout);
    faults.set(&mut health.rise, rise);
    faults.set(&mut health.fall, fall);
    health
}

fn eject(raw: RawEject, faults: &mut Faults<'_>) -> EjectSettings {
    let RawEject {
        consecutive_5xx,
        base,
        cap,
        at_most,
    } = raw;
    let given = base.as_ref().or(cap.as_ref()).map(|given| given.at.clone());
    let mut eject = EjectSettings::default();
    faults.set(&mut eject.consecutive_5xx, consecutive_5xx);
    faults.set(&mut eject.base, base);
    faults.set(&mut eject.cap, cap);
    faults.set(&mut eject.at_most, at_most);
    if let Some(at) = given.filter(|_| eject.base > eject.cap) {
        faults.add(
            &at,
            format!(
                "expected `base` ({:?}) to be no longer than `cap` ({:?})",
                eject.base, eject.cap
            ),
        );
    }
    eject
}
