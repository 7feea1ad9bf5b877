//! The pages that people read: one layout (`templates/layout.html`), one style sheet (`/static/style.css`, served
//! by the proxy), no script.
//!
//! [`Frame`] is what the layout shows around every page; a template that extends it has a field `frame`.
//! [`answer`] makes a response of a template, with the headers that every page has. `failure` says to a browser
//! what went wrong where nothing else has made a page of it.

pub mod failure;
mod frame;

use askama::Template;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::response::Parts;
use http::{Method, StatusCode};

use crate::error::Error;

pub use frame::{Frame, Visitor};

/// What a page may load and where its forms may lead: its own site. There is no script to run.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'";

/// What every page says of itself. It shows who is signed in, so nobody keeps it; its forms tell this site alone
/// where they come from.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "private, no-store"),
];

/// Answers with a page.
pub fn answer(status: StatusCode, page: &impl Template) -> Response {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    instead(head, &Method::GET, page)
}

/// Puts a page in the place of the body of an answer whose head stays, as far as it is not about the body.
pub fn instead(mut head: Parts, method: &Method, page: &impl Template) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(cause) => {
            tracing::error!(%cause, "a page could not be written");
            return Error::Panicked.into_response();
        }
    };
    for about_the_body in [CONTENT_LENGTH, ETAG] {
        head.headers.remove(about_the_body);
    }
    for (name, value) in HEADERS {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    let body = match *method {
        // What a page says may depend on a body that HEAD has not got, so its length is not known.
        Method::HEAD => {
            Body::from_stream(futures_util::stream::empty::<std::io::Result<Vec<u8>>>())
        }
        _ => Body::from(html),
    };
    Response::from_parts(head, body)
}
