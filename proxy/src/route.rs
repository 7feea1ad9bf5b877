//! Which route does a request take? The most specific one by host, then by path.
//!
//! Pure: names in, a route out. [`crate::gateway`] asks the one [`Table`] that was made from the
//! configuration.
//!
//! A route with a matching host comes before one without, an exact host before `*.example.com`,
//! and then the longest prefix of whole path segments wins: `/static` never matches `/staticfoo`.
//!
//! # How a path is read
//!
//! Not every server reads `/api%2F..%2Fadmin` alike, and a route must not be chosen by one reading
//! while the server behind it acts on another. So a path is read twice:
//!
//! - *strictly*, as RFC 3986 says: split at `/`, then each segment percent-decoded once (`/%61pi`
//!   is `/api`), empty segments kept, an encoded slash part of its segment;
//! - *loosely*, as lenient servers do: split also at `\`, `%2F` and `%5C`, empty segments dropped,
//!   and what follows a `;` in a segment dropped.
//!
//! A route is found only if both readings select the same one, and none is found for a path with a
//! dot segment in the loose reading, however it is encoded. What to answer then is the caller's
//! affair. Without such characters both readings are one, and the path is compared as it is.

mod pattern;

use std::fmt;

pub(crate) use pattern::bare_host;
use pattern::decoded;
pub use pattern::{HostPattern, Prefix};

/// All routes, the most specific first.
#[derive(Debug, Clone)]
pub struct Table<T> {
    routes: Vec<(Matcher, T)>,
}

/// A route that was found, and where in the path it ends.
#[derive(Debug)]
pub struct Found<'t, 'p, T> {
    /// What matched.
    pub matcher: &'t Matcher,
    /// What the table holds for it.
    pub route: &'t T,
    /// The raw path below the prefix: empty, or beginning with a slash.
    pub rest: &'p str,
}

impl<T> Table<T> {
    /// Sorts the routes; of two with the same matcher the first stays in force.
    pub fn new(routes: impl IntoIterator<Item = (Matcher, T)>) -> Self {
        let mut routes: Vec<_> = routes.into_iter().collect();
        routes.sort_by_key(|(matcher, _)| std::cmp::Reverse(matcher.rank()));
        Self { routes }
    }

    /// Returns the route for a request.
    ///
    /// `host` is the value of the Host field, its port and its case are ignored; `path` is the raw
    /// path without the query. `None`: no route matches, or the path has no single reading.
    pub fn find<'p>(&self, host: Option<&str>, path: &'p str) -> Option<Found<'_, 'p, T>> {
        let host = host.map(bare_host);
        let (index, rest) = if is_plain(path) {
            self.position(host, |prefix| prefix.rest_of(path))?
        } else {
            let segments = loose_segments(path)?;
            let strict = self.position(host, |prefix| prefix.rest_of(path))?;
            let loose = self.position(host, |prefix| prefix.starts(&segments).then_some(path))?;
            Some(strict).filter(|strict| strict.0 == loose.0)?
        };
        let (matcher, route) = &self.routes[index];
        Some(Found {
            matcher,
            route,
            rest,
        })
    }

    /// Says why a path takes no route though one seems to match; `None` if none does.
    pub fn why_none(&self, host: Option<&str>, path: &str) -> Option<&'static str> {
        let host = host.map(bare_host);
        if is_plain(path) {
            return None;
        }
        let Some(segments) = loose_segments(path) else {
            return Some("a path with a dot segment, encoded or not, takes no route");
        };
        let strict = self.position(host, |prefix| prefix.rest_of(path));
        let loose = self.position(host, |prefix| prefix.starts(&segments).then_some(path));
        let differ = strict.map(|found| found.0) != loose.map(|found| found.0);
        differ.then_some("the path can be read in two ways, which take different routes")
    }

    /// All routes.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.routes.iter().map(|(_, route)| route)
    }

    fn position<'p>(
        &self,
        host: Option<&str>,
        rest_of: impl Fn(&Prefix) -> Option<&'p str>,
    ) -> Option<(usize, &'p str)> {
        self.routes
            .iter()
            .enumerate()
            .filter(|(_, (matcher, _))| matcher.accepts_host(host))
            .find_map(|(index, (matcher, _))| Some((index, rest_of(&matcher.path)?)))
    }
}

