//! What goes on from case to case: cookies, names that have a meaning by now, and what was wrong so far.

use std::collections::BTreeMap;

use http::header::{CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Version};

use super::table::{Case, Expected};
use super::wording::Meanings;

/// The headers that are part of the contract. One that is not named in a case must not be there.
const HEADERS: [&str; 5] = [
    "Content-Type",
    "Allow",
    "Vary",
    "WWW-Authenticate",
    "Location",
];

/// An answer that was read to its end.
pub(crate) struct Seen<'answer> {
    pub(crate) status: u16,
    pub(crate) headers: &'answer HeaderMap,
    pub(crate) body: &'answer [u8],
}

/// The state of a client that sends all cases.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    meanings: Meanings,
    jar: BTreeMap<String, String>,
    session_before: String,
    wrong: Vec<String>,
    right: usize,
}

impl Conversation {
    /// Makes the request of a case, with the cookies that there are now. How a body is framed is the sender's.
    pub(crate) fn request(&self, case: &Case) -> Request<Vec<u8>> {
        let mut builder = Request::builder()
            .method(case.method.as_str())
            .uri(&case.target);
        if case.is_http_1_0 {
            builder = builder.version(Version::HTTP_10);
        }
        for (name, value) in &case.headers {
            builder = builder.header(name, self.filled(value));
        }
        let body = String::from_utf8(case.body.clone()).map(|text| self.filled(&text).into_bytes());
        let body = body.unwrap_or_else(|_| case.body.clone());
        if case.is_chunked {
            builder = builder.header(TRANSFER_ENCODING, "chunked");
        } else if !body.is_empty() || case.method == "POST" {
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        builder.body(body).unwrap()
    }

    fn filled(&self, text: &str) -> String {
        let cookie = |name: &str| self.jar.get(name).cloned().unwrap_or_default();
        let all = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        text.replace("{jar}", &all.collect::<Vec<_>>().join("; "))
            .replace("{csrf}", &cookie("csrftoken"))
            .replace("{sid}", &cookie("sessionid"))
            .replace("{oldsid}", &self.session_before)
    }

    /// Compares an answer with what is expected, and keeps its cookies if the case does.
    pub(crate) fn judge(&mut self, case: &Case, expected: &Expected, seen: &Seen<'_>) {
        let text = String::from_utf8_lossy(seen.body);
        let mut faults = Vec::new();
        if seen.status != expected.status {
            faults.push(format!("status {}, not {}", seen.status, expected.status));
        }
        for name in HEADERS {
            let found = seen
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("?"));
            let wanted = expected.headers.iter().find(|(named, _)| named == name);
            let wanted = wanted.map(|(_, value)| value.as_str());
            // A redirect has no body, and so no type.
            let is_free = name == "Content-Type" && (300..400).contains(&expected.status);
            if found != wanted && !is_free {
                faults.push(format!("{name}: {found:?}, not {wanted:?}"));
            }
        }
        // A page or a picture is not compared.
        let kind = seen.headers.get("content-type");
        let is_shown = kind.is_some_and(|kind| {
            let kinds = [&b"text/html"[..], b"image/"];
            kinds.iter().any(|shown| kind.as_bytes().starts_with(shown))
        });
        match &expected.body {
            Some(words) if !words.are_said(&text, &mut self.meanings) => {
                faults.push(format!("body, instead of {}", short(words.source())));
            }
            None if !is_shown && !text.is_empty() => faults.push("a body".into()),
            _ => {}
        }
        if case.keeps_cookies {
            self.keep(seen.headers);
        }
        if faults.is_empty() {
            self.right += 1;
        } else {
            let headers = HEADERS.map(|name| seen.headers.get(name));
            self.wrong.push(format!(
                "{}\n  {} {}\n  {}\n  found {} {headers:?} {}",
                case.name,
                case.method,
                short(&case.target),
                faults.join("\n  "),
                seen.status,
                short(&text)
            ));
        }
    }

    /// Notes that a case had no answer.
    pub(crate) fn no_answer(&mut self, case: &Case, why: &dyn std::fmt::Display) {
        self.wrong
            .push(format!("{}\n  no answer: {why}", case.name));
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap_or_default();
            if name == "sessionid" {
                let before = self.jar.remove(name);
                self.session_before = before.unwrap_or_default();
            }
            if !value.is_empty() && value != "\"\"" {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Panics with every case that was wrong.
    pub(crate) fn end(&self, at_least: usize) {
        let all = self.right + self.wrong.len();
        assert!(
            self.wrong.is_empty(),
            "{} of {all} cases:\n\n{}",
            self.wrong.len(),
            self.wrong.join("\n\n")
        );
        assert!(all >= at_least, "only {all} cases were sent");
    }
}

fn short(text: &str) -> String {
    let mut short: String = text.chars().take(1200).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
