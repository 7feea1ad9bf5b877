//! What may be said of the files of a route: caching by name, a file for what is missing, and what
//! pages may do.

use http::HeaderValue;
use toml::Value;

use super::setting::{Setting, expected, text};
use crate::files::{CacheRule, PagePolicy};

/// The rules of `cache_control`, in the file's order.
pub(super) struct CacheControl;

impl Setting for CacheControl {
    type Value = Vec<CacheRule>;

    fn read(value: &Value) -> Result<Self::Value, String> {
        let what = "a list such as [{ match = \"*.html\", value = \"no-cache\" }]";
        let rules = value.as_array().ok_or_else(|| expected(what, value))?;
        rules.iter().map(rule).collect()
    }
}

fn rule(value: &Value) -> Result<CacheRule, String> {
    let what = "a table such as { match = \"*.html\", value = \"no-cache\" }";
    let table = value.as_table().ok_or_else(|| expected(what, value))?;
    if let Some(unknown) = table.keys().find(|key| *key != "match" && *key != "value") {
        return Err(format!("expected {what}, got the key {unknown:?}"));
    }
    let field = |key: &str| match table.get(key) {
        Some(value) => text(value, &format!("a text as `{key}`")),
        None => Err(format!("expected {what}, got one without `{key}`")),
    };
    CacheRule::new(field("match")?, field("value")?)
}

/// A file below a route's folder, not yet looked at.
pub(super) struct FileName;

impl Setting for FileName {
    type Value = String;

    fn read(value: &Value) -> Result<String, String> {
        let what = "the name of a file below the folder, such as \"index.html\"";
        let name = text(value, what)?;
        let is_plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.');
        if name.contains(['\0', '\\']) || !name.split('/').all(is_plain) {
            return Err(expected(what, value));
        }
        Ok(name.to_owned())
    }
}

/// The value of `Content-Security-Policy`; an empty one is none.
pub(super) struct Policy;

impl Setting for Policy {
    type Value = PagePolicy;

    fn read(value: &Value) -> Result<PagePolicy, String> {
        let what = "a policy such as \"default-src 'self'\", or \"\" for none";
        match text(value, what)?.trim() {
            "" => Ok(PagePolicy::Open),
            policy => HeaderValue::from_str(policy)
                .map(PagePolicy::Given)
                .map_err(|_| expected(what, value)),
        }
    }
}
