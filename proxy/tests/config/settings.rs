//! docs/settings.md and the configuration's types agree: the same keys, defaults and kinds of value.

use std::collections::BTreeMap;

use crate::{DEFAULTS, parse, with};

const PAGE: &str = include_str!("../../../docs/settings.md");
/// Tables of the file that are chapters of the page, by the beginning of their keys.
const TABLES: [&str; 5] = ["", "clients.", "log.", "routes.", "upstreams."];

/// What the page says of one key.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    default: String,
    kind: String,
}

/// The lines of the page's tables: `| key | default | kind | …`.
fn documented() -> BTreeMap<String, Line> {
    let mut chapter = "";
    let mut lines = BTreeMap::new();
    let is_proxy = |line: &&str| !line.starts_with("# Settings of the API");
    for line in PAGE.lines().take_while(is_proxy) {
        if line.starts_with("## ") {
            chapter = match line {
                "## `[[routes]]`" => "routes.",
                "## `[upstreams.NAME]`" => "upstreams.",
                _ => "",
            };
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", key, default, kind, _, ""] = cells[..] else {
            continue;
        };
        let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`')) else {
            continue;
        };
        let key = match key.strip_prefix("servers.") {
            Some(_) => key.to_owned(),
            None => format!("{chapter}{key}"),
        };
        let (default, kind) = (default.to_owned(), kind.to_owned());
        let before = lines.insert(key.clone(), Line { default, kind });
        assert_eq!(before, None, "{key} stands twice");
    }
    lines
}

/// What is said of a configuration with this in it; empty if it is right.
fn told(key: &str, value: &str) -> String {
    let text = match key.starts_with("tls.") {
        true => format!("{key} = {value}\n{}", with("", "")),
        false => with(key, value),
    };
    parse(&text).map_or_else(|refused| refused.to_string(), |_| String::new())
}

/// The keys that a table takes, by the words of the fault about one that it does not.
fn keys_of(table: &str) -> Vec<String> {
    let told = told(&format!("{table}no-such-key"), "1");
    let (_, known) = told.split_once("there is no such key here, ").unwrap();
    let words = known.lines().next().unwrap().split('`');
    words.skip(1).step_by(2).map(str::to_owned).collect()
}

/// All keys that the types take and that do something in this version.
fn supported() -> Vec<String> {
    let not_yet: Vec<&str> = DEFAULTS.lines().filter(|l| l.contains("not yet")).collect();
    let is_built = |key: &String| {
        !not_yet
            .iter()
            .any(|line| line.starts_with(&format!("{key} |")))
            && !told(key, "5").contains("not supported by this version")
    };
    let mut keys = Vec::new();
    for table in TABLES.into_iter().chain(["servers."]) {
        for key in keys_of(table) {
            let key = format!("{table}{key}");
            if TABLES.contains(&format!("{key}.").as_str()) {
                continue;
            }
            if key != "upstreams.servers"
                && told(&key, "{ no-such-key = 1 }").contains("no such key")
            {
                let nested = keys_of(&format!("{key}."));
                keys.extend(nested.into_iter().map(|name| format!("{key}.{name}")));
            } else {
                keys.push(key);
            }
        }
    }
    keys.retain(is_built);
    keys
}

#[test]
fn every_key_is_on_the_page_and_every_key_of_the_page_is_one() {
    let mut supported = supported();
    supported.sort();
    let documented: Vec<String> = documented().into_keys().collect();
    let missing: Vec<_> = supported
        .iter()
        .filter(|key| !documented.contains(key))
        .collect();
    assert!(missing.is_empty(), "not in docs/settings.md: {missing:?}");
    let unknown: Vec<_> = documented
        .iter()
        .filter(|key| !supported.contains(key))
        .collect();
    assert!(
        unknown.is_empty(),
        "in docs/settings.md, but no keys: {unknown:?}"
    );
    assert!(supported.len() > 40, "{supported:?}");
}

#[test]
fn the_page_has_the_defaults() {
    let mut documented = documented();
    for line in DEFAULTS.lines().filter(|line| !line.contains("not yet")) {
        let mut cells = line.split(" | ");
        let (key, default) = (cells.next().unwrap(), cells.next().unwrap());
        let line = documented
            .remove(key)
            .unwrap_or_else(|| panic!("{key} is not on the page"));
        assert_eq!(line.default, format!("`{default}`"), "{key}");
    }
    // What is left has no default: it must be given, or is off. TLS needs files to be right.
    for (key, line) in documented
        .into_iter()
        .filter(|(key, _)| !key.starts_with("tls."))
    {
        assert!(
            !line.default.contains('`'),
            "{key} has no line in defaults.txt"
        );
    }
}

#[test]
fn the_page_says_what_a_value_may_be() {
    let mut wrong = Vec::new();
    for (key, line) in documented() {
        // These stand in every configuration of `with`.
        if [
            "routes.path",
            "routes.upstream",
            "routes.files",
            "upstreams.servers",
            "servers.address",
        ]
        .contains(&&*key)
        {
            continue;
        }
        let told = told(&key, "{}");
        let expected = told.lines().find_map(|line| {
            let (_, rest) = line.split_once("expected ")?;
            Some(rest.split_once(", got a table")?.0.to_owned())
        });
        let kind = line.kind.replace('`', "");
        let is_told = expected
            .as_ref()
            .is_some_and(|e| !kind.is_empty() && e.starts_with(&kind));
        if !is_told {
            wrong.push(format!(
                "{key}: {kind:?}, in the code {expected:?} ({told})"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
