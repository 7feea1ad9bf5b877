//! The whole list, written page by page, so that memory stays flat however long it is.
//!
//! Each page is a short statement of its own and the connection goes back in between: the list is not a
//! snapshot, but no slow reader holds a connection or a transaction.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream, StreamExt};
use http::header::CONTENT_TYPE;

use super::row::Music;
use super::store::{self, PAGE_BYTES, PAGE_ROWS};
use crate::database::{Database, Fault};
use crate::error::Error;
use crate::json;

/// Answers with the whole list. A list of one page has a length; a longer one is streamed.
pub(super) async fn respond(database: Database) -> Result<Response, Error> {
    let first = page(&database, i64::MIN).await?;
    let mut start = vec![b'['];
    let body = match write(&mut start, &first) {
        None => {
            start.push(b']');
            Body::from(start)
        }
        Some(last) => {
            let start = stream::iter([Ok(Bytes::from(start))]);
            Body::from_stream(start.chain(rest(database, last)))
        }
    };
    Ok(([(CONTENT_TYPE, json::CONTENT_TYPE)], body).into_response())
}

/// Streams what follows `last`. A failure ends the answer in the middle, which a client can tell.
fn rest(database: Database, last: i64) -> impl Stream<Item = Result<Bytes, Fault>> + Send {
    stream::try_unfold(Some(last), move |after| {
        let database = database.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let rows = page(&database, after).await.inspect_err(|fault| {
                tracing::warn!(cause = %fault, "a list was cut short");
            })?;
            let mut chunk = Vec::with_capacity(rows.len() * 192);
            if !rows.is_empty() {
                chunk.push(b',');
            }
            let next = write(&mut chunk, &rows);
            if next.is_none() {
                chunk.push(b']');
            }
            Ok(Some((Bytes::from(chunk), next)))
        }
    })
}

async fn page(database: &Database, after: i64) -> Result<Vec<Music>, Fault> {
    database
        .work()
        .run(move |connection| Box::pin(store::page(connection, after)))
        .await
}

/// Writes the rows with commas between them; returns the last id, if there may be rows after it.
fn write(out: &mut Vec<u8>, rows: &[Music]) -> Option<i64> {
    for (at, music) in rows.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::write(out, music);
    }
    let bytes: usize = rows
        .iter()
        .map(|music| music.song.len() + music.singer.len())
        .sum();
    let is_full = rows.len() >= PAGE_ROWS || bytes as i64 > PAGE_BYTES;
    rows.last().filter(|_| is_full).map(|music| music.id)
}
