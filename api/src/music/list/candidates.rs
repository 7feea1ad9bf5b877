//! The rows that may have the words of a search, from the index on them.
//!
//! The index knows three letters or digits in a row, wherever they stand, of all texts but long ones. A search looks
//! at what it names like at any other row, so it may name too many, but must not leave out one. Where it cannot say it, or
//! names too many, a search looks at all rows: it is then soon full, or as slow as without an index. To count, the
//! statement itself looks at each row that is named.

use std::sync::Arc;

use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, Result};

use super::reads::ListReads;
use super::{search, store};

/// No more candidates than this: what more rows have is found sooner by going through the table.
const MOST_SHORT: i64 = 1000;
/// No more rows than this are counted by the index, so that the statement is not long: it looks at each of them.
const MOST_COUNTED: i64 = 50_000;
/// So many rows with long texts are candidates for any word; with more of them all rows are.
const MOST_LONG: i64 = 100;
/// Together they have no more bytes than this, so that a statement that looks at all of them is not long.
const LONG_BYTES: i64 = 4 * 1024 * 1024;

/// The texts of a row are long together.
const IS_LONG: &str = "(octet_length(song) + octet_length(singer) > 800)";
/// What the index is on, as it is written in the migration.
const INDEXED: &str = "(case when octet_length(song) + octet_length(singer) <= 800 \
                             then song || ' ' || singer else 'a long text' end)";

/// The rows among which a search finds all that it looks for.
#[derive(Clone, Debug, Default)]
pub(super) enum Among {
    /// Nobody has asked the index.
    #[default]
    Unknown,
    /// Any.
    All,
    /// Those with these ids.
    Only(Arc<[i64]>),
}

impl Among {
    /// Tells whether it was not asked for.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Returns the ids; `None`: all rows.
    pub(super) fn ids(&self) -> Option<Arc<[i64]>> {
        match self {
            Self::Only(ids) => Some(Arc::clone(ids)),
            Self::Unknown | Self::All => None,
        }
    }
}

/// Asks the index for the rows that may have all of the words. A search can do without an answer.
pub(super) async fn among(reads: &ListReads, words: &[String]) -> Among {
    let told = ask(reads, words, MOST_SHORT).await;
    told.map_or(Among::All, |told| told.candidates(MOST_SHORT))
}

/// What was counted by the index.
pub(super) struct Count {
    /// So many rows with short texts have all of the words.
    pub(super) short: i64,
    /// Where there are others, maybe.
    pub(super) long: Among,
    /// Where all of these rows are.
    pub(super) among: Among,
}

/// Counts by the index. `None`: it cannot say it, or they are too many.
pub(super) async fn count(reads: &ListReads, words: &[String]) -> Option<Count> {
    let told = ask(reads, words, MOST_COUNTED).await?;
    Some(Count {
        short: told.count()?,
        long: Among::Only(told.long()?),
        among: told.candidates(MOST_COUNTED),
    })
}

async fn ask(reads: &ListReads, words: &[String], most: i64) -> Option<Told> {
    if !words.iter().any(|word| is_known(word)) {
        return None;
    }
    let words = words.to_vec();
    let mut work = reads.database().work_apart();
    let told =
        work.run(move |connection| Box::pin(async move { read(connection, &words, most).await }));
    told.await
        .inspect_err(
            |fault| tracing::warn!(cause = %fault, "the index on words could not be asked"),
        )
        .ok()
        .filter(|told| told.is_known)
}

/// Tells whether the index can say something of a word: it has three letters or digits in a row.
fn is_known(word: &str) -> bool {
    let mut row = 0;
    word.chars().any(|character| {
        let is_part = character.is_alphabetic() || character.is_ascii_digit();
        row = if is_part { row + 1 } else { 0 };
        row >= 3
    })
}

/// What the index says.
#[derive(FromRow)]
struct Told {
    /// It can say something; if not, nothing was found.
    is_known: bool,
    /// How many rows with short texts were looked at, at most one over what was asked for.
    looked_at: i64,
    /// How many of these have all of the words.
    fitted: i64,
    /// Which ones, but no more than one over [`MOST_SHORT`].
    short: Vec<i64>,
    /// Rows with long texts, but no more than one over [`MOST_LONG`].
    long: Vec<i64>,
    /// How long these are together.
    bytes: i64,
}

impl Told {
    /// Returns the rows that may have all of the words, or all if they are too many, or `most` were not enough to
    /// find them.
    fn candidates(&self, most: i64) -> Among {
        let is_few = self.looked_at <= most && self.short.len() as i64 <= MOST_SHORT;
        match self.long().filter(|_| is_few) {
            Some(long) => Among::Only([&self.short, &*long].concat().into()),
            None => Among::All,
        }
    }

    /// Returns how many rows with short texts have all of the words; `None`: too many to be counted so.
    fn count(&self) -> Option<i64> {
        (self.looked_at <= MOST_COUNTED).then_some(self.fitted)
    }

