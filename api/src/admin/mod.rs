//! `/admin/`: where staff keep the songs and the accounts, by plain forms that need no script.
//!
//! [`staff`] lets nobody else in, and refuses the forms of other sites. [`home`] is the first page, [`songs`] and
//! [`people`] what is kept, [`rights`] what somebody may do, [`passwords`] one's own password and those of others;
//! `fields` are what the forms consist of, `notice` says after a redirect what was done. Every change is a form sent
//! with POST, and asked back before it destroys; [`again`] shows one again that failed through no fault of its own.
//! Songs are written as the API writes them ([`crate::music`]), under a key that the form holds, so that one that is
//! sent twice is applied once.

pub mod again;
mod fields;
pub mod home;
mod notice;
pub mod passwords;
pub mod people;
pub mod rights;
pub mod songs;
pub mod staff;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, VARY};

use crate::error::Error;
use crate::page;
use notice::Notice;

/// How many rows a page of the admin has.
const ROWS: usize = 50;

/// A place on the way from the first page to this one.
#[derive(Debug)]
struct Crumb {
    name: String,
    address: &'static str,
}

fn crumbs(way: &[(&str, &'static str)]) -> Vec<Crumb> {
    let crumb = |(name, address): &(&str, &'static str)| Crumb {
        name: (*name).to_owned(),
        address,
    };
    [("Admin", "/admin/")]
        .iter()
        .chain(way)
        .map(crumb)
        .collect()
}

/// Shows a page, which is another one for everybody.
fn show(status: StatusCode, page: &impl Template) -> Response {
    let mut response = page::answer(status, page);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Cookie"));
    response
}

/// Leads on to another page, with GET: reloading that one repeats nothing.
fn lead_to(address: &str) -> Result<Response, Error> {
    let location = HeaderValue::try_from(address).map_err(|_| Error::NotFound)?;
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (VARY, HeaderValue::from_static("Cookie")),
    ];
    Ok((StatusCode::SEE_OTHER, headers, Html("")).into_response())
}

/// Leads on to a page that says to this session what was done.
fn lead_to_notice(address: &str, done: Notice, session: &str) -> Result<Response, Error> {
    lead_to(&format!("{address}?done={}", done.signed(session)))
}

/// Returns the page that a query asks for, from 1 on.
fn page_number(asked: &str) -> usize {
    asked.parse().unwrap_or(1).clamp(1, 1_000_000)
}

/// Returns a query of the pairs that have a value.
fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
    query.finish()
}

/// Writes a time as people read it.
fn time_of_day(time: time::OffsetDateTime) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]");
    let utc = time.to_offset(time::UtcOffset::UTC);
    utc.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_page_is_the_first() {
        for (asked, expected) in [
            ("", 1),
            ("0", 1),
            ("-3", 1),
            ("x", 1),
            ("7", 7),
            ("9999999", 1_000_000),
        ] {
            assert_eq!(page_number(asked), expected, "{asked}");
        }
    }

    #[test]
    fn a_query_holds_what_has_a_value() {
        assert_eq!(
            query(&[("search", "a&b"), ("order", ""), ("page", "2")]),
            "search=a%26b&page=2"
        );
    }
}