/// What a request must have to take a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    host: Option<HostPattern>,
    path: Prefix,
}

impl Matcher {
    /// Makes a matcher; without a host every request matches whose path does.
    pub fn new(host: Option<HostPattern>, path: Prefix) -> Self {
        Self { host, path }
    }

    /// Whether this one, for its host, takes requests that a longer path of another one, for more
    /// hosts, seems to take.
    pub fn hides(&self, other: &Self) -> bool {
        let Some(host) = &self.host else {
            return false;
        };
        let is_more_special = self.rank().0 > other.rank().0;
        let covers = other.host.as_ref().is_none_or(|wide| wide.covers(host));
        is_more_special && covers && self.path.is_above(&other.path)
    }

    /// Whether its path is above all others.
    pub fn takes_every_path(&self) -> bool {
        self.path.rank() == 0
    }

    /// Whether it has the path of one and the host of another.
    pub fn is_twin(&self, path: &Self, host: &Self) -> bool {
        self.path == path.path && self.host == host.host
    }

    fn accepts_host(&self, host: Option<&str>) -> bool {
        match (&self.host, host) {
            (None, _) => true,
            (Some(pattern), Some(host)) => pattern.accepts(host),
            (Some(_), None) => false,
        }
    }

    /// Greater is more specific: by the host first, then by the path.
    fn rank(&self) -> (Option<(bool, usize)>, usize) {
        (self.host.as_ref().map(HostPattern::rank), self.path.rank())
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            host.fmt(f)?;
        }
        self.path.fmt(f)
    }
}

/// Tells whether every server reads this path alike.
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let is_read_twice = |two: &[u8]| matches!(two, b"//" | b"/.");
    !bytes.iter().any(|byte| matches!(byte, b'%' | b'\\' | b';'))
        && !bytes.windows(2).any(is_read_twice)
}

