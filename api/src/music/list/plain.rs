//! The list as everybody reads it, all rows by id: straight from the rows of the database to JSON.
//!
//! No value is made of a row on the way. The statement is not among those that are checked when the program is
//! compiled, since those make values; tests run it.

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::postgres::PgRow;
use sqlx::{Error, PgConnection, Result, Row};
use time::OffsetDateTime;

use crate::database::Read;
use crate::music::row::Line;
use crate::music::store::{PAGE_BYTES, PAGE_ROWS};

/// A page of short texts makes about so many bytes of each row.
const ROW: usize = 224;

/// So many microseconds has a day.
const DAY: i128 = 86_400_000_000;

/// The columns of a row whose texts are short; of the others, nothing. So a page cannot be larger than
/// `PAGE_BYTES`, and Postgres has nothing to add up. `octet_length` does not read a long text, only its header.
macro_rules! short_texts {
    ($limit:literal) => {
        concat!(
            "select id, case when octet_length(song) <= 512 then song end, \
                    case when octet_length(singer) <= 512 then singer end, \
                    last_modify_date, created, now() \
             from music where id > $1 order by id limit ",
            $limit
        )
    };
}

/// A page as large as there is. With a number in it Postgres makes one plan for all of them.
const WHOLE_PAGE: &str = short_texts!("1000");
/// A page of any size.
const PAGE: &str = short_texts!("$2");

/// A page in which there are long texts. A running sum of their length ends it before rows of megabytes fill the
/// memory; the first row is always there.
const LONG_TEXTS: &str = "\
    select id, song, singer, last_modify_date, created, now() \
    from (select *, sum(octet_length(song) + octet_length(singer)) over (order by id) \
                    - octet_length(song) - octet_length(singer) as bytes_before \
          from (select * from music where id > $1 order by id limit $2) as page) as sized \
    where bytes_before <= $3 order by id";

/// A page of the list, as a value to ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plain {
    /// It begins after this id.
    pub(super) after: i64,
    /// It has no more rows than this; fewer, if they hold much text.
    pub(super) take: i64,
}

/// Some rows of a list as JSON.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// Each has a comma before it, also the first.
    pub(super) json: Bytes,
    /// How many there are.
    pub(super) count: i64,
    /// How much text is in them.
    pub(super) text: i64,
    /// The id of the last one.
    pub(super) last: i64,
}

impl Rows {
    /// Tells whether the page ended early, or has as many rows as were asked for: then there may be more.
    pub(super) fn is_full(&self, take: i64) -> bool {
        self.count >= take || self.text > PAGE_BYTES
    }
}

impl Read for Plain {
    type Answer = Rows;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Rows>> {
        Box::pin(async move {
            let short = if self.take == PAGE_ROWS as i64 {
                sqlx::query(WHOLE_PAGE).bind(self.after)
            } else {
                sqlx::query(PAGE).bind(self.after).bind(self.take)
            };
            if let Some(rows) = self.rows(short.fetch(&mut *connection)).await? {
                return Ok(rows);
            }
            let long = sqlx::query(LONG_TEXTS).bind(self.after).bind(self.take);
            let long = long.bind(PAGE_BYTES).fetch(connection);
            // Here no text is missing.
            let rows = self.rows(long).await?;
            rows.ok_or_else(|| Error::Protocol("a text is null".into()))
        })
    }
}

