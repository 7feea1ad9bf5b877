//! `/api/docs/`: Swagger UI, which shows the document of [`super`] in a browser and lets one try it.
//!
//! Its files are in the binary, and nothing is asked of another host: not even its "validator" badge.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, Method};
use utoipa_swagger_ui::{Config, serve};

use super::{tag, unless_known};
use crate::error::Error;

/// Where the page finds the document: on whichever host served the page.
const DOCUMENT: &str = "/api/schema.json";
/// The methods of the page and of its files, as everywhere else below `/api/`.
const KNOWN: &str = "GET, HEAD, OPTIONS";
/// Swagger UI writes styles into its elements, so `style-src` is the one thing that cannot be tighter.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    // Asked for anew each time, and answered with 304: the next release has other files of the same names.
    (CACHE_CONTROL, "no-cache"),
];

/// `GET /api/docs/`: the page.
#[utoipa::path(get, path = "/api/docs/", tag = "service", operation_id = "docs", summary = "This document, to be read",
    responses((status = 200, description = "Swagger UI.", body = String, content_type = "text/html"),
        (status = 304, description = "The client has it.")))]
pub async fn show(headers: HeaderMap) -> Result<Response, Error> {
    file("index.html", &headers)
}

/// `GET /api/docs/{file}`: what the page is made of.
#[utoipa::path(get, path = "/api/docs/{file}", tag = "service", operation_id = "docs_file", summary = "A file of Swagger UI",
    responses((status = 200, description = "The file."), (status = 304, description = "The client has it.")))]
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Error> {
    file(&name, &headers)
}

/// `OPTIONS /api/docs/`: what the address knows.
#[utoipa::path(options, path = "/api/docs/", tag = "service", operation_id = "docs_options",
    summary = "What this address knows",
    responses((status = 200, description = "See `Allow`.", body = String, content_type = "text/html")))]
pub async fn options() -> Response {
    ([(ALLOW, KNOWN)], Html("")).into_response()
}

/// `OPTIONS /api/docs/{file}`: the same of a file that there is.
#[utoipa::path(options, path = "/api/docs/{file}", tag = "service", operation_id = "docs_file_options",
    summary = "What this address knows",
    responses((status = 200, description = "See `Allow`.", body = String, content_type = "text/html")))]
pub async fn asset_options(Path(name): Path<String>) -> Result<Response, Error> {
    file(&name, &HeaderMap::new())?;
    Ok(options().await)
}

/// Refuses any other method, and says which are known.
pub async fn refuse(method: Method) -> Response {
    let refused = Error::MethodNotAllowed(method).into_response();
    ([(ALLOW, KNOWN)], refused).into_response()
}

fn file(name: &str, headers: &HeaderMap) -> Result<Response, Error> {
    let config = Config::from(DOCUMENT)
        .validator_url("none")
        .use_base_layout()
        .display_request_duration(true)
        .try_it_out_enabled(true);
    // What it calls an error is a file of its own that is not as it was built.
    let file = serve(name, Arc::new(config)).ok().flatten();
    let file = file.ok_or(Error::NotFound)?;
    let content_type = HeaderValue::try_from(file.content_type).map_err(|_| Error::NotFound)?;
    let bytes = match name {
        "index.html" => page(&file.bytes),
        _ => file.bytes.into_owned(),
    };
    let bytes = Bytes::from(bytes);
    let mut response = unless_known(headers, &tag(&bytes), content_type, bytes);
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Gives the page the name of what it shows, and the width of the screen that it is shown on.
fn page(html: &[u8]) -> Vec<u8> {
    let head = "<title>Music API</title>\n    \
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";
    String::from_utf8_lossy(html)
        .replacen("<title>Swagger UI</title>", head, 1)
        .into_bytes()
}
