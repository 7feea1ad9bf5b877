//! What is taken off and put on when a request goes to a server and its answer comes back.
//!
//! Pure: the fields of a header in, and changed. Fields that concern one connection only stay behind
//! (RFC 9110, 7.6.1); what a client claims of its own address is believed only from a trusted
//! proxy; what proxy and API say to each other goes no further.
//!
//! Every request comes through here twice, so what is not there costs nothing: the names that a
//! header has are looked at, not those that it could have, and values that are the same for all
//! requests of a connection are made once and shared.

mod framing;
mod hops;

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Uri, Version};
use smallvec::SmallVec;

use crate::request_id;
use framing::repeated_length;
pub use framing::{asks_for_websocket, asks_to_close, is_framing_known, nominates_upgrade};
pub use hops::{ends_here, hops_left};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_DEADLINE: HeaderName = HeaderName::from_static("x-request-deadline");
/// The field in which whoever answers names itself.
pub const X_INSTANCE: HeaderName = HeaderName::from_static("x-instance");

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
/// How many fields a request gets here.
const ADDED: usize = 8;

/// Some names, mostly none.
type Names = SmallVec<[HeaderName; 2]>;

/// What is known of the client that sent a request.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Its address.
    pub address: IpAddr,
    /// The same, [`written`].
    pub written: &'a HeaderValue,
    /// Whose request it passes on, if it is a proxy; else the same.
    pub real: IpAddr,
    /// It is a proxy whose word on its own client is believed.
    pub is_trusted_proxy: bool,
    /// How it reached this proxy.
    pub scheme: &'static str,
    /// The version that it speaks.
    pub version: Version,
}

/// An address as it stands in a field.
pub fn written(address: IpAddr) -> HeaderValue {
    let text = address.to_canonical().to_string();
    // Digits, letters and colons can stand in any field.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Changes the fields of a request on its way to a server.
///
/// `headers` are those that go on, from which what concerns the connection may have been taken
/// already; `sent` are those that the client has sent. `deadline` is the moment after which the
/// server must not begin a write, in milliseconds of Unix time.
pub fn to_server(
    headers: &mut HeaderMap,
    sent: &HeaderMap,
    client: &Client<'_>,
    request_id: &HeaderValue,
    deadline: Option<u64>,
) {
    remove(headers, nominated(sent), |name| {
        is_of_the_connection(name)
            || name.starts_with(BETWEEN_US)
            || name.contains('_')
            || matches!(name, "x-request-deadline" | "x-forwarded-host")
    });
    headers.reserve(ADDED);
    set_addresses(headers, sent, client);
    headers.insert(request_id::FIELD, request_id.clone());
    let via = HeaderValue::from_static(match client.version {
        Version::HTTP_10 => "1.0 proxy",
        Version::HTTP_2 => "2 proxy",
        _ => "1.1 proxy",
    });
    headers.insert(header::VIA, appended(sent, &header::VIA, via));
    if let Some(deadline) = deadline {
        headers.insert(X_REQUEST_DEADLINE, deadline.into());
    }
}

/// Whether a proxy before this one, whose word is believed, says that its client speaks https.
pub fn is_https(headers: &HeaderMap) -> bool {
    let scheme = headers.get(X_FORWARDED_PROTO);
    scheme.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Changes the fields of an answer on its way to the client.
///
/// A server that does not name itself is named by its `endpoint`.
pub fn to_client(headers: &mut HeaderMap, endpoint: &str, request_id: &HeaderValue) {
    let mut nominated = nominated(headers);
    nominated.retain(|name| *name != X_INSTANCE);
    remove(headers, nominated, is_kept_back);
    let mut names = headers.get_all(X_INSTANCE).iter();
    let named = names.next().is_some_and(|name| !name.is_empty()) && names.next().is_none();
    if !named && let Ok(endpoint) = HeaderValue::from_str(endpoint) {
        headers.insert(X_INSTANCE, endpoint);
    }
    headers.insert(request_id::FIELD, request_id.clone());
    let length = repeated_length(headers).and_then(|length| HeaderValue::from_str(length).ok());
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length);
    }
}

