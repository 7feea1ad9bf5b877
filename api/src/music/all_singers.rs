//! `GET /api/music/all_singer/`: everyone who sings, however many they are.
//!
//! They come in windows, each a short statement, and are sent as they come: memory stays flat, and nobody waits for
//! the last to see the first.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use bytes::Buf;
use futures_util::future::BoxFuture;
use futures_util::stream;
use sqlx::{PgConnection, Result};

use super::reads::Reads;
use super::store::{self, PAGE_BYTES, PAGE_ROWS};
use crate::database::{Fault, Read};
use crate::endpoint::json_of;
use crate::error::Error;
use crate::json;

/// Answers with all of them. What fits into one window has a length; more is streamed.
pub(super) async fn respond(reads: Reads) -> std::result::Result<Response, Error> {
    let mut first = reads.singers(Singers { after: None }).await?;
    // There is no comma before the first one.
    first.json.advance(usize::from(!first.json.is_empty()));
    let mut start = vec![b'['];
    start.extend_from_slice(&first.json);
    let Some(last) = first.last else {
        start.push(b']');
        return Ok(json_of(start));
    };
    let rest = Rest {
        start: Bytes::from(start),
        next: Some(last),
        reads,
    };
    let rest = stream::try_unfold(rest, Rest::next);
    Ok(json_of(Body::from_stream(rest)))
}

/// The next ones in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Singers {
    /// They come after this one.
    after: Option<Arc<str>>,
}

/// The next ones, as many as a window has.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Their names, each with a comma before it.
    json: Bytes,
    /// The last one of them, if there may be more.
    last: Option<Arc<str>>,
}

impl Read for Singers {
    type Answer = Window;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Window>> {
        Box::pin(async move {
            let after = self.after.as_deref();
            Ok(window(
                &store::singers(connection, after, PAGE_ROWS as i64).await?,
            ))
        })
    }
}

fn window(names: &[String]) -> Window {
    let mut text = Vec::new();
    for name in names {
        text.push(b',');
        text.extend(json::to_bytes(name));
    }
    let is_full = may_go_on(names, PAGE_ROWS);
    Window {
        json: text.into(),
        last: names
            .last()
            .filter(|_| is_full)
            .map(|name| name.as_str().into()),
    }
}

/// Tells whether there may be more than these, of which no more than so many were asked for.
pub(super) fn may_go_on(names: &[String], most: usize) -> bool {
    let bytes: usize = names.iter().map(String::len).sum();
    names.len() >= most || bytes as i64 > PAGE_BYTES
}

/// What is still to be sent.
struct Rest {
    /// The beginning, until it was sent.
    start: Bytes,
    /// The others come after this one; `None`: all were sent.
    next: Option<Arc<str>>,
    reads: Reads,
}

impl Rest {
    /// Returns the next piece. A failure ends the answer in the middle, which a client can tell.
    async fn next(mut self) -> std::result::Result<Option<(Bytes, Self)>, Fault> {
        if !self.start.is_empty() {
            return Ok(Some((std::mem::take(&mut self.start), self)));
        }
        let Some(after) = self.next.take() else {
            return Ok(None);
        };
        let wanted = Singers { after: Some(after) };
        let window = self.reads.singers(wanted).await.inspect_err(|fault| {
            tracing::warn!(cause = %fault, "the list of singers was cut short");
        })?;
        self.next = window.last;
        let end: &[u8] = if self.next.is_none() { b"]" } else { b"" };
        Ok(Some(([&window.json, end].concat().into(), self)))
    }
}
