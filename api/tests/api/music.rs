//! Create, read, replace, change and delete, as a client of the original sees them.

use http::{Method, StatusCode};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::Api;

#[sqlx::test(migrations = "../migrations")]
async fn a_music_lives_from_post_to_delete(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    assert_eq!(api.get("/api/music/").await.text(), "[]");

    let created = api
        .write(
            Method::POST,
            "/api/music/",
            r#"{"song":" song one ","singer":"singer A","id":77}"#,
        )
        .await;
    assert_eq!(created.status, StatusCode::CREATED);
    let music = created.json();
    let fields: Vec<_> = music.as_object().unwrap().keys().cloned().collect();
    let order = [
        "id",
        "song",
        "singer",
        "last_modify_date",
        "created",
        "days_since_created",
    ];
    assert_eq!(fields, order);
    assert_eq!(
        (&music["id"], &music["song"]),
        (&json!(1), &json!("song one"))
    );
    assert_eq!(music["days_since_created"], 0);

    assert_eq!(api.get("/api/music/1/").await.json(), music);
    assert_eq!(api.get("/api/music/").await.json(), json!([music]));

    let path = "/api/music/1/";
    let replaced = api
        .write(Method::PUT, path, r#"{"song":"s2","singer":"x2","id":5}"#)
        .await;
    assert_eq!(replaced.status, StatusCode::OK);
    let replaced = replaced.json();
    assert_eq!(
        (&replaced["id"], &replaced["song"], &replaced["singer"]),
        (&json!(1), &json!("s2"), &json!("x2"))
    );
    assert_eq!(replaced["created"], music["created"]);
    assert_ne!(replaced["last_modify_date"], music["last_modify_date"]);

    let changed = api
        .write(Method::PATCH, path, r#"{"song":"s3"}"#)
        .await
        .json();
    assert_eq!(
        (&changed["song"], &changed["singer"]),
        (&json!("s3"), &json!("x2"))
    );
    let touched = api.write(Method::PATCH, path, "").await.json();
    assert_eq!(touched["song"], "s3");
    assert_ne!(touched["last_modify_date"], changed["last_modify_date"]);

    let detail = api.get("/api/music/1/detail/").await;
    assert_eq!(detail.text(), r#"{"singer":"x2","song":"s3"}"#);

    let deleted = api.write(Method::DELETE, path, "zzz").await;
    assert_eq!(
        (deleted.status, deleted.text()),
        (StatusCode::NO_CONTENT, "")
    );
    assert_eq!(
        api.write(Method::DELETE, path, "").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(api.add("after", "x").await, 2, "an id is not used again");
}

#[sqlx::test(migrations = "../migrations")]
async fn singers_are_listed_once_and_sorted(_: PgPoolOptions, database: PgConnectOptions) {
    let api = Api::start(&database).await;
    for singer in ["b", "a", "B", "b", "鄧麗君"] {
        api.add("s", singer).await;
    }
    assert_eq!(
        api.get("/api/music/all_singer/").await.text(),
        r#"["B","a","b","鄧麗君"]"#
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn dates_put_in_by_sql_are_written_as_the_original_writes_them(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    sqlx::query(
        "insert into music (song, singer, created, last_modify_date) values
             ('micro0', 'x', '2020-01-02 03:04:05+00', '2020-01-02 03:04:05.5+00'),
             ('25h', 'x', now() - interval '25 hours', now()),
             ('future', 'x', now() + interval '1 hour', now()),
             ('9999', 'x', '9999-12-31 23:59:59.999999+00', now())",
    )
    .execute(&pool)
    .await
    .unwrap();
    let infinite = "insert into music (song, singer, created) values ('inf', 'x', 'infinity')";
    assert!(
        sqlx::query(infinite).execute(&pool).await.is_err(),
        "no such date can be written"
    );

    let list = Api::start(&database).await.get("/api/music/").await.json();
    assert_eq!(list[0]["created"], "2020-01-02T03:04:05Z");
    assert_eq!(list[0]["last_modify_date"], "2020-01-02T03:04:05.500000Z");
    assert_eq!(list[1]["days_since_created"], 1);
    assert_eq!(
        list[2]["days_since_created"], -1,
        "the floor, as Python has it"
    );
    assert_eq!(list[3]["created"], "9999-12-31T23:59:59.999999Z");
}
