//! The text of a configuration and where each key stands in it.
//!
//! Serde tells an error by its place in the text, the settings keep theirs as a place too: here a
//! place becomes a line and a key, and for [`super::lint`] a key becomes a line.

mod prune;

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

use super::fault::{Fault, Refused, Severity};
use super::raw::Raw;

/// What the parser says of a key that stands twice.
const DUPLICATE: &str = "duplicate key";
/// What is said of a key that is not known where it stands.
const UNKNOWN: &str = "there is no such key here";
/// Keys of the top that are no tables: at the end of a file they would belong to its last table.
const TOP: [&str; 4] = ["listen", "admin", "admin_token_file", "threads"];

/// What is wrong in the shape of a file.
#[derive(Default)]
pub(super) struct Shape {
    /// The faults.
    pub(super) faults: Vec<Fault>,
    /// The keys that were passed over for them.
    removed: Vec<String>,
}

impl Shape {
    /// Adds a fault, one for each key.
    fn add(&mut self, fault: Fault) {
        if !self.removed.contains(&fault.key) {
            self.removed.push(fault.key.clone());
            self.faults.push(fault);
        }
    }

    /// Whether a fault is there only because a key was passed over.
    pub(super) fn explains(&self, fault: &Fault) -> bool {
        let is_below = |key: &str, above: &str| {
            let rest = key.strip_prefix(above);
            rest.is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let is_element = |key: &str, list: &str| {
            let rest = key.strip_prefix(list);
            rest.is_some_and(|rest| rest.starts_with('['))
        };
        self.removed.iter().any(|removed| {
            fault.key == *removed
                || is_below(&fault.key, removed)
                || is_element(removed, &fault.key)
        })
    }

    /// Whether there is an upstream of this name in the file that was passed over.
    pub(super) fn has_upstream(&self, name: &str) -> bool {
        let mut removed = self.removed.iter();
        removed.any(|key| {
            let below = key.strip_prefix("upstreams");
            below.is_some_and(|below| below.is_empty() || below.strip_prefix('.') == Some(name))
        })
    }
}

/// A parsed file.
pub(super) struct Source<'t> {
    file: &'t Path,
    text: &'t str,
    entries: Vec<Entry>,
}

/// A key of the file, or an element of a list.
struct Entry {
    key: String,
    name: Range<usize>,
    value: Range<usize>,
}

