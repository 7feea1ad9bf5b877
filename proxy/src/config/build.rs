//! Makes the [`Config`] of what stands in the file, and gathers all that is wrong with it.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;

use toml::Spanned;

use super::fault::{Fault, Refused, Severity};
use super::raw::{Raw, RawClients, RawLog};
use super::setting::{Given, Setting, TokenFile};
use super::source::{Shape, Source};
use super::{Config, routes, upstreams};
use crate::access_log::Destination;
use crate::admin::token;
use crate::clients::Clients;
use crate::unreadable;

/// Makes the whole configuration of what was parsed; `file` is what relative folders begin beside.
pub(super) fn config(
    (source, raw, shape): (&Source<'_>, Raw, Shape),
    file: &Path,
) -> Result<Config, Refused> {
    let mut faults = Faults {
        source,
        found: Vec::new(),
    };
    let Raw {
        listen,
        admin,
        admin_token_file,
        threads,
        clients,
        tls,
        log,
        routes,
        upstreams,
    } = raw;
    let listen = listeners(listen, &mut faults);
    let tls = super::tls::tls(tls, &listen, file, &mut faults);
    let names: Vec<_> = upstreams.keys().cloned().map(Spanned::into_inner).collect();
    let mut own = listen.clone();
    own.extend(tls.as_ref().map(|tls| tls.listen));
    let scope = routes::Scope {
        listen: &own,
        upstreams: &names,
        shape: &shape,
        file,
    };
    let config = Config {
        file: file.to_owned(),
        admin: admin_listener(admin, &listen, &mut faults),
        admin_token_file: token_file(admin_token_file, file, &mut faults),
        threads: faults
            .take(threads)
            .and_then(|threads| NonZeroUsize::new(usize::try_from(threads).ok()?))
            .unwrap_or_else(one_per_core),
        clients: self::clients(clients, &mut faults),
        access_log: access_log(log, file, &mut faults),
        routes: routes::routes(routes, &scope, &mut faults),
        upstreams: upstreams::upstreams(upstreams, &scope, &mut faults),
        listen,
        tls,
    };
    let mut found = faults.found;
    found.retain(|fault| !shape.explains(fault));
    found.extend(shape.faults);
    if found.is_empty() {
        Ok(config)
    } else {
        Err(found.into())
    }
}

/// All that is wrong so far.
pub(super) struct Faults<'s> {
    source: &'s Source<'s>,
    found: Vec<Fault>,
}

impl Faults<'_> {
    /// Notes what is wrong with the value at this place.
    pub(super) fn add(&mut self, at: &Range<usize>, sentence: impl Into<String>) {
        self.found.push(self.source.error(at, sentence.into()));
    }

    /// Notes that a key of the table at this place is missing; no place is the top of the file.
    pub(super) fn missing(&mut self, table: Option<&Range<usize>>, key: &str, expected: &str) {
        let table = table.map_or("", |at| self.source.key(at.start));
        let dot = if table.is_empty() { "" } else { "." };
        let key = format!("{table}{dot}{key}");
        let sentence = format!("missing: expected {expected}");
        self.found
            .push(self.source.about(&key, sentence, Severity::Error));
    }

    /// Returns the value if one is there and right.
    pub(super) fn take<S: Setting>(&mut self, given: Option<Given<S>>) -> Option<S::Value> {
        self.take_at(given).map(|(value, _)| value)
    }

    /// The same with its place.
    pub(super) fn take_at<S: Setting>(
        &mut self,
        given: Option<Given<S>>,
    ) -> Option<(S::Value, Range<usize>)> {
        let Given { at, value } = given?;
        match value {
            Ok(value) => Some((value, at)),
            Err(sentence) => {
                self.add(&at, sentence);
                None
            }
        }
    }

    /// Puts the value in place of a default.
    pub(super) fn set<S: Setting>(&mut self, target: &mut S::Value, given: Option<Given<S>>) {
        if let Some(value) = self.take(given) {
            *target = value;
        }
    }

    /// Returns the line of a place, for a sentence that points to it from another one.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        self.source.line(at.start)
    }
}

