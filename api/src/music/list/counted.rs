//! Numbers of rows, which hold as long as nobody has written.
//!
//! Counting looks at every row that fits, and a table of counts would make each insert dearer. But two statements that
//! see the same transactions see the same rows, and Postgres says which ones a statement sees: its snapshot. So a number
//! is remembered with a snapshot that was taken before it was counted. Whoever is given the same snapshot afterwards
//! knows that nobody has written in between, for no snapshot comes again. What is answered is always what a count would say.
//!
//! Numbers of transactions do come again when a server crashed or was replaced by another one; hence the time when it
//! started, and when its statistics began, which is at its last crash. A standby does not name in its snapshot all that
//! run, and Postgres 14 is slow to tell about statistics: there it is counted each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Result};

use super::asked::Filter;
use crate::database::{Database, Fault, Read, Shared};

/// So many numbers are remembered, at most.
const MOST_KNOWN: usize = 64;

/// What was counted. Clones share it.
#[derive(Clone)]
pub(super) struct Counted {
    moments: Shared<ReadMoment>,
    /// The lock is held for a few statements.
    known: Arc<Mutex<Known>>,
}

/// What is seen at a moment; `None`: nobody can tell whether something counted then still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment(Option<Arc<str>>);

impl Counted {
    pub(super) fn new(database: Database) -> Self {
        Self {
            moments: Shared::new(database),
            known: Arc::default(),
        }
    }

    /// Returns the moment at which it is asked, or a later one.
    pub(super) async fn moment(&self) -> Result<Moment, Fault> {
        self.moments.read(ReadMoment).await
    }

    /// Returns how many rows fit at a moment, if that is known.
    pub(super) fn at(&self, moment: &Moment, filter: &Filter) -> Option<i64> {
        self.known().at(moment, filter)
    }

    /// Remembers how many rows were counted after a moment.
    pub(super) fn remember(&self, moment: Moment, filter: Filter, rows: i64) {
        self.known().remember(moment, filter, rows);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was counted after one moment.
#[derive(Default)]
struct Known {
    seen: Option<Arc<str>>,
    rows: HashMap<Filter, i64>,
}

impl Known {
    fn at(&self, moment: &Moment, filter: &Filter) -> Option<i64> {
        let is_now = moment.0.is_some() && moment.0 == self.seen;
        is_now.then(|| self.rows.get(filter).copied()).flatten()
    }

    fn remember(&mut self, moment: Moment, filter: Filter, rows: i64) {
        if moment.0.is_none() {
            return;
        }
        if moment.0 != self.seen || self.rows.len() >= MOST_KNOWN {
            self.rows.clear();
            self.seen = moment.0;
        }
        self.rows.insert(filter, rows);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ReadMoment;

impl Read for ReadMoment {
    type Answer = Moment;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Moment>> {
        Box::pin(moment(connection))
    }
}

async fn moment(connection: &mut PgConnection) -> Result<Moment> {
    let seen = sqlx::query_scalar!(
        "select case when not pg_is_in_recovery() and current_setting('server_version_num')::int >= 150000
                then pg_current_snapshot()::text || ' ' || pg_postmaster_start_time()::text || ' '
                     || pg_stat_get_bgwriter_stat_reset_time()::text end as seen"
    )
    .fetch_one(connection)
    .await?;
    Ok(Moment(seen.map(Arc::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::list::store;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    async fn run(connection: &mut PgConnection, statement: &'static str) {
        sqlx::query(statement).execute(connection).await.unwrap();
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn a_moment_is_over_when_somebody_writes(
        pool: PgPoolOptions,
        database: PgConnectOptions,
    ) {
        let pool = pool.connect_with(database).await.unwrap();
        let mut one = pool.acquire().await.unwrap();
        let mut other = pool.acquire().await.unwrap();
        // One snapshot for all statements of the transaction: other tests write at the same time.
        run(&mut one, "begin isolation level repeatable read").await;
        let before = moment(&mut one).await.unwrap();
        assert!(before.0.is_some());
        assert_eq!(moment(&mut one).await.unwrap(), before);
        let row = "insert into music (song, singer) values ('s', 'x')";
        run(&mut other, row).await;
        assert_eq!(moment(&mut one).await.unwrap(), before);
        run(&mut one, "commit").await;
        assert_ne!(moment(&mut one).await.unwrap(), before);
    }

    #[test]
    fn a_number_is_known_at_its_moment_only() {
        let all = Filter::default();
        let of = |singer: &str| Filter {
            singer: Some(singer.to_owned()),
            words: Vec::new(),
        };
        let [first, second] = ["1", "2"].map(|seen| Moment(Some(seen.into())));
        let mut known = Known::default();
        assert_eq!(known.at(&first, &all), None);
        known.remember(first.clone(), all.clone(), 7);
        known.remember(first.clone(), of("x"), 2);
        assert_eq!(
            (known.at(&first, &all), known.at(&first, &of("x"))),
            (Some(7), Some(2))
        );
        assert_eq!(
            (known.at(&first, &of("y")), known.at(&second, &all)),
            (None, None)
        );
        known.remember(second.clone(), all.clone(), 8);
        assert_eq!(
            (known.at(&first, &all), known.at(&second, &all)),
            (None, Some(8))
        );
        assert_eq!(known.at(&second, &of("x")), None);
        // Where nobody can tell, nothing is known.
        known.remember(Moment(None), all.clone(), 9);
        assert_eq!(
            (known.at(&Moment(None), &all), known.at(&second, &all)),
            (None, Some(8))
        );
        for singer in 0..1000 {
            known.remember(second.clone(), of(&singer.to_string()), 1);
            assert!(known.rows.len() <= MOST_KNOWN);
        }
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
        let (mut known, mut held) = (Known::default(), 0);
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
            // Twice: other tests write to this server, too, so that a moment seldom lasts for a whole step.
            for _ in 0..2 {
                let moment = moment(&mut reader).await.unwrap();
                let rows = store::count_all(&mut reader).await.unwrap();
                if let Some(known) = known.at(&moment, &Filter::default()) {
                    assert_eq!(known, rows, "after {statement}");
                    held += 1;
                }
                known.remember(moment, Filter::default(), rows);
            }
        }
        assert!(held > 0);
    }
}
