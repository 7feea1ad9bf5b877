//! A cookie that brings a client back to the server that it had.
//!
//! Its value is the server's identity, a hash: it names no address, and every proxy before the
//! same servers understands it.

use http::HeaderMap;
use http::header::COOKIE;

/// Whether a cookie can have this name (RFC 6265, 4.1.1).
pub fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Returns the value of a cookie in a request's header; of two with one name, the first.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let fields = headers.get_all(COOKIE).iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .find_map(|pair| {
            let (given, value) = pair.split_once('=')?;
            (given.trim() == name).then(|| value.trim())
        })
}

/// Reads the identity of a server from the value of the cookie.
pub fn identity(value: &str) -> Option<u64> {
    let is_ours = value.len() == 16
        && value
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(value, 16).ok().filter(|_| is_ours)
}

/// Writes the field that gives a client the cookie.
///
/// Scripts cannot read it and other sites' forms do not send it; behind https, it never travels
/// without. It ends with the browser's session.
pub fn set_cookie(name: &str, identity: u64, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{name}={identity:016x}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(fields: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, http::HeaderValue::from_static(field));
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = headers(&["xlb=1; lb =2;lb=3", "lb=4; sid=a=b"]);
        assert_eq!(cookie(&headers, "lb"), Some("2"));
        assert_eq!(cookie(&headers, "sid"), Some("a=b"));
        assert_eq!(cookie(&headers, "b"), None);
    }

    #[test]
    fn what_is_set_says_no_more_than_it_must() {
        let plain = "lb=00000000000000ff; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(set_cookie("lb", 255, false), plain);
        assert_eq!(set_cookie("lb", 255, true), format!("{plain}; Secure"));
        for wrong in [
            "",
            "ff",
            "+0000000000000ff",
            "00000000000000FF",
            "0000000000000000f",
        ] {
            assert_eq!(identity(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn it_comes_back_as_it_was(value: u64) {
            let set = set_cookie("lb", value, false);
            let (pair, _) = set.split_once(';').unwrap();
            prop_assert_eq!(identity(pair.strip_prefix("lb=").unwrap()), Some(value));
        }
    }
}