    /// Returns the rows with long texts; `None`: they are too many or too long.
    fn long(&self) -> Option<Arc<[i64]>> {
        let is_few = self.long.len() as i64 <= MOST_LONG && self.bytes <= LONG_BYTES;
        is_few.then(|| self.long.as_slice().into())
    }
}

/// Looks at no more than `most` rows with short texts, and one.
async fn read(connection: &mut PgConnection, words: &[String], most: i64) -> Result<Told> {
    let mut statement = QueryBuilder::new("");
    push(&mut statement, words, most);
    statement.build_query_as().fetch_one(connection).await
}

/// The index may be missing, and without it nothing is read. What a letter is and which one is its capital, the index
/// takes from the system's locale: it knows as much as ILIKE only where that does the same, and in the locale C of
/// ASCII's letters alone.
///
/// Materialized, or a limit would make the planner hope to find enough of the rows on the way through the table.
pub(super) fn push(statement: &mut QueryBuilder<Postgres>, words: &[String], most: i64) {
    statement.push(
        "with indexed as materialized ( \
             select exists (select from pg_index where indexrelid = to_regclass('music_words') and indisvalid) \
                    and exists (select from pg_database as here where datname = current_database() \
                                and coalesce(to_jsonb(here) ->> 'datlocprovider', 'c') = 'c' and (",
    );
    let (known, unknown): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| is_known(word));
    statement.push_bind(known.iter().all(|word| word.is_ascii()));
    statement.push(
        " or datctype not in ('C', 'POSIX'))) as yes \
         ), short as materialized ( \
             select id, ",
    );
    // What the index finds by a word has it, but with a blank in it, it may begin in the song and end in the singer.
    let blank = known.iter().filter(|word| word.contains(' '));
    let looked_for: Vec<String> = unknown.iter().chain(blank).cloned().collect();
    store::push_fits(statement, &looked_for);
    statement.push(" as fits from music where (select yes from indexed) and not ");
    statement.push(IS_LONG);
    for word in &known {
        statement.push(" and ").push(INDEXED).push(" ilike ");
        statement.push_bind(search::pattern(word));
    }
    statement.push(
        "), long as materialized ( \
             select id, octet_length(song) + octet_length(singer) as bytes from music \
             where (select yes from indexed) and ",
    );
    statement.push(IS_LONG).push(" and ").push(INDEXED);
    statement.push(" ilike 'a long text'), few as (select * from long limit ");
    statement.push_bind(MOST_LONG + 1);
    statement.push("), seen as (select * from short limit ");
    statement.push_bind(most + 1);
    statement.push(") select yes as is_known, array(select id from seen where fits limit ");
    statement.push_bind(MOST_SHORT + 1);
    statement.push(
        ") as short, looked_at, fitted, array(select id from few) as long, \
           (select coalesce(sum(bytes), 0)::bigint from few) as bytes \
         from indexed, (select count(*) as looked_at, count(*) filter (where fits) as fitted from seen) as counted",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::music::list::asked::Filter;
    use crate::music::list::ordering::Ordering;
    use crate::music::list::store::{self, Window};
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    /// Pieces of texts and words, so chosen that words are found in texts: capitals in several languages, what is a
    /// pattern, what is no letter, letters whose small form is of another length or of ASCII.
    const PIECES: &str =
        "[abcABC019%_\\\\ '\",.éÉßẞσςΣİıKſǅⅷ①月亮代表我的心ひカ한글ñ🎵😀👨\u{200d}\u{301}]";

    fn texts(runner: &mut TestRunner, lengths: &str) -> String {
        let strategy = proptest::string::string_regex(&format!("{PIECES}{lengths}")).unwrap();
        strategy.new_tree(runner).unwrap().current()
    }

    #[test]
    fn a_word_is_known_by_three_letters_in_a_row() {
        for word in ["abc", "ab1", "-abc-", "月亮代", "50%abc", "ñandú"] {
            assert!(is_known(word), "{word}");
        }
        for word in ["", "ab", "ab-cd", "月亮", "🎵🎵🎵", "%%%", "a\u{301}b"] {
            assert!(!is_known(word), "{word}");
        }
    }

    async fn found(
        connection: &mut PgConnection,
        words: &[String],
        among: Option<Arc<[i64]>>,
    ) -> Vec<i64> {
        let filter = Filter {
            singer: None,
            words: words.to_vec(),
        };
        let (counted, _) = store::count_stretch(connection, &filter, among.as_deref(), i64::MIN)
            .await
            .unwrap();
        let window = Window {
            filter,
            ordering: Ordering::parse("-song"),
            after: None,
            skip: 0,
            take: 5000,
            look: 5000,
            among,
        };
        let rows = store::read(connection, &window).await.unwrap().rows;
        assert_eq!(counted, rows.len() as i64);
        rows.iter().map(|music| music.id).collect()
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn what_is_found_is_among_the_candidates(
        pool: PgPoolOptions,
        database: PgConnectOptions,
    ) {
        let pool = pool.connect_with(database).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        let mut runner = TestRunner::deterministic();
        for row in 0..2500 {
            // Now and then a text that is too long for the index.
            let filling = if row % 50 == 0 { 900 } else { 0 };
            sqlx::query("insert into music (song, singer) values ($1 || repeat('x', $3), $2)")
                .bind(texts(&mut runner, "{1,30}"))
                .bind(texts(&mut runner, "{1,12}"))
                .bind(filling)
                .execute(&mut *connection)
                .await
                .unwrap();
        }
        let (mut known, mut hits) = (0, 0);
        for search in 0..600 {
            // Every other word is from a text, in other letters.
            let word = match search % 2 {
                0 => texts(&mut runner, "{3,6}"),
                _ => sqlx::query_scalar(
                    "select case when $1 % 3 = 0 then upper(piece) else lower(piece) end
                     from music, substr(song || singer, 1 + $1 % 7, 3 + $1 % 5) as piece where id = 1 + $1 * 4",
                )
                .bind(search)
                .fetch_one(&mut *connection)
                .await
                .unwrap(),
            };
            if !is_known(&word) {
                continue;
            }
            // With a second word now and then, which may be one that the index does not know.
            let second = (search % 5 == 0).then(|| texts(&mut runner, "{1,2}"));
            let words: Vec<String> = [word].into_iter().chain(second).collect();
            let told = read(&mut connection, &words, MOST_COUNTED).await.unwrap();
            let (among, long) = (told.candidates(MOST_COUNTED), told.long());
            let (Some(ids), Some(long)) = (among.ids(), long) else {
                panic!("{words:?}");
            };
            let expected = found(&mut connection, &words, None).await;
            assert_eq!(
                found(&mut connection, &words, Some(ids)).await,
                expected,
                "{words:?}"
            );
            let long = found(&mut connection, &words, Some(long)).await.len();
            assert_eq!(
                told.fitted + long as i64,
                expected.len() as i64,
                "{words:?}"
            );
            known += 1;
            hits += usize::from(!expected.is_empty());
        }
        assert!(known > 100 && hits > 50, "{known} {hits}");
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn what_many_rows_have_is_not_looked_up(pool: PgPoolOptions, database: PgConnectOptions) {
        let pool = pool.connect_with(database).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        let mut candidates = async |word: &str, statement: &'static str| {
            sqlx::raw_sql(statement)
                .execute(&mut *connection)
                .await
                .unwrap();
            let words = [word.to_owned()];
            let told = read(&mut connection, &words, MOST_SHORT).await.unwrap();
            let ids = told
                .is_known
                .then(|| told.candidates(MOST_SHORT).ids())
                .flatten();
            ids.map(|ids| ids.len())
        };
        let rows = "insert into music (song, singer)
                    select case when i <= 1000 then 'moon' else 'star' end, 'x' from generate_series(1, 2001) i";
        assert_eq!(candidates("moon", rows).await, Some(1000));
        assert_eq!(candidates("star", "").await, None);
        let long = "insert into music (song, singer) select repeat('y', 1000), 'x' from generate_series(1, 100)";
        assert_eq!(candidates("sun", long).await, Some(100));
        let longer = "update music set song = repeat('y', 6000000) where id = 2100";
        assert_eq!(candidates("sun", longer).await, None);
        let more = "delete from music where id = 2100;
                    insert into music (song, singer) select repeat('y', 1000), 'x' from generate_series(1, 2)";
        assert_eq!(candidates("sun", more).await, None);
        assert_eq!(
            candidates("sun", "delete from music where id > 2100").await,
            Some(98)
        );
        assert_eq!(candidates("sun", "drop index music_words").await, None);
    }

    #[sqlx::test(migrations = "../migrations")]
    async fn no_more_is_looked_at_for_a_word_that_it_does_not_know(
        pool: PgPoolOptions,
        database: PgConnectOptions,
    ) {
        let pool = pool.connect_with(database).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("insert into music (song, singer) select 'moon ' || i, 'x' from generate_series(1, 3000) i")
            .execute(&mut *connection)
            .await
            .unwrap();
        let words = ["moon", "77"].map(str::to_owned);
        let told = read(&mut connection, &words, MOST_SHORT).await.unwrap();
        assert_eq!(told.looked_at, MOST_SHORT + 1);
        assert!(told.candidates(MOST_SHORT).ids().is_none());
        let told = read(&mut connection, &words, MOST_COUNTED).await.unwrap();
        assert_eq!(told.looked_at, 3000);
        assert_eq!(told.count(), Some(57));
        let found = told.candidates(MOST_COUNTED).ids().unwrap();
        assert_eq!(found.len(), 57);
    }
}
