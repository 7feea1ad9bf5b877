//! A slow database: who signs in and what is done then share one budget, and a search is bounded.

use std::time::Duration;

use api::permission::Permission;
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::relay::Relay;
use crate::support::{Answer, Api, Setup, add_admin, request};

/// The credentials of the admin, `admin:password123`.
const RIGHT: (&str, &str) = ("authorization", "Basic YWRtaW46cGFzc3dvcmQxMjM=");

/// What an answer of the slow database takes more.
const SLOW: Duration = Duration::from_millis(800);

async fn start(relay: &Relay) -> Api {
    let setup = Setup {
        permission: Permission::Authenticated,
        connections: 1,
        ..Setup::default()
    };
    Api::start_with(&relay.database, setup).await
}

async fn get(api: &Api, path: &str) -> Answer {
    api.send(request(Method::GET, path, &[RIGHT], "")).await
}

#[sqlx::test(migrations = "../migrations")]
async fn to_sign_in_and_to_read_share_one_budget(_: PgPoolOptions, database: PgConnectOptions) {
    add_admin(&database).await;
    let relay = Relay::to(database.clone()).await;
    let api = start(&relay).await;
    let json = ("content-type", "application/json");
    let body = r#"{"song":"s","singer":"x"}"#;
    let post = || request(Method::POST, "/api/music/", &[RIGHT, json], body);
    let made = api.send(post()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let path = format!("/api/music/{}/", made.json()["id"]);
    // The connection is made, the statements are known, the password was right.
    assert_eq!(get(&api, &path).await.status, StatusCode::OK);
    // Each of the two pieces of work keeps within the budget, both together do not.
    relay.slow_down(SLOW);
    let answer = get(&api, &path).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-lb-cause"), "database");

    // The same of a write.
    relay.open();
    assert_eq!(get(&api, &path).await.status, StatusCode::OK);
    assert_eq!(api.send(post()).await.status, StatusCode::CREATED);
    relay.slow_down(SLOW);
    let answer = api.send(post()).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text()
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_search_through_a_long_table_ends(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let rows = "insert into music (song, singer) select 'song ' || i, 'x' from generate_series(1, 80000) i";
    sqlx::query(rows).execute(&pool).await.unwrap();
    // The index would say at once where the row is.
    sqlx::query("drop index music_words")
        .execute(&pool)
        .await
        .unwrap();
    add_admin(&database).await;
    let relay = Relay::to(database.clone()).await;
    let (counting, paging) = (start(&relay).await, start(&relay).await);
    let counted = get(&counting, "/api/music/?search=SONG+59999&limit=5").await;
    assert_eq!(counted.json()["count"], 1, "{}", counted.text());
    assert_eq!(
        get(&paging, "/api/music/?search=59999&cursor=")
            .await
            .status,
        StatusCode::OK
    );
    // What was counted holds until somebody writes.
    sqlx::query("update music set singer = 'y' where id = 1")
        .execute(&pool)
        .await
        .unwrap();
    // Twelve windows, up to the row that fits, take more than a search may.
    relay.slow_down(Duration::from_millis(500));
    let (counted, page) = tokio::join!(
        get(&counting, "/api/music/?search=SONG+59999&limit=5"),
        get(&paging, "/api/music/?search=59999&cursor=&limit=5")
    );
    assert_eq!(counted.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(counted.header("x-lb-cause"), "", "the database is there");
    assert!(counted.text().contains("cursor"), "{}", counted.text());
    // A page ends early, and leads on.
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    let page = page.json();
    assert_eq!(page["results"].as_array().unwrap().len(), 0, "{page}");
    relay.open();
    let next = page["next"].as_str().unwrap();
    let next = next.strip_prefix("http://music.test").unwrap();
    let next = get(&paging, next).await.json();
    assert_eq!(next["results"][0]["song"], "song 59999", "{next}");
    assert_eq!(next["next"], serde_json::Value::Null);
}
