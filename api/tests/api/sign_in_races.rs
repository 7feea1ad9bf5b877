//! A password that is set while somebody signs in with the old one: no session of the old one is left.

use api::auth::accounts;
use http::StatusCode;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, PgPool};

use crate::pages::api_with;
use crate::pages_reader::Browser;
use crate::sessions::{LOGIN, SAME_SITE, cookie, post, start};
use crate::support::{ADMIN, PASSWORD, add_admin, eventually};
use api::permission::Permission;

/// Waits until a statement of this database waits for a lock.
async fn somebody_waits(pool: &PgPool) {
    eventually("a statement that waits for a lock", || async {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        waiting > 0
    })
    .await;
}

async fn sessions(pool: &PgPool) -> i64 {
    let count = sqlx::query_scalar("select count(*) from session");
    count.fetch_one(pool).await.unwrap()
}

/// What a waiting statement gets when it waited for longer than the API lets it: the round says nothing.
fn waited_too_long(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_does_not_begin_with_a_password_that_was_right_a_moment_ago(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    add_admin(&database).await;
    let api = start(&database).await;
    let body = format!("username={ADMIN}&password={PASSWORD}");
    let mut answers = Vec::new();
    for _ in 0..10 {
        let hash = api::auth::password::hash("another password").unwrap();
        let mut setting = pool.begin().await.unwrap();
        let set = sqlx::query("update account set password = $1").bind(hash);
        set.execute(&mut *setting).await.unwrap();
        let signing_in = post(&api, LOGIN, &[SAME_SITE], &body);
        let commit = async {
            somebody_waits(&pool).await;
            setting.commit().await.unwrap();
        };
        let (answer, ()) = tokio::join!(signing_in, commit);
        if !waited_too_long(answer.status) {
            answers.push(answer);
            break;
        }
        let hash = api::auth::password::hash(PASSWORD).unwrap();
        let back = sqlx::query("update account set password = $1").bind(hash);
        back.execute(&pool).await.unwrap();
    }
    let refused = answers.pop().unwrap();
    assert_eq!(refused.status, StatusCode::OK);
    assert!(refused.text().contains("Please enter a correct username"));
    assert_eq!(cookie(&refused, "sessionid"), None);
    assert_eq!(sessions(&pool).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_session_that_begins_while_the_password_is_set_ends_with_the_old_one(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    add_admin(&database).await;
    let mut connection = database.connect().await.unwrap();
    // What a sign-in does, held up before its end.
    let mut beginning = pool.begin().await.unwrap();
    sqlx::query("update account set last_login = now()")
        .execute(&mut *beginning)
        .await
        .unwrap();
    sqlx::query("insert into session (digest, account, expires) select 'x', id, now() + '1 day' from account")
        .execute(&mut *beginning)
        .await
        .unwrap();
    let setting = accounts::change_password(&mut connection, ADMIN, "another password".into());
    let commit = async {
        somebody_waits(&pool).await;
        beginning.commit().await.unwrap();
    };
    let (set, ()) = tokio::join!(setting, commit);
    set.unwrap();
    assert_eq!(sessions(&pool).await, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn ones_own_password_is_not_changed_by_one_that_was_right_a_moment_ago(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    add_admin(&database).await;
    let api = api_with(&database, Permission::ReadOnly).await;
    let mut browser = Browser::open(&api).await;
    let set = "update account set password = $1";
    let others = api::auth::password::hash("set by another").unwrap();
    let mut seen = None;
    for _ in 0..10 {
        let hash = api::auth::password::hash(PASSWORD).unwrap();
        sqlx::query(set).bind(hash).execute(&pool).await.unwrap();
        browser.log_in(ADMIN, PASSWORD, "/admin/").await;
        let form = browser.get("/admin/password/").await.form("old");
        let form = form
            .with("old", PASSWORD)
            .with("password", "set by oneself")
            .with("again", "set by oneself");
        let mut setting = pool.begin().await.unwrap();
        let set = sqlx::query(set).bind(&others);
        set.execute(&mut *setting).await.unwrap();
        let changing = browser.send(&form, "");
        let commit = async {
            somebody_waits(&pool).await;
            setting.commit().await.unwrap();
        };
        let (answer, ()) = tokio::join!(changing, commit);
        if !waited_too_long(answer.answer.status) {
            seen = Some(answer);
            break;
        }
    }
    let seen = seen.unwrap();
    assert_eq!(seen.status(), 400, "{}", seen.answer.text());
    assert!(seen.answer.text().contains("This is not your password."));
    let stored: String = sqlx::query_scalar("select password from account")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stored, others);
}
