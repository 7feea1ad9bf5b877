//! A place in an ordered list: the keys of the row that was read last.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::ordering::{Field, Ordering};
use crate::music::Music;

/// How many characters of a text count when a list is ordered, as in the indexes.
const CHARACTERS: usize = 200;

/// What a row is ordered by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Number(i64),
    Text(String),
    Time(OffsetDateTime),
}

/// The keys of a row, one for each term of an ordering.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Position(Vec<Key>);

impl Position {
    /// Returns where a row stands.
    pub(super) fn of(music: &Music, ordering: &Ordering) -> Self {
        let key = |field| match field {
            Field::Id => Key::Number(music.id),
            Field::Song => Key::Text(music.song.chars().take(CHARACTERS).collect()),
            Field::Singer => Key::Text(music.singer.chars().take(CHARACTERS).collect()),
            Field::LastModifyDate => Key::Time(music.last_modify_date),
            Field::Created => Key::Time(music.created),
        };
        Self(
            ordering
                .terms()
                .iter()
                .map(|term| key(term.field))
                .collect(),
        )
    }

    /// Returns where the row of this id stands, in the order that a list has by itself.
    pub(super) fn by_id(id: i64) -> Self {
        Self(vec![Key::Number(id)])
    }

    /// Returns the keys, in the order of the terms.
    pub(super) fn keys(&self) -> &[Key] {
        &self.0
    }

    /// Writes the keys as JSON; times in microseconds since 1970, as precise as the database has them.
    pub(super) fn to_json(&self) -> Value {
        let key = |key: &Key| match key {
            Key::Number(number) => json!(number),
            Key::Text(text) => json!(text),
            Key::Time(time) => json!((time.unix_timestamp_nanos() / 1000) as i64),
        };
        self.0.iter().map(key).collect()
    }

    /// Reads what [`to_json`](Self::to_json) wrote; `None` if it is not of this ordering.
    pub(super) fn from_json(json: &Value, ordering: &Ordering) -> Option<Self> {
        let values = json.as_array()?;
        let terms = ordering.terms();
        if values.len() != terms.len() {
            return None;
        }
        let keys = terms
            .iter()
            .zip(values)
            .map(|(term, value)| match term.field {
                Field::Id => value.as_i64().map(Key::Number),
                Field::Song | Field::Singer => {
                    let text = value.as_str().filter(|text| !text.contains('\0'))?;
                    Some(Key::Text(text.to_owned()))
                }
                Field::LastModifyDate | Field::Created => {
                    let nanos = i128::from(value.as_i64()?) * 1000;
                    OffsetDateTime::from_unix_timestamp_nanos(nanos)
                        .ok()
                        .map(Key::Time)
                }
            });
        keys.collect::<Option<_>>().map(Self)
    }
}
