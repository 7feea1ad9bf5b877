//! A list as a client reads it: an array, or the envelope of a page.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use bytes::Buf;
use futures_util::stream;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::asked::{Asked, Paging};
use super::candidates::Among;
use super::count::count;
use super::cursor::Cursor;
use super::links::Links;
use super::position::Position;
use super::reads::ListReads;
use super::walk::{FIRST_LOOK, Stage, Walk};
use crate::database::Fault;
use crate::endpoint::{json_of, reply};
use crate::error::Error;
use crate::json;
use crate::music::Music;
use crate::music::store::PAGE_BYTES;

/// How long a search may go through the table to count what it finds, or to fill a page.
pub(super) const SEARCH_LIMIT: Duration = Duration::from_secs(5);

/// A long list is sent in pieces of no more than this.
const PIECE: usize = 64 * 1024;

/// Answers what was asked.
pub(crate) async fn respond(
    reads: ListReads,
    asked: Asked,
    links: &Links,
) -> Result<Response, Error> {
    let walk = Walk {
        reads,
        filter: asked.filter,
        ordering: asked.ordering,
        stage: Stage::Begin,
        skip: 0,
        wanted: None,
        look: FIRST_LOOK,
        among: Among::default(),
    };
    match asked.paging {
        Paging::Whole => write(b"[".to_vec(), walk, b"]").await,
        Paging::Numbered { limit, offset } => numbered(walk, limit, offset, links).await,
        Paging::Cursor { limit, from } => by_cursor(walk, limit, from, links).await,
    }
}

/// The envelope of a page by number. The rows come last, so that they can be streamed.
async fn numbered(
    mut walk: Walk,
    limit: i64,
    offset: i64,
    links: &Links,
) -> Result<Response, Error> {
    let (count, among) = count(&walk.reads, &walk.filter).await?;
    walk.among = among;
    let page = |offset: i64| {
        let offset = (offset > 0).then(|| offset.to_string());
        links.with(&[("limit", Some(limit.to_string())), ("offset", offset)])
    };
    let next = offset.saturating_add(limit);
    let head = Numbered {
        count,
        next: (next < count).then(|| page(next)),
        previous: (offset > 0).then(|| page(offset.saturating_sub(limit))),
        results: [],
    };
    walk.skip = offset;
    walk.wanted = Some(limit);
    if offset >= count {
        walk.stage = Stage::End;
    } else if offset > count / 2 && !walk.is_search() {
        walk.skip_to_the_last(count - offset).await?;
    }
    let mut start = json::to_bytes(&head);
    // The array is open: the rows and the end of it follow.
    start.truncate(start.len() - "]}".len());
    write(start, walk, b"]}").await
}

/// A page by `limit` and `offset`.
#[derive(Serialize, ToSchema)]
#[schema(as = PageByNumber)]
pub(crate) struct Numbered {
    /// How many rows there are on all pages.
    #[schema(minimum = 0)]
    count: i64,
    /// The address of the next page.
    #[schema(required, format = "uri")]
    next: Option<String>,
    /// The address of the page before.
    #[schema(required, format = "uri")]
    previous: Option<String>,
    /// The rows of this page.
    #[schema(value_type = Vec<Music>)]
    results: [Music; 0],
}

