//! `GET /requests` and `/requests/{id}`: the last slow and failed requests with their tries.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Admin, Fault};
use crate::recent::Record;

/// Shows all that are kept.
pub(super) async fn all(State(admin): State<Admin>) -> Json<Value> {
    Json(json!({ "requests": admin.access_log.recent().all() }))
}

/// Shows the newest one with this id.
pub(super) async fn one(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Json<Arc<Record>>, Fault> {
    let found = admin.access_log.recent().find(&id);
    found.map(Json).ok_or_else(|| {
        let sentence = "No such request is kept: only the last ones that failed, were tried more \
                        than once, were refused or slow.";
        Fault(StatusCode::NOT_FOUND, sentence.to_owned())
    })
}
