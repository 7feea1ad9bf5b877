//! `GET /events`: every change of state with its cause, as server-sent events.
//!
//! Who accepts `application/json` gets what is kept as a list. Else what is kept comes first, then each event as it happens. `?since=ID`, or the `Last-Event-ID` of
//! a client that comes back, leaves out what was heard before; `?since=now` all that has been.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event as Message, KeepAlive};
use axum::response::{IntoResponse, Response, Sse};
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Admin, Fault};
use crate::events::Event;

/// How often a silent stream shows that it lives.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct Since {
    since: Option<String>,
}

/// One subscriber.
struct Hearing {
    kept: VecDeque<Arc<Event>>,
    receiver: Receiver<Arc<Event>>,
    _place: OwnedSemaphorePermit,
}

/// Tells all events until the client leaves.
pub(super) async fn events(
    State(admin): State<Admin>,
    Query(Since { since }): Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = match since.as_deref().or(last) {
        None => 0,
        Some("now") => u64::MAX,
        Some(id) => id.parse().map_err(|_| {
            let sentence = "since: expected the id of an event or `now`";
            Fault(StatusCode::BAD_REQUEST, sentence.to_owned())
        })?,
    };
    if wants_list(&headers) {
        return Ok(Json(admin.events.since(after).0).into_response());
    }
    let Ok(place) = Arc::clone(&admin.subscribers).try_acquire_owned() else {
        let sentence = "Too many listen to the events already.";
        return Err(Fault(StatusCode::SERVICE_UNAVAILABLE, sentence.to_owned()));
    };
    let (kept, receiver) = admin.events.since(after);
    let hearing = Hearing {
        kept: kept.into(),
        receiver,
        _place: place,
    };
    let messages = unfold(hearing, |mut hearing| async move {
        let message = hearing.next().await?;
        Some((Ok::<_, Infallible>(message), hearing))
    });
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    Ok(Sse::new(messages).keep_alive(alive).into_response())
}

fn wants_list(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

impl Hearing {
    async fn next(&mut self) -> Option<Message> {
        if let Some(event) = self.kept.pop_front() {
            return Some(message(&event));
        }
        match self.receiver.recv().await {
            Ok(event) => Some(message(&event)),
            Err(RecvError::Lagged(missed)) => {
                let note = format!("{{\"event\":\"missed\",\"missed\":{missed}}}");
                Some(Message::default().event("missed").data(note))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

fn message(event: &Event) -> Message {
    // An event is made of strings and numbers: serialising it cannot fail.
    let data = serde_json::to_string(event).unwrap_or_default();
    Message::default()
        .id(event.id.to_string())
        .event(event.what.name())
        .data(data)
}
