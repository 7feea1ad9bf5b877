//! A music together with the state that it is in.

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::{HeaderMap, StatusCode};
use time::OffsetDateTime;

use super::row::Music;
use crate::endpoint::reply;
use crate::terms::Tag;

/// A row and the version that Postgres gives it, as `music_version` names it.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) id: i64,
    pub(super) song: String,
    pub(super) singer: String,
    pub(super) last_modify_date: OffsetDateTime,
    pub(super) created: OffsetDateTime,
    pub(super) days_since_created: i64,
    pub(super) version: String,
}

impl Current {
    fn tag(&self) -> Tag {
        Tag::new(&self.version, self.days_since_created)
    }

    pub(super) fn into_music(self) -> Music {
        Music {
            id: self.id,
            song: self.song,
            singer: self.singer,
            last_modify_date: self.last_modify_date,
            created: self.created,
            days_since_created: self.days_since_created,
        }
    }

    /// Shows the music with its tag, or says that the client has it already.
    pub(super) fn show(self, headers: &HeaderMap) -> Response {
        let tag = self.tag();
        if tag.is_known(headers) {
            return (StatusCode::NOT_MODIFIED, [(ETAG, tag.header())]).into_response();
        }
        ([(ETAG, tag.header())], reply(&self.into_music())).into_response()
    }

    /// Answers a write. With a tag, unless it was a PUT: there a tag would say that the row is what was sent,
    /// byte for byte (RFC 9110, 9.3.4).
    pub(super) fn written(self, status: StatusCode, tagged: bool) -> Response {
        let tag = tagged.then(|| [(ETAG, self.tag().header())]);
        let body = reply(&self.into_music());
        match tag {
            Some(tag) => (status, tag, body).into_response(),
            None => (status, body).into_response(),
        }
    }
}
