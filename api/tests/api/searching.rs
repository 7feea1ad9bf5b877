//! What a search finds is the same with the index on words and without it.

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::running::Running;
use crate::support::{Api, request};

const ROWS: &str = "insert into music (song, singer)
     select case when i % 1000 = 7 then 'Grüne WIESE ' || i when i % 1500 = 8 then repeat('wiese ', 200) || i
                 else 'song ' || i end,
            'singer ' || i % 3 from generate_series(1, 6000) i";

/// Follows the pages of a search to their end.
async fn pages(api: &Api, path: &str) -> Vec<serde_json::Value> {
    let (mut rows, mut path) = (Vec::new(), path.to_owned());
    loop {
        let page = api.get(&path).await.json();
        rows.extend(page["results"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => path = next.strip_prefix("http://music.test").unwrap().to_owned(),
            None => return rows,
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_search_finds_the_same_with_and_without_the_index(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query(ROWS).execute(&pool).await.unwrap();
    let api = Api::start(&database).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut found = Vec::new();
        for (search, expected) in [
            ("wiese", 10),
            ("GR%C3%9CNE+wiese", 6),
            ("wiese+e+1007", 1),
            ("wiese&singer=singer+2", 6),
            ("nothing+of+this+name", 0),
            ("%E6%9C%88%E4%BA%AE%E4%BB%A3", 0),
            ("song+4711", 1),
            ("song+1", 3566),
        ] {
            for order in ["id", "-id", "song", "-singer,song"] {
                for page in [
                    "cursor=&limit=3",
                    "cursor=",
                    "limit=1000",
                    "limit=1000&offset=2",
                ] {
                    if page.ends_with("=3") && expected > 100 {
                        continue;
                    }
                    let path = format!("/api/music/?search={search}&ordering={order}&{page}");
                    let rows = pages(&api, &path).await;
                    if page.starts_with("limit") {
                        let count = &api.get(&path).await.json()["count"];
                        assert_eq!(*count, expected, "{path}");
                    }
                    let left_out = if page.contains("offset") { 2 } else { 0 };
                    let expected = usize::saturating_sub(expected, left_out);
                    assert_eq!(rows.len(), expected, "{path}");
                    found.push(rows);
                }
            }
            let whole = api.get(&format!("/api/music/?search={search}")).await;
            assert_eq!(whole.json().as_array().unwrap().len(), expected, "{search}");
        }
        answers.push(found);
        sqlx::query("drop index if exists music_words")
            .execute(&pool)
            .await
            .unwrap();
    }
    assert!(answers[0] == answers[1]);
}

#[sqlx::test(migrations = false)]
async fn where_the_extension_is_refused_it_starts_and_finds(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let refuse = "create function refuse() returns event_trigger language plpgsql
                      as $$ begin raise insufficient_privilege; end $$;
                  create event trigger refused on ddl_command_start when tag in ('CREATE EXTENSION')
                      execute function refuse()";
    sqlx::raw_sql(refuse).execute(&pool).await.unwrap();
    let program = Running::start(&database).await;
    let index = "select to_regclass('music_words') is not null";
    let is_there: bool = sqlx::query_scalar(index).fetch_one(&pool).await.unwrap();
    assert!(!is_there);
    sqlx::query(ROWS).execute(&pool).await.unwrap();
    for (path, expected) in [
        ("/api/music/?search=wiese&limit=1", r#""count":10"#),
        ("/api/music/?search=4711&cursor=", r#""song 4711""#),
    ] {
        let answer = program.try_send(request(Method::GET, path, &[], "")).await;
        let answer = answer.unwrap();
        assert!(answer.text().contains(expected), "{path}: {answer:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_a_page_counts_is_what_was_written_by_anybody(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query(ROWS).execute(&pool).await.unwrap();
    let (one, other) = (Api::start(&database).await, Api::start(&database).await);
    let long = "insert into music (song, singer) values (repeat('x', 900) || ' Wiese', 'x')";
    let mut expected = [10, 6, 6000, 2000];
    for (step, (statement, change)) in [
        ("select", [0, 0, 0, 0]),
        ("insert into music (song, singer) values ('wiese', 'singer 2')", [1, 1, 1, 1]),
        (long, [1, 0, 0, 0]),
        ("update music set singer = 'Singer 2' where song = 'wiese'", [0, -1, 0, -1]),
        ("delete from music where id in (7, 8)", [-2, -1, -2, -1]),
        ("begin; delete from music; rollback", [0, 0, 0, 0]),
        ("insert into music (song, singer) select 'wiese', 'singer ' || i from generate_series(1, 60000) i", [60_000, 1, 60_000, 1]),
        ("truncate music", [-60_010, -6, -65_999, -2000]),
    ]
    .into_iter()
    .enumerate()
    {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
        for (expected, change) in expected.iter_mut().zip(change) {
            *expected += change;
        }
        // The second time nothing was written in between.
        for api in [&one, &other, &one, &other] {
            let mut counts = Vec::new();
            for query in ["search=wiese", "search=wiese&singer=singer+2", "search=singer", "singer=singer+2"] {
                let page = api.get(&format!("/api/music/?{query}&limit=1")).await.json();
                counts.push(page["count"].as_i64().unwrap());
            }
            assert_eq!(counts, expected, "{step}: {statement}");
        }
    }
}
