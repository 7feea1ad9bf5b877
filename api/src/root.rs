//! `/api/`: where everything else is, as an absolute address.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
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
pub async fn show(State(app): State<App>, request: Request) -> Response {
    let peer = request
        .extensions()
        .get::<Peer>()
        .copied()
        .unwrap_or_default();
    let Some(origin) = origin(request.headers(), peer, &app.access().trusted_proxies) else {
        return Error::BadHost.into_response();
    };
    let music = match request.extensions().get::<Suffix>() {
        Some(Suffix(suffix)) => format!("{origin}/api/music.{suffix}"),
        None => format!("{origin}/api/music/"),
    };
    reply(&json!({ "music": music }))
}
