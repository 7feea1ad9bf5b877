//! What the configuration says about the files of a root, beyond where they lie.

use glob::{MatchOptions, Pattern};
use http::HeaderValue;

/// How the files of one root are served.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// The value of `Cache-Control`, by name: the first rule that matches counts.
    pub cache_control: Vec<CacheRule>,
    /// The file that is sent, with 200, where there is none; for single-page applications.
    pub fallback: Option<String>,
    /// What its pages may load and do.
    pub page_policy: PagePolicy,
}

/// What the pages of a root may load and do.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum PagePolicy {
    /// From this host only, no code in the page itself, and no frame around it.
    #[default]
    Strict,
    /// This value of `Content-Security-Policy`.
    Given(HeaderValue),
    /// Anything: no such field is sent.
    Open,
}

/// One rule of `cache_control`.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheRule {
    pattern: Pattern,
    value: HeaderValue,
}

impl CacheRule {
    /// A rule for the names that match `pattern`; fails with a sentence.
    ///
    /// `*` stands for any part of one name, `**` for any folders. A pattern without a slash is
    /// held against the last segment of a name, one with a slash against all of it.
    pub fn new(pattern: &str, value: &str) -> Result<Self, String> {
        let pattern = Pattern::new(pattern)
            .map_err(|error| format!("{:?} is no pattern: {}", pattern, error.msg))?;
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("{value:?} cannot stand in a header field"))?;
        Ok(Self { pattern, value })
    }

    fn matches(&self, name: &str) -> bool {
        let options = MatchOptions {
            require_literal_separator: true,
            ..MatchOptions::default()
        };
        let name = if self.pattern.as_str().contains('/') {
            name
        } else {
            name.rsplit('/').next().unwrap_or(name)
        };
        self.pattern.matches_with(name, options)
    }
}

impl Rules {
    /// The value of `Cache-Control` for a name below the root.
    pub(super) fn cache_control(&self, name: &str) -> Option<HeaderValue> {
        let rule = self.cache_control.iter().find(|rule| rule.matches(name));
        rule.map(|rule| rule.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{CacheRule, Rules};

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let rules = Rules {
            cache_control: [
                ("*.html", "no-cache"),
                ("assets/**", "immutable"),
                ("*", "max-age=60"),
            ]
            .into_iter()
            .map(|(pattern, value)| CacheRule::new(pattern, value).unwrap())
            .collect(),
            ..Rules::default()
        };
        for (name, expected) in [
            ("index.html", "no-cache"),
            ("a/b/index.html", "no-cache"),
            ("assets/a.html", "no-cache"),
            ("assets/a/b.css", "immutable"),
            ("a.css", "max-age=60"),
            ("b/assets/a.css", "max-age=60"),
        ] {
            assert_eq!(rules.cache_control(name).unwrap(), expected, "{name}");
        }
        assert!(Rules::default().cache_control("a").is_none());
    }

    #[test]
    fn wrong_rules_are_told() {
        assert!(CacheRule::new("a***", "x").unwrap_err().contains("a***"));
        assert!(CacheRule::new("*", "a\nb").unwrap_err().contains("header"));
    }
}
