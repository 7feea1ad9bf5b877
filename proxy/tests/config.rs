//! Configurations as files: what is refused and how, what the defaults are, what is doubtful.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proxy::config::{self, Config, Refused, Severity, Target};

#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/settings.rs"]
mod settings;

/// A configuration that is right; the cases below break one thing each.
const RIGHT: &str = include_str!("config/right.toml");
/// Each case: `-` a line of [`RIGHT`] to take out, `+` lines in its place (or at the end of the
/// file), `!` the whole message for each fault, without the file's name.
const BROKEN: &str = include_str!("config/broken.txt");
/// The same, for what `proxy check` doubts.
const DOUBTFUL: &str = include_str!("config/doubtful.txt");
/// Each key with its default and with another value: `key | default | other`. Where no other is
/// built yet, it says so.
const DEFAULTS: &str = include_str!("config/defaults.txt");

/// A change of a right configuration, and what is said of it.
struct Case {
    text: String,
    told: Vec<String>,
}

fn cases(table: &str) -> Vec<Case> {
    table.split("\n\n").map(case).collect()
}

fn case(block: &str) -> Case {
    let marked = |mark: &'static str| {
        block.lines().filter_map(move |line| {
            let rest = line.strip_prefix(mark)?;
            Some(rest.strip_prefix(' ').unwrap_or(rest))
        })
    };
    let added: Vec<_> = marked("+").collect();
    let mut lines: Vec<_> = RIGHT.lines().collect();
    let at = match marked("-").next() {
        Some(old) => {
            let found = lines.iter().position(|line| *line == old);
            found.unwrap_or_else(|| panic!("no such line: {old}"))..found.unwrap() + 1
        }
        None => lines.len()..lines.len(),
    };
    lines.splice(at, added);
    Case {
        text: lines.join("\n"),
        told: marked("!")
            .map(|told| format!("proxy.toml{told}"))
            .collect(),
    }
}

fn told(refused: &Refused) -> Vec<String> {
    refused.to_string().lines().map(str::to_owned).collect()
}

fn parse(text: &str) -> Result<Config, Refused> {
    Config::parse(text, Path::new("proxy.toml"))
}

#[test]
fn every_broken_configuration_is_refused_with_line_key_and_sentence() {
    parse(RIGHT).unwrap();
    let cases = cases(BROKEN);
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let got = parse(&case.text).map_err(|refused| told(&refused));
        if got.as_ref().err() != Some(&case.told) {
            wrong.push(format!("expected {:#?}\n     got {got:#?}", case.told));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_doubtful_is_told_by_check_and_loads_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    let here = format!("{}/", folder.path().display());
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(&file, RIGHT).unwrap();
    assert_eq!(config::check(&file), []);
    for case in cases(DOUBTFUL) {
        fs::write(&file, &case.text).unwrap();
        let faults = config::check(&file);
        let told: Vec<_> = faults
            .iter()
            .map(|fault| fault.to_string().replace(&here, ""))
            .collect();
        assert_eq!(told, case.told);
        assert!(
            faults
                .iter()
                .all(|fault| fault.severity == Severity::Warning)
        );
        Config::load(&file).unwrap();
    }
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let plain = parse(&with("", "")).unwrap();
    assert_eq!(plain.admin, None);
    for line in DEFAULTS.lines() {
        let [key, default, other] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("expected three columns: {line}");
        };
        let set = parse(&with(key, default)).unwrap();
        assert_eq!(set, plain, "{key} = {default}");
        match other.strip_prefix("not yet: ") {
            Some(other) => {
                let refused = parse(&with(key, other)).unwrap_err().to_string();
                assert!(
                    refused.contains("not supported by this version"),
                    "{refused}"
                );
            }
            None => assert_ne!(parse(&with(key, other)).unwrap(), plain, "{key} = {other}"),
        }
    }
}

/// A small configuration in which one key is set, such as `clients.header_timeout`.
fn with(key: &str, value: &str) -> String {
    let set = |table: &str| match key.strip_prefix(table) {
        Some(name) if !name.is_empty() => format!("{name} = {value}"),
        _ => String::new(),
    };
    let top = if key.contains('.') {
        String::new()
    } else {
        set("")
    };
    format!(
        "{top}\n[clients]\n{}\n[log]\n{}\n[[routes]]\npath = \"/\"\nupstream = \"music\"\n{}\n\
         [upstreams.music]\n{}\n[[upstreams.music.servers]]\naddress = \"api:80\"\n{}\n\
         [[upstreams.music.servers]]\naddress = \"api2:80\"\n",
        set("clients."),
        set("log."),
        set("routes."),
        set("upstreams."),
        set("servers."),
    )
}

#[test]
#[expect(clippy::disallowed_methods, reason = "there is no worker to block")]
fn the_file_for_unix_sockets_loads_and_is_beyond_doubt() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf-unix/proxy.toml");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "").unwrap();
    let text = fs::read_to_string(shipped).unwrap();
    let file = folder.path().join("proxy.toml");
    let root = folder.path().to_str().unwrap();
    fs::write(&file, text.replace("/srv/static", root)).unwrap();
    assert_eq!(config::check(&file), []);
    assert_eq!(Config::load(&file).unwrap().upstreams.len(), 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "there is no worker to block")]