impl<'t> Source<'t> {
    /// Parses a text. Returns with it what is wrong in its shape: unknown keys, and tables that are
    /// none. Each such place is taken out of the text, as it were, and the rest is read.
    ///
    /// Fails with what breaks the syntax, since nothing can be told of the rest then.
    pub(super) fn parse(file: &'t Path, text: &'t str) -> Result<(Self, Raw, Shape), Refused> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut source = Self {
            file,
            text,
            entries: Vec::new(),
        };
        source.enter("", table.get_ref());
        let breaks = |error: &&Error| error.message() != DUPLICATE;
        if let Some(error) = errors.iter().find(breaks) {
            // What comes after it may be nothing but its echo.
            return Err(source.refused(error).into());
        }
        let mut shape = Shape::default();
        for error in &errors {
            shape.add(source.refused(error));
        }
        let (at, mut table) = (table.span(), table.into_inner());
        loop {
            let copy = Spanned::new(at.clone(), table.clone());
            let error = match Raw::deserialize(Deserializer::from(copy)) {
                Ok(raw) => return Ok((source, raw, shape)),
                Err(error) => error,
            };
            let fault = source.refused(&error);
            let place = error.span().map(|at| at.start);
            shape.add(fault);
            if !place.is_some_and(|place| prune::from_table(&mut table, place)) {
                return Err(shape.faults.into());
            }
        }
    }

    /// An error about what stands at this place.
    pub(super) fn error(&self, at: &Range<usize>, sentence: String) -> Fault {
        Fault {
            file: self.file.to_owned(),
            line: Some(self.line(at.start)),
            key: self.key(at.start).to_owned(),
            sentence,
            severity: Severity::Error,
        }
    }

    /// A fault about a key, which stands in the line of what it belongs to if it is not there.
    pub(super) fn about(&self, key: &str, sentence: String, severity: Severity) -> Fault {
        let above = key
            .match_indices(['.', '['])
            .map(|(end, _)| &key[..end])
            .chain([key]);
        let nearest = above
            .filter_map(|above| self.entries.iter().find(|entry| entry.key == above))
            .next_back();
        Fault {
            file: self.file.to_owned(),
            line: nearest.map(|entry| self.line(entry.name.start)),
            key: key.to_owned(),
            sentence,
            severity,
        }
    }

    /// The key whose name or value is at this place; empty if there is none.
    pub(super) fn key(&self, place: usize) -> &str {
        let at = |range: &Range<usize>| range.contains(&place);
        self.entries
            .iter()
            .filter(|entry| at(&entry.name) || at(&entry.value))
            .max_by_key(|entry| entry.key.len())
            .map_or("", |entry| entry.key.as_str())
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, place: usize) -> usize {
        let before = self.text.bytes().take(place);
        before.filter(|&byte| byte == b'\n').count() + 1
    }

    fn enter(&mut self, above: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let dot = if above.is_empty() { "" } else { "." };
            let key = format!("{above}{dot}{}", name.get_ref().escape_debug());
            self.enter_value(key, name.span(), value);
        }
    }

    fn enter_value(&mut self, key: String, name: Range<usize>, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.enter(&key, table),
            DeValue::Array(list) => {
                for (index, element) in list.iter().enumerate() {
                    self.enter_value(format!("{key}[{index}]"), element.span(), element);
                }
            }
            _ => {}
        }
        self.entries.push(Entry {
            key,
            name,
            value: value.span(),
        });
    }

    fn refused(&self, error: &Error) -> Fault {
        let Some(at) = error.span() else {
            return Fault::of_file(self.file, None, plain(error.message()));
        };
        let mut fault = self.error(&at, plain(error.message()));
        if error.message() == DUPLICATE {
            fault.sentence = "expected each key once".to_owned();
            fault.key = self.repeated(&at);
        }
        advise(&mut fault);
        fault
    }

    /// The full key of a name that stands twice, of which only the first is among the entries.
    fn repeated(&self, at: &Range<usize>) -> String {
        let name = self.text.get(at.clone()).unwrap_or_default();
        let before = self
            .entries
            .iter()
            .filter(|entry| entry.name.start < at.start)
            .max_by_key(|entry| entry.name.start)
            .map_or("", |entry| entry.key.as_str());
        before
            .rmatch_indices('.')
            .map(|(end, _)| format!("{}{name}", &before[..=end]))
            .find(|key| self.entries.iter().any(|entry| entry.key == *key))
            .unwrap_or_else(|| name.to_owned())
    }
}

/// Says what is to be written instead, where a table has the brackets of a list, a list those of a
/// table, or a key stands in the wrong table.
fn advise(fault: &mut Fault) {
    let is_wrong =
        |got: &str| fault.sentence.starts_with("expected ") && fault.sentence.ends_with(got);
    if ["upstreams", "upstreams[0]"].contains(&fault.key.as_str()) && is_wrong(", got a list") {
        fault.sentence =
            "expected a table `[upstreams.NAME]` for each upstream, got `[[upstreams]]`".to_owned();
        fault.key = "upstreams".to_owned();
    } else if fault.key == "routes" && is_wrong(", got a table") {
        fault.sentence = "expected `[[routes]]` for each route, got `[routes]`".to_owned();
    } else if fault.sentence.starts_with(UNKNOWN)
        && let Some((_, name)) = fault.key.rsplit_once('.')
        && TOP.contains(&name)
    {
        fault.sentence = format!("{}; `{name}` belongs above the first table", fault.sentence);
    }
}

/// Says what serde and the TOML parser say as the rest of the configuration does.
fn plain(message: &str) -> String {
    let message = message.replace(['\n', '\r'], " ");
    let message = message.replace("a sequence", "a list");
    if let Some(expected) = message.strip_prefix("unknown field ") {
        let expected = expected.split_once(", ").map_or("", |(_, rest)| rest);
        return format!("{UNKNOWN}, {expected}");
    }
    let types = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "));
    match types {
        Some((got, "any valid TOML value")) => {
            let got = found(got);
            format!("expected a number that fits into 64 bits, got {got}")
        }
        Some((got, expected)) => {
            let expected = match expected {
                "a map" => "a table",
                expected => expected,
            };
            format!("expected {expected}, got {}", found(got))
        }
        None => message,
    }
}

/// Names a value of the wrong type as the settings do: a text in its quotes, a number bare.
fn found(got: &str) -> &str {
    match got {
        "sequence" => "a list",
        "map" => "a table",
        got => {
            let kinds = ["string ", "integer ", "boolean ", "floating point "];
            let value = kinds.iter().find_map(|kind| got.strip_prefix(kind));
            let value = value.unwrap_or(got);
            let bare = value
                .strip_prefix('`')
                .and_then(|value| value.split('`').next());
            bare.unwrap_or(value)
        }
    }
}
