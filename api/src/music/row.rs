//! A row of the table, which is also what a client reads.

use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use utoipa::ToSchema;

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

const SECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const MICROSECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Writes a time as the original does: UTC, with microseconds unless there are none.
fn timestamp<S: Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    let format = if time.microsecond() == 0 {
        SECONDS
    } else {
        MICROSECONDS
    };
    let text = time
        .to_offset(time::UtcOffset::UTC)
        .format(format)
        .map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_are_written_as_the_original_writes_them() {
        let music = Music {
            id: 1,
            song: "s".into(),
            singer: "x".into(),
            last_modify_date: datetime!(2020-01-02 11:04:05.123 +8),
            created: datetime!(2020-01-02 03:04:05 UTC),
            days_since_created: 2516,
        };
        let expected = r#"{"id":1,"song":"s","singer":"x","last_modify_date":"2020-01-02T03:04:05.123000Z","created":"2020-01-02T03:04:05Z","days_since_created":2516}"#;
        assert_eq!(
            String::from_utf8(crate::json::to_bytes(&music)).unwrap(),
            expected
        );
    }
}
