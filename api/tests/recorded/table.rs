//! The table of recorded requests: what the original API really answered, request by request.
//!
//! The files beside this one are read by two tests: one asks a running API, the other (in `stack/tests/e2e`) asks the
//! proxy, behind which two instances take turns. Both run all cases in order, for many build on those before. A case:
//!
//! ```text
//! ## B3 create                          its name
//! ! sql truncate music                  what happens first: see `Action`
//! > POST /api/music/                    the request: line, headers, body (">>b" with \xff, \r, \n and \\ in it)
//! > Content-Type: application/json
//! >> {"song":"song one"}
//! < 201                                 the answer: status, headers, body; a header not named is not there
//! < Allow: GET, POST, HEAD, OPTIONS
//! << {"id":1,"created":"{time1}"}
//! p< 413                                the answer through the proxy, where that is another one
//! ~ Why this is not what the original answered.
//! ```
//!
//! `{a*5000}` is 5000 times the letter. In an answer, `{time1}`, `{id1}` and `{days1}` take what the server made when
//! they are met first, and are that from then on; a time that is met first is later than none but new. `{text}` is
//! anything. `{jar}`, `{csrf}`, `{sid}` and `{oldsid}` are the cookies, the two that matter, and the session before.

use super::wording::{Words, expand, unescape};

/// Every file, in the order in which the cases build on each other.
const FILES: [(&str, &str); 14] = [
    ("a", include_str!("a-authentication.cases")),
    ("b", include_str!("b-list-and-create.cases")),
    ("c", include_str!("c-content-types.cases")),
    ("d", include_str!("d-text.cases")),
    ("e", include_str!("e-retrieve.cases")),
    ("f", include_str!("f-update-and-delete.cases")),
    ("g", include_str!("g-head-options-405.cases")),
    ("h", include_str!("h-urls-and-formats.cases")),
    ("i", include_str!("i-dates.cases")),
    ("j", include_str!("j-sessions.cases")),
    ("k", include_str!("k-files.cases")),
    ("l", include_str!("l-long-heads.cases")),
    ("m", include_str!("m-database-away.cases")),
    ("n", include_str!("n-instances-away.cases")),
];

/// One request, and what it must be answered.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) actions: Vec<Action>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) is_http_1_0: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_chunked: bool,
    /// Whether the cookies of the answer go into the jar.
    pub(crate) keeps_cookies: bool,
    /// What the API answers; where there is nothing, only the proxy can answer.
    pub(crate) by_api: Option<Expected>,
    /// What the proxy answers, where that is something else.
    pub(crate) by_proxy: Option<Expected>,
}

/// What happens before a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Statements for the database.
    Sql(String),
    /// A statement that the database must refuse.
    Refused(String),
    /// The database goes away.
    DatabaseDown,
    /// The database comes back.
    DatabaseUp,
    /// An instance is killed.
    Kill(String),
    /// An instance is started again.
    Start(String),
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Words>,
}

/// Reads all files.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, text) in FILES {
        for (at, line) in text.lines().enumerate() {
            if let Some(name) = line.strip_prefix("## ") {
                cases.push(Case {
                    name: name.to_owned(),
                    ..Case::default()
                });
            } else if !line.is_empty() && !line.starts_with("# ") {
                let read = cases.last_mut().and_then(|case| case.read(line));
                read.unwrap_or_else(|| panic!("{file}, line {}: {line}", at + 1));
            }
        }
    }
    cases
}

impl Case {
    /// Takes one line; `None` if it is none of a case.
    fn read(&mut self, line: &str) -> Option<()> {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "!" => self.prepare(rest)?,
            ">" if self.method.is_empty() => {
                let mut words = rest.split(' ');
                self.method = words.next()?.to_owned();
                self.target = expand(words.next()?);
                self.is_http_1_0 = words.next() == Some("HTTP/1.0");
            }
            ">" => {
                let (name, value) = rest.split_once(':')?;
                self.headers.push((name.to_owned(), expand(value.trim())));
            }
            ">>" => self.body = expand(rest).into_bytes(),
            ">>b" => self.body = unescape(rest)?,
            "<" => answer(&mut self.by_api, rest)?,
            "<<" => add_body(self.by_api.as_mut()?, rest),
            "p<" => answer(&mut self.by_proxy, rest)?,
            "p<<" => add_body(self.by_proxy.as_mut()?, rest),
            // For the reader.
            "~" => {}
            _ => return None,
        }
        Some(())
    }

    fn prepare(&mut self, text: &str) -> Option<()> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let action = match (verb, rest) {
            ("keep", "") => {
                self.keeps_cookies = true;
                return Some(());
            }
            ("chunked", "") => {
                self.is_chunked = true;
                return Some(());
            }
            ("sql", statements) => Action::Sql(statements.to_owned()),
            ("refused", statement) => Action::Refused(statement.to_owned()),
            ("database", "down") => Action::DatabaseDown,
            ("database", "up") => Action::DatabaseUp,
            ("kill", instance) => Action::Kill(instance.to_owned()),
            ("start", instance) => Action::Start(instance.to_owned()),
            _ => return None,
        };
        self.actions.push(action);
        Some(())
    }
}

fn answer(expected: &mut Option<Expected>, text: &str) -> Option<()> {
    match expected {
        None => {
            let status = text.parse().ok()?;
            *expected = Some(Expected {
                status,
                ..Expected::default()
            });
        }
        Some(expected) => {
            let (name, value) = text.split_once(": ")?;
            expected.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Some(())
}

/// Several lines are lines of the body.
fn add_body(expected: &mut Expected, text: &str) {
    let before = expected
        .body
        .take()
        .map(|words| words.source().to_owned() + "\n");
    expected.body = Some(Words::new(before.unwrap_or_default() + text));
}
