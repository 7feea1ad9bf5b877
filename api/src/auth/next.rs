//! Where the form leads when it is done: only to an address of this site. Pure.

/// The longest address that is taken.
const LONGEST: usize = 2000;

/// Returns `text` as it can stand in a `Location`, if no browser would read another site in it.
#[must_use]
pub fn local(text: &str) -> Option<String> {
    let rest = text.strip_prefix('/')?;
    // A second slash begins a host, and a backslash is one to a browser, as it is or encoded.
    let begins_host = ["/", "\\", "%2f", "%5c"].iter().any(|slash| {
        rest.get(..slash.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(slash))
    });
    // Browsers take out tabs and line ends before they look at the rest.
    let is_odd = |character: char| character.is_control() || matches!(character, '\\' | ' ');
    if begins_host || text.len() > LONGEST || text.contains(is_odd) {
        return None;
    }
    Some(text.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii() {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
        path
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_site_is_kept() {
        for (text, expected) in [
            ("/", "/"),
            (
                "/api/music/?search=a&limit=5#x",
                "/api/music/?search=a&limit=5#x",
            ),
            ("/api/?search=é", "/api/?search=%C3%A9"),
            ("/a//b", "/a//b"),
            ("/login/?next=%2F", "/login/?next=%2F"),
        ] {
            assert_eq!(local(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn nothing_leads_to_another_site() {
        let long = format!("/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "api/",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2Fevil.example",
            "/%2fevil.example",
            "/%5Cevil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: x",
            "https://evil.example/",
            "javascript:alert(1)",
            "/a\\b",
            " //evil.example",
            "/\u{0}",
            "/\u{85}x",
            &long,
        ] {
            assert_eq!(local(text), None, "{text:?}");
        }
    }
}
