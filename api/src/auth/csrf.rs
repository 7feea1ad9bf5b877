//! Whether an unsafe request with a session's cookie was made by a page of this site. Pure.
//!
//! A browser says where a request comes from, and no page can make it lie: `Sec-Fetch-Site`, else `Origin`. A
//! client that says neither, such as a script, shows the token that came in a cookie, as clients of the original
//! do: no other site can read it, nor send that header.

use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, Method};

/// The cookie that holds the token.
pub const COOKIE_NAME: &str = "csrftoken";
/// The field of a form that holds the token.
pub const FIELD: &str = "csrfmiddlewaretoken";

/// Refuses an unsafe request of another site; `Err` says why, in the words of the original where it has any.
///
/// `own` is the scheme and host that the client asked, as in `https://music.example`, `form` the token in a form
/// that was sent, if there was one.
pub fn check(
    method: &Method,
    headers: &HeaderMap,
    own: Option<&str>,
    form: Option<&str>,
) -> Result<(), String> {
    if matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    ) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return match site {
            "same-origin" | "none" => Ok(()),
            _ => Err("Request from another site.".into()),
        };
    }
    if let Some(origin) = text(ORIGIN.as_str()) {
        return if own.is_some_and(|own| is_same_site(origin, own)) {
            Ok(())
        } else {
            Err(format!(
                "Origin checking failed - {origin} does not match any trusted origins."
            ))
        };
    }
    let cookie = cookie(headers, COOKIE_NAME).ok_or("CSRF cookie not set.")?;
    match (text("x-csrftoken"), form) {
        (Some(token), _) | (None, Some(token)) if same(token, cookie) => Ok(()),
        (None, None) => Err("CSRF token missing.".into()),
        (Some(_), _) => Err("CSRF token from the 'X-Csrftoken' HTTP header incorrect.".into()),
        (None, Some(_)) => Err("CSRF token from POST incorrect.".into()),
    }
}

/// Whether a page of this origin is one of ours. One that came in clear is not where we are asked over TLS: anybody on
/// the way could have made it. The reverse is what is seen behind a proxy that ends TLS and does not say so.
fn is_same_site(origin: &str, own: &str) -> bool {
    let (Some((scheme, host)), Some((own_scheme, own_host))) =
        (origin.split_once("://"), own.split_once("://"))
    else {
        return false;
    };
    host.eq_ignore_ascii_case(own_host) && (scheme == own_scheme || scheme == "https")
}

/// Returns the value of a cookie that is not empty.
pub fn cookie<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.split_once('='))
        .find(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"'))
        .filter(|value| !value.is_empty())
}

/// Returns the token that the browser keeps, if it can be one of ours.
pub fn kept(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE_NAME)
        .filter(|kept| kept.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Compares in a time that does not tell where two tokens differ.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |differs, (one, other)| differs | (one ^ other))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check_post(sent: &[(&'static str, &'static str)], form: Option<&str>) -> Result<(), String> {
        let headers = sent.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let headers = HeaderMap::from_iter(headers);
        check(
            &Method::POST,
            &headers,
            Some("http://music.example:8080"),
            form,
        )
    }

    #[test]
    fn a_browser_says_where_a_request_comes_from() {
        for (sent, passes) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://music.example:8080"),
                ],
                false,
            ),
            (&[("origin", "http://music.example:8080")], true),
            (&[("origin", "https://MUSIC.example:8080")], true),
            (&[("origin", "http://music.example")], false),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (
                &[
                    ("origin", "http://evil.example"),
                    ("cookie", "csrftoken=abc"),
                    ("x-csrftoken", "abc"),
                ],
                false,
            ),
        ] {
            assert_eq!(check_post(sent, None).is_ok(), passes, "{sent:?}");
        }
    }

    #[test]
    fn a_page_in_clear_is_not_one_of_ours_over_tls() {
        for (origin, own, expected) in [
            ("https://a:1", "https://a:1", true),
            ("http://a:1", "https://a:1", false),
            ("https://a:1", "http://a:1", true),
            ("ftp://a:1", "http://a:1", false),
        ] {
            assert_eq!(is_same_site(origin, own), expected, "{origin} {own}");
        }
    }

    #[test]
    fn a_script_shows_the_token() {
        let cookie = ("cookie", "a=b; csrftoken=abc");
        for (sent, form, expected) in [
            (&[][..], None, Err("CSRF cookie not set.")),
            (
                &[("cookie", "sessionid=x")],
                None,
                Err("CSRF cookie not set."),
            ),
            (&[("x-csrftoken", "abc")], None, Err("CSRF cookie not set.")),
            (&[cookie], None, Err("CSRF token missing.")),
            (
                &[cookie, ("x-csrftoken", "abd")],
                None,
                Err("CSRF token from the 'X-Csrftoken' HTTP header incorrect."),
            ),
            (&[cookie, ("x-csrftoken", "abc")], None, Ok(())),
            (&[cookie], Some("abc"), Ok(())),
            (&[cookie], Some("x"), Err("CSRF token from POST incorrect.")),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(check_post(sent, form), expected, "{sent:?}");
        }
    }

    #[test]
    fn reading_is_never_refused() {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("sec-fetch-site"),
            HeaderValue::from_static("cross-site"),
        )]);
        assert_eq!(check(&Method::GET, &headers, None, None), Ok(()));
    }
}
