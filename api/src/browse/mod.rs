//! The browsable API: what an address answers, as a page for people, at the same address.
//!
//! [`form`] makes the request of a page's form into one of the API, before it is routed. When the answer is there,
//! [`View`] (what of the request the page shows) and the answer become a page: `written` writes the JSON,
//! `editing` the forms that change something, `seeking` those that look for something and the way to other pages.
//!
//! A page is bounded: a list that nobody asked to be cut shows its first rows, and a longer answer than
//! [`LONGEST_SHOWN`] is not shown at all but can be had as JSON.

mod editing;
pub mod form;
mod place;
mod seeking;
mod written;

use std::time::SystemTime;

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CONTENT_TYPE, ETAG, HeaderMap, LOCATION, RETRY_AFTER, SET_COOKIE, VARY, WWW_AUTHENTICATE,
};
use http::response::Parts;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use crate::auth::secret::Secret;
use crate::auth::{Account, session};
use crate::database::Fault;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::json;
use crate::origin;
use crate::page::{self, Frame, Visitor};
use crate::router::App;
use crate::server::Peer;
use editing::Editing;
use form::Submitted;
use place::{Crumb, Place};
use seeking::{Pager, Seeking};

/// A longer answer is not shown in a page.
pub const LONGEST_SHOWN: usize = 4 * 1024 * 1024;

/// Marks the answer to a list that is cut for a page: an array, or the envelope of the first page by cursor.
#[derive(Clone, Copy, Debug)]
pub struct FirstRows;

/// What of a request its page shows.
pub struct View {
    endpoint: &'static Endpoint,
    method: Method,
    headers: HeaderMap,
    place: Place,
    origin: String,
    is_https: bool,
    submitted: Option<Submitted>,
}

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage<'a> {
    frame: Frame,
    name: &'a str,
    description: &'a str,
    crumbs: Vec<Crumb>,
    place: &'a Place,
    method: &'a str,
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    /// The JSON as markup, if there is any.
    json: Option<String>,
    is_too_long: bool,
    done: Option<Done>,
    problems: Vec<String>,
    /// The list goes on, though nobody asked for a part of it.
    is_cut: bool,
    pager: Option<Pager>,
    seeking: Option<Seeking>,
    editing: Option<Editing>,
}

/// What was done, and where to see it.
struct Done {
    text: &'static str,
    address: String,
    name: &'static str,
}

impl View {
    /// Keeps what the page will need of a request.
    pub fn of(endpoint: &'static Endpoint, app: &App, request: &Request) -> Self {
        let peer = request.extensions().get::<Peer>().copied();
        let (peer, headers) = (peer.unwrap_or_default(), request.headers());
        let trusted = &app.access().trusted_proxies;
        Self {
            endpoint,
            method: request.method().clone(),
            headers: headers.clone(),
            place: Place::of(request.uri()),
            origin: origin::origin(headers, peer, trusted).unwrap_or_default(),
            is_https: origin::is_https(headers, peer, trusted),
            submitted: request.extensions().get::<Submitted>().cloned(),
        }
    }

    fn knows(&self, method: &str) -> bool {
        self.endpoint.allow.split(", ").any(|known| known == method)
    }

    /// Returns where to come back to after logging in or out: a form's answer cannot be asked for again.
    fn here(&self) -> &str {
        match self.method {
            Method::GET | Method::HEAD => &self.place.here,
            _ => &self.place.path,
        }
    }
}

/// What there is of an answer.
enum Answered {
    Nothing,
    Json(Value),
    TooLong,
}

impl Answered {
    fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Nothing | Self::TooLong => None,
        }
    }
}

