//! The head of an HTTP/2 request, judged by the very rules for HTTP/1.1 (RFC 9113, 8.3).
//!
//! What the frames carried is written down as the head that goes on over HTTP/1.1, and the
//! [`Reader`] judges that: there is no second set of rules. What a parser of HTTP/2 refuses by
//! itself, such as a field that concerns the connection, never comes here.

use http::request::Parts;
use http::{HeaderValue, StatusCode, Uri, header};

use super::line::logged;
use super::{Broken, Framing, Limits, Reader, Refused, Verdict, bad};

/// Judges a head; one that may pass is changed into what is passed on: a target in origin form,
/// one host, one length, one cookie field.
pub fn admit_http2(parts: &mut Parts, limits: Limits) -> Result<Framing, Refused> {
    let head = as_http1(parts).map_err(|broken| refused(parts, broken))?;
    match Reader::new(limits).read(&head) {
        Verdict::Accepted(accepted) => {
            settle(parts, accepted.body);
            Ok(accepted.body)
        }
        Verdict::Refused(refused) => Err(refused),
        // A field value holds no line end, so the empty line at the end has been read.
        Verdict::Incomplete => Err(refused(parts, bad("The head has no end."))),
    }
}

/// Writes the head as it would stand in HTTP/1.1.
fn as_http1(parts: &Parts) -> Result<Vec<u8>, Broken> {
    let target = target(parts);
    if !target.starts_with('/') && target != "*" && parts.method != http::Method::CONNECT {
        return Err(bad("The target does not begin with a slash."));
    }
    if !matches!(parts.uri.scheme_str(), None | Some("http" | "https")) {
        return Err(bad("The scheme is neither http nor https."));
    }
    let mut head = Vec::with_capacity(1024);
    for part in [parts.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority {
        write_field(&mut head, "host", authority.as_bytes());
    }
    if parts.headers.get_all(header::HOST).iter().count() > 1 {
        return Err(bad("The request names more than one host."));
    }
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        if value.trim_ascii().len() != value.len() {
            return Err(bad("A field begins or ends with white space."));
        }
        if let (&header::HOST, Some(authority)) = (name, authority) {
            if !value.eq_ignore_ascii_case(authority.as_bytes()) {
                return Err(bad("The request names more than one host."));
            }
            continue;
        }
        write_field(&mut head, name.as_str(), value);
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

fn write_field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

fn target(parts: &Parts) -> &str {
    let target = parts.uri.path_and_query();
    target.map_or("", |target| target.as_str())
}

/// Makes a head that has passed into the one that goes on.
fn settle(parts: &mut Parts, body: Framing) {
    let authority = parts.uri.authority();
    let host = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        parts.headers.insert(header::HOST, host);
    }
    if let Some(target) = parts.uri.path_and_query().cloned() {
        parts.uri = Uri::from(target);
    }
    if parts.headers.contains_key(header::CONTENT_LENGTH) {
        let length = match body {
            Framing::Length(length) => length,
            Framing::None | Framing::Chunked => 0,
        };
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    join_cookies(parts);
}

/// A cookie may come in one field per crumb; HTTP/1.1 knows one field only (RFC 9113, 8.2.3).
fn join_cookies(parts: &mut Parts) {
    let crumbs = parts.headers.get_all(header::COOKIE);
    let crumbs: Vec<&[u8]> = crumbs.iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        parts.headers.insert(header::COOKIE, cookie);
    }
}

fn refused(parts: &Parts, (status, reason): (StatusCode, &'static str)) -> Refused {
    let target = target(parts);
    Refused {
        status,
        reason,
        method: Some(logged(parts.method.as_str().as_bytes())),
        // No other target than one in origin form is told: it may hold a password.
        path: target.starts_with('/').then(|| logged(target.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    fn parts(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn admit(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<Framing, u16> {
        admit_http2(&mut parts(method, uri, fields), Limits::default())
            .map_err(|refused| refused.status.as_u16())
    }

    #[test]
    fn the_rules_are_those_of_http1() {
        let none: &[(&str, &str)] = &[];
        let many: Vec<(String, String)> = (0..100).map(|n| (format!("f{n}"), "x".into())).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (&**n, &**v)).collect();
        let large = "x".repeat(33 * 1024);
        let long = format!("http://x/{}", "a".repeat(8 * 1024));
        for (method, uri, fields, expected) in [
            ("GET", "http://x/", none, Ok(Framing::None)),
            ("GET", "https://x:443/a?b", none, Ok(Framing::None)),
            ("GET", "/a", &[("host", "x")], Ok(Framing::None)),
            ("GET", "http://x/", &[("host", "X")], Ok(Framing::None)),
            ("OPTIONS", "*", &[("host", "x")], Ok(Framing::None)),
            (
                "POST",
                "http://x/",
                &[("content-length", "5")],
                Ok(Framing::Length(5)),
            ),
            ("GET", "/a", none, Err(400)),
            ("GET", "*", &[("host", "x")], Err(400)),
            ("GET", "ftp://x/", none, Err(400)),
            ("GET", "http://u@x/", none, Err(400)),
            ("GET", "http://x/", &[("host", "y")], Err(400)),
            (
                "GET",
                "http://x/",
                &[("host", "x"), ("host", "y")],
                Err(400),
            ),
            ("GET", "/a", &[("host", "x"), ("host", "x")], Err(400)),
            (
                "GET",
                "http://x/",
                &[("host", "x"), ("host", "x")],
                Err(400),
            ),
            ("GET", "http://x/%zz", none, Err(400)),
            ("GET", "http://x/", &[("a", " b")], Err(400)),
            ("GET", "http://x/", &[("a", "b\t")], Err(400)),
            ("CONNECT", "x:80", none, Err(405)),
            ("TRACE", "http://x/", none, Err(405)),
            ("get", "http://x/", none, Err(405)),
            ("GET", &long, none, Err(414)),
            ("POST", "http://x/", &[("expect", "200-ok")], Err(417)),
            ("GET", "http://x/", &many, Err(431)),
            ("GET", "http://x/", &[("a", &large)], Err(431)),
            (
                "POST",
                "http://x/",
                &[("content-length", "5"), ("content-length", "6")],
                Err(400),
            ),
            ("POST", "http://x/", &[("content-length", "+5")], Err(400)),
        ] {
            let shown: String = uri.chars().take(40).collect();
            assert_eq!(admit(method, uri, fields), expected, "{method} {shown}");
        }
    }

    #[test]
    fn what_goes_on_is_in_the_form_of_http1() {
        let mut parts = parts(
            "POST",
            "https://x:1/a?b",
            &[
                ("cookie", "a=1"),
                ("content-length", "05"),
                ("cookie", "b=2"),
                ("content-length", "5"),
                ("host", "X:1"),
            ],
        );
        assert!(admit_http2(&mut parts, Limits::default()).is_ok());
        assert_eq!(parts.uri, "/a?b");
        for (name, value) in [
            ("host", "x:1"),
            ("content-length", "5"),
            ("cookie", "a=1; b=2"),
        ] {
            let values: Vec<_> = parts.headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
    }

    #[test]
    fn a_refused_head_tells_the_log_no_password() {
        let mut parts = parts("GET", "http://me:secret@x/a?b", &[]);
        let refused = admit_http2(&mut parts, Limits::default()).unwrap_err();
        assert_eq!(refused.path.as_deref(), Some("/a"));
        assert_eq!(refused.method.as_deref(), Some("GET"));
    }

    proptest! {
        /// What passes is, written down, a head that passes as HTTP/1.1 and stays as it is.
        #[test]
        fn what_passes_passes_again_unchanged(
            method in "GET|POST|OPTIONS|HEAD|PUT|get|TRACE",
            path in "/[!-~]{0,12}",
            host in "[a-z0-9.:@-]{1,8}",
            fields in prop::collection::vec(("[a-z_-]{1,8}|host|cookie|content-length|expect", "[ -~]{0,8}"), 0..8),
        ) {
            let Ok(uri) = format!("http://{host}{path}").parse::<Uri>() else {
                return Ok(());
            };
            let mut request = Request::builder().method(method.as_str()).uri(uri);
            for (name, value) in &fields {
                request = request.header(name, value);
            }
            let Ok(request) = request.body(()) else {
                return Ok(());
            };
            let mut parts = request.into_parts().0;
            if let Ok(framing) = admit_http2(&mut parts, Limits::default()) {
                let head = as_http1(&parts).unwrap();
                match Reader::new(Limits::default()).read(&head) {
                    Verdict::Accepted(again) => {
                        prop_assert_eq!(again.body, framing);
                        prop_assert_eq!(again.len, head.len());
                        prop_assert_eq!(again.rewritten, None);
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
    }
}
