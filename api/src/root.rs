//! `/api/`: where everything else is, as an absolute address.

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use crate::address::Suffix;
use crate::endpoint::{Endpoint, reply};
use crate::error::Error;
use crate::origin::origin;
use crate::router::App;
use crate::server::Peer;

/// `/api/`, open to all.
pub static ROOT: Endpoint = Endpoint {
    name: "Api Root",
    description: "The default basic root view for DefaultRouter",
    parses: &[
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ],
    allow: "GET, HEAD, OPTIONS",
    guarded: false,
};

/// Lists the resources. An address that was asked for with a suffix leads on with it.
#[utoipa::path(get, path = "/api/", tag = "service", operation_id = "root", summary = "List what there is",
    responses((status = 200, description = "The absolute address of each.", body = std::collections::HashMap<String, String>,
        example = json!({ "music": "http://localhost:8080/api/music/" }))))]
pub async fn show(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let music = music_address(&app, &request)?;
    Ok(reply(&json!({ "music": music })))
}

/// Returns the absolute address of the list, with the scheme and host that the client used.
pub(crate) fn music_address(app: &App, request: &Request) -> Result<String, Error> {
    let extensions = request.extensions();
    let peer = extensions.get::<Peer>().copied().unwrap_or_default();
    let origin = origin(request.headers(), peer, &app.access().trusted_proxies);
    let origin = origin.ok_or(Error::BadHost)?;
    Ok(match extensions.get::<Suffix>() {
        Some(Suffix(suffix)) => format!("{origin}/api/music.{suffix}"),
        None => format!("{origin}/api/music/"),
    })
}
