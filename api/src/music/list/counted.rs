//! The number of all rows, which holds as long as nobody has written.
//!
//! Counting looks at every row, and a table of counts would make each insert dearer. But two statements that see the
//! same transactions see the same rows, and Postgres says which ones a statement sees: its snapshot. So the number is
//! remembered with the snapshot in which it was counted, and asked for with it: the same statement compares and, when
//! any transaction has written meanwhile, counts again. What is answered is always what a count would say.
//!
//! Numbers of transactions come again when a server crashed or was replaced by another one; hence the time when it
//! started, and when its statistics began, which is at its last crash. A standby does not name in its snapshot all that
//! run, and Postgres 14 is slow to tell about statistics: there it is counted each time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Result};

use crate::database::{Database, Fault, Read, Shared};

/// Counts all rows of the list. Clones share what is remembered.
#[derive(Clone)]
pub(super) struct Counter {
    reads: Shared<CountAll>,
    /// The lock is held for a copy.
    known: Arc<Mutex<Option<Counted>>>,
}

impl Counter {
    pub(super) fn new(database: Database) -> Self {
        Self {
            reads: Shared::new(database),
            known: Arc::default(),
        }
    }

    /// Returns how many rows there are.
    pub(super) async fn count(&self) -> Result<i64, Fault> {
        let known = self.known().clone();
        let counted = self.reads.read(CountAll { known }).await?;
        let rows = counted.rows;
        *self.known() = Some(counted);
        Ok(rows)
    }

    fn known(&self) -> MutexGuard<'_, Option<Counted>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many rows the table has, if not what is known still holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CountAll {
    known: Option<Counted>,
}

/// A number of rows, and what was seen when it was counted; `None`: nobody can tell whether it still holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Counted {
    rows: i64,
    seen: Option<String>,
}

impl Read for CountAll {
    type Answer = Counted;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Counted>> {
        Box::pin(async move { count(connection, self.known.as_ref()).await })
    }
}

async fn count(connection: &mut PgConnection, known: Option<&Counted>) -> Result<Counted> {
    sqlx::query_as!(
        Counted,
        r#"with now as materialized (
               select case when not pg_is_in_recovery() and current_setting('server_version_num')::int >= 150000
                      then pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text || ' '
                           || pg_stat_get_bgwriter_stat_reset_time()::text end as seen
           )
           select seen, case when seen = $1 then $2 else (select count(*) from music) end as "rows!" from now"#,
        known.and_then(|known| known.seen.as_deref()),
        known.map(|known| known.rows),
    )
    .fetch_one(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    async fn run(connection: &mut PgConnection, statement: &'static str) {
        sqlx::query(statement).execute(connection).await.unwrap();
    }

    async fn counted_anew(connection: &mut PgConnection) -> i64 {
        sqlx::query_scalar("select count(*) from music")
            .fetch_one(connection)
            .await
            .unwrap()
    }

    /// How often the table was gone through in this transaction.
    async fn scans(connection: &mut PgConnection) -> i64 {
        let scans = "select seq_scan + coalesce(idx_scan, 0) from pg_stat_xact_user_tables where relname = 'music'";
        sqlx::query_scalar(scans)
            .fetch_one(connection)
            .await
            .unwrap()
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn what_is_known_is_not_counted_again(pool: PgPoolOptions, database: PgConnectOptions) {
        let pool = pool.connect_with(database).await.unwrap();
        let mut one = pool.acquire().await.unwrap();
        let mut other = pool.acquire().await.unwrap();
        let rows = "insert into music (song, singer) select 's', 'x' from generate_series(1, 5000)";
        run(&mut one, rows).await;
        // One snapshot for all statements of the transaction: other tests write at the same time.
        run(&mut one, "begin isolation level repeatable read").await;
        let known = count(&mut one, None).await.unwrap();
        assert_eq!((known.rows, scans(&mut one).await), (5000, 1));
        assert!(known.seen.is_some());
        assert_eq!(count(&mut one, Some(&known)).await.unwrap(), known);
        assert_eq!(scans(&mut one).await, 1);
        run(&mut one, "commit").await;
        run(
            &mut other,
            "insert into music (song, singer) values ('s', 'x')",
        )
        .await;
        let now = count(&mut one, Some(&known)).await.unwrap();
        assert_eq!(now.rows, 5001);
        assert_ne!(now.seen, known.seen);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn the_number_is_right_whatever_others_write(
        pool: PgPoolOptions,
        database: PgConnectOptions,
    ) {
        const WRITES: [&str; 7] = [
            "insert into music (song, singer) values ('s', 'x')",
            "insert into music (id, song, singer) values (-nextval('music_id_seq'), 's', 'x')",
            "insert into music (song, singer) select 's', 'x' from generate_series(1, 20)",
            "delete from music where id in (select id from music order by id limit 1 for update skip locked)",
            "savepoint one; insert into music (song, singer) values ('s', 'x'); rollback to one",
            "update music set song = 't' where id in (select id from music limit 1 for update skip locked)",
            "delete from music where id in (select id from music order by id desc limit 3 for update skip locked)",
        ];
        let pool = pool.connect_with(database).await.unwrap();
        let mut reader = pool.acquire().await.unwrap();
        let mut writers = Vec::new();
        for _ in 0..3 {
            writers.push((pool.acquire().await.unwrap(), false));
        }
        let mut known = None;
        // Any numbers do, so long as they are the same in each run.
        let mut random = 1_u32;
        for step in 0..600 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (who, what) = ((random >> 28) as usize % 3, (random >> 20) as usize % 10);
            let (writer, is_open) = &mut writers[who];
            let statement = match (what, *is_open) {
                (7, true) => "commit",
                (8, true) => "rollback",
                // It waits for nobody: no other transaction is open.
                _ if step % 97 == 96 => {
                    for (other, is_open) in &mut writers {
                        sqlx::raw_sql("commit").execute(&mut **other).await.unwrap();
                        *is_open = false;
                    }
                    let (writer, _) = &mut writers[who];
                    run(writer, "truncate music").await;
                    continue;
                }
                (_, false) => "begin",
                (what, true) => WRITES[what % WRITES.len()],
            };
            sqlx::raw_sql(statement)
                .execute(&mut **writer)
                .await
                .unwrap();
            *is_open = !matches!(statement, "commit" | "rollback");
            let counted = count(&mut reader, known.as_ref()).await.unwrap();
            assert_eq!(
                counted.rows,
                counted_anew(&mut reader).await,
                "after {statement}"
            );
            known = Some(counted);
        }
    }
}
