//! What a pick needs to know of a request.

use std::net::IpAddr;

use http::HeaderMap;

use super::{Key, Method, hashing, sticky};

/// What of a request a pick may go by.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// Its header.
    pub headers: &'r HeaderMap,
    /// Its path, without the query.
    pub path: &'r str,
    /// Whose request it is.
    pub client: IpAddr,
}

/// What a pick needs to know of the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// The hash of what [`Method::IpHash`] and [`Method::Hash`] go by; without it they take turns.
    pub key: Option<u64>,
    /// The identity of the server that its sticky cookie names.
    pub sticky: Option<u64>,
    /// It was tried before: the pick then takes nobody's turn.
    pub again: bool,
}

impl Wish {
    /// What a request wishes, where this is the method and this the name of the sticky cookie.
    pub fn of(method: &Method, cookie: Option<&str>, asked: &Asked<'_>) -> Self {
        let named = cookie.and_then(|name| sticky::cookie(asked.headers, name));
        Self {
            key: key(method, asked),
            sticky: named.and_then(sticky::identity),
            again: false,
        }
    }
}

fn key(method: &Method, asked: &Asked<'_>) -> Option<u64> {
    match method {
        Method::IpHash => match asked.client.to_canonical() {
            IpAddr::V4(address) => Some(hashing::key(&address.octets())),
            IpAddr::V6(address) => Some(hashing::key(&address.octets())),
        },
        Method::Hash(Key::Path) => Some(hashing::key(asked.path.as_bytes())),
        Method::Hash(Key::Header(name)) => {
            let value = asked.headers.get(name)?;
            Some(hashing::key(value.as_bytes()))
        }
        Method::Hash(Key::Cookie(name)) => {
            let value = sticky::cookie(asked.headers, name)?;
            Some(hashing::key(value.as_bytes()))
        }
        Method::RoundRobin | Method::LeastConnections | Method::RandomTwo | Method::LeastTime => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, fields: &[(&'static str, &'static str)], expected: Option<&[u8]>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        let asked = Asked {
            headers: &headers,
            path: "/api/music/",
            client: "::ffff:10.0.0.7".parse().unwrap(),
        };
        let wish = Wish::of(method, Some("lb"), &asked);
        assert_eq!(
            wish.key,
            expected.map(hashing::key),
            "{method:?} {fields:?}"
        );
    }

    #[test]
    fn each_method_goes_by_its_own_key() {
        let user = || Method::Hash(Key::Header(http::HeaderName::from_static("x-user")));
        let session = || Method::Hash(Key::Cookie("sid".to_owned()));
        check(&Method::RoundRobin, &[("x-user", "leo")], None);
        check(&Method::IpHash, &[], Some(&[10, 0, 0, 7]));
        check(&Method::Hash(Key::Path), &[], Some(b"/api/music/"));
        check(&user(), &[("x-user", "leo")], Some(b"leo"));
        check(&user(), &[], None);
        check(&session(), &[("cookie", "a=b; sid=7")], Some(b"7"));
        check(&session(), &[("cookie", "a=b")], None);
    }
}
