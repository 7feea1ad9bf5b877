//! Where a page is: its address, those around it and those above it. Pure.

use form_urlencoded::{Serializer, parse};
use http::Uri;

/// The parameter that asks the page to ask back before it deletes.
const CONFIRM: &str = "confirm";

/// The address of a page.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The path in its plain form.
    pub(super) path: String,
    /// The path and the query, as they were sent.
    pub(super) here: String,
    query: Vec<(String, String)>,
}

/// An address above the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crumb {
    pub(super) name: String,
    pub(super) address: String,
}

impl Place {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let here = uri.path_and_query();
        Self {
            path: uri.path().to_owned(),
            here: here.map_or_else(String::new, ToString::to_string),
            query: parse(query.as_bytes()).into_owned().collect(),
        }
    }

    /// Returns the last value of a parameter; empty if it is not there.
    pub(super) fn parameter(&self, wanted: &str) -> &str {
        let mut found = self.query.iter().rev().filter(|(name, _)| name == wanted);
        found.next().map_or("", |(_, value)| value)
    }

    /// Tells whether the page is to ask back before it deletes.
    pub(super) fn asks_back(&self) -> bool {
        self.parameter(CONFIRM) == "delete"
    }

    /// Returns the same address in another format; an empty one leaves the choice to the browser.
    pub(super) fn in_format(&self, format: &str) -> String {
        let kept = self
            .query
            .iter()
            .filter(|(name, _)| name != "format" && name != CONFIRM);
        let mut query = Serializer::new(String::new());
        query.extend_pairs(kept);
        if !format.is_empty() {
            query.append_pair("format", format);
        }
        match query.finish() {
            query if query.is_empty() => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }
}

/// Returns the addresses above `path`, and itself under `name`.
pub(super) fn crumbs(path: &str, name: &str) -> Vec<Crumb> {
    let crumb = |name: &str, address: &str| Crumb {
        name: name.to_owned(),
        address: address.to_owned(),
    };
    let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut crumbs = Vec::new();
    if segments.len() > 1 {
        crumbs.push(crumb("Api Root", "/api/"));
    }
    if segments.len() > 2 {
        crumbs.push(crumb("Music List", "/api/music/"));
    }
    if segments.len() > 3 {
        let item = format!("/api/music/{}/", segments[2]);
        crumbs.push(crumb("Music Instance", &item));
    }
    crumbs.push(crumb(name, path));
    crumbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crumbs_lead_up_to_the_root() {
        for (path, expected) in [
            ("/api/", "x /api/"),
            ("/api/music/", "Api Root /api/, x /api/music/"),
            (
                "/api/music/5/",
                "Api Root /api/, Music List /api/music/, x /api/music/5/",
            ),
            (
                "/api/music/5/detail/",
                "Api Root /api/, Music List /api/music/, Music Instance /api/music/5/, x /api/music/5/detail/",
            ),
        ] {
            let found = crumbs(path, "x")
                .iter()
                .map(|crumb| format!("{} {}", crumb.name, crumb.address))
                .collect::<Vec<_>>();
            assert_eq!(found.join(", "), expected);
        }
    }

    #[test]
    fn a_format_is_put_into_the_address_and_taken_out() {
        let uri = "/api/music/?search=a%26+b&format=api&confirm=delete&limit=5".parse();
        let place = Place::of(&uri.unwrap());
        assert_eq!(
            place.in_format("json"),
            "/api/music/?search=a%26+b&limit=5&format=json"
        );
        assert_eq!(place.in_format(""), "/api/music/?search=a%26+b&limit=5");
        assert!(place.asks_back());
        let plain = Place::of(&Uri::from_static("/api/music/1/"));
        assert_eq!(plain.in_format(""), "/api/music/1/");
        assert!(!plain.asks_back());
    }
}
