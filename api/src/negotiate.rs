//! Which format an answer takes: by the suffix of the address, `?format=`, then `Accept`. Pure.
//!
//! As the original does it: `q` is not looked at, the most specific range decides, and JSON comes first.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::ACCEPT;

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `text/html`, for a browser.
    Html,
}

/// Why there is no format to answer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFormat {
    /// A format was named that does not exist: 404.
    Unknown,
    /// None of the formats is in `Accept`: 406.
    NotAccepted,
}

/// The formats in the order of preference: the name in an address, and the media type.
const FORMATS: [(Format, &str, &str, &str); 2] = [
    (Format::Json, "json", "application", "json"),
    (Format::Html, "api", "text", "html"),
];

/// Chooses a format. `named` comes from the address; `accept` is the header, `*/*` if there is none.
pub fn choose(named: Option<&str>, accept: &str) -> Result<Format, NoFormat> {
    let is_offered = |name: &str| named.is_none_or(|named| named == name);
    let offered = || FORMATS.iter().filter(|(_, name, ..)| is_offered(name));
    if offered().next().is_none() {
        return Err(NoFormat::Unknown);
    }
    let takes = |specific: Specific, kind: &str, subtype: &str| {
        ranges(accept).any(|range| range.specific() == specific && range.takes(kind, subtype))
    };
    MOST_SPECIFIC_FIRST
        .into_iter()
        .find_map(|specific| offered().find(|(_, _, kind, subtype)| takes(specific, kind, subtype)))
        .map(|(format, ..)| *format)
        .ok_or(NoFormat::NotAccepted)
}

/// Returns what the client takes, all such headers together; `None` if it does not say.
pub fn accept(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut all = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let first = all.next()?;
    let more: Vec<_> = all.collect();
    let accept = match more.is_empty() {
        true => Cow::Borrowed(first),
        false => format!("{first},{}", more.join(",")).into(),
    };
    Some(accept).filter(|accept| !accept.is_empty())
}

/// Tells whether a client names JSON before HTML, where HTML is for all who name neither.
pub fn names_json(headers: &HeaderMap) -> bool {
    let accept = accept(headers).unwrap_or_default();
    ranges(&accept)
        .any(|range| range.specific() != Specific::Nothing && range.takes("application", "json"))
        && choose(None, &accept) == Ok(Format::Json)
}

/// Returns by how many spaces JSON is to be indented: `application/json; indent=4`. None at all is compact.
pub fn indent(accept: &str) -> usize {
    let chosen = MOST_SPECIFIC_FIRST.into_iter().find_map(|specific| {
        ranges(accept)
            .find(|range| range.specific() == specific && range.takes("application", "json"))
    });
    let indent = chosen.and_then(|range| range.parameter("indent")?.parse::<i64>().ok());
    indent.map_or(0, |indent| indent.clamp(0, 8) as usize)
}

fn ranges(accept: &str) -> impl Iterator<Item = Range<'_>> {
    accept.split(',').filter_map(Range::parse)
}

/// One part of an `Accept` header.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Specific {
    Nothing,
    Type,
    Subtype,
    Parameters,
}

const MOST_SPECIFIC_FIRST: [Specific; 4] = [
    Specific::Parameters,
    Specific::Subtype,
    Specific::Type,
    Specific::Nothing,
];

impl<'a> Range<'a> {
    fn parse(part: &'a str) -> Option<Self> {
        let (media, parameters) = part.split_once(';').unwrap_or((part, ""));
        let (kind, subtype) = media.trim().split_once('/')?;
        Some(Self {
            kind,
            subtype,
            parameters,
        })
    }

    fn parameters(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.parameters.split(';');
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.trim(), value.trim()))
    }

    fn parameter(&self, wanted: &str) -> Option<&'a str> {
        let mut found = self.parameters().filter(|(name, _)| *name == wanted);
        found.next().map(|(_, value)| value)
    }

    fn specific(&self) -> Specific {
        match (self.kind, self.subtype) {
            ("*", _) => Specific::Nothing,
            (_, "*") => Specific::Type,
            _ if self.parameters().any(|(name, _)| name != "q") => Specific::Parameters,
            _ => Specific::Subtype,
        }
    }

    fn takes(&self, kind: &str, subtype: &str) -> bool {
        let same = |range: &str, value: &str| range == "*" || range.eq_ignore_ascii_case(value);
        same(self.kind, kind) && same(self.subtype, subtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_decides_as_in_the_original() {
        let chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (accept, expected) in [
            ("*/*", Ok(Format::Json)),
            ("application/json", Ok(Format::Json)),
            ("application/json; charset=utf-8", Ok(Format::Json)),
            ("APPLICATION/JSON", Ok(Format::Json)),
            ("application/*", Ok(Format::Json)),
            ("text/html", Ok(Format::Html)),
            ("text/*", Ok(Format::Html)),
            (chrome, Ok(Format::Html)),
            ("text/html;q=0.1, application/json;q=0.9", Ok(Format::Json)),
            ("text/html, application/json;q=0.1", Ok(Format::Json)),
            ("*/*, text/html", Ok(Format::Html)),
            ("application/json, text/html; level=1", Ok(Format::Html)),
            ("application/xml", Err(NoFormat::NotAccepted)),
            ("image/png", Err(NoFormat::NotAccepted)),
            ("nonsense", Err(NoFormat::NotAccepted)),
        ] {
            assert_eq!(choose(None, accept), expected, "{accept}");
        }
    }

    #[test]
    fn json_is_indented_by_whoever_asks_for_it() {
        for (accept, expected) in [
            ("*/*", 0),
            ("application/json", 0),
            ("application/json; indent=4", 4),
            ("application/json;q=0.5;indent=2", 2),
            ("text/html, application/json; indent = 3", 3),
            ("*/*; indent=1", 1),
            ("application/json; indent=99", 8),
            ("application/json; indent=-1", 0),
            ("application/json; indent=x", 0),
            ("text/html; indent=4", 0),
        ] {
            assert_eq!(indent(accept), expected, "{accept}");
        }
    }

    #[test]
    fn a_named_format_narrows_the_choice() {
        for (named, accept, expected) in [
            ("json", "*/*", Ok(Format::Json)),
            ("api", "*/*", Ok(Format::Html)),
            ("json", "text/html", Err(NoFormat::NotAccepted)),
            ("xml", "*/*", Err(NoFormat::Unknown)),
            ("0", "application/json", Err(NoFormat::Unknown)),
        ] {
            assert_eq!(choose(Some(named), accept), expected, "{named} {accept}");
        }
    }
}
