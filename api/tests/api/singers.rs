//! Everyone who sings: each once, in order, however many they are and whatever they are called.

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Api, request};

/// More than a window has: short names, names that differ behind their 200th character alone, and names that fill a
/// window by their bytes; each of them twice.
const ROWS: &str = "insert into music (song, singer)
     select 's', singer from generate_series(1, 2), (
         select 'singer ' || i from generate_series(1, 2500) i
         union all select repeat('ä', 200) || i from generate_series(1, 1200) i
         union all select repeat('ö', 199 + i) from generate_series(0, 2) i
         union all select chr(64 + i) || repeat('long', 60000) from generate_series(1, 12) i
         union all values (''), ('月'), ('🎵'), ('é'), ('Z'), ('a')
     ) as names (singer)";

/// They fill a window by their bytes.
const FEW_BUT_LONG: &str = "insert into music (song, singer)
     select 's', chr(64 + i) || repeat('long', 60000) from generate_series(1, 12) i";

#[sqlx::test(migrations = "../migrations")]
async fn each_comes_once_and_in_order(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    let statements = [
        "select",
        "insert into music (song, singer) values ('s', 'x'), ('t', 'x')",
        ROWS,
        "delete from music where length(singer) > 199",
        // As many as a window has, and one less.
        "delete from music where singer not in (select distinct singer from music order by 1 limit 1000)",
        "delete from music where singer = 'Z'",
        "delete from music",
        FEW_BUT_LONG,
    ];
    for statement in statements {
        sqlx::query(statement).execute(&pool).await.unwrap();
        let expected: Vec<String> =
            sqlx::query_scalar(r#"select distinct singer collate "C" from music order by 1"#)
                .fetch_all(&pool)
                .await
                .unwrap();
        let answer = api.get("/api/music/all_singer/").await.json();
        let answer: Vec<String> = serde_json::from_value(answer).unwrap();
        assert_eq!(answer.len(), expected.len(), "{statement}");
        assert!(answer == expected, "{statement}");
    }
    // A page for people shows some of them, and says so.
    let page = request(
        Method::GET,
        "/api/music/all_singer/",
        &[("accept", "text/html")],
        "",
    );
    let page = api.send(page).await;
    assert!(page.text().contains("Only the first rows"));
}
