//! `/api/schema/`: what the API answers, as an `OpenAPI` 3.1 document for people's tools.
//!
//! It is made of the code: `operations` collects what stands at the handlers and the types of the bodies,
//! `refusals` asks the errors themselves for their status, text and headers. `parameters` and `headers`
//! describe what a request and an answer carry beside a body, `complete` puts all of it together.
//! [`docs`] shows the document at `/api/docs/`.

mod complete;
pub mod docs;
mod headers;
mod operations;
mod parameters;
mod refusals;
pub mod text;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::endpoint::Endpoint;
use crate::json;
use crate::permission::Permission;
use crate::router::App;
use crate::terms::Tag;

/// `/api/schema/`, open to all.
pub static SCHEMA: Endpoint = Endpoint {
    name: "Schema",
    description: "The API as an OpenAPI 3.1 document",
    parses: &["application/json"],
    allow: "GET, HEAD, OPTIONS",
    guarded: false,
};

/// The document of one instance, as bytes that are ready to be sent.
#[derive(Clone, Debug)]
pub struct Document {
    json: Bytes,
    tag: Tag,
}

impl Document {
    /// Makes the document of an API with this permission, which decides where one must be signed in.
    #[must_use]
    pub fn new(permission: Permission) -> Self {
        let json = Bytes::from(json::to_bytes(&value(permission)));
        let tag = tag(&json);
        Self { json, tag }
    }
}

/// Returns the document as `api openapi` prints it: with line breaks.
#[must_use]
pub fn pretty(permission: Permission) -> String {
    format!("{:#}", value(permission))
}

fn value(permission: Permission) -> Value {
    complete::complete(operations::described(), permission)
}

/// `GET /api/schema/`: the document, unless the client has it.
#[utoipa::path(get, path = "/api/schema/", tag = "service", operation_id = "schema",
    summary = "This document",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = Object),
        (status = 304, description = "The client has it.")))]
pub async fn show(State(app): State<App>, headers: HeaderMap) -> Response {
    let document = app.document();
    let content_type = json::CONTENT_TYPE;
    unless_known(&headers, &document.tag, content_type, document.json.clone())
}

/// Names bytes by what they are.
fn tag(bytes: &[u8]) -> Tag {
    let digest = Sha256::digest(bytes);
    let hex: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Tag::new(&hex, 0)
}

/// Answers with bytes, or 304 to those who have them.
fn unless_known(
    headers: &HeaderMap,
    tag: &Tag,
    content_type: HeaderValue,
    bytes: Bytes,
) -> Response {
    if tag.is_known(headers) {
        return (http::StatusCode::NOT_MODIFIED, [(ETAG, tag.header())]).into_response();
    }
    let head = [(CONTENT_TYPE, content_type), (ETAG, tag.header())];
    (head, bytes).into_response()
}

#[cfg(test)]
mod tests;
