//! Why a write wrote nothing: one read that looks at the key, the clock and the row.

use sqlx::{PgConnection, Result};
use time::OffsetDateTime;

use super::current::Current;
use super::order::{Done, Order};

/// What there is to be seen.
#[derive(Debug)]
pub(super) struct Verdict {
    /// What was written under this key before.
    pub(super) stored: Option<Stored>,
    /// Whether the deadline is still to come.
    pub(super) in_time: bool,
    /// The version of the row, if it is there.
    pub(super) version: Option<String>,
}

/// What is remembered of a write.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) digest: Vec<u8>,
    pub(super) done: Done,
}

/// The row of the read, in which all that may be missing is optional.
struct Seen {
    in_time: bool,
    current_version: Option<String>,
    digest: Option<Vec<u8>>,
    id: Option<i64>,
    song: Option<String>,
    singer: Option<String>,
    last_modify_date: Option<OffsetDateTime>,
    created: Option<OffsetDateTime>,
    days_since_created: Option<i64>,
    version: Option<String>,
}

/// Looks at what concerns `order`.
pub(super) async fn read(connection: &mut PgConnection, order: &Order) -> Result<Verdict> {
    let key = order.key.as_ref();
    let seen = sqlx::query_as!(
        Seen,
        r#"select clock_timestamp() < $5 as "in_time!",
                  music_version(music.xmin, music.last_modify_date) as "current_version?",
                  digest as "digest?",
                  (answer->>'id')::bigint as id, answer->>'song' as song, answer->>'singer' as singer,
                  (answer->>'last_modify_date')::timestamptz as last_modify_date,
                  (answer->>'created')::timestamptz as created,
                  (answer->>'days_since_created')::bigint as days_since_created,
                  answer->>'version' as version
           from (select) as nothing
           left join write_keys on owner = $1 and method = $2 and path = $3 and key = $4
               and expires > clock_timestamp()
           left join music on music.id = $6"#,
        key.map_or(0, |key| key.owner),
        order.write.method(),
        order.write.path(),
        key.map(|key| key.key.as_str()),
        order.deadline,
        order.write.id(),
    )
    .fetch_one(connection)
    .await?;
    Ok(seen.into_verdict())
}

/// Tells whether no write under this key is being carried out. Committed ones show to whoever reads afterwards.
///
/// It waits a moment: Postgres reports an error before it lets go of the lock of the statement that failed.
pub(super) async fn is_free(connection: &mut PgConnection, order: &Order) -> Result<bool> {
    let key = order.key.as_ref();
    let locked = sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended($2 || ' ' || $3 || ' ' || $4, $1))",
        key.map_or(0, |key| key.owner),
        order.write.method(),
        order.write.path(),
        key.map_or("", |key| key.key.as_str()),
    )
    .execute(connection)
    .await;
    match locked {
        Ok(_) => Ok(true),
        Err(error) if is_lock_timeout(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.as_deref() == Some("55P03")
}

impl Seen {
    fn into_verdict(self) -> Verdict {
        let (in_time, version) = (self.in_time, self.current_version.clone());
        let stored = self.digest.clone().map(|digest| Stored {
            digest,
            done: self.answer().map_or(Done::Deleted, Done::Is),
        });
        Verdict {
            stored,
            in_time,
            version,
        }
    }

    /// Returns the music that was answered; a deletion was answered with none.
    fn answer(self) -> Option<Current> {
        Some(Current {
            id: self.id?,
            song: self.song?,
            singer: self.singer?,
            last_modify_date: self.last_modify_date?,
            created: self.created?,
            days_since_created: self.days_since_created?,
            version: self.version?,
        })
    }
}
