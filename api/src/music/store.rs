//! The SQL of music, checked against the tables when the program is compiled.
//!
//! Absence is `None` or `false`; what that means to a client is the handler's to say.

use serde::Serialize;
use sqlx::{PgConnection, Result};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::current::Current;
use super::draft::{Change, Draft};
use super::row::Music;
use crate::terms::Condition;

/// How many rows a page of the list holds at most.
pub(super) const PAGE_ROWS: usize = 1000;
/// A page ends early once it holds more text than this.
pub(super) const PAGE_BYTES: i64 = 1024 * 1024;

/// The short form of a music. The fields are in the order in which clients read them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MusicDetail)]
pub(super) struct Detail {
    /// Who sings.
    #[schema(example = "John Coltrane")]
    singer: String,
    /// What is sung.
    #[schema(example = "Blue Train")]
    song: String,
}

/// Returns the part of the list that follows the id `after`: `rows` of it, or fewer if they hold much text.
pub(super) async fn page(
    connection: &mut PgConnection,
    after: i64,
    rows: i64,
) -> Result<Vec<Music>> {
    // A running sum of the text's length ends a page before rows of megabytes fill the memory; the first
    // row is always there. octet_length does not read a long text, only its header.
    sqlx::query_as!(
        Music,
        r#"select id as "id!", song as "song!", singer as "singer!",
                  last_modify_date as "last_modify_date!", created as "created!",
                  floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!"
           from (
               select *, sum(octet_length(song) + octet_length(singer)) over (order by id)
                         - octet_length(song) - octet_length(singer) as bytes_before
               from (select * from music where id > $1 order by id limit $2) as page
           ) as sized
           where bytes_before <= $3
           order by id"#,
        after,
        rows,
        PAGE_BYTES,
    )
    .fetch_all(connection)
    .await
}

/// Returns one music.
pub(super) async fn find(connection: &mut PgConnection, id: i64) -> Result<Option<Current>> {
    sqlx::query_as!(
        Current,
        r#"select id, song, singer, last_modify_date, created,
                  floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!",
                  music_version(xmin, last_modify_date) as "version!"
           from music where id = $1"#,
        id,
    )
    .fetch_optional(connection)
    .await
}

/// Tells whether there is such a music.
pub(super) async fn exists(connection: &mut PgConnection, id: i64) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from music where id = $1) as "exists!""#,
        id
    )
    .fetch_one(connection)
    .await
}

/// Returns the short form of one music.
pub(super) async fn detail(connection: &mut PgConnection, id: i64) -> Result<Option<Detail>> {
    sqlx::query_as!(Detail, "select singer, song from music where id = $1", id)
        .fetch_optional(connection)
        .await
}

/// Returns who sings after somebody, or from the first one on, each once, sorted by code point: from one to the next
/// by the index, whatever number of rows each has, but for names of 200 characters and more, of which all rows are read.
/// They are no more than `most`, and end early after [`PAGE_BYTES`].
pub(super) async fn singers(
    connection: &mut PgConnection,
    after: Option<&str>,
    most: i64,
) -> Result<Vec<String>> {
    // The index has the first 200 characters; of a longer name the rows tell the rest. There is one name more than
    // asked for: the first one may be that after which they begin.
    sqlx::query_scalar(
        r#"with recursive name as (
               (select left(singer, 200) collate "C" as head from music
                where left(singer, 200) collate "C" >= left(coalesce($1, ''), 200) collate "C" order by 1 limit 1)
               union all
               select (select left(singer, 200) collate "C" from music
                       where left(singer, 200) collate "C" > name.head order by 1 limit 1)
               from name where name.head is not null
           ), whole as (
               select singer from (
                   select head from name where head is not null limit $2 + 1
               ) as heads cross join lateral (
                   select head as singer where length(head) < 200
                   union
                   select singer from music
                   where length(head) = 200 and left(singer, 200) collate "C" = head
               ) as names where $1 is null or singer collate "C" > $1
           )
           select singer from (
               select singer, sum(octet_length(singer)) over (
                   order by singer collate "C" rows between unbounded preceding and 1 preceding) as bytes_before
               from whole
           ) as sized where coalesce(bytes_before, 0) <= $3 order by singer collate "C" limit $2"#,
    )
    .bind(after)
    .bind(most)
    .bind(PAGE_BYTES)
    .fetch_all(connection)
    .await
}

/// Writes a new music; `None` if the deadline has passed.
pub(super) async fn insert(
    connection: &mut PgConnection,
    draft: &Draft,
    deadline: OffsetDateTime,
) -> Result<Option<Current>> {
    sqlx::query_as!(
        Current,
        r#"insert into music (song, singer) select $1, $2 where clock_timestamp() < $3
           returning id, song, singer, last_modify_date, created,
                     floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!",
                     music_version(xmin, last_modify_date) as "version!""#,
        draft.song,
        draft.singer,
        deadline,
    )
    .fetch_optional(connection)
    .await
}

/// Changes what there is of `change`; the time of the change moves in any case.
///
/// `None` if there is no such music, or it is not in the right state, or the deadline has passed.
pub(super) async fn update(
    connection: &mut PgConnection,
    id: i64,
    change: &Change,
    condition: &Condition,
    deadline: OffsetDateTime,
) -> Result<Option<Current>> {
    sqlx::query_as!(
        Current,
        r#"update music
           set song = coalesce($2, song), singer = coalesce($3, singer), last_modify_date = now()
           where id = $1 and clock_timestamp() < $6
               and ($4::text[] is null or music_version(xmin, last_modify_date) = any($4))
               and ($5::text[] is null or music_version(xmin, last_modify_date) <> all($5))
           returning id, song, singer, last_modify_date, created,
                     floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!",
                     music_version(xmin, last_modify_date) as "version!""#,
        id,
        change.song,
        change.singer,
        condition.only.as_deref(),
        condition.unless.as_deref(),
        deadline,
    )
    .fetch_optional(connection)
    .await
}

/// Returns those of the music that are there, by id, long texts cut.
pub(super) async fn chosen(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<Music>> {
    sqlx::query_as!(
        Music,
        r#"select id, left(song, 200) as "song!", left(singer, 200) as "singer!", last_modify_date, created,
                  floor(extract(epoch from now() - created) / 86400)::bigint as "days_since_created!"
           from music where id = any($1) order by id"#,
        ids,
    )
    .fetch_all(connection)
    .await
}

/// Deletes those of the music that are there, all or none, and returns how many; none after the deadline.
pub(super) async fn delete_chosen(
    connection: &mut PgConnection,
    ids: &[i64],
    deadline: OffsetDateTime,
) -> Result<u64> {
    let done = sqlx::query!(
        // One look at the clock, or the deadline could fall between two rows.
        "with clock as materialized (select clock_timestamp() as now)
         delete from music using clock where id = any($1) and now < $2",
        ids,
        deadline,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes a music; `false` if there was none, or it is not in the right state, or the deadline has passed.
pub(super) async fn delete(
    connection: &mut PgConnection,
    id: i64,
    condition: &Condition,
    deadline: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        r#"delete from music
           where id = $1 and clock_timestamp() < $4
               and ($2::text[] is null or music_version(xmin, last_modify_date) = any($2))
               and ($3::text[] is null or music_version(xmin, last_modify_date) <> all($3))"#,
        id,
        condition.only.as_deref(),
        condition.unless.as_deref(),
        deadline,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
