//! What is taken off and put on when a request goes to a server and its answer comes back.
//!
//! Pure: headers in, a plan out, which [`crate::gateway`] carries out. Fields that concern one
//! connection only stay behind (RFC 9110, 7.6.1); what a client claims of its own address is
//! believed only from a trusted proxy; what proxy and API say to each other goes no further.

mod framing;
mod hops;

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Uri, Version};

use framing::repeated_length;
pub use framing::{asks_for_websocket, asks_to_close, is_framing_known, nominates_upgrade};
pub use hops::{ends_here, hops_left};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");
const X_INSTANCE: HeaderName = HeaderName::from_static("x-instance");
const X_POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");

/// Fields that concern one connection only. `Transfer-Encoding` is one of them too, but belongs
/// to those who frame the message on either side.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// Fields that nobody can have removed by nominating them in `Connection`.
///
/// Of a client, [`crate::head`] refuses a request that nominates one of them, or what tells who
/// the client is; an answer of a server that does so is passed on with them.
const NEVER_NOMINATED: [HeaderName; 3] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

/// The prefix of what proxy and API say to each other.
const BETWEEN_US: &str = "x-lb-";
/// How this proxy signs what it passes on.
const VIA_NAME: &str = "proxy";

/// What is to be changed in a header: first remove, then set.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Fields to remove, all of a name.
    pub remove: Vec<HeaderName>,
    /// Fields to set, in place of all of their name.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

impl Changes {
    /// A value that cannot stand in a header is left out: the field is then missing, not wrong.
    fn set(&mut self, name: HeaderName, value: &str) {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.set.push((name, value));
        }
    }
}

/// What is known of the client that sent a request.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Its address.
    pub address: IpAddr,
    /// Whose request it passes on, if it is a proxy; else the same.
    pub real: IpAddr,
    /// It is a proxy whose word on its own client is believed.
    pub is_trusted_proxy: bool,
    /// How it reached this proxy.
    pub scheme: &'a str,
    /// The version that it speaks.
    pub version: Version,
}

/// What changes in a request's header on its way to a server.
///
/// `deadline` is the moment after which the server must not begin a write, in milliseconds of
/// Unix time.
pub fn request_changes(
    headers: &HeaderMap,
    client: &Client<'_>,
    request_id: &str,
    deadline: Option<u64>,
) -> Changes {
    let mut changes = Changes {
        remove: connection_fields(headers),
        set: Vec::with_capacity(8),
    };
    changes.remove.extend(
        headers
            .keys()
            .filter(|name| name.as_str().contains('_') || name.as_str().starts_with(BETWEEN_US))
            .cloned(),
    );
    changes.remove.push(X_REQUEST_DEADLINE);
    changes.remove.push(header::FORWARDED);
    set_addresses(&mut changes, headers, client);
    changes.set(X_REQUEST_ID, request_id);
    let version = match client.version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    let via = format!("{version} {VIA_NAME}");
    changes.set(header::VIA, &appended(headers, &header::VIA, &via));
    if let Some(deadline) = deadline {
        changes.set(X_REQUEST_DEADLINE, &deadline.to_string());
    }
    changes
}

/// Whether a proxy before this one, whose word is believed, says that its client speaks https.
pub fn is_https(headers: &HeaderMap) -> bool {
    let scheme = headers.get(X_FORWARDED_PROTO);
    scheme.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// What changes in an answer's header on its way to the client.
///
/// A server that does not name itself is named by its `endpoint`.
pub fn response_changes(headers: &HeaderMap, endpoint: &str, request_id: &str) -> Changes {
    let mut changes = Changes {
        remove: kept_back(headers),
        set: Vec::with_capacity(2),
    };
    changes.remove.retain(|name| *name != X_INSTANCE);
    let mut names = headers.get_all(X_INSTANCE).iter();
    let named = names.next().is_some_and(|name| !name.is_empty()) && names.next().is_none();
    if !named {
        changes.set(X_INSTANCE, endpoint);
    }
    changes.set(X_REQUEST_ID, request_id);
    if let Some(length) = repeated_length(headers) {
        changes.set(header::CONTENT_LENGTH, length);
    }
    changes
}

/// What is taken off an interim answer (1xx): the same, and what would frame a body, which it
/// cannot have (RFC 9110, 8.6; RFC 9112, 6.1).
pub fn interim_removals(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut remove = kept_back(headers);
    remove.extend([header::CONTENT_LENGTH, header::TRANSFER_ENCODING]);
    remove
}

/// Fields of any answer that the client has no use for.
fn kept_back(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut remove = connection_fields(headers);
    remove.extend([header::SERVER, X_POWERED_BY]);
    let between_us = headers
        .keys()
        .filter(|name| name.as_str().starts_with(BETWEEN_US));
    remove.extend(between_us.cloned());
    remove
}

/// Fields that concern this connection only: the known ones that are there, and those which
/// `Connection` nominates.
fn connection_fields(headers: &HeaderMap) -> Vec<HeaderName> {
    let known = HOP_BY_HOP
        .into_iter()
        .filter(|name| headers.contains_key(name));
    let nominated = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| !NEVER_NOMINATED.contains(name));
    known.chain(nominated).collect()
}

fn set_addresses(changes: &mut Changes, headers: &HeaderMap, client: &Client<'_>) {
    let address = client.address.to_canonical().to_string();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let element = forwarded_element(client, host);
    let believed = |name: &HeaderName| {
        let value = headers.get(name).filter(|_| client.is_trusted_proxy);
        let text = value.and_then(|value| value.to_str().ok());
        text.filter(|text| !text.trim().is_empty())
    };
    let (chain, forwarded) = if client.is_trusted_proxy {
        (
            appended(headers, &X_FORWARDED_FOR, &address),
            appended(headers, &header::FORWARDED, &element),
        )
    } else {
        (address.clone(), element)
    };
    changes.set(X_FORWARDED_FOR, &chain);
    changes.set(header::FORWARDED, &forwarded);
    let real = client.real.to_canonical().to_string();
    let named = believed(&X_REAL_IP).filter(|_| believed(&X_FORWARDED_FOR).is_none());
    changes.set(X_REAL_IP, named.unwrap_or(&real));
    let scheme = believed(&X_FORWARDED_PROTO).unwrap_or(client.scheme);
    changes.set(X_FORWARDED_PROTO, scheme);
    changes.remove.push(X_FORWARDED_HOST);
    if let Some(host) = believed(&X_FORWARDED_HOST).or(host) {
        changes.set(X_FORWARDED_HOST, host);
    }
}

/// One element of `Forwarded` (RFC 7239); what is not a token is quoted.
fn forwarded_element(client: &Client<'_>, host: Option<&str>) -> String {
    let node = match client.address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let mut element = format!("for={node};proto={}", client.scheme);
    // A host that parses as an authority holds nothing that would have to be escaped.
    if let Some(host) = host.filter(|host| is_authority(host)) {
        element.push_str(&format!(";host=\"{host}\""));
    }
    element
}

fn is_authority(host: &str) -> bool {
    !host.contains('"')
        && host
            .parse::<Uri>()
            .is_ok_and(|uri| uri.authority().is_some())
}

/// The values of a list field, in one line, with one more behind them.
fn appended(headers: &HeaderMap, name: &HeaderName, last: &str) -> String {
    let given = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let given: Vec<&str> = given.filter(|value| !value.trim().is_empty()).collect();
    if given.is_empty() {
        return last.to_owned();
    }
    format!("{}, {last}", given.join(", "))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
