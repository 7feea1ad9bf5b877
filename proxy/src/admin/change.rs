//! Changes while the proxy runs: of servers, of upstreams, of the whole configuration.

use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::status::server_status;
use super::{Admin, Fault};
use crate::balance::{Key, Method};
use crate::upstream::Change;
use crate::upstream::health::Mode;

/// The largest weight, as in the file.
const MOST_WEIGHT: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerPatch {
    weight: Option<u32>,
    state: Option<Wanted>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpstreamPatch {
    method: String,
    /// What method `hash` goes by, such as `header:X-User`.
    hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Ready,
    Drain,
    Down,
}

impl From<Wanted> for Mode {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Ready => Self::Ready,
            Wanted::Drain => Self::Drain,
            Wanted::Down => Self::Down,
        }
    }
}

/// `PATCH /upstreams/{upstream}/servers/{server}`: another weight, another state, or both.
pub(super) async fn server(
    State(admin): State<Admin>,
    Path((upstream, server)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Fault> {
    let patch: ServerPatch = parse(&body)?;
    let change = Change {
        weight: patch.weight,
        mode: patch.state.map(Mode::from),
    };
    if change.weight.is_none() && change.mode.is_none() {
        return Err(malformed("expected `weight`, `state` or both".to_owned()));
    }
    if change.weight.is_some_and(|weight| weight > MOST_WEIGHT) {
        let sentence = format!("weight: expected a whole number from 0 to {MOST_WEIGHT}");
        return Err(malformed(sentence));
    }
    let live = admin.live.load();
    let nothing = |what: &str| Fault(StatusCode::NOT_FOUND, format!("There is no such {what}."));
    let upstream = live
        .upstream(&upstream)
        .ok_or_else(|| nothing("upstream"))?;
    let now = Instant::now();
    let servers = upstream
        .change_by_hand(&server, change, now)
        .ok_or_else(|| nothing("server"))?;
    let servers: Vec<_> = servers
        .iter()
        .map(|server| server_status(server, now))
        .collect();
    Ok(Json(json!({ "servers": servers })).into_response())
}

/// `PATCH /upstreams/{upstream}`: another method.
pub(super) async fn upstream(
    State(admin): State<Admin>,
    Path(upstream): Path<String>,
    body: Bytes,
) -> Result<Response, Fault> {
    let patch: UpstreamPatch = parse(&body)?;
    let live = admin.live.load();
    let Some(upstream) = live.upstream(&upstream) else {
        let sentence = "There is no such upstream.";
        return Err(Fault(StatusCode::NOT_FOUND, sentence.to_owned()));
    };
    let key = patch.hash.map(|key| key.parse::<Key>()).transpose();
    let method = key
        .and_then(|key| Method::named(&patch.method, key))
        .map_err(malformed)?;
    upstream.set_method_by_hand(method);
    let method = upstream.settings().method.name();
    Ok(Json(json!({ "name": &**upstream.name(), "method": method })).into_response())
}

/// `POST /reload`: reads the file again; all of it is taken or nothing.
pub(super) async fn reload(State(admin): State<Admin>) -> Result<Response, Fault> {
    match admin.reloads.ask().await {
        Some(Ok(changed)) => Ok(Json(json!({ "changed": changed })).into_response()),
        Some(Err(refused)) => {
            let faults: Vec<String> = refused.faults().iter().map(ToString::to_string).collect();
            let detail = "The file is refused; what was in force stays.";
            let body = json!({ "detail": detail, "faults": faults });
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response())
        }
        None => Err(Fault(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many reloads wait already, or the proxy is stopping.".to_owned(),
        )),
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Fault> {
    // Without the detour a list would be taken as well, its entries for the keys in their order.
    serde_json::from_slice(body)
        .and_then(|object: serde_json::Map<String, Value>| serde_json::from_value(object.into()))
        .map_err(|error| malformed(format!("the body: {error}")))
}

fn malformed(sentence: String) -> Fault {
    Fault(StatusCode::BAD_REQUEST, sentence)
}
