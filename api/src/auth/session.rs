//! The cookie of a session: how it is read, set and taken back. Pure.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};

use super::csrf;
use super::secret::Secret;

/// The cookie that holds a session's id.
pub const COOKIE_NAME: &str = "sessionid";
/// How long a session lasts: two weeks, as in the original.
pub const LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How long a browser keeps the token against forged requests: a year, as in the original.
const CSRF_LIFETIME: Duration = Duration::from_secs(52 * 7 * 24 * 60 * 60);

/// Takes the cookie back from a client.
pub const FORGET: HeaderValue = HeaderValue::from_static(
    "sessionid=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax",
);

/// Returns the id that a request's cookie holds.
#[must_use]
pub fn id(headers: &HeaderMap) -> Option<&str> {
    csrf::cookie(headers, COOKIE_NAME)
}

/// Sets the cookie of a new session. Over https it is never sent without.
#[must_use]
pub fn cookie(id: &Secret, https: bool, now: SystemTime) -> HeaderValue {
    let pair = format!("{COOKIE_NAME}={}", id.reveal());
    value(&pair, " HttpOnly;", LIFETIME, https, now)
}

/// Sets the cookie with the token against forged requests, which scripts of this site may read.
#[must_use]
pub fn csrf_cookie(token: &str, https: bool, now: SystemTime) -> HeaderValue {
    let pair = format!("{}={token}", csrf::COOKIE_NAME);
    value(&pair, "", CSRF_LIFETIME, https, now)
}

fn value(pair: &str, flags: &str, lifetime: Duration, https: bool, now: SystemTime) -> HeaderValue {
    let expires = httpdate::fmt_http_date(now + lifetime);
    let seconds = lifetime.as_secs();
    let secure = if https { "; Secure" } else { "" };
    let text = format!(
        "{pair}; expires={expires};{flags} Max-Age={seconds}; Path=/; SameSite=Lax{secure}"
    );
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    // Whoever prints headers is told to leave this one out.
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::COOKIE;

    #[test]
    fn a_cookie_is_only_for_this_site_and_no_script() {
        let id = Secret::random().unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let plain = cookie(&id, false, now);
        let expected = format!(
            "sessionid={}; expires=Thu, 15 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=1209600; Path=/; SameSite=Lax",
            id.reveal()
        );
        assert_eq!(plain.to_str().unwrap(), expected);
        assert_eq!(
            cookie(&id, true, now).to_str().unwrap(),
            format!("{expected}; Secure")
        );
        assert!(plain.is_sensitive());
        let csrf = csrf_cookie("t", false, now);
        assert_eq!(
            csrf.to_str().unwrap(),
            "csrftoken=t; expires=Thu, 31 Dec 1970 00:00:00 GMT; Max-Age=31449600; Path=/; SameSite=Lax"
        );
    }

    #[test]
    fn the_id_is_found_among_other_cookies() {
        for (sent, expected) in [
            ("sessionid=a", Some("a")),
            ("x=1; sessionid=\"a\"; y", Some("a")),
            ("mysessionid=a", None),
            ("sessionid=", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(sent))]);
            assert_eq!(id(&headers), expected, "{sent}");
        }
    }
}
