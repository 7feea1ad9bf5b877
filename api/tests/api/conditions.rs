//! Entity tags: what is known is not sent again, and what has changed is not overwritten.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Answer, Api, request};

async fn conditional(
    api: &Api,
    method: Method,
    path: &str,
    condition: (&str, &str),
    json: &str,
) -> Answer {
    let headers = [("content-type", "application/json"), condition];
    api.send(request(method, path, &headers, json.to_owned()))
        .await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_music_that_is_known_is_not_sent_again(pool: PgPoolOptions, database: PgConnectOptions) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let api = Api::start(&database).await;
    let path = format!("/api/music/{}/", api.add("s", "x").await);
    let get = |method: Method, tag: String| {
        let (api, path) = (&api, path.as_str());
        async move { conditional(api, method, path, ("if-none-match", &tag), "").await }
    };
    let tag = api.get(&path).await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with("-0\""), "{tag}");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = get(method, known.clone()).await;
            assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!((answer.header("etag"), answer.text()), (tag.as_str(), ""));
            assert_eq!(answer.header("vary"), "Accept, Cookie");
        }
    }
    let fresh = get(Method::GET, "\"other\"".into()).await;
    assert_eq!(fresh.status, StatusCode::OK);
    // A page around the JSON has no tag, and is sent whole.
    let headers = [("accept", "text/html"), ("if-none-match", tag.as_str())];
    let page = api.send(request(Method::GET, &path, &headers, "")).await;
    assert_eq!((page.status, page.header("etag")), (StatusCode::OK, ""));

    // Whatever shows in the JSON changes the tag: a write by anybody, and time.
    for change in [
        "update music set song = 't'",
        "update music set created = created - interval '25 hours'",
    ] {
        let before = api.get(&path).await.header("etag").to_owned();
        sqlx::query(change).execute(&pool).await.unwrap();
        let answer = get(Method::GET, before.clone()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_ne!(answer.header("etag"), before);
    }
    assert!(api.get(&path).await.header("etag").ends_with("-1\""));
    let list = conditional(&api, Method::GET, "/api/music/", ("if-none-match", "*"), "").await;
    assert_eq!((list.status, list.header("etag")), (StatusCode::OK, ""));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_empty_condition_is_refused_and_not_passed_over(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let path = format!("/api/music/{}/", api.add("s", "x").await);
    let json = r#"{"song":"t","singer":"y"}"#;
    for (method, path) in [
        (Method::POST, "/api/music/"),
        (Method::PUT, path.as_str()),
        (Method::PATCH, &path),
        (Method::DELETE, &path),
    ] {
        for name in ["if-match", "if-none-match"] {
            let answer = conditional(&api, method.clone(), path, (name, ""), json).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{method} {name}");
            assert!(answer.text().contains("entity tags"), "{}", answer.text());
        }
    }
    let list = api.get("/api/music/").await.json();
    assert_eq!(list.as_array().unwrap().len(), 1, "nothing was written");
    assert_eq!(list[0]["song"], "s");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_write_holds_only_for_the_state_that_it_names(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let path = format!("/api/music/{}/", api.add("s", "x").await);
    let old = api.get(&path).await.header("etag").to_owned();
    let put = r#"{"song":"s2","singer":"x"}"#;
    let done = conditional(&api, Method::PUT, &path, ("if-match", &old), put).await;
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    assert_eq!(
        done.header("etag"),
        "",
        "what is there is not what was sent"
    );

    let now = api.get(&path).await.header("etag").to_owned();
    for condition in [
        ("if-match", old.as_str()),
        ("if-match", &format!("W/{now}")),
        ("if-match", "\"nonsense\""),
        ("if-none-match", "*"),
        ("if-none-match", &now),
    ] {
        for method in [Method::PUT, Method::PATCH, Method::DELETE] {
            let refused = conditional(&api, method, &path, condition, put).await;
            assert_eq!(
                refused.status,
                StatusCode::PRECONDITION_FAILED,
                "{condition:?}"
            );
            assert_eq!(
                refused.text(),
                r#"{"detail":"The music is not in the state that was named."}"#
            );
        }
    }
    assert_eq!(api.get(&path).await.header("etag"), now);
    // What would be refused without a condition is refused as it would be.
    let absent = conditional(&api, Method::PUT, "/api/music/99/", ("if-match", "*"), put).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
    let wrong = conditional(&api, Method::PUT, &path, ("if-match", &old), "{}").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);

    let listed = format!("\"x\" , {now}");
    let changed = conditional(&api, Method::PATCH, &path, ("if-match", &listed), "{}").await;
    assert_eq!(changed.status, StatusCode::OK);
    let newest = changed.header("etag").to_owned();
    assert_eq!(api.get(&path).await.header("etag"), newest);
    let any = conditional(&api, Method::PATCH, &path, ("if-match", "*"), "{}").await;
    assert_eq!(any.status, StatusCode::OK);
    let last = any.header("etag").to_owned();
    let deleted = conditional(&api, Method::DELETE, &path, ("if-match", &last), "").await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_who_write_the_same_state_one_is_refused(
    _: PgPoolOptions,
    database: PgConnectOptions,
) {
    let api = Api::start(&database).await;
    let path = format!("/api/music/{}/", api.add("s", "x").await);
    for keyed in [false, true] {
        let tag = api.get(&path).await.header("etag").to_owned();
        let writing = (0..8).map(|at| {
            let (api, path, tag) = (&api, &path, &tag);
            async move {
                let key = format!("{at}");
                let mut headers = vec![
                    ("content-type", "application/json"),
                    ("if-match", tag.as_str()),
                ];
                headers.extend(Some(("idempotency-key", key.as_str())).filter(|_| keyed));
                let body = format!(r#"{{"song":"{at}"}}"#);
                let patch = request(Method::PATCH, path, &headers, body);
                api.send(patch).await.status.as_u16()
            }
        });
        let mut answers = join_all(writing).await;
        answers.sort_unstable();
        assert_eq!(answers, [200, 412, 412, 412, 412, 412, 412, 412]);
    }
}