/// Reads a path loosely; `None` when it has a dot segment.
fn loose_segments(path: &str) -> Option<Vec<Vec<u8>>> {
    let bytes: Vec<u8> = decoded(path.as_bytes()).collect();
    bytes
        .split(|b| matches!(b, b'/' | b'\\'))
        .map(|segment| segment.split(|&b| b == b';').next().unwrap_or(segment))
        .filter(|segment| !segment.is_empty())
        .map(|segment| Some(segment.to_vec()).filter(|s| s != b"." && s != b".."))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matcher(route: &str) -> Matcher {
        let slash = route.find('/').unwrap();
        let host = Some(&route[..slash]).filter(|host| !host.is_empty());
        Matcher::new(
            host.map(|host| host.parse().unwrap()),
            route[slash..].parse().unwrap(),
        )
    }

    fn table(routes: &[&str]) -> Table<()> {
        Table::new(routes.iter().map(|route| (matcher(route), ())))
    }

    /// `expected` is the route and the rest of the path.
    fn check(routes: &[&str], host: &str, path: &str, expected: Option<(&str, &str)>) {
        let table = table(routes);
        let found = table
            .find(Some(host).filter(|host| !host.is_empty()), path)
            .map(|found| (found.matcher.to_string(), found.rest));
        let found = found.as_ref().map(|(route, rest)| (route.as_str(), *rest));
        assert_eq!(found, expected, "{host} {path}");
    }

    #[test]
    fn the_longest_whole_segment_prefix_wins() {
        let routes = ["/", "/api", "/api/music", "/static"];
        for (path, expected) in [
            ("/", Some(("/", "/"))),
            ("/api", Some(("/api", ""))),
            ("/api/", Some(("/api", "/"))),
            ("/api/music/7", Some(("/api/music", "/7"))),
            ("/api/musical", Some(("/api", "/musical"))),
            ("/staticfoo", Some(("/", "/staticfoo"))),
            ("/API", Some(("/", "/API"))),
            ("/api/a%2Fb", Some(("/api", "/a%2Fb"))),
            ("*", None),
            ("", None),
        ] {
            check(&routes, "", path, expected);
        }
        check(&["/api"], "", "/static", None);
    }

    #[test]
    fn a_host_comes_before_the_path() {
        let routes = [
            "/api/music",
            "*.example.com/",
            "*.a.example.com/",
            "a.example.com/api",
            "[::1]/",
        ];
        for (host, expected) in [
            ("", "/api/music"),
            ("example.com", "/api/music"),
            ("a.example.com", "a.example.com/api"),
            ("A.Example.COM.:8080", "a.example.com/api"),
            ("b.example.com", "*.example.com/"),
            ("b.a.example.com:80", "*.a.example.com/"),
            ("notexample.com", "/api/music"),
            ("[::1]:80", "[::1]/"),
            ("[::1]", "[::1]/"),
        ] {
            let found = table(&routes);
            let found = found.find(Some(host), "/api/music").unwrap();
            assert_eq!(found.matcher.to_string(), expected, "{host}");
        }
        check(
            &routes,
            "a.example.com",
            "/x",
            Some(("*.example.com/", "/x")),
        );
    }

    #[test]
    fn a_path_with_two_readings_takes_no_route() {
        let routes = ["/", "/api", "/admin", "/caf\u{e9}"];
        check(&routes, "", "/%61pi/x", Some(("/api", "/x")));
        check(&routes, "", "/caf%C3%A9", Some(("/caf\u{e9}", "")));
        check(&routes, "", "/x//y", Some(("/", "/x//y")));
        check(&routes, "", "/.well-known/x", Some(("/", "/.well-known/x")));
        check(&routes, "", "/100%", Some(("/", "/100%")));
        for path in [
            "/api/../admin",
            "/api/./x",
            "/api/%2e%2E/admin",
            "/api/..",
            "/x%2F..%2Fadmin",
            "/x/..;/admin",
            "/x\\..\\admin",
            "//admin",
            "/admin%2Fx",
            "/admin%5cx",
            "/admin;x=1",
            "/%2Fadmin",
        ] {
            check(&routes, "", path, None);
        }
    }

    proptest! {
        /// However a path is written, no route is found for it but the one of its loose reading.
        #[test]
        fn no_spelling_reaches_another_route(
            path in "/(/|/|%2[fF]|\\\\|;|\\.|%2e|a|a|%61|b|%){0,7}",
        ) {
            let table = table(&["/", "/a", "/a/b", "/b"]);
            let slashes = ["%2f", "%2F", "\\"];
            let loose = slashes.iter().fold(path.clone(), |path, slash| path.replace(slash, "/"));
            let loose = loose.replace("%2e", ".").replace("%61", "a");
            let segments = loose.split('/').map(|segment| segment.split(';').next().unwrap());
            let mut segments = segments.filter(|segment| !segment.is_empty());
            if let Some(found) = table.find(None, &path) {
                prop_assert!(segments.clone().all(|s| s != "." && s != ".."));
                let wanted = match (segments.next(), segments.next()) {
                    (Some("a"), Some("b")) => "/a/b",
                    (Some("a"), _) => "/a",
                    (Some("b"), _) => "/b",
                    _ => "/",
                };
                prop_assert_eq!(found.matcher.to_string(), wanted);
                prop_assert!(path.ends_with(found.rest));
            }
        }

        /// The order of the routes in the file does not matter.
        #[test]
        fn order_does_not_matter(
            routes in prop::sample::subsequence(
                vec!["/", "/a", "/a/b", "x.y/a", "*.y/", "*.x.y/b", "x.y/"], 0..=7).prop_shuffle(),
            host in "(x\\.x\\.y|x\\.y|z\\.y|y)",
            path in "(/a|/b){0,3}/?",
        ) {
            let mut sorted = routes.clone();
            sorted.sort_unstable();
            let (one, other) = (table(&routes), table(&sorted));
            let one = one.find(Some(&host), &path).map(|found| found.matcher);
            prop_assert_eq!(one, other.find(Some(&host), &path).map(|found| found.matcher));
        }

        #[test]
        fn nothing_panics(host in ".{0,20}", path in ".{0,40}") {
            let table = table(&["/", "/a", "*.y/b", "[::1]/"]);
            let _ = table.find(Some(&host), &path);
        }
    }
}
