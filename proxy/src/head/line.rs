//! The request line: method, target, version.

use std::ops::Range;

use http::StatusCode;

use super::field::is_host;
use super::{Broken, Limits, bad, is_token};

/// The longest name of a method that is read at all.
const METHOD_BYTES: usize = 32;
const NOT_THREE_WORDS: &str = "The request line is not made of a method, a target and a version.";
/// What stands in a request line besides method and target.
const REST_BYTES: usize = " ".len() + " HTTP/1.1\r".len();
/// How much of a path is kept for the log.
const LOGGED_BYTES: usize = 1024;

/// A request line that may pass; its parts as places in the head.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method: Range<usize>,
    /// The target in origin form; empty for an absolute one without a path.
    pub(super) target: Range<usize>,
    /// The authority of a target in absolute form.
    pub(super) authority: Option<Range<usize>>,
    pub(super) is_http_1_0: bool,
    /// Where the next line begins.
    pub(super) end: usize,
}

/// Parses a whole request line that begins at `start` of the head.
pub(super) fn parse(line: &[u8], start: usize, limits: &Limits) -> Result<RequestLine, Broken> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad(NOT_THREE_WORDS));
    };
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return Err(bad("The method is not a token."));
    }
    let is_http_1_0 = check_version(version)?;
    check_method(method)?;
    if target.len() > limits.target_bytes {
        return Err(too_long());
    }
    let target_at = start + method.len() + 1;
    let (authority, path) = split_target(method, target)?;
    let shift = |range: Range<usize>| target_at + range.start..target_at + range.end;
    Ok(RequestLine {
        method: start..start + method.len(),
        target: shift(path),
        authority: authority.map(shift),
        is_http_1_0,
        end: start + line.len() + 2,
    })
}

/// Refuses the beginning of a request line that can no longer become one that passes.
pub(super) fn check_beginning(line: &[u8], limits: &Limits) -> Result<(), Broken> {
    match line.first() {
        Some(0x16) => return Err(bad("This port does not speak TLS.")),
        // An empty line may just have begun.
        Some(b'\r') if line.len() == 1 => return Ok(()),
        Some(&byte) if !is_token(byte) => return Err(bad("The method is not a token.")),
        _ => {}
    }
    let method = line.iter().take_while(|&&byte| byte != b' ').count();
    if method > METHOD_BYTES {
        return Err(bad("The method is too long."));
    }
    if line.len() > method + REST_BYTES + limits.target_bytes {
        let target = line[method + 1..].iter().take_while(|&&byte| byte != b' ');
        return Err(if target.count() > limits.target_bytes {
            too_long()
        } else {
            bad(NOT_THREE_WORDS)
        });
    }
    Ok(())
}

/// Returns what can be told of method and path from a request line that does not pass.
///
/// No target but one in origin form is told: others may hold a password.
pub(super) fn told(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let mut words = line.unwrap_or_default().split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    let is_method = (1..=METHOD_BYTES).contains(&method.len());
    if !is_method || !method.iter().copied().all(is_token) {
        return (None, None);
    }
    let path = words.next().filter(|target| target.starts_with(b"/"));
    (Some(logged(method)), path.map(logged))
}

/// Returns a target as it is logged: without its query, and not all of a long one.
pub(super) fn logged(target: &[u8]) -> String {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let path = &target[..end.unwrap_or(target.len()).min(LOGGED_BYTES)];
    String::from_utf8_lossy(path).into_owned()
}

/// Returns whether it is HTTP/1.0.
fn check_version(version: &[u8]) -> Result<bool, Broken> {
    match version {
        b"HTTP/1.1" => Ok(false),
        b"HTTP/1.0" => Ok(true),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err((
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "This port speaks HTTP/1.0, HTTP/1.1 and HTTP/2.",
            ))
        }
        _ => Err(bad("The version is malformed.")),
    }
}

fn check_method(method: &[u8]) -> Result<(), Broken> {
    if super::is_allowed(method) {
        Ok(())
    } else {
        Err((
            StatusCode::METHOD_NOT_ALLOWED,
            "This method is not allowed here.",
        ))
    }
}

/// Splits a target into its authority, if it has one, and its path with the query.
fn split_target(
    method: &[u8],
    target: &[u8],
) -> Result<(Option<Range<usize>>, Range<usize>), Broken> {
    check_bytes(target)?;
    if target == b"*" && method == b"OPTIONS" || target.starts_with(b"/") {
        return Ok((None, 0..target.len()));
    }
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme.as_bytes()))
        })
        .ok_or_else(|| bad("The target does not begin with a slash."))?;
    let rest = &target[scheme.len()..];
    let length = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    if !is_host(&rest[..length]) {
        return Err(bad("The target's host is malformed."));
    }
    let path = scheme.len() + length;
    Ok((Some(scheme.len()..path), path..target.len()))
}

/// Refuses bytes which servers are known to read in more than one way.
///
/// An escape that is none is among them: one server keeps it, the next drops its percent sign. A
/// backtick may stand in the query, where browsers do not escape it.
fn check_bytes(target: &[u8]) -> Result<(), Broken> {
    let mut is_query = false;
    for (index, &byte) in target.iter().enumerate() {
        match byte {
            b'#' => return Err(bad("The target holds a fragment.")),
            b'\\' => return Err(bad("The target holds a backslash.")),
            b'"' | b'<' | b'>' => return Err(bad("The target holds a raw delimiter.")),
            b'`' if !is_query => return Err(bad("The target holds a raw delimiter.")),
            b'%' if !is_escape(&target[index + 1..]) => {
                return Err(bad("The target holds a malformed escape."));
            }
            b'!'..=b'~' => is_query |= byte == b'?',
            _ => return Err(bad("The target holds a byte that must be escaped.")),
        }
    }
    Ok(())
}

fn is_escape(rest: &[u8]) -> bool {
    matches!(rest, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}

fn too_long() -> Broken {
    (StatusCode::URI_TOO_LONG, "The target is too long.")
}