/// Makes a page of an answer. `account` is whoever asked.
pub async fn show(
    app: &App,
    view: &View,
    account: Option<&Account>,
    response: Response,
) -> Response {
    let is_json = response.headers().get(CONTENT_TYPE) == Some(&json::CONTENT_TYPE);
    if !is_json && response.status() != StatusCode::NO_CONTENT {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let answered = match read(body).await {
        Ok(answered) => answered,
        Err(failure) => {
            let (failed, body) = failure.into_response().into_parts();
            head.status = failed.status;
            head.headers.extend(failed.headers);
            read(body).await.unwrap_or(Answered::Nothing)
        }
    };
    let (page, new_token) = match page_of(app, view, account, &head, answered) {
        Ok(made) => made,
        Err(error) => return error.into_response(),
    };
    if head.status == StatusCode::NO_CONTENT {
        // As in the original: a page has content.
        head.status = StatusCode::OK;
    }
    let mut response = page::instead(head, &view.method, &page);
    if let Some(token) = new_token {
        let cookie = session::csrf_cookie(&token, view.is_https, SystemTime::now());
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

async fn read(body: Body) -> Result<Answered, Error> {
    match Limited::new(body, LONGEST_SHOWN).collect().await {
        Ok(body) => {
            let json = serde_json::from_slice(&body.to_bytes()).ok();
            Ok(json.map_or(Answered::Nothing, Answered::Json))
        }
        Err(cause) if cause.is::<LengthLimitError>() => Ok(Answered::TooLong),
        // It was logged where it broke off.
        Err(_) => Err(Error::Database(Fault::TimedOut)),
    }
}

/// Puts the page together. The other value is the token that the browser has to be given, if it has none.
fn page_of<'a>(
    app: &App,
    view: &'a View,
    account: Option<&Account>,
    head: &Parts,
    mut answered: Answered,
) -> Result<(BrowsePage<'a>, Option<String>), Error> {
    let status = head.status;
    let pager = answered
        .json()
        .and_then(|envelope| Pager::of(envelope, &view.origin));
    let is_first = head.extensions.get::<FirstRows>().is_some();
    if let (true, Answered::Json(envelope @ Value::Object(_))) = (is_first, &mut answered) {
        let rows = envelope.get_mut("results").map(Value::take);
        answered = rows.map_or(Answered::Nothing, Answered::Json);
    }
    let json = answered.json();
    let may_write = app
        .access()
        .permission
        .allows(&Method::POST, account.is_some());
    let editing = Editing::of(view, may_write, status, json)?;
    let visitor = Visitor::of(account, &view.headers);
    let mut frame = Frame::new(app, &view.headers, view.here(), view.endpoint.name, visitor);
    let needs_token = editing.is_some() && frame.csrf.is_empty();
    if needs_token {
        let token = Secret::random().map_err(Error::NoRandomness)?;
        frame.csrf = token.reveal().to_owned();
    }
    let new_token = needs_token.then(|| frame.csrf.clone());
    let is_failure = status.is_client_error() || status.is_server_error();
    let page = BrowsePage {
        name: view.endpoint.name,
        description: view.endpoint.description,
        crumbs: place::crumbs(&view.place.path, view.endpoint.name),
        place: &view.place,
        method: view.method.as_str(),
        status,
        headers: shown_headers(head, &frame.instance),
        done: done(view, status, json),
        problems: json
            .filter(|_| is_failure)
            .map(|json| problems(json, editing.as_ref().is_some_and(|editing| editing.is_raw)))
            .unwrap_or_default(),
        is_cut: is_first && pager.as_ref().is_none_or(|pager| pager.next.is_some()),
        seeking: view
            .knows("POST")
            .then(|| Seeking::of(&view.place, json.filter(|_| is_failure))),
        is_too_long: matches!(answered, Answered::TooLong),
        json: json.map(|json| written::markup(json, &view.origin, view.knows("POST"))),
        frame,
        pager,
        editing,
    };
    Ok((page, new_token))
}

/// Returns the headers that the page shows, as the JSON would have them.
fn shown_headers(head: &Parts, instance: &str) -> Vec<(&'static str, String)> {
    let shown = [
        ("Allow", ALLOW),
        ("Content-Type", CONTENT_TYPE),
        ("ETag", ETAG),
        ("Location", LOCATION),
        ("Retry-After", RETRY_AFTER),
        ("Vary", VARY),
        ("WWW-Authenticate", WWW_AUTHENTICATE),
    ];
    let found = shown.into_iter().filter_map(|(name, header)| {
        let value = head.headers.get(header)?.to_str().ok()?;
        Some((name, value.to_owned()))
    });
    let mut headers: Vec<_> = found.collect();
    headers.push(("X-Instance", instance.to_owned()));
    headers
}

fn done(view: &View, status: StatusCode, json: Option<&Value>) -> Option<Done> {
    let id = json.and_then(|json| json.get("id")?.as_i64());
    let item = |text| Done {
        text,
        address: id.map_or_else(String::new, |id| format!("/api/music/{id}/")),
        name: "Open it",
    };
    match (&view.method, status) {
        (&Method::POST, StatusCode::CREATED) => Some(item("It was added.")),
        (&Method::PUT | &Method::PATCH, StatusCode::OK) => Some(item("It was saved.")),
        (&Method::DELETE, StatusCode::NO_CONTENT) => Some(Done {
            text: "It was deleted.",
            address: "/api/music/".to_owned(),
            name: "Back to the list",
        }),
        _ => None,
    }
}

/// Returns what is wrong, apart from what is said at a field; of raw data it is said here.
fn problems(json: &Value, is_raw: bool) -> Vec<String> {
    let detail = json.get("detail").and_then(Value::as_str);
    let others = json.get("non_field_errors").map(editing::messages);
    let mut all: Vec<_> = detail.map(str::to_owned).into_iter().collect();
    all.extend(others.unwrap_or_default());
    if is_raw {
        all.extend(editing::problems_of_fields(json));
    }
    all
}
