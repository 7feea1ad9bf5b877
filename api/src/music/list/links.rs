//! The addresses of other pages: the one that was asked for, with a parameter changed. Pure.

use form_urlencoded::{Serializer, parse};

/// The address of a list, whole: scheme, host, path, and the query in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    address: String,
    query: Vec<(String, String)>,
}

impl Links {
    /// Takes the address without its query, and the query as it was sent.
    pub(crate) fn new(address: String, query: &str) -> Self {
        let query = parse(query.as_bytes()).into_owned().collect();
        Self { address, query }
    }

    /// Returns the address with each of these parameters set, or left out where there is no value. As in the
    /// original, the parameters are sorted.
    pub(super) fn with(&self, changes: &[(&str, Option<String>)]) -> String {
        let mut query: Vec<(&str, &str)> = self
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name))
            .collect();
        for (name, value) in changes {
            if let Some(value) = value {
                query.push((name, value));
            }
        }
        query.sort_by_key(|(name, _)| *name);
        if query.is_empty() {
            return self.address.clone();
        }
        let query = Serializer::new(String::new()).extend_pairs(query).finish();
        format!("{}?{query}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_set_or_left_out_and_the_rest_stays() {
        let address = "http://music.test/api/music/";
        let check = |query: &str, changes: &[(&str, Option<String>)], expected: &str| {
            let links = Links::new(address.into(), query);
            assert_eq!(
                links.with(changes),
                format!("{address}{expected}"),
                "{query}"
            );
        };
        let two = || Some("2".to_owned());
        check("", &[("limit", two())], "?limit=2");
        check("limit=9&limit=8", &[("limit", two())], "?limit=2");
        check("offset=1", &[("offset", None)], "");
        check(
            "search=a+b%26&x=&limit=1",
            &[("limit", two()), ("offset", two())],
            "?limit=2&offset=2&search=a+b%26&x=",
        );
        check(
            "singer=%E6%AD%8C&a=2&a=1",
            &[("offset", two())],
            "?a=2&a=1&offset=2&singer=%E6%AD%8C",
        );
    }
}
