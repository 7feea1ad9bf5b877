//! Makes one path out of the ways in which an address of the API may be written.
//!
//! Doubled slashes are one, `/api/music.json` is `/api/music/` in JSON, and an address without its last slash
//! is redirected. What is no address of the API passes as it is, to be not found by the router.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri};

/// The format that the suffix of an address names, such as `json` in `/api/music.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix(pub String);

/// What to do with the path of a request.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    /// Route it as it is.
    AsItIs,
    /// Route this path instead, in the format of the suffix, if there is one.
    Rewritten(String, Option<Suffix>),
    /// Send the client to this path.
    Redirected(String),
}

/// Rewrites the request's path; or returns the redirect that answers it.
pub fn resolve(request: &mut Request) -> Option<Response> {
    match address(request.uri().path()) {
        Address::AsItIs => {}
        Address::Redirected(path) => {
            return Some(redirect(request.method(), request.uri(), &path));
        }
        Address::Rewritten(path, suffix) => {
            if let Some(uri) = with_path(request.uri(), &path) {
                *request.uri_mut() = uri;
            }
            if let Some(suffix) = suffix {
                request.extensions_mut().insert(suffix);
            }
        }
    }
    None
}

/// A redirect keeps the method, except for the two that the original redirects with 301.
fn redirect(method: &Method, uri: &Uri, path: &str) -> Response {
    let safe = matches!(*method, Method::GET | Method::HEAD);
    let status = if safe {
        StatusCode::MOVED_PERMANENTLY
    } else {
        StatusCode::PERMANENT_REDIRECT
    };
    let target = uri
        .query()
        .map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    match HeaderValue::try_from(target) {
        Ok(target) => (status, [(LOCATION, target)]).into_response(),
        Err(_) => crate::error::Error::NotFound.into_response(),
    }
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = uri
        .query()
        .map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Tells whether there is no other way to write a path: every slash is in its place, and nothing is a suffix.
fn is_plain(path: &str) -> bool {
    path.starts_with('/') && path.ends_with('/') && !path.contains('.') && !path.contains("//")
}

fn address(path: &str) -> Address {
    if is_plain(path) {
        return Address::AsItIs;
    }
    let segments: Vec<_> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let (stem, suffix) = match segments.as_slice() {
        ["api"]
        | ["api", "music" | "schema"]
        | ["api", "music", _]
        | ["api", "music", _, "detail"] => split_suffix(&segments),
        ["api", last]
            if last.starts_with("music.")
                || last.starts_with("schema.")
                || last.starts_with('.') =>
        {
            split_suffix(&segments)
        }
        ["api", "music", _, last] if last.starts_with("detail.") => split_suffix(&segments),
        ["api", "docs"] | ["api-auth", "login" | "logout"] | ["admin", ..] => {
            (segments.clone(), None)
        }
        _ => return Address::AsItIs,
    };
    let canonical = stem
        .iter()
        .fold(String::from("/"), |path, segment| path + segment + "/");
    match suffix {
        Some(suffix) => Address::Rewritten(canonical, Some(Suffix(suffix.to_owned()))),
        None if !path.ends_with('/') => Address::Redirected(canonical),
        None if canonical == path => Address::AsItIs,
        None => Address::Rewritten(canonical, None),
    }
}

/// Takes a suffix such as `.json` from the last segment.
fn split_suffix<'a>(segments: &[&'a str]) -> (Vec<&'a str>, Option<&'a str>) {
    let mut stem = segments.to_vec();
    let Some((name, suffix)) = stem
        .pop()
        .and_then(|last| last.split_once('.').or(Some((last, ""))))
    else {
        return (stem, None);
    };
    stem.extend(Some(name).filter(|name| !name.is_empty()));
    let is_suffix = !suffix.is_empty()
        && suffix
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_suffix {
        (stem, Some(suffix))
    } else {
        (segments.to_vec(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_leads_to_one_path() {
        let json = || Some(Suffix("json".into()));
        let rewritten = |path: &str, suffix| Address::Rewritten(path.into(), suffix);
        let redirected = |path: &str| Address::Redirected(path.into());
        for (path, expected) in [
            ("/api/", Address::AsItIs),
            ("/api/music/", Address::AsItIs),
            ("/api/music/1/", Address::AsItIs),
            ("/api/music/1/detail/", Address::AsItIs),
            ("//api//music///1/", rewritten("/api/music/1/", None)),
            ("/api", redirected("/api/")),
            ("/api/music", redirected("/api/music/")),
            ("//api/music", redirected("/api/music/")),
            (
                "/api/music/all_singer",
                redirected("/api/music/all_singer/"),
            ),
            ("/api/music/1/detail", redirected("/api/music/1/detail/")),
            ("/api-auth/login/", Address::AsItIs),
            ("/api-auth/login", redirected("/api-auth/login/")),
            ("/api-auth//logout/", rewritten("/api-auth/logout/", None)),
            ("/api-auth/other", Address::AsItIs),
            ("/api/schema", redirected("/api/schema/")),
            ("/api/schema.json", rewritten("/api/schema/", json())),
            ("/api/docs", redirected("/api/docs/")),
            ("/api/docs//", rewritten("/api/docs/", None)),
            ("/api/docs/swagger-ui.css", Address::AsItIs),
            ("/api/.json", rewritten("/api/", json())),
            ("/api/music.json", rewritten("/api/music/", json())),
            ("/api/music.json/", rewritten("/api/music/", json())),
            ("/api/music/1.json", rewritten("/api/music/1/", json())),
            (
                "/api/music/all_singer.json",
                rewritten("/api/music/all_singer/", json()),
            ),
            (
                "/api/music/1/detail.json",
                rewritten("/api/music/1/detail/", json()),
            ),
            (
                "/api/music/1.0/",
                rewritten("/api/music/1/", Some(Suffix("0".into()))),
            ),
            // A dot that begins no suffix is part of the name.
            ("/api/music/1.JSON/", Address::AsItIs),
            ("/api/music/a.b.c/", Address::AsItIs),
            // Not of the API.
            ("/", Address::AsItIs),
            ("/healthz", Address::AsItIs),
            ("/api/nosuch", Address::AsItIs),
            ("/api/musical.json", Address::AsItIs),
            ("/API/music", Address::AsItIs),
            ("/api/music/1/2/3", Address::AsItIs),
        ] {
            assert_eq!(address(path), expected, "{path}");
        }
    }

    #[test]
    fn a_redirect_keeps_the_query_and_stays_on_this_server() {
        let uri = Uri::from_static("http://x//evil.example?x=1");
        let response = redirect(&Method::POST, &uri, "/api/music/");
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(response.headers()[LOCATION], "/api/music/?x=1");
        assert_eq!(
            redirect(&Method::HEAD, &uri, "/").status(),
            StatusCode::MOVED_PERMANENTLY
        );
    }
}
