//! A music together with the state that it is in.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, StatusCode};
use time::OffsetDateTime;

use super::row::Music;
use crate::endpoint::json_of;
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

    /// Makes of it what a client gets to read.
    pub(super) fn rendered(self) -> Rendered {
        let tag = self.tag();
        let mut json = Vec::with_capacity(256 + self.song.len() + self.singer.len());
        self.into_music().write(&mut json);
        Rendered {
            header: tag.header(),
            tag,
            json: json.into(),
        }
    }

    /// Answers a write. With a tag, unless it was a PUT: there a tag would say that the row is what was sent,
    /// byte for byte (RFC 9110, 9.3.4).
    pub(super) fn written(self, status: StatusCode, tagged: bool) -> Response {
        let Rendered { header, json, .. } = self.rendered();
        let mut response = json_of(json);
        *response.status_mut() = status;
        if tagged {
            response.headers_mut().insert(ETAG, header);
        }
        response
    }
}

/// A music as a client reads it, with the tag of its state.
#[derive(Debug)]
pub(super) struct Rendered {
    tag: Tag,
    header: HeaderValue,
    json: Bytes,
}

impl Rendered {
    /// Shows the music with its tag, or says that the client has it already.
    pub(super) fn show(&self, headers: &HeaderMap) -> Response {
        let mut response = if self.tag.is_known(headers) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            json_of(self.json.clone())
        };
        response.headers_mut().insert(ETAG, self.header.clone());
        response
    }
}
