//! What a client may write of a music: checked, trimmed, ready for the store.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::fields::{self, message};
use crate::error::Error;
use crate::schema::text;
use crate::sent::Sent;

/// A music as a client sends it whole.
#[derive(Debug, PartialEq, Eq, ToSchema)]
#[schema(as = MusicDraft)]
pub(super) struct Draft {
    /// What is sung.
    #[schema(schema_with = text::written)]
    pub(super) song: String,
    /// Who sings.
    #[schema(schema_with = text::written)]
    pub(super) singer: String,
}

/// The part of a music that a client sends to change it.
#[derive(Debug, PartialEq, Eq, ToSchema)]
#[schema(as = MusicChange)]
pub(super) struct Change {
    /// What is sung.
    #[schema(schema_with = text::written)]
    pub(super) song: Option<String>,
    /// Who sings.
    #[schema(schema_with = text::written)]
    pub(super) singer: Option<String>,
}

impl Draft {
    /// Checks a whole music.
    pub(super) fn from_sent(sent: &Sent) -> Result<Self, Error> {
        Self::from_object(&sent.object()?)
    }

    /// Checks a whole music, in JSON.
    pub(super) fn from_object(json: &str) -> Result<Self, Error> {
        let fields = Fields::from_object(json)?;
        let mut errors = Map::new();
        let song = required("song", fields.song, &mut errors);
        let singer = required("singer", fields.singer, &mut errors);
        match (song, singer) {
            (Some(song), Some(singer)) => Ok(Self { song, singer }),
            _ => Err(Error::Invalid(errors)),
        }
    }
}

impl Change {
    /// Checks what there is of a music.
    pub(super) fn from_sent(sent: &Sent) -> Result<Self, Error> {
        let json = sent.object()?;
        let fields = Fields::from_object(&json)?;
        let mut errors = Map::new();
        let song = optional("song", fields.song, &mut errors);
        let singer = optional("singer", fields.singer, &mut errors);
        if errors.is_empty() {
            Ok(Self { song, singer })
        } else {
            Err(Error::Invalid(errors))
        }
    }
}

/// The fields that can be written; all others are ignored.
#[derive(Default)]
struct Fields<'json> {
    song: Option<&'json RawValue>,
    singer: Option<&'json RawValue>,
}

impl<'json> Fields<'json> {
    fn from_object(json: &'json str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|error| Error::NotJson(error.to_string()))
    }
}

/// By hand, because of two fields with one name the last one counts.
impl<'json> Deserialize<'json> for Fields<'json> {
    fn deserialize<D: Deserializer<'json>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'json> Visitor<'json> for Object {
            type Value = Fields<'json>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'json>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key::<Name>()? {
                    match name {
                        Name::Song => fields.song = Some(map.next_value()?),
                        Name::Singer => fields.singer = Some(map.next_value()?),
                        Name::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// What a field is called. Read as bytes: a name that is no text, as of half a surrogate pair, is ignored like any other.
enum Name {
    Song,
    Singer,
    Other,
}

impl<'json> Deserialize<'json> for Name {
    fn deserialize<D: Deserializer<'json>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<Name, E> {
                Ok(match name {
                    b"song" => Name::Song,
                    b"singer" => Name::Singer,
                    _ => Name::Other,
                })
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Reads a field that must be there; what is wrong with it goes to `errors`.
fn required(
    name: &str,
    value: Option<&RawValue>,
    errors: &mut Map<String, Value>,
) -> Option<String> {
    if value.is_none() {
        errors.insert(name.to_owned(), json!([message::REQUIRED]));
    }
    optional(name, value, errors)
}

/// Reads a field that may be missing; what is wrong with it goes to `errors`.
fn optional(
    name: &str,
    value: Option<&RawValue>,
    errors: &mut Map<String, Value>,
) -> Option<String> {
    match fields::text(value?) {
        Ok(text) => Some(text),
        Err(messages) => {
            errors.insert(name.to_owned(), json!(messages));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &'static str) -> Result<Draft, String> {
        Draft::from_sent(&Sent::json(json)).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn the_last_of_two_fields_counts_and_unknown_ones_do_not() {
        // The name of one is half a surrogate pair.
        let json = r#"{"song":"first","id":77,"so\u006eg":"last","singer":"x","nope":{"a":[1]},"\ud800":1}"#;
        assert_eq!(
            draft(json).unwrap(),
            Draft {
                song: "last".into(),
                singer: "x".into()
            }
        );
    }

    #[test]
    fn every_wrong_field_is_named_in_order() {
        let Err(Error::Invalid(errors)) = Draft::from_sent(&Sent::json(r#"{"singer":null}"#))
        else {
            panic!("an incomplete music was taken");
        };
        let expected =
            r#"{"song":["This field is required."],"singer":["This field may not be null."]}"#;
        assert_eq!(Value::Object(errors).to_string(), expected);
    }

    #[test]
    fn a_change_may_leave_out_everything_but_not_empty_it() {
        let change = |json: &'static str| Change::from_sent(&Sent::json(json));
        assert_eq!(
            change("{}").unwrap(),
            Change {
                song: None,
                singer: None
            }
        );
        assert_eq!(
            change(r#"{"song":"s"}"#).unwrap().song.as_deref(),
            Some("s")
        );
        assert!(change(r#"{"song":" "}"#).is_err());
        assert!(change("[]").is_err());
    }
}
