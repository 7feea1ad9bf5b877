//! Pages of a long list: bounded, quick, and with a way to the rest of it.

use std::time::Duration;

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::pages_reader::{Browser, Seen};
use crate::support::{ADMIN, Api, PASSWORD, add_admin, request};

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

/// Returns a cursor from which 50 000 rows are still to come, as a list in this order gives it out.
async fn deep(api: &Api, ordering: &str) -> String {
    let (mut client, mut cursor) = (api.connect().await, String::new());
    for _ in 0..50 {
        let path = format!("/api/music/?ordering={ordering}&limit=1000&cursor={cursor}");
        let page = client.send(request(Method::GET, &path, &[], "")).await;
        let page = page.json();
        let (_, next) = page["next"]
            .as_str()
            .unwrap()
            .split_once("cursor=")
            .unwrap();
        next.split('&').next().unwrap().clone_into(&mut cursor);
    }
    cursor
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_takes_no_longer_with_many_rows(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let rows = "insert into music (song, singer) select 'song ' || i, 'singer ' || i % 1000 from generate_series(1, 100000) i";
    sqlx::query(rows).execute(&pool).await.unwrap();
    let users = "insert into account (name, password) select 'user-' || i, '' from generate_series(1, 10000) i";
    add_admin(&database).await;
    sqlx::query(users).execute(&pool).await.unwrap();
    sqlx::query("vacuum analyze").execute(&pool).await.unwrap();
    let api = Api::start(&database).await;
    let mut browser = Browser::open(&api).await;
    browser.log_in(ADMIN, PASSWORD, "/admin/").await;
    let (by_id, by_song) = (deep(&api, "-id").await, deep(&api, "song").await);
    let deep_pages = [
        format!("/api/music/?ordering=-id&limit=50&cursor={by_id}"),
        format!("/admin/music/?ordering=-id&cursor={by_id}&page=1000"),
        format!("/admin/music/?ordering=song&cursor={by_song}&page=1000"),
    ];
    let pages = [
        "/api/",
        "/api/music/",
        "/api/music/?limit=50&offset=50000",
        "/api/music/?limit=50&offset=99950",
        "/api/music/50000/",
        "/api/music/50000/detail/",
        "/api/music/all_singer/",
        "/api-auth/login/",
        "/admin/",
        "/admin/music/",
        "/admin/music/?ordering=singer",
        "/admin/music/?search=song",
        "/admin/music/?search=nothing+of+this+name",
        "/api/music/?search=song+59999&limit=50",
        "/admin/music/add/",
        "/admin/music/50000/",
        "/admin/music/delete/?id=1&id=50000&id=99999",
        "/admin/users/",
        "/admin/users/?after=user-7&page=100",
        "/admin/users/?search=user-77",
        "/admin/users/add/",
        "/admin/users/1/",
        "/admin/users/2/password/",
        "/admin/password/",
    ];
    for path in pages
        .into_iter()
        .chain(deep_pages.iter().map(String::as_str))
    {
        let mut fastest = Duration::MAX;
        for _ in 0..10 {
            let page = browser.get(path).await;
            assert_eq!(page.status(), 200, "{path}");
            fastest = fastest.min(page.answer.took);
        }
        // Under 5 ms as it is shipped. This build is not optimized.
        assert!(fastest < Duration::from_millis(125), "{path}: {fastest:?}");
    }
}
