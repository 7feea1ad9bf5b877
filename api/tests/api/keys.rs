//! Writes under a key: applied once, answered again; and writes that come after their deadline.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::database::purge;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Answer, Api, Setup, add_admin, request};

const LIST: &str = "/api/music/";
const REPLAYED: &str = "idempotency-replayed";
const MUSIC: &str = r#"{"song":"s\u2028","singer":"x"}"#;

/// Sends JSON under a key.
async fn keyed(api: &Api, method: Method, path: &str, key: &str, json: &str) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    api.send(request(method, path, &headers, json.to_owned()))
        .await
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from music")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Returns a deadline that lies so far from now.
fn deadline(from_now_ms: i128) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (i128::try_from(now.as_millis()).unwrap() + from_now_ms).to_string()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_repeat_gets_the_first_answer_and_changes_nothing(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    let first = keyed(&api, Method::POST, LIST, "k", MUSIC).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let id = first.json()["id"].as_i64().unwrap();
    let path = format!("/api/music/{id}/");
    let bare = api.get(&path).await;
    assert_eq!(bare.body, first.body, "what was answered is what is there");
    assert_eq!(bare.header("etag"), first.header("etag"));

    let put = r#"{"song":"s2","singer":"x2"}"#;
    let replaced = keyed(&api, Method::PUT, &path, "k", put).await;
    let changed = keyed(&api, Method::PATCH, &path, "k", r#"{"singer":"x3"}"#).await;
    assert_eq!(changed.json()["song"], "s2");
    assert_eq!(api.get(&path).await.body, changed.body);
    let deleted = keyed(&api, Method::DELETE, &path, "k", "").await;
    assert_eq!(
        (replaced.status, changed.status, deleted.status),
        (StatusCode::OK, StatusCode::OK, StatusCode::NO_CONTENT)
    );
    for (method, path, json, once) in [
        (Method::POST, LIST, MUSIC, &first),
        (Method::PUT, &path, put, &replaced),
        (Method::PATCH, &path, r#"{"singer":"x3"}"#, &changed),
        (Method::DELETE, &path, "", &deleted),
        // Another way to write the same address.
        (Method::DELETE, &format!("/api/music/+0{id}/"), "", &deleted),
    ] {
        let again = keyed(&api, method.clone(), path, "k", json).await;
        assert_eq!((again.status, &again.body), (once.status, &once.body));
        assert_eq!(
            (once.header(REPLAYED), again.header(REPLAYED)),
            ("", "true")
        );
        for header in ["etag", "content-type", "allow", "vary"] {
            assert_eq!(again.header(header), once.header(header), "{method}");
        }
    }
    assert_eq!(count(&pool).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_is_for_one_request_at_one_address(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    assert_eq!(
        keyed(&api, Method::POST, LIST, "k", MUSIC).await.status,
        StatusCode::CREATED
    );
    let other = keyed(
        &api,
        Method::POST,
        LIST,
        "k",
        r#"{"song":"t","singer":"x"}"#,
    )
    .await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        other.text(),
        r#"{"detail":"This Idempotency-Key was used for another request."}"#
    );
    assert_eq!(count(&pool).await, 1);
    // The same key elsewhere is another key.
    for other in 2..=3 {
        let id = api.add("s", "x").await;
        assert_eq!(id, i64::from(other) + 1, "the refused one took an id");
        let path = format!("/api/music/{id}/");
        let patched = keyed(&api, Method::PATCH, &path, "k", r#"{"song":"t"}"#).await;
        assert_eq!(patched.status, StatusCode::OK, "{patched:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_key_belongs_to_whoever_sent_it(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let token = format!("Token {}", add_admin(&database).await);
    let api = Api::start(&database).await;
    let mut ids = Vec::new();
    for authorization in ["", &token, &token, ""] {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        headers
            .extend(Some(("authorization", authorization)).filter(|_| !authorization.is_empty()));
        let answer = api.send(request(Method::POST, LIST, &headers, MUSIC)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        ids.push(answer.json()["id"].as_i64().unwrap());
    }
    assert!(
        ids[0] == ids[3] && ids[1] == ids[2] && ids[0] != ids[1],
        "{ids:?}"
    );
    assert_eq!(count(&pool).await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_what_was_done_is_remembered(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    let path = "/api/music/1/";
    for (method, path, json, status) in [
        (Method::POST, LIST, r#"{"song":""}"#, 400),
        (Method::PUT, path, MUSIC, 404),
        (Method::PATCH, path, "{}", 404),
        (Method::DELETE, path, "", 404),
    ] {
        let refused = keyed(&api, method, path, "k", json).await;
        assert_eq!(refused.status.as_u16(), status, "{refused:?}");
    }
    assert_eq!(api.add("s", "x").await, 1);
    for (method, json, status) in [(Method::PUT, MUSIC, 200), (Method::DELETE, "", 204)] {
        let done = keyed(&api, method, path, "k", json).await;
        assert_eq!(done.status.as_u16(), status, "{done:?}");
    }
    let lives: Vec<(String, i64)> = {
        keyed(&api, Method::POST, LIST, "k", MUSIC).await;
        keyed(&api, Method::POST, LIST, "lb-k", MUSIC).await;
        let query = "select key, ceil(extract(epoch from expires - clock_timestamp()) / 60)::bigint
                     from write_keys where method = 'POST' order by key";
        sqlx::query_as(query).fetch_all(&pool).await.unwrap()
    };
    assert_eq!(lives, [("k".into(), 24 * 60), ("lb-k".into(), 10)]);
    // The proxy's own retry is no matter of a client who has sent its request once.
    let retried = keyed(&api, Method::POST, LIST, "lb-k", MUSIC).await;
    assert_eq!(
        (retried.status.as_u16(), retried.header(REPLAYED)),
        (201, "")
    );
    // After its time a key is as good as new.
    sqlx::query("update write_keys set expires = clock_timestamp()")
        .execute(&pool)
        .await
        .unwrap();
    let before = count(&pool).await;
    let other = r#"{"song":"t","singer":"x"}"#;
    for _ in 0..2 {
        let done = keyed(&api, Method::POST, LIST, "k", other).await;
        assert_eq!(done.status, StatusCode::CREATED);
    }
    assert_eq!(count(&pool).await, before + 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn headers_that_are_no_key_or_no_deadline_are_refused(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    let long = "k".repeat(256);
    for (header, value) in [
        ("idempotency-key", ""),
        ("idempotency-key", "a b"),
        ("idempotency-key", &long),
        ("x-request-deadline", ""),
        ("x-request-deadline", "soon"),
        ("x-request-deadline", "-5"),
    ] {
        for (method, path) in [(Method::POST, LIST), (Method::DELETE, "/api/music/1/")] {
            let headers = [("content-type", "application/json"), (header, value)];
            let answer = api.send(request(method, path, &headers, MUSIC)).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{header}: {value}");
            assert!(answer.text().starts_with(r#"{"detail":"#), "{answer:?}");
        }
        // A read has no terms.
        let read = request(Method::GET, LIST, &[(header, value)], "");
        assert_eq!(api.send(read).await.status, StatusCode::OK);
    }
    assert_eq!(count(&pool).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn after_its_deadline_nothing_is_written_but_a_repeat_is_answered(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    let id = api.add("s", "x").await;
    let path = format!("/api/music/{id}/");
    let late = deadline(-1);
    let before = api.get(&path).await.text().to_owned();
    for key in ["", "k"] {
        for (method, path) in [
            (Method::POST, LIST),
            (Method::PUT, &path),
            (Method::PATCH, &path),
            (Method::DELETE, &path),
        ] {
            let mut headers = vec![
                ("content-type", "application/json"),
                ("x-request-deadline", &late),
            ];
            headers.extend(Some(("idempotency-key", key)).filter(|_| !key.is_empty()));
            let answer = api.send(request(method, path, &headers, MUSIC)).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(
                answer.text(),
                r#"{"detail":"The deadline had passed. Nothing was written."}"#
            );
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(answer.header("x-lb-cause"), "", "no fault of the database");
        }
    }
    assert_eq!(api.get(&path).await.text(), before);
    assert_eq!(count(&pool).await, 1);

    let in_time = deadline(60_000);
    for (deadline, status) in [(&late, 503), (&in_time, 201), (&late, 201)] {
        let headers = [
            ("content-type", "application/json"),
            ("x-request-deadline", deadline.as_str()),
            ("idempotency-key", "k2"),
        ];
        let answer = api.send(request(Method::POST, LIST, &headers, MUSIC)).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    }
    assert_eq!(count(&pool).await, 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn while_the_first_runs_a_repeat_waits_a_moment_and_is_told(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    // Somebody who writes the same key, and takes long over it.
    let mut first = pool.begin().await.unwrap();
    let lock = "select pg_advisory_xact_lock(hashtextextended('POST /api/music/ k', 0))";
    sqlx::query(lock).execute(&mut *first).await.unwrap();
    let told = keyed(&api, Method::POST, LIST, "k", MUSIC).await;
    assert_eq!(told.status, StatusCode::CONFLICT, "{told:?}");
    assert_eq!(
        told.text(),
        r#"{"detail":"A request with this Idempotency-Key is still running."}"#
    );
    assert_eq!(told.header("retry-after"), "1");
    assert!(told.took < Duration::from_millis(1500), "{:?}", told.took);
    first.rollback().await.unwrap();
    let done = keyed(&api, Method::POST, LIST, "k", MUSIC).await;
    assert_eq!(done.status, StatusCode::CREATED);
}

#[sqlx::test(migrations = "../migrations")]
async fn writes_of_one_music_under_many_keys_are_all_applied(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start_with(
        &database,
        Setup {
            connections: 6,
            ..Setup::default()
        },
    )
    .await;
    let path = format!("/api/music/{}/", api.add("s", "x").await);
    let count_writes = "create table log (song text);
        create function note() returns trigger language plpgsql as
            $$ begin insert into log values (new.song); return new; end $$;
        create trigger note after update on music for each row execute function note()";
    sqlx::raw_sql(count_writes).execute(&pool).await.unwrap();
    let sending = (0..24).map(|at| {
        let (api, path) = (&api, &path);
        async move {
            let body = format!(r#"{{"song":"song {at}"}}"#);
            keyed(api, Method::PATCH, path, &format!("k{at}"), &body).await
        }
    });
    for (at, answer) in join_all(sending).await.iter().enumerate() {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.json()["song"], format!("song {at}"));
    }
    let written: i64 = sqlx::query_scalar("select count(distinct song) from log")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(written, 24);
}

#[sqlx::test(migrations = "../migrations")]
async fn keys_are_forgotten_in_batches_by_one_instance_at_a_time(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let fill = "insert into write_keys (owner, method, path, key, digest, status, expires)
                select 0, 'POST', '/api/music/', i::text, '', 201, now() + interval '1 minute' * (i - 2500)
                from generate_series(1, 2600) i";
    sqlx::query(fill).execute(&pool).await.unwrap();
    // Another instance is at it.
    let mut other = pool.acquire().await.unwrap();
    let lock = "select pg_advisory_lock(x'6d75736963707267'::bigint)";
    sqlx::query(lock).execute(&mut *other).await.unwrap();
    assert_eq!(purge(&database).await.unwrap(), None);
    let unlock = "select pg_advisory_unlock_all()";
    sqlx::query(unlock).execute(&mut *other).await.unwrap();
    // One key is in use just now: it waits for the next round, and nobody waits for it.
    let mut using = pool.begin().await.unwrap();
    let used = "select from write_keys where key = '7' for update";
    sqlx::query(used).execute(&mut *using).await.unwrap();
    assert_eq!(purge(&database).await.unwrap(), Some(2499));
    using.rollback().await.unwrap();
    assert_eq!(purge(&database).await.unwrap(), Some(1));
    let left: i64 = sqlx::query_scalar("select count(*) from write_keys where expires > now()")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(left, 100);
}
