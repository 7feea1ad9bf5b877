//! `?cursor=`: where a page begins, in a form that clients hand back as it is. Pure.
//!
//! It holds a position, not a number of rows: pages stay right while rows come and go, and the last page costs as
//! little as the first. A checksum tells what is damaged or made up from what was given out. It is no secret: a
//! cursor leads to nothing but rows that its owner may read anyway.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::ordering::Ordering;
use super::position::Position;

const CHECKSUM: usize = size_of::<u64>();

/// The beginning of a page, and the way in which it is read from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) backwards: bool,
    pub(super) after: Position,
}

impl Cursor {
    /// Writes a cursor for a list in this order.
    pub(super) fn encode(&self, ordering: &Ordering) -> String {
        let content = json!([self.backwards, ordering.to_string(), self.after.to_json()]);
        let mut bytes = content.to_string().into_bytes();
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor; `None` if it is damaged, or of a list in another order.
    pub(super) fn decode(text: &str, ordering: &Ordering) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if checksum(content) != *sum {
            return None;
        }
        let content: Value = serde_json::from_slice(content).ok()?;
        if content[1] != ordering.to_string() {
            return None;
        }
        Some(Self {
            backwards: content[0].as_bool()?,
            after: Position::from_json(&content[2], ordering)?,
        })
    }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::Music;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn cursor(ordering: &Ordering, backwards: bool) -> Cursor {
        let music = Music {
            id: i64::MAX,
            song: "月".repeat(300),
            singer: "x".into(),
            last_modify_date: datetime!(9999-12-31 23:59:59.999999 UTC),
            created: datetime!(0001-01-01 00:00 UTC),
            days_since_created: 0,
        };
        Cursor {
            backwards,
            after: Position::of(&music, ordering),
        }
    }

    #[test]
    fn what_was_given_out_is_read_again() {
        for ordering in ["id", "-song,created", "singer,-last_modify_date,id"] {
            let ordering = Ordering::parse(ordering);
            for backwards in [false, true] {
                let cursor = cursor(&ordering, backwards);
                let text = cursor.encode(&ordering);
                assert_eq!(Cursor::decode(&text, &ordering), Some(cursor), "{text}");
                assert_eq!(Cursor::decode(&text, &Ordering::parse("-id")), None);
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_changed_is_not_read(at in 0usize..80, with in "[A-Za-z0-9_-]") {
            let ordering = Ordering::parse("created");
            let text = cursor(&ordering, false).encode(&ordering);
            let at = at % text.len();
            let changed = format!("{}{with}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed != text);
            prop_assert_eq!(Cursor::decode(&changed, &ordering), None);
        }

        #[test]
        fn what_was_made_up_is_not_read(text in "\\PC{0,40}") {
            prop_assert_eq!(Cursor::decode(&text, &Ordering::parse("")), None);
        }
    }
}