fn listeners(
    listen: Option<Spanned<Vec<Given<SocketAddr>>>>,
    faults: &mut Faults<'_>,
) -> Vec<SocketAddr> {
    let Some(listen) = listen else {
        return vec![SocketAddr::from(([0, 0, 0, 0], 8080))];
    };
    if listen.get_ref().is_empty() {
        faults.add(
            &listen.span(),
            "expected at least one address such as \"0.0.0.0:8080\", got none",
        );
    }
    let mut addresses = Vec::new();
    for given in listen.into_inner() {
        if let Some((address, at)) = faults.take_at(Some(given)) {
            refuse_overlap(address, &at, &addresses, faults);
            addresses.push(address);
        }
    }
    addresses
}

fn admin_listener(
    admin: Option<Given<SocketAddr>>,
    listen: &[SocketAddr],
    faults: &mut Faults<'_>,
) -> Option<SocketAddr> {
    let (address, at) = faults.take_at(admin)?;
    refuse_overlap(address, &at, listen, faults);
    Some(address)
}

/// Finds the file of the token beside the configuration, and looks whether a token is in it.
fn token_file(
    given: Option<Given<TokenFile>>,
    beside: &Path,
    faults: &mut Faults<'_>,
) -> Option<PathBuf> {
    let (file, at) = faults.take_at(given)?;
    let file = beside.parent().unwrap_or(Path::new("")).join(file);
    #[expect(
        clippy::disallowed_methods,
        reason = "read before a worker runs, or by a thread that may block"
    )]
    let token = fs::read_to_string(&file);
    match token.as_deref().map(token::of_file) {
        Ok(Some(_)) => {}
        Ok(None) => faults.add(&at, format!("{}: {}", token::EXPECTED, file.display())),
        Err(error) => {
            let sentence = unreadable::sentence("file", error);
            faults.add(&at, format!("{sentence}: {}", file.display()));
        }
    }
    Some(file)
}

/// Refuses an address that another listener has.
///
/// Two listeners on one port meet if they have the same address or one of them has all.
pub(super) fn refuse_overlap(
    address: SocketAddr,
    at: &Range<usize>,
    others: &[SocketAddr],
    faults: &mut Faults<'_>,
) {
    let meets = |other: &&SocketAddr| {
        address.port() == other.port()
            && address.port() != 0
            && (address.ip() == other.ip()
                || address.is_ipv4() == other.is_ipv4()
                    && (address.ip().is_unspecified() || other.ip().is_unspecified()))
    };
    if let Some(other) = others.iter().find(meets) {
        faults.add(
            at,
            format!(
                "expected an address of its own, but \"{address}\" meets \"{other}\" in `listen`"
            ),
        );
    }
}

fn one_per_core() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn clients(raw: RawClients, faults: &mut Faults<'_>) -> Clients {
    let RawClients {
        trusted_proxies,
        header_timeout,
        idle_timeout,
        body_timeout,
        max_connections,
        max_connections_per_address,
    } = raw;
    let mut clients = Clients::default();
    faults.set(&mut clients.header_timeout, header_timeout);
    faults.set(&mut clients.idle_timeout, idle_timeout);
    faults.set(&mut clients.body_timeout, body_timeout);
    if let Some(most) = faults.take(max_connections) {
        clients.max_connections = usize::try_from(most).unwrap_or(usize::MAX);
    }
    if let Some(most) = faults.take(max_connections_per_address) {
        clients.max_connections_per_address = usize::try_from(most).unwrap_or(usize::MAX);
    }
    clients.trusted_proxies = trusted_proxies
        .into_iter()
        .filter_map(|given| faults.take(Some(given)))
        .collect();
    clients
}

/// Finds the file beside the configuration, and looks whether it could be written; it is opened
/// later, so that a check makes no file.
fn access_log(raw: RawLog, beside: &Path, faults: &mut Faults<'_>) -> Destination {
    let RawLog { access } = raw;
    let Some((given, at)) = faults.take_at(access) else {
        return Destination::default();
    };
    let destination = given.below(beside.parent().unwrap_or(Path::new("")));
    if let Err(error) = destination.look() {
        faults.add(&at, error.to_string());
    }
    destination
}
