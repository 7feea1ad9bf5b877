//! Pages of a long list: bounded, quick, and with a way to the rest of it.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::pages_reader::{Browser, Seen};
use crate::support::Api;

#[sqlx::test(migrations = "../migrations")]
async fn a_page_of_a_long_list_shows_its_first_rows_and_leads_on(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let rows = "insert into music (song, singer) select 'song ' || i, 'singer ' || i % 1000 from generate_series(1, 100000) i";
    sqlx::query(rows).execute(&pool).await.unwrap();
    sqlx::query("vacuum analyze music")
        .execute(&pool)
        .await
        .unwrap();
    let api = Api::start(&database).await;
    let mut browser = Browser::open(&api).await;
    let list = browser.get("/api/music/").await;
    let ids = |page: &Seen| {
        let rows = page.json();
        let rows = rows
            .as_array()
            .cloned()
            .unwrap_or_else(|| rows["results"].as_array().unwrap().clone());
        rows.iter()
            .map(|row| row["id"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&list), (1..=100).collect::<Vec<_>>());
    assert!(
        list.texts("p.hint")
            .concat()
            .contains("Only the first rows")
    );
    assert_eq!(list.attributes("pre a", "href")[0], "/api/music/1/");
    let next = list.attributes("nav.pager a", "href").concat();
    let second = browser.get(&next).await;
    assert_eq!(ids(&second), (101..=200).collect::<Vec<_>>());
    assert_eq!(second.texts("nav.pager a"), ["Previous", "Next"]);

    let find = list
        .form("search")
        .with("search", "\"song 4711\"")
        .with("limit", "10");
    let found = browser.send(&find.with("ordering", "-id"), "").await;
    assert_eq!(found.json()["count"], 11);
    assert_eq!(ids(&found)[0], 47119);
    assert_eq!(found.texts("nav.pager span"), ["11 in all"]);
    assert_eq!(found.form("search").value("ordering"), "-id");
    let long = list.form("search").with("search", &"x".repeat(201));
    let refused = browser.send(&long, "").await;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.texts("#search-error").len(), 1);

    let singers = browser.get("/api/music/all_singer/").await.json();
    let whole = api.get("/api/music/all_singer/").await.json();
    assert_eq!(
        singers.as_array().unwrap()[..],
        whole.as_array().unwrap()[..100]
    );
    sqlx::query("delete from music where id > 500")
        .execute(&pool)
        .await
        .unwrap();
    let long = format!("{}z", "singer 1".repeat(25));
    sqlx::query("update music set singer = $1 || id % 3 where id % 7 = 0")
        .bind(&long)
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("update music set singer = 'x' where id > 50")
        .execute(&pool)
        .await
        .unwrap();
    let singers = browser.get("/api/music/all_singer/").await;
    assert_eq!(
        singers.json(),
        api.get("/api/music/all_singer/").await.json()
    );
    assert!(singers.texts("p.hint").is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_takes_no_longer_with_many_rows(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let rows = "insert into music (song, singer) select 'song ' || i, 'singer ' || i % 1000 from generate_series(1, 100000) i";
    sqlx::query(rows).execute(&pool).await.unwrap();
    sqlx::query("vacuum analyze music")
        .execute(&pool)
        .await
        .unwrap();
    let api = Api::start(&database).await;
    let mut browser = Browser::open(&api).await;
    for path in [
        "/api/",
        "/api/music/",
        "/api/music/50000/",
        "/api/music/50000/detail/",
        "/api/music/all_singer/",
    ] {
        let mut fastest = Duration::MAX;
        for _ in 0..10 {
            let page = browser.get(path).await;
            assert_eq!(page.status(), 200);
            fastest = fastest.min(page.answer.took);
        }
        // Under 5 ms as it is shipped. This build is not optimized.
        assert!(fastest < Duration::from_millis(125), "{path}: {fastest:?}");
    }
}
