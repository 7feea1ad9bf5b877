//! Which name below the root does a path ask for? Pure; a name is decoded once and refused unless
//! it is plain.

use percent_encoding::percent_decode_str;

/// What a folder's path stands for.
const INDEX: &str = "index.html";

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The file of this name, relative to the root, its segments joined by `/`.
    File(String),
    /// The root itself, by the route's prefix without a slash at its end.
    RootWithoutSlash,
}

/// Why a path is refused before the disk is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be a name: a broken escape, NUL, or not UTF-8.
    Malformed,
    /// It could be one, but is never served: `.` and `..`, dot-files, empty segments inside, and
    /// names that hold a slash or backslash.
    NeverServed,
}

/// Resolves the whole path of a request and its part below the route's prefix.
pub(super) fn resolve(path: &str, below: &str) -> Result<Wanted, Refusal> {
    // Looked for in the whole path: a route at "/" has taken one of two leading slashes off.
    if !path.starts_with('/') || path.contains("//") {
        return Err(Refusal::NeverServed);
    }
    let below = below.strip_prefix('/').unwrap_or(below);
    let (below, is_folder) = match below.strip_suffix('/') {
        Some(folder) => (folder, true),
        None => (below, below.is_empty() && path.ends_with('/')),
    };
    if below.is_empty() && !is_folder {
        return Ok(Wanted::RootWithoutSlash);
    }
    let mut name = String::with_capacity(below.len() + 1 + INDEX.len());
    for segment in below.split('/').filter(|_| !below.is_empty()) {
        name.push_str(&plain_name(segment)?);
        name.push('/');
    }
    if is_folder {
        name.push_str(INDEX);
    } else {
        name.pop();
    }
    Ok(Wanted::File(name))
}

/// Decodes one segment and refuses what is not the plain name of a file or folder.
fn plain_name(segment: &str) -> Result<String, Refusal> {
    if !escapes_are_whole(segment) {
        return Err(Refusal::Malformed);
    }
    let name = percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| Refusal::Malformed)?;
    if name.contains('\0') {
        return Err(Refusal::Malformed);
    }
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
        return Err(Refusal::NeverServed);
    }
    Ok(name.into_owned())
}

/// Whether every `%` is followed by two hexadecimal digits.
fn escapes_are_whole(segment: &str) -> bool {
    segment.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Wanted, resolve};

    fn check(path: &str, expected: Result<&str, Refusal>) {
        let expected = expected.map(|name| Wanted::File(name.to_owned()));
        assert_eq!(
            resolve(path, path),
            expected,
            "{path:?} at a route of \"/\""
        );
        let below_prefix = format!("/static{path}");
        assert_eq!(resolve(&below_prefix, path), expected, "{below_prefix:?}");
    }

    #[test]
    fn plain_names_are_decoded_once() {
        check("/a.txt", Ok("a.txt"));
        check("/a/b/c.css", Ok("a/b/c.css"));
        check("/a%20b.txt", Ok("a b.txt"));
        check("/%C3%A9.txt", Ok("é.txt"));
        check("/a%252e.txt", Ok("a%2e.txt"));
        check("/100%25", Ok("100%"));
        check("/a..b", Ok("a..b"));
        check("/a.", Ok("a."));
        check("/a+b", Ok("a+b"));
    }

    #[test]
    fn a_slash_at_the_end_asks_for_the_index() {
        check("/", Ok("index.html"));
        check("/a/", Ok("a/index.html"));
        check("/a/b/", Ok("a/b/index.html"));
    }

    #[test]
    fn what_is_never_served() {
        for path in [
            "/..",
            "/../",
            "/../a",
            "/a/../b",
            "/a/..",
            "/.",
            "/./a",
            "/a/./b",
            "/.env",
            "/a/.git/config",
            "/%2e%2e/a",
            "/%2E./a",
            "/.%2e/a",
            "/%2e",
            "/%2eenv",
            "/a%2fb",
            "/a%2Fb",
            "/%2f",
            "/%2fetc",
            "/a\\b",
            "/a%5cb",
            "/..%5c",
            "/%5c",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/...",
            "/..%2f..%2fetc",
        ] {
            check(path, Err(Refusal::NeverServed));
        }
    }

    #[test]
    fn what_is_malformed() {
        for path in [
            "/%",
            "/a%",
            "/a%2",
            "/%zz",
            "/%2g/a",
            "/%%41",
            "/a%00",
            "/a%00.txt",
            "/%ff",
            "/%c3",
            "/%c0%ae",
            "/%ed%a0%80",
            "/a/%80/b",
            "/a\0b",
        ] {
            check(path, Err(Refusal::Malformed));
        }
    }

    #[test]
    fn the_prefix_itself_is_the_root() {
        let index = Ok(Wanted::File("index.html".to_owned()));
        assert_eq!(resolve("/static", ""), Ok(Wanted::RootWithoutSlash));
        assert_eq!(resolve("/static/", ""), index);
        assert_eq!(resolve("/static/", "/"), index);
        assert_eq!(resolve("/", ""), index);
        assert_eq!(resolve("/", "/"), index);
        assert_eq!(resolve("/a", "a"), Ok(Wanted::File("a".to_owned())));
    }

    #[test]
    fn two_slashes_are_refused_wherever_the_prefix_ends() {
        for (path, below) in [
            ("//a", "/a"),
            ("//a", "a"),
            ("/static//a", "/a"),
            ("//", ""),
            ("a", "a"),
        ] {
            assert_eq!(resolve(path, below), Err(Refusal::NeverServed), "{path}");
        }
    }
}