impl Plain {
    /// Writes what comes of the database; `None` if a text is missing in it.
    async fn rows(&self, mut rows: BoxStream<'_, Result<PgRow>>) -> Result<Option<Rows>> {
        let (mut count, mut text, mut last) = (0, 0, self.after);
        let mut json = Vec::new();
        let mut is_whole = true;
        // To the end in any case: the connection has to come to rest.
        while let Some(row) = rows.try_next().await? {
            let (song, singer): (Option<&str>, Option<&str>) = (row.try_get(1)?, row.try_get(2)?);
            let (Some(song), Some(singer), true) = (song, singer, is_whole) else {
                is_whole = false;
                continue;
            };
            let created: OffsetDateTime = row.try_get(4)?;
            let line = Line {
                id: row.try_get(0)?,
                song,
                singer,
                last_modify_date: row.try_get(3)?,
                created,
                days_since_created: days(created, row.try_get(5)?),
            };
            if count == 1 {
                // Most lists are short, or fill their page.
                json.reserve(ROW * usize::try_from(self.take).unwrap_or(0));
            }
            json.push(b',');
            line.write(&mut json);
            count += 1;
            text += song.len() + singer.len();
            last = line.id;
        }
        let rows = Rows {
            json: json.into(),
            count,
            text: i64::try_from(text).unwrap_or(i64::MAX),
            last,
        };
        Ok(is_whole.then_some(rows))
    }
}

/// Returns how many whole days there are between two moments; before the first of them it counts backwards.
fn days(created: OffsetDateTime, now: OffsetDateTime) -> i64 {
    let days = (now - created).whole_microseconds().div_euclid(DAY);
    // All of the calendar is a few million days.
    i64::try_from(days).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::{Music, store};
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    use time::macros::datetime;

    #[test]
    fn the_statements_have_the_limits_that_they_are_said_to_have() {
        assert!(WHOLE_PAGE.ends_with(&format!(" limit {PAGE_ROWS}")));
        assert!(WHOLE_PAGE.contains("<= 512 ") && 2 * 512 * PAGE_ROWS as i64 <= PAGE_BYTES);
    }

    /// Reads all pages of so many rows, and compares each with the statement that makes values of its rows.
    async fn check(connection: &mut PgConnection, take: i64) -> Vec<i64> {
        let (mut after, mut counts) = (i64::MIN, Vec::new());
        loop {
            let page = Plain { after, take };
            let rows = page.query(connection).await.unwrap();
            let mut expected = Vec::new();
            let music: Vec<Music> = store::page(connection, after, take).await.unwrap();
            for music in &music {
                expected.push(b',');
                music.write(&mut expected);
            }
            assert!(rows.json == expected, "after {after}: {:?}", rows.json);
            assert_eq!(rows.count, music.len() as i64);
            counts.push(rows.count);
            if !rows.is_full(take) {
                return counts;
            }
            after = rows.last;
        }
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn pages_are_alike_whatever_the_length_of_their_texts(
        pool: PgPoolOptions,
        database: PgConnectOptions,
    ) {
        let pool = pool.connect_with(database).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        assert_eq!(check(&mut connection, 1000).await, [0]);
        sqlx::query(
            "insert into music (song, singer, created)
             select case when i in (1500, 1600) then repeat('é', 400000) else E'Song \\t\"' || i end,
                    repeat('x', i % 3 * 100), now() - i * interval '17 hours 0.1 s'
             from generate_series(-300, 2200) i",
        )
        .execute(&mut *connection)
        .await
        .unwrap();
        assert_eq!(check(&mut connection, 1000).await, [1000, 901, 600]);
        assert_eq!(check(&mut connection, 2501).await.iter().sum::<i64>(), 2501);
        assert_eq!(check(&mut connection, 7).await.len(), 358);
    }

    #[test]
    fn days_are_whole_and_count_backwards_from_the_future() {
        let now = datetime!(2020-01-03 12:00:00 UTC);
        for (created, expected) in [
            (now, 0),
            (datetime!(2020-01-02 12:00:00.000001 UTC), 0),
            (datetime!(2020-01-02 12:00:00 UTC), 1),
            (datetime!(2020-01-03 12:00:00.000001 UTC), -1),
            (datetime!(2020-01-05 12:00:00 UTC), -2),
            (datetime!(2020-01-05 12:00:00.000001 UTC), -3),
            (datetime!(0001-01-01 00:00:00 UTC), 737_426),
        ] {
            assert_eq!(days(created, now), expected, "{created}");
        }
    }
}
