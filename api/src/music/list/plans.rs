//! What Postgres does for a page of 50 out of 100 000: it reads an index, and no more of it than the page needs.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};

use super::asked::Asked;
use super::candidates;
use super::position::Position;
use super::store::{SEARCHED_ROWS, Window, push_window};
use crate::music::{Music, store};

async fn filled(pool: PgPoolOptions, database: PgConnectOptions) -> PgPool {
    let pool = pool.connect_with(database).await.unwrap();
    // Neither song nor singer nor the dates are in the order of the ids.
    sqlx::query(
        "insert into music (song, singer, created, last_modify_date)
         select 'song ' || md5(i::text), 'singer ' || i * 7919 % 1000,
                timestamptz '2020-01-01' + i * 7919 % 100000 * interval '1 second',
                timestamptz '2021-01-01' + i * 7907 % 100000 * interval '1 second'
         from generate_series(1, 100000) i",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query("vacuum analyze music")
        .execute(&pool)
        .await
        .unwrap();
    pool
}

async fn plan(connection: &mut PgConnection, window: &Window) -> String {
    let mut explain = QueryBuilder::new("explain (costs off) ");
    push_window(&mut explain, window);
    explained(connection, explain).await
}

async fn explained(connection: &mut PgConnection, mut explain: QueryBuilder<Postgres>) -> String {
    let lines: Vec<(String,)> = explain
        .build_query_as()
        .fetch_all(connection)
        .await
        .unwrap();
    lines.into_iter().map(|(line,)| line + "\n").collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_is_read_from_an_index(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = filled(pool, database).await;
    let mut connection = pool.acquire().await.unwrap();
    let music = store::find(&mut connection, 50_000)
        .await
        .unwrap()
        .unwrap()
        .into_music();
    for (query, index) in [
        ("ordering=id", "music_pkey"),
        ("ordering=-id", "music_pkey"),
        ("ordering=song", "music_song"),
        ("ordering=-song", "music_song"),
        ("ordering=singer", "music_singer"),
        ("ordering=-created", "music_created"),
        ("ordering=last_modify_date", "music_last_modify_date"),
        ("ordering=song,-created", "music_song"),
        ("singer=singer+7", "music_singer"),
        ("search=nothing", "music_pkey"),
    ] {
        let Asked {
            filter, ordering, ..
        } = Asked::parse(query).unwrap();
        let after = Position::of(&music, &ordering);
        for (after, skip) in [(None, 0), (None, 100), (Some(after), 0)] {
            let window = Window {
                filter: filter.clone(),
                ordering: ordering.clone(),
                after: after.clone(),
                skip,
                take: 50,
                look: SEARCHED_ROWS,
                among: None,
            };
            let plan = plan(&mut connection, &window).await;
            let (_, below) = plan.split_once("Limit").unwrap_or_default();
            let uses = below.contains(&format!("using {index} "))
                || below.contains(&format!("Bitmap Index Scan on {index}\n"));
            // The few rows of a singer may be sorted, and a second term within equal ones.
            let is_sorted = filter.singer.is_none() && ordering.is_uniform();
            let uses = uses && !(is_sorted && below.contains("Sort"));
            assert!(uses, "{query}, after {after:?}:\n{plan}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_page_by_number_leaves_out_is_not_read(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = filled(pool, database).await;
    for (query, first) in [("ordering=id", 40_001), ("ordering=-id", 60_000)] {
        let Asked {
            filter, ordering, ..
        } = Asked::parse(query).unwrap();
        let mut window = Window {
            filter,
            ordering,
            after: None,
            skip: 40_000,
            take: 50,
            look: SEARCHED_ROWS,
            among: None,
        };
        let mut transaction = pool.begin().await.unwrap();
        let plan = plan(&mut transaction, &window).await;
        assert!(plan.contains("Index Only Scan"), "{query}:\n{plan}");
        let found = super::store::read(&mut transaction, &window).await.unwrap();
        assert_eq!((found.rows.len(), found.rows[0].id), (50, first));
        window.skip = 100_000;
        let found = super::store::read(&mut transaction, &window).await.unwrap();
        assert!(found.rows.is_empty() && found.next.is_none());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn rare_words_are_looked_up_in_an_index(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = filled(pool, database).await;
    let mut connection = pool.acquire().await.unwrap();
    // As the words are, and as a plan for any words has it.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let set = sqlx::AssertSqlSafe(format!("set plan_cache_mode = {mode}"));
        sqlx::raw_sql(set).execute(&mut *connection).await.unwrap();
        for (words, most) in [
            (&["nothing"][..], 1000),
            (&["nothing"], 50_000),
            (&["ab cd%e", "singer 77"], 1000),
            (&["月亮代"], 1000),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let mut explain = QueryBuilder::new("explain (costs off) ");
            candidates::push(&mut explain, &words, most);
            let plan = explained(&mut connection, explain).await;
            let uses = plan.matches("Index Scan on music_words").count();
            assert!(
                uses == 2 && !plan.contains("Seq Scan on music\n"),
                "{words:?}:\n{plan}"
            );
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn of_candidates_no_more_is_read(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = filled(pool, database).await;
    for query in [
        "ordering=id",
        "ordering=-song",
        "ordering=created,-id",
        "singer=singer+7",
    ] {
        let Asked {
            filter, ordering, ..
        } = Asked::parse(&format!("search=song&{query}")).unwrap();
        let window = Window {
            filter,
            ordering,
            after: None,
            skip: 0,
            take: 50,
            look: SEARCHED_ROWS,
            among: Some((1..=1000).map(|i| i * 97).collect()),
        };
        let mut transaction = pool.begin().await.unwrap();
        let found = super::store::read(&mut transaction, &window).await.unwrap();
        assert!(!found.rows.is_empty());
        let (scans, read): (i64, i64) = sqlx::query_as(
            "select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'music'",
        )
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        // What a bitmap leads to counts twice: in the index and in the table.
        assert!(scans == 0 && read <= 2000, "{query}: {scans} {read}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_plain_list_is_read_from_the_key(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = filled(pool, database).await;
    let mut transaction = pool.begin().await.unwrap();
    let rows: Vec<Music> = store::page(&mut transaction, 50_000, 50).await.unwrap();
    let ids: Vec<i64> = rows.iter().map(|music| music.id).collect();
    assert_eq!(ids, (50_001..=50_050).collect::<Vec<_>>());
    let (scans, read): (i64, i64) = sqlx::query_as(
        "select seq_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'music'",
    )
    .fetch_one(&mut *transaction)
    .await
    .unwrap();
    assert_eq!(
        (scans, read),
        (0, 50),
        "whole scans, and rows fetched by an index"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_singer_with_few_rows_is_counted_by_an_index(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = filled(pool, database).await;
    let mut transaction = pool.begin().await.unwrap();
    let count = super::store::count_singer(&mut transaction, "singer 7".into()).await;
    assert_eq!(count.unwrap(), 100);
    let (scans,): (i64,) =
        sqlx::query_as("select seq_scan from pg_stat_xact_user_tables where relname = 'music'")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
    assert_eq!(scans, 0);
}
