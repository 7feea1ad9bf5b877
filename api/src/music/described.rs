//! What [`crate::schema`] tells of music: the handlers, the limits of a query, and refusals as they are really given.

use utoipa::{OpenApi, ToSchema};

use super::draft::{Change, Draft};
use super::list::{Asked, ByCursor, Numbered};
use super::{Music, handler, store};
use crate::error::Error;
use crate::sent::Sent;

pub(crate) use super::list::{LONGEST_SEARCH, MOST_ROWS, MOST_WORDS, ROWS_BY_CURSOR};

/// The handlers of music.
#[derive(OpenApi)]
#[openapi(
    paths(
        handler::list,
        handler::create,
        handler::read,
        handler::replace,
        handler::change,
        handler::delete,
        handler::detail,
        handler::singers
    ),
    components(schemas(Music, Draft, Change, List, Numbered, ByCursor, store::Detail))
)]
pub(crate) struct Described;

/// What a list may be answered with.
#[derive(ToSchema)]
#[schema(as = MusicList)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "an answer is streamed, and never a value of this type"
)]
pub(super) enum List {
    /// All that was asked for.
    Whole(Vec<Music>),
    /// A page by `limit` and `offset`.
    Numbered(Numbered),
    /// A page by `cursor`.
    ByCursor(ByCursor),
}

/// Returns what is said of a body that is not a music.
pub(crate) fn refused_body(body: &'static str) -> Option<Error> {
    Draft::from_sent(&Sent::json(body)).err()
}

/// Returns what is said of a query that is not understood.
pub(crate) fn refused_query(query: &str) -> Option<Error> {
    Asked::parse(query).err()
}
