//! What can go wrong, for `components.responses`: asked of the errors themselves, so that a status, a text or a
//! header is described as it is given.

use std::time::Duration;

use http::{HeaderName, Method};
use serde_json::{Map, Value, json};

use super::headers;
use crate::auth::credentials::{INACTIVE, WRONG_PASSWORD, WRONG_TOKEN};
use crate::auth::password::Busy;
use crate::database::Fault;
use crate::error::{Error, Refusal};
use crate::music::described::{refused_body, refused_query};
use crate::terms::Key;

/// One entry of the components: a text, and each cause with a word for it.
type Entry = (&'static str, &'static str, Vec<(&'static str, Error)>);

/// Describes every refusal that an operation refers to, and 405, which no operation has: it is for the others.
pub(super) fn components() -> Value {
    Value::Object(entries().into_iter().map(response).collect())
}

/// Returns the status that a refusal has.
pub(super) fn status(components: &Value, name: &str) -> String {
    components[name]["x-status"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Refers to a refusal by its name in the components.
pub(super) fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn response((name, text, causes): Entry) -> (String, Value) {
    let mut examples = Map::new();
    let mut names: Vec<HeaderName> = [&headers::ON_ALL[..], &headers::OF_ENDPOINTS].concat();
    let mut status = String::new();
    for (cause, error) in causes {
        let refusal = Refusal::from(error);
        status = refusal.status.as_u16().to_string();
        let more = refusal
            .headers
            .keys()
            .filter(|name| **name != http::header::CONTENT_TYPE);
        names.extend(more.cloned());
        examples.insert(
            cause.replace(' ', "_"),
            json!({ "summary": cause, "value": refusal.body }),
        );
    }
    let description = json!({
        "description": text,
        "headers": headers::refer(&names),
        "content": {
            "application/json": {
                "schema": { "$ref": "#/components/schemas/Problem" },
                "examples": examples,
            },
            "text/html": { "schema": { "type": "string" } },
        },
        // Taken off again: the key of a response in an operation is its status.
        "x-status": status,
    });
    (name.to_owned(), description)
}

fn entries() -> Vec<Entry> {
    let host = || ("wrong host", Error::BadHost);
    let key = || ("wrong key", Error::WrongKey);
    let deadline = || ("wrong deadline", Error::WrongDeadline);
    let condition = || ("empty condition", Error::EmptyCondition);
    let busy = || ("too many sign-ins", Error::Busy(Busy));
    let away = || ("database away", Error::Database(Fault::TimedOut));
    vec![
        ("BadHost", "`Host` is missing or no host.", vec![host()]),
        ("BadQuery", "The query or `Host` is wrong.", queries(host())),
        (
            "BadTerms",
            "A header is wrong.",
            vec![key(), deadline(), condition(), host()],
        ),
        (
            "BadWrite",
            "The body or a header is wrong.",
            bodies([key(), deadline(), condition(), host()]),
        ),
        (
            "BadForm",
            "The body ended early, or is not the form that it says it is.",
            vec![
                ("incomplete", Error::Truncated),
                ("no form", Error::NotForm("Invalid boundary".into())),
            ],
        ),
        (
            "Forbidden",
            "Not signed in where that is needed, wrong credentials, or a forged request of another site. There is no 401: a browser would ask for a password.",
            forbidden(),
        ),
        (
            "ForeignForm",
            "The form was sent by another site, or without its cookie.",
            vec![(
                "another site",
                Error::Csrf("Request from another site.".into()),
            )],
        ),
        (
            "NoFormat",
            "There is no such format.",
            vec![("not found", Error::NotFound)],
        ),
        (
            "NoFile",
            "There is no such file.",
            vec![("not found", Error::NotFound)],
        ),
        (
            "NoMusic",
            "There is no such music, or no such format.",
            vec![("no music", Error::NoMusic), ("not found", Error::NotFound)],
        ),
        (
            "NoCursor",
            "The cursor was not given out for this order, or there is no such format.",
            cursors(),
        ),
        (
            "MethodNotAllowed",
            "Any method that is not described here. `Allow` names those that are.",
            vec![("not allowed", Error::MethodNotAllowed(Method::PUT))],
        ),
        (
            "NotAcceptable",
            "No format that `Accept` takes.",
            vec![("not acceptable", Error::NotAcceptable)],
        ),
        (
            "TooSlow",
            "The body did not arrive in time: 15 s for a piece, 60 s for all.",
            vec![("too slow", Error::TooSlow)],
        ),
        (
            "StillRunning",
            "A request with this key is being answered just now.",
            vec![("still running", Error::StillRunning)],
        ),
        (
            "PreconditionFailed",
            "The music is not in the state that `If-Match` or `If-None-Match` asks for.",
            vec![("another state", Error::PreconditionFailed)],
        ),
        (
            "TooLarge",
            "The body has more than 2.5 MiB.",
            vec![("too large", Error::TooLarge)],
        ),
        (
            "UnsupportedMediaType",
            "The body is of another type.",
            vec![(
                "another type",
                Error::UnsupportedMediaType("text/plain".into()),
            )],
        ),
        (
            "OtherRequest",
            "The key was used for another request.",
            vec![("another request", Error::OtherRequest)],
        ),
        (
            "TooManyTries",
            "Too many wrong passwords for this name or from this address.",
            vec![(
                "too many tries",
                Error::TooManyTries(Duration::from_secs(17)),
            )],
        ),
        (
            "ServerError",
            "A fault of the server. It is in the log under the request's id.",
            vec![("a fault", Error::Panicked)],
        ),
        (
            "Unavailable",
            "The database is away, or too many sign in at once.",
            vec![away(), busy()],
        ),
        (
            "ListUnavailable",
            "The database is away, too many sign in at once, or a search would take too long.",
            vec![away(), busy(), ("long search", Error::SearchTooLong)],
        ),
        (
            "WriteUnavailable",
            "The database is away, the deadline had passed, or too many sign in at once. Nothing was written, unless `outcome` is `unknown`.",
            unavailable_writes(vec![away(), busy()]),
        ),
    ]
}

fn queries(host: (&'static str, Error)) -> Vec<(&'static str, Error)> {
    const MANY: &str = "search=1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16+17+18+19+20+21";
    let given = [("NUL", "singer=%00"), ("too many words", MANY)];
    let refused = given
        .into_iter()
        .filter_map(|(cause, query)| Some((cause, refused_query(query)?)));
    refused.chain([host]).collect()
}

fn cursors() -> Vec<(&'static str, Error)> {
    let refused = refused_query("cursor=x").map(|error| ("no cursor", error));
    refused
        .into_iter()
        .chain([("not found", Error::NotFound)])
        .collect()
}

fn bodies(more: [(&'static str, Error); 4]) -> Vec<(&'static str, Error)> {
    let given = [
        ("missing", r#"{"song":"Blue Train"}"#),
        ("null", r#"{"song":null,"singer":"John Coltrane"}"#),
        ("blank", r#"{"song":" ","singer":"John Coltrane"}"#),
        ("no text", r#"{"song":true,"singer":"John Coltrane"}"#),
        (
            "NUL",
            r#"{"song":"\u0000Blue Train","singer":"John Coltrane"}"#,
        ),
        (
            "half a character",
            r#"{"song":"\ud83d","singer":"John Coltrane"}"#,
        ),
        ("no object", "[]"),
        ("no JSON", r#"{"song""#),
    ];
    let refused = given
        .into_iter()
        .filter_map(|(cause, body)| Some((cause, refused_body(body)?)));
    refused
        .chain([("incomplete", Error::Truncated)])
        .chain(more)
        .collect()
}

fn forbidden() -> Vec<(&'static str, Error)> {
    vec![
        ("not signed in", Error::NotAuthenticated),
        ("wrong password", Error::BadCredentials(WRONG_PASSWORD)),
        ("wrong token", Error::BadCredentials(WRONG_TOKEN)),
        ("switched off", Error::BadCredentials(INACTIVE)),
        (
            "another site",
            Error::Csrf("Request from another site.".into()),
        ),
    ]
}

fn unavailable_writes(mut causes: Vec<(&'static str, Error)>) -> Vec<(&'static str, Error)> {
    let key = Key::parse(b"9b2d5c1e-order-17");
    causes.push(("too late", Error::TooLate));
    causes.push((
        "unknown outcome",
        Error::OutcomeUnknown(Fault::Unanswered, key),
    ));
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers the kinds of errors. A new one is not taken here before it has a number, nor then without an entry.
    fn kind(error: &Error) -> usize {
        match error {
            Error::NotFound => 0,
            Error::NoMusic => 1,
            Error::InvalidCursor => 2,
            Error::MethodNotAllowed(_) => 3,
            Error::NotAuthenticated => 4,
            Error::BadCredentials(_) => 5,
            Error::Csrf(_) => 6,
            Error::TooManyTries(_) => 7,
            Error::Busy(_) => 8,
            // To a client they are the same.
            Error::NoRandomness(_) | Error::Panicked => 9,
            Error::NotAcceptable => 10,
            Error::BadHost => 11,
            Error::UnsupportedMediaType(_) => 12,
            Error::NotJson(_) => 13,
            Error::Invalid(_) => 14,
            Error::TooLarge => 15,
            Error::TooSlow => 16,
            Error::Truncated => 17,
            Error::WrongKey => 18,
            Error::WrongDeadline => 19,
            Error::OtherRequest => 20,
            Error::StillRunning => 21,
            Error::PreconditionFailed => 22,
            Error::TooLate => 23,
            Error::Database(_) => 24,
            Error::OutcomeUnknown(..) => 25,
            Error::SearchTooLong => 26,
            Error::NotForm(_) => 27,
            Error::EmptyCondition => 28,
        }
    }

    #[test]
    fn every_error_is_described() {
        let mut kinds: Vec<_> = entries()
            .iter()
            .flat_map(|(.., causes)| causes.iter().map(|(_, error)| kind(error)))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, (0..=28).collect::<Vec<_>>());
    }
}