/// Changes the fields of an interim answer (1xx): the same is taken off, and what would frame a
/// body, which it cannot have (RFC 9110, 8.6; RFC 9112, 6.1).
pub fn interim_to_client(headers: &mut HeaderMap) {
    let nominated = nominated(headers);
    remove(headers, nominated, |name| {
        is_kept_back(name) || matches!(name, "content-length" | "transfer-encoding")
    });
}

/// Removes what is nominated, and every name that must not go on.
fn remove(headers: &mut HeaderMap, mut names: Names, goes: impl Fn(&str) -> bool) {
    names.extend(headers.keys().filter(|name| goes(name.as_str())).cloned());
    for name in names {
        headers.remove(name);
    }
}

/// Whether a field of an answer is of no use to the client.
fn is_kept_back(name: &str) -> bool {
    is_of_the_connection(name)
        || matches!(name, "server" | "x-powered-by")
        || name.starts_with(BETWEEN_US)
}

/// Whether a field concerns one connection only. `Transfer-Encoding` does too, but belongs to those
/// who frame the message on either side.
fn is_of_the_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "upgrade"
    )
}

/// The fields that `Connection` declares to concern this connection only.
fn nominated(headers: &HeaderMap) -> Names {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| !NEVER_NOMINATED.contains(name))
        .collect()
}

fn set_addresses(headers: &mut HeaderMap, sent: &HeaderMap, client: &Client<'_>) {
    let host = sent.get(header::HOST);
    let element = forwarded_element(client, host.and_then(|host| host.to_str().ok()));
    let believed = |name: &HeaderName| {
        let headers = client.is_trusted_proxy.then_some(sent)?;
        let value = headers.get(name)?;
        let text = value.to_str().ok()?;
        (!text.trim().is_empty()).then(|| value.clone())
    };
    let address = client.written.clone();
    let (chain, forwarded) = if client.is_trusted_proxy {
        (
            Some(appended(sent, &X_FORWARDED_FOR, address)),
            element.map(|element| appended(sent, &header::FORWARDED, element)),
        )
    } else {
        (Some(address), element)
    };
    let real = match client.real == client.address {
        true => client.written.clone(),
        false => written(client.real),
    };
    let named = believed(&X_REAL_IP).filter(|_| believed(&X_FORWARDED_FOR).is_none());
    let scheme = believed(&X_FORWARDED_PROTO);
    let host = host.filter(|host| host.to_str().is_ok()).cloned();
    for (name, value) in [
        (X_FORWARDED_FOR, chain),
        (header::FORWARDED, forwarded),
        (X_REAL_IP, named.or(Some(real))),
        (
            X_FORWARDED_PROTO,
            scheme.or(Some(HeaderValue::from_static(client.scheme))),
        ),
        (X_FORWARDED_HOST, believed(&X_FORWARDED_HOST).or(host)),
    ] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// One element of `Forwarded` (RFC 7239); what is not a token is quoted.
fn forwarded_element(client: &Client<'_>, host: Option<&str>) -> Option<HeaderValue> {
    let node = client.written.to_str().ok()?;
    let quote = if node.contains(':') {
        ("\"[", "]\"")
    } else {
        ("", "")
    };
    let mut element = String::with_capacity(96);
    for part in ["for=", quote.0, node, quote.1, ";proto=", client.scheme] {
        element.push_str(part);
    }
    // A host that is an authority holds nothing that would have to be escaped.
    if let Some(host) = host.filter(|host| is_authority(host)) {
        for part in [";host=\"", host, "\""] {
            element.push_str(part);
        }
    }
    HeaderValue::try_from(element).ok()
}

fn is_authority(host: &str) -> bool {
    // Most are a name and a port, which can be seen without a parser.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_evident = !name.is_empty() && name.bytes().all(is_plain) && is_port;
    is_evident
        || !host.contains('"')
            && host
                .parse::<Uri>()
                .is_ok_and(|uri| uri.authority().is_some())
}

/// The values of a list field, in one line, with one more behind them.
fn appended(headers: &HeaderMap, name: &HeaderName, last: HeaderValue) -> HeaderValue {
    let mut list = String::new();
    for value in headers.get_all(name) {
        let text = value.to_str().unwrap_or_default();
        if !text.trim().is_empty() {
            list.push_str(text);
            list.push_str(", ");
        }
    }
    if list.is_empty() {
        return last;
    }
    list.push_str(last.to_str().unwrap_or_default());
    HeaderValue::try_from(list).unwrap_or(last)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
