//! A row of the table, which is also what a client reads.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{json, moment};

/// A song and who sings it. The fields are in the order in which clients read them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Music {
    /// Its number, never used twice.
    #[schema(example = 1)]
    pub id: i64,
    /// What is sung.
    #[schema(example = "Blue Train")]
    pub song: String,
    /// Who sings.
    #[schema(example = "John Coltrane")]
    pub singer: String,
    /// When it was last written.
    #[schema(example = "2020-01-02T03:04:05.123456Z")]
    #[serde(serialize_with = "timestamp")]
    pub last_modify_date: OffsetDateTime,
    /// When it was first written.
    #[schema(example = "2020-01-01T00:00:00Z")]
    #[serde(serialize_with = "timestamp")]
    pub created: OffsetDateTime,
    /// Whole days since then, by the database's clock.
    #[schema(example = 7)]
    pub days_since_created: i64,
}

/// The same, with its texts where they came from the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'row> {
    pub(super) id: i64,
    pub(super) song: &'row str,
    pub(super) singer: &'row str,
    pub(super) last_modify_date: OffsetDateTime,
    pub(super) created: OffsetDateTime,
    pub(super) days_since_created: i64,
}

impl Music {
    /// Writes the JSON that a client reads.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let line = Line {
            id: self.id,
            song: &self.song,
            singer: &self.singer,
            last_modify_date: self.last_modify_date,
            created: self.created,
            days_since_created: self.days_since_created,
        };
        line.write(out);
    }
}

impl Line<'_> {
    /// Writes the JSON that a client reads: by hand, since a list is made of nothing else.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"id":"#);
        json::write_number(out, self.id);
        out.extend_from_slice(br#","song":"#);
        json::write_text(out, self.song);
        out.extend_from_slice(br#","singer":"#);
        json::write_text(out, self.singer);
        out.extend_from_slice(br#","last_modify_date":""#);
        moment::write(out, self.last_modify_date);
        out.extend_from_slice(br#"","created":""#);
        moment::write(out, self.created);
        out.extend_from_slice(br#"","days_since_created":"#);
        json::write_number(out, self.days_since_created);
        out.push(b'}');
    }
}

fn timestamp<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = Vec::with_capacity("2020-01-02T03:04:05.123456Z".len());
    moment::write(&mut text, *time);
    let text = String::from_utf8(text).map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    #[test]
    fn a_row_is_written_as_the_original_writes_it() {
        let music = Music {
            id: 1,
            song: "s".into(),
            singer: "x".into(),
            last_modify_date: datetime!(2020-01-02 11:04:05.123 +8),
            created: datetime!(2020-01-02 03:04:05 UTC),
            days_since_created: 2516,
        };
        let expected = r#"{"id":1,"song":"s","singer":"x","last_modify_date":"2020-01-02T03:04:05.123000Z","created":"2020-01-02T03:04:05Z","days_since_created":2516}"#;
        assert_eq!(String::from_utf8(json::to_bytes(&music)).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn a_row_by_hand_is_what_a_serializer_writes(
            (id, days_since_created) in any::<(i64, i64)>(),
            song in "\\PC{0,9}",
            singer in ".{0,9}",
            seconds in -62_135_596_800_i64..253_402_300_799,
        ) {
            let created = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let last_modify_date = created + time::Duration::microseconds(id.rem_euclid(1_000_000));
            let music = Music { id, song, singer, last_modify_date, created, days_since_created };
            let mut out = Vec::new();
            music.write(&mut out);
            prop_assert_eq!(out, json::to_bytes(&music));
        }
    }
}
