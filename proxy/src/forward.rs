//! What is taken off and put on when a request goes to a server and its answer comes back.
//!
//! Pure: headers in, a plan out, which [`crate::gateway`] carries out. Fields that concern one
//! connection only stay behind (RFC 9110, 7.6.1); what a client claims of its own address is
//! believed only from a trusted proxy; what proxy and API say to each other goes no further.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Uri, Version};

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
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// Fields that nobody can have removed by nominating them in `Connection`.
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
    let version = if client.version == Version::HTTP_10 {
        "1.0"
    } else {
        "1.1"
    };
    let via = format!("{version} {VIA_NAME}");
    changes.set(header::VIA, &appended(headers, &header::VIA, &via));
    if let Some(deadline) = deadline {
        changes.set(X_REQUEST_DEADLINE, &deadline.to_string());
    }
    changes
}

/// What changes in an answer's header on its way to the client.
///
/// A server that does not name itself is named by its `endpoint`.
pub fn response_changes(headers: &HeaderMap, endpoint: &str, request_id: &str) -> Changes {
    let mut changes = Changes {
        remove: connection_fields(headers),
        set: Vec::with_capacity(2),
    };
    changes.remove.extend([header::SERVER, X_POWERED_BY]);
    let between_us = headers
        .keys()
        .filter(|name| name.as_str().starts_with(BETWEEN_US));
    changes.remove.extend(between_us.cloned());
    changes.remove.retain(|name| *name != X_INSTANCE);
    let mut names = headers.get_all(X_INSTANCE).iter();
    let named = names.next().is_some_and(|name| !name.is_empty()) && names.next().is_none();
    if !named {
        changes.set(X_INSTANCE, endpoint);
    }
    changes.set(X_REQUEST_ID, request_id);
    changes
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
        value.and_then(|value| value.to_str().ok())
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
    changes.set(X_REAL_IP, believed(&X_REAL_IP).unwrap_or(&address));
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRANGER: Client<'_> = Client {
        address: IpAddr::V4(std::net::Ipv4Addr::new(9, 9, 9, 9)),
        is_trusted_proxy: false,
        scheme: "http",
        version: Version::HTTP_11,
    };

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn apply(mut headers: HeaderMap, changes: Changes) -> HeaderMap {
        for name in changes.remove {
            headers.remove(name);
        }
        for (name, value) in changes.set {
            headers.insert(name, value);
        }
        headers
    }

    fn request(fields: &[(&str, &str)], client: &Client<'_>) -> HeaderMap {
        let headers = headers(fields);
        let changes = request_changes(&headers, client, "id", None);
        apply(headers, changes)
    }

    fn response(fields: &[(&str, &str)]) -> HeaderMap {
        let headers = headers(fields);
        let changes = response_changes(&headers, "1.2.3.4:80", "id");
        apply(headers, changes)
    }

    fn check(headers: &HeaderMap, expected: &[(&str, Option<&str>)]) {
        for (name, value) in expected {
            let found = headers.get(*name).map(|v| v.to_str().unwrap());
            assert_eq!(found, *value, "{name} in {headers:?}");
        }
    }

    #[test]
    fn a_stranger_s_word_on_addresses_is_replaced() {
        let sent = [
            ("host", "shop:8080"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-request-deadline", "1"),
        ];
        check(
            &request(&sent, &STRANGER),
            &[
                ("x-forwarded-for", Some("9.9.9.9")),
                ("x-forwarded-proto", Some("http")),
                ("x-forwarded-host", Some("shop:8080")),
                ("x-real-ip", Some("9.9.9.9")),
                (
                    "forwarded",
                    Some("for=9.9.9.9;proto=http;host=\"shop:8080\""),
                ),
                ("x-request-deadline", None),
                ("via", Some("1.1 proxy")),
            ],
        );
    }

    #[test]
    fn a_trusted_proxy_s_word_is_kept_and_its_address_appended() {
        let proxy = Client {
            address: "::1".parse().unwrap(),
            is_trusted_proxy: true,
            version: Version::HTTP_10,
            ..STRANGER
        };
        let sent = [
            ("host", "shop"),
            ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("via", "1.1 edge"),
        ];
        check(
            &request(&sent, &proxy),
            &[
                ("x-forwarded-for", Some("1.1.1.1, 2.2.2.2, ::1")),
                ("x-forwarded-proto", Some("https")),
                ("x-real-ip", Some("1.1.1.1")),
                (
                    "forwarded",
                    Some("for=1.1.1.1, for=\"[::1]\";proto=http;host=\"shop\""),
                ),
                ("via", Some("1.1 edge, 1.0 proxy")),
            ],
        );
    }

    #[test]
    fn what_concerns_one_connection_stays_behind() {
        let sent = [
            ("host", "shop"),
            ("connection", "close, X-Mine, Host, content-length"),
            ("connection", "x-also"),
            ("content-length", "3"),
            ("x-mine", "1"),
            ("x-also", "1"),
            ("keep-alive", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "secret"),
            ("x_under", "1"),
            ("x-lb-drain", "1"),
            ("cookie", "a=b"),
        ];
        check(
            &request(&sent, &STRANGER),
            &[
                ("connection", None),
                ("x-mine", None),
                ("x-also", None),
                ("keep-alive", None),
                ("te", None),
                ("upgrade", None),
                ("proxy-authorization", None),
                ("x_under", None),
                ("x-lb-drain", None),
                ("host", Some("shop")),
                ("content-length", Some("3")),
                ("cookie", Some("a=b")),
            ],
        );
    }

    #[test]
    fn answers_are_cleaned_and_signed() {
        let sent = [
            ("server", "x"),
            ("x-powered-by", "x"),
            ("connection", "x-mine, x-instance"),
            ("x-mine", "1"),
            ("trailer", "x"),
            ("x-lb-cause", "database"),
            ("x-instance", "api_1"),
            ("x-request-id", "other"),
            ("transfer-encoding", "chunked"),
        ];
        check(
            &response(&sent),
            &[
                ("server", None),
                ("x-powered-by", None),
                ("x-mine", None),
                ("trailer", None),
                ("x-lb-cause", None),
                ("x-instance", Some("api_1")),
                ("x-request-id", Some("id")),
                ("transfer-encoding", Some("chunked")),
            ],
        );
        check(&response(&[]), &[("x-instance", Some("1.2.3.4:80"))]);
        check(
            &response(&[("x-instance", "")]),
            &[("x-instance", Some("1.2.3.4:80"))],
        );
        let two = [("x-instance", "a"), ("x-instance", "b")];
        check(&response(&two), &[("x-instance", Some("1.2.3.4:80"))]);
    }

    proptest! {
        /// Nothing that concerns one connection survives; everything else does, in its order.
        #[test]
        fn end_to_end_fields_survive(
            fields in prop::collection::vec((prop::sample::select(vec![
                "accept", "cookie", "x-a", "x-b", "te", "upgrade", "keep-alive", "connection", "x-lb-x", "a_b",
            ]), "[a-z-]{0,8}"), 0..20)
        ) {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let before = headers(&fields);
            let nominated = connection_fields(&before);
            let after = request(&fields, &STRANGER);
            for name in ["te", "upgrade", "keep-alive", "connection", "x-lb-x", "a_b"] {
                prop_assert!(!after.contains_key(name));
            }
            for name in ["accept", "cookie", "x-a", "x-b"] {
                if !nominated.iter().any(|nominated| nominated == name) {
                    let values = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
                    prop_assert_eq!(values(&before), values(&after));
                }
            }
        }
    }
}
