//! The SQL of writes under a key: one statement each, which writes the row and remembers the answer, or neither.
//!
//! Each goes the same way. `locked`: whoever has the same key waits until this one is committed. `begun`: the
//! deadline, by the clock of the database, and after the waiting, so that a statement that lay in the socket
//! of a server that hung writes nothing. `won`: the key and the answer, unless the key is known. Only then the
//! row: the other way round it would be written twice.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, Result};

use super::current::Current;
use super::draft::{Change, Draft};
use super::order::{Done, Keyed, Order, Write};

/// Writes under `key`; `None` if nothing was written.
pub(super) async fn write(
    connection: &mut PgConnection,
    order: &Order,
    key: &Keyed,
    write: &Write,
) -> Result<Option<Done>> {
    match write {
        Write::Insert(draft) => {
            let music = insert(connection, order, key, draft).await?;
            Ok(music.map(Done::Is))
        }
        Write::Replace(id, change) | Write::Change(id, change) => {
            let music = update(connection, order, key, *id, change).await?;
            Ok(music.map(Done::Is))
        }
        Write::Delete(id) => {
            let deleted = delete(connection, order, key, *id).await?;
            Ok(deleted.then_some(Done::Deleted))
        }
    }
}

async fn insert(
    connection: &mut PgConnection,
    order: &Order,
    key: &Keyed,
    draft: &Draft,
) -> Result<Option<Current>> {
    sqlx::query_as!(
        Current,
        r#"with locked as materialized (
               select pg_advisory_xact_lock(hashtextextended($2 || ' ' || $3 || ' ' || $4, $1))
           ), begun as materialized (
               select nextval('music_id_seq') as id, clock_timestamp() as at
               from locked where clock_timestamp() < $7
           ), won as (
               insert into write_keys as known (owner, method, path, key, digest, status, answer, expires)
               select $1, $2, $3, $4, $5, 201,
                      json_build_object('id', id, 'song', $8::text, 'singer', $9::text,
                                        'last_modify_date', at, 'created', at, 'days_since_created', 0,
                                        'version', music_version(pg_current_xact_id()::xid, at)),
                      at + $6
               from begun
               on conflict (owner, method, path, key) do update
                   set digest = excluded.digest, status = excluded.status, answer = excluded.answer,
                       expires = excluded.expires
                   where known.expires <= clock_timestamp()
               returning key
           )
           insert into music (id, song, singer, last_modify_date, created)
           select id, $8, $9, at, at from begun, won
           returning id, song, singer, last_modify_date, created, 0::bigint as "days_since_created!",
                     music_version(xmin, last_modify_date) as "version!""#,
        key.owner,
        order.write.method(),
        order.write.path(),
        key.key.as_str(),
        key.digest,
        interval(key.key.life()),
        order.deadline,
        draft.song,
        draft.singer,
    )
    .fetch_optional(connection)
    .await
}

async fn update(
    connection: &mut PgConnection,
    order: &Order,
    key: &Keyed,
    id: i64,
    change: &Change,
) -> Result<Option<Current>> {
    sqlx::query_as!(
        Current,
        r#"with locked as materialized (
               select pg_advisory_xact_lock(hashtextextended($2 || ' ' || $3 || ' ' || $4, $1))
           ), begun as materialized (
               select clock_timestamp() as at from locked where clock_timestamp() < $7
           ), target as materialized (
               select music.id, coalesce($11, song) as song, coalesce($12, singer) as singer, created, at,
                      floor(extract(epoch from at - created) / 86400)::bigint as days
               from begun, music
               where music.id = $8
                   and ($9::text[] is null or music_version(music.xmin, last_modify_date) = any($9))
                   and ($10::text[] is null or music_version(music.xmin, last_modify_date) <> all($10))
               for update of music
           ), won as (
               insert into write_keys as known (owner, method, path, key, digest, status, answer, expires)
               select $1, $2, $3, $4, $5, 200,
                      json_build_object('id', id, 'song', song, 'singer', singer,
                                        'last_modify_date', at, 'created', created, 'days_since_created', days,
                                        'version', music_version(pg_current_xact_id()::xid, at)),
                      at + $6
               from target
               on conflict (owner, method, path, key) do update
                   set digest = excluded.digest, status = excluded.status, answer = excluded.answer,
                       expires = excluded.expires
                   where known.expires <= clock_timestamp()
               returning key
           )
           update music set song = target.song, singer = target.singer, last_modify_date = target.at
           from target, won where music.id = target.id
           returning music.id, music.song, music.singer, music.last_modify_date, music.created,
                     target.days as "days_since_created!",
                     music_version(music.xmin, music.last_modify_date) as "version!""#,
        key.owner,
        order.write.method(),
        order.write.path(),
        key.key.as_str(),
        key.digest,
        interval(key.key.life()),
        order.deadline,
        id,
        order.condition.only.as_deref(),
        order.condition.unless.as_deref(),
        change.song,
        change.singer,
    )
    .fetch_optional(connection)
    .await
}

async fn delete(
    connection: &mut PgConnection,
    order: &Order,
    key: &Keyed,
    id: i64,
) -> Result<bool> {
    let done = sqlx::query!(
        r#"with locked as materialized (
               select pg_advisory_xact_lock(hashtextextended($2 || ' ' || $3 || ' ' || $4, $1))
           ), begun as materialized (
               select clock_timestamp() as at from locked where clock_timestamp() < $7
           ), target as materialized (
               select music.id, at from begun, music
               where music.id = $8
                   and ($9::text[] is null or music_version(music.xmin, last_modify_date) = any($9))
                   and ($10::text[] is null or music_version(music.xmin, last_modify_date) <> all($10))
               for update of music
           ), won as (
               insert into write_keys as known (owner, method, path, key, digest, status, answer, expires)
               select $1, $2, $3, $4, $5, 204, null, at + $6 from target
               on conflict (owner, method, path, key) do update
                   set digest = excluded.digest, status = excluded.status, answer = excluded.answer,
                       expires = excluded.expires
                   where known.expires <= clock_timestamp()
               returning key
           )
           delete from music using target, won where music.id = target.id"#,
        key.owner,
        order.write.method(),
        order.write.path(),
        key.key.as_str(),
        key.digest,
        interval(key.key.life()),
        order.deadline,
        id,
        order.condition.only.as_deref(),
        order.condition.unless.as_deref(),
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

fn interval(life: Duration) -> PgInterval {
    PgInterval {
        months: 0,
        days: 0,
        microseconds: i64::try_from(life.as_micros()).unwrap_or(i64::MAX),
    }
}
