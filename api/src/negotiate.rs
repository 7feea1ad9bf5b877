//! Which format an answer takes: by the suffix of the address, `?format=`, then `Accept`. Pure.
//!
//! As the original does it: `q` is not looked at, the most specific range decides, and JSON comes first.

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
    let offered: Vec<_> = FORMATS
        .iter()
        .filter(|(_, name, ..)| named.is_none_or(|named| named == *name))
        .collect();
    if offered.is_empty() {
        return Err(NoFormat::Unknown);
    }
    let accepted: Vec<_> = accept.split(',').filter_map(Range::parse).collect();
    [Specific::Subtype, Specific::Type, Specific::Nothing]
        .into_iter()
        .find_map(|specific| {
            let ranges: Vec<_> = accepted
                .iter()
                .filter(|range| range.specific() == specific)
                .collect();
            offered
                .iter()
                .find(|(_, _, kind, subtype)| ranges.iter().any(|range| range.takes(kind, subtype)))
        })
        .map(|(format, ..)| *format)
        .ok_or(NoFormat::NotAccepted)
}

/// One part of an `Accept` header, without its parameters.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
}

#[derive(PartialEq, Eq)]
enum Specific {
    Nothing,
    Type,
    Subtype,
}

impl<'a> Range<'a> {
    fn parse(part: &'a str) -> Option<Self> {
        let media = part.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = media.split_once('/')?;
        Some(Self { kind, subtype })
    }

    fn specific(&self) -> Specific {
        match (self.kind, self.subtype) {
            ("*", _) => Specific::Nothing,
            (_, "*") => Specific::Type,
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
            ("application/xml", Err(NoFormat::NotAccepted)),
            ("image/png", Err(NoFormat::NotAccepted)),
            ("nonsense", Err(NoFormat::NotAccepted)),
        ] {
            assert_eq!(choose(None, accept), expected, "{accept}");
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