/// The envelope of a page by cursor. It is held in memory, so much text ends it early, and so does a search that
/// finds little in a long table: that is no less a page, and its links lead on from where it ended.
async fn by_cursor(
    mut walk: Walk,
    limit: i64,
    from: Option<Cursor>,
    links: &Links,
) -> Result<Response, Error> {
    let ordering = walk.ordering.clone();
    let backwards = from.as_ref().is_some_and(|cursor| cursor.backwards);
    let is_first = from.is_none();
    if backwards {
        walk.ordering = ordering.reversed();
    }
    if let Some(cursor) = from {
        walk.stage = Stage::After(cursor.after);
    }
    // One more tells whether there are more.
    walk.wanted = Some(limit + 1);
    let mut results: Vec<Music> = Vec::new();
    let end = Instant::now() + SEARCH_LIMIT;
    let mut looked_up_to = None;
    while !walk.is_at_end() && bytes(&results) <= PAGE_BYTES as usize {
        if walk.is_search() && Instant::now() >= end {
            looked_up_to = walk.position().cloned();
            break;
        }
        results.extend(walk.next().await?);
    }
    let is_over = results.len() as i64 > limit;
    // The row too much is where the next page begins, wherever this one has looked.
    let looked_up_to = looked_up_to.filter(|_| !is_over);
    results.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let more = is_over || !walk.is_at_end();
    if backwards {
        results.reverse();
    }
    let link = |backwards: bool, after: Option<Position>| {
        after.map(|after| {
            links.with(&[(
                "cursor",
                Some(Cursor { backwards, after }.encode(&ordering)),
            )])
        })
    };
    let at = |music: Option<&Music>| music.map(|music| Position::of(music, &ordering));
    let (next, previous) = if backwards {
        let first_page = || Some(links.with(&[("cursor", Some(String::new()))]));
        let next = link(false, at(results.last())).or_else(first_page);
        let before = looked_up_to.or_else(|| at(results.first().filter(|_| more)));
        (next, link(true, before))
    } else {
        let after = looked_up_to.or_else(|| at(results.last().filter(|_| more)));
        let previous = link(true, at(results.first().filter(|_| !is_first)));
        (link(false, after), previous)
    };
    Ok(reply(&ByCursor {
        next,
        previous,
        results,
    }))
}

/// A page by `cursor`.
#[derive(Serialize, ToSchema)]
#[schema(as = PageByCursor)]
pub(crate) struct ByCursor {
    /// The address of the next page.
    #[schema(required, format = "uri")]
    next: Option<String>,
    /// The address of the page before.
    #[schema(required, format = "uri")]
    previous: Option<String>,
    /// The rows of this page.
    results: Vec<Music>,
}

fn bytes(rows: &[Music]) -> usize {
    rows.iter()
        .map(|music| music.song.len() + music.singer.len())
        .sum()
}

/// Writes the rows of a walk between `start` and `end`. What fits into one window has a length; more is streamed.
async fn write(mut start: Vec<u8>, mut walk: Walk, end: &'static [u8]) -> Result<Response, Error> {
    let rows = walk.next_json().await?;
    start.reserve(rows.len() + end.len());
    // There is no comma before the first row.
    start.extend_from_slice(rows.get(1..).unwrap_or_default());
    if walk.is_at_end() {
        start.extend_from_slice(end);
        return Ok(json_of(start));
    }
    let rest = Rest {
        is_empty: rows.is_empty(),
        pieces: Bytes::from(start),
        walk: Some(walk),
        ahead: None,
        end,
    };
    let rest = stream::try_unfold(rest, Rest::next);
    Ok(json_of(Body::from_stream(rest)))
}

/// What is still to be sent of a list.
struct Rest {
    /// Nothing was sent but the start.
    is_empty: bool,
    /// These bytes, in pieces.
    pieces: Bytes,
    /// A walk that goes on once the first piece is asked for: nobody asks in answer to HEAD.
    walk: Option<Walk>,
    /// The next window. It is read while the one before it is sent.
    ahead: Option<Ahead>,
    end: &'static [u8],
}

/// The rows of a window, and the walk that goes on from there. When nobody waits for it any more it comes to its
/// end by itself, and so gives its connection back.
type Ahead = JoinHandle<Result<(Bytes, Walk), Fault>>;

fn ahead(mut walk: Walk) -> Ahead {
    tokio::spawn(async move { Ok((walk.next_json().await?, walk)) })
}

impl Rest {
    /// Returns the next piece. A failure ends the answer in the middle, which a client can tell.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Fault> {
        if let Some(walk) = self.walk.take() {
            self.ahead = Some(ahead(walk));
        }
        while self.pieces.is_empty() {
            let Some(window) = self.ahead.take() else {
                return Ok(None);
            };
            // It fails to be joined only when the process ends.
            let window = window.await.unwrap_or(Err(Fault::Unanswered));
            let (rows, walk) = window.inspect_err(|fault| {
                tracing::warn!(cause = %fault, "a list was cut short");
            })?;
            self.pieces = rows;
            if self.is_empty && !self.pieces.is_empty() {
                // There is no comma before the first row.
                self.pieces.advance(1);
                self.is_empty = false;
            }
            if walk.is_at_end() {
                self.pieces = [&self.pieces, self.end].concat().into();
            } else {
                self.ahead = Some(ahead(walk));
            }
        }
        let piece = self.pieces.split_to(self.pieces.len().min(PIECE));
        Ok(Some((piece, self)))
    }
}