fn the_shipped_file_loads_and_is_beyond_doubt() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/proxy.toml");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("index.html"), "").unwrap();
    let root = folder.path().to_str().unwrap();
    let text = fs::read_to_string(shipped).unwrap();
    assert!(text.contains("\"/srv/static\""));
    let file = folder.path().join("proxy.toml");
    fs::write(&file, text.replace("/srv/static", root)).unwrap();

    assert_eq!(config::check(&file), []);
    let config = Config::load(&file).unwrap();
    let routes = config.routes.iter().map(|route| {
        let target = match &route.target {
            Target::Files { .. } => "files",
            Target::Upstream { name, .. } => name,
        };
        format!("{} {target}", route.matcher)
    });
    let expected = [
        "/api/music music",
        "/api music",
        "/api-auth music",
        "/admin music",
        "/static files",
        "/ files",
    ];
    assert!(routes.eq(expected));
    let servers = config.upstreams[0].servers.iter();
    let servers = servers.map(|server| format!("{} {}", server.address, server.weight));
    assert!(servers.eq(["api:8000 4", "api2:8000 6"]));
}

#[test]
fn a_file_without_a_line_at_fault_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, expected: &str| {
        let file = folder.path().join(name);
        let refused = Config::load(&file).unwrap_err().to_string();
        assert_eq!(refused, format!("{}{expected}", file.display()));
        assert_eq!(config::check(&file)[0].to_string(), refused);
    };
    fs::write(folder.path().join("empty.toml"), "").unwrap();
    check(
        "empty.toml",
        ": routes: missing: expected at least one `[[routes]]` with `path` and `files` or `upstream`",
    );
    check("none.toml", ": there is no such file");
    check("", ": this is a folder");
    fs::write(folder.path().join("binary.toml"), b"threads = 1\n# \xff\n").unwrap();
    check("binary.toml", ":2: the file is not UTF-8 text");
}

#[test]
fn brackets_of_the_wrong_kind_are_told_by_what_is_to_be_written() {
    let check = |text: &str, expected: &[&str]| {
        assert_eq!(told(&parse(text).unwrap_err()), expected, "{text}");
    };
    let routes = "proxy.toml:1: routes: expected `[[routes]]` for each route, got `[routes]`";
    check("[routes]\npath = \"/\"\nfiles = \".\"\n", &[routes]);
    let upstreams = "expected a table `[upstreams.NAME]` for each upstream, got `[[upstreams]]`";
    check(
        "[[routes]]\npath = \"/\"\nupstream = \"a\"\n[[upstreams]]\nname = \"a\"\n[[upstreams]]\n",
        &[&format!("proxy.toml:4: upstreams: {upstreams}")],
    );
}

#[test]
fn relative_folders_begin_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.toml");
    fs::create_dir(folder.path().join("static")).unwrap();
    let config = Config::parse("routes = [{ path = \"/\", files = \"static\" }]", &file).unwrap();
    let root = folder.path().join("static");
    assert_eq!(
        config.routes[0].target,
        Target::Files {
            root,
            rules: Default::default()
        }
    );
}

proptest! {
    /// Whatever stands in the file: no panic, and every fault is one line that points into it.
    #[test]
    fn nothing_panics(text in "\\PC{0,60}", words in "([a-z]{1,4}|[\\[\\]{}=.,\"'\n #0-9]){0,40}") {
        sound(&text)?;
        sound(&words)?;
    }

    #[test]
    fn a_file_that_was_garbled_does_not_panic(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0..12usize, "[\\[\\]{}=.,\"\n #a-z0-9é-]{0,3}"),
            1..6,
        ),
    ) {
        let mut text = RIGHT.to_owned();
        for (at, length, new) in edits {
            let begin = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary((begin + length).min(text.len())).max(begin);
            text.replace_range(begin..end, &new);
        }
        sound(&text)?;
    }

    #[test]
    fn lines_in_any_order_do_not_panic(
        lines in prop::sample::subsequence(RIGHT.lines().collect::<Vec<_>>(), 0..=20)
            .prop_shuffle(),
    ) {
        sound(&lines.join("\n"))?;
    }
}

fn sound(text: &str) -> Result<(), TestCaseError> {
    let Err(refused) = parse(text) else {
        return Ok(());
    };
    prop_assert!(!refused.faults().is_empty());
    prop_assert_eq!(refused.to_string().lines().count(), refused.faults().len());
    for fault in refused.faults() {
        let lines = text.split('\n').count();
        prop_assert!(
            fault.line.is_none_or(|line| (1..=lines).contains(&line)),
            "{fault}"
        );
        prop_assert!(!fault.sentence.is_empty());
    }
    Ok(())
}
