//! One write that is asked for many times at once, of two instances: it is applied once, whoever is killed or
//! paused meanwhile.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use http::header::HeaderValue;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, query_scalar};
use tokio::time::{Instant, sleep_until};

use crate::ledger::post;
use crate::running::Running;
use crate::support::{Answer, eventually};

const TIMES: usize = 200;

/// Asks both instances in turn, all at once.
async fn ask(programs: &[Running; 2], deadline: Option<&str>) -> Vec<Result<Answer, String>> {
    let asking = (0..TIMES).map(|at| async move {
        let mut post = post("once", Some("k"));
        if let Some(deadline) = deadline {
            let deadline = HeaderValue::from_str(deadline).unwrap();
            post.headers_mut().insert("x-request-deadline", deadline);
        }
        programs[at % 2].try_send(post).await
    });
    join_all(asking).await
}

/// Checks that all who were told of success were told the same; returns how many those were.
fn equal_successes(answers: &[Result<Answer, String>]) -> usize {
    let answers = answers.iter().filter_map(|answer| answer.as_ref().ok());
    let (done, rest): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 201);
    for answer in &rest {
        assert!(matches!(answer.status.as_u16(), 409 | 503), "{answer:?}");
    }
    for answer in &done {
        assert_eq!(answer.body, done[0].body);
        assert_eq!(answer.header("etag"), done[0].header("etag"));
    }
    done.len()
}

async fn rows(pool: &PgPool) -> i64 {
    query_scalar("select count(*) from music")
        .fetch_one(pool)
        .await
        .unwrap()
}

async fn world(pool: PgPoolOptions, database: &PgConnectOptions) -> (PgPool, [Running; 2]) {
    let programs = tokio::join!(Running::start(database), Running::start(database));
    let pool = pool.connect_with(database.clone()).await.unwrap();
    (pool, [programs.0, programs.1])
}

#[sqlx::test(migrations = "../migrations")]
async fn two_hundred_equal_posts_at_once_are_one(pool: PgPoolOptions, database: PgConnectOptions) {
    let (pool, programs) = world(pool, &database).await;
    let answers = ask(&programs, None).await;
    assert!(answers.iter().all(Result::is_ok));
    let done = equal_successes(&answers);
    assert!(done > 0, "{:?}", answers[0]);
    assert_eq!(rows(&pool).await, 1);
    assert_eq!(equal_successes(&ask(&programs, None).await), TIMES);
    assert_eq!(rows(&pool).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_instance_killed_in_the_middle_doubles_nothing(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (pool, mut programs) = world(pool, &database).await;
    // Nobody gets further than the row until the instance is dead.
    let mut lock = pool.begin().await.unwrap();
    let locked = "lock table music in share mode";
    sqlx::query(locked).execute(&mut *lock).await.unwrap();
    let [first, second] = &mut programs;
    let asking_second = join_all((0..TIMES / 2).map(|_| second.try_send(post("once", Some("k")))));
    let killing = async {
        let asking_first = async {
            let (left, right) = tokio::join!(
                first.try_send(post("once", Some("k"))),
                first.try_send(post("once", Some("k")))
            );
            [left, right]
        };
        let waiting = eventually("a statement that waits", || async {
            let waiting = "select count(*) > 0 from pg_stat_activity
                           where wait_event_type = 'Lock' and datname = current_database()";
            query_scalar(waiting).fetch_one(&pool).await.unwrap()
        });
        tokio::select! {
            answers = asking_first => answers.into_iter().for_each(drop),
            () = waiting => {}
        }
        first.kill().await;
        lock.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(asking_second, killing);
    equal_successes(&answers);
    assert!(rows(&pool).await <= 1);
    // The one that is left knows, and so does the other when it is back.
    programs[0].restart();
    programs[0].serves().await;
    assert_eq!(equal_successes(&ask(&programs, None).await), TIMES);
    assert_eq!(rows(&pool).await, 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_instance_paused_beyond_the_deadline_writes_nothing_when_it_comes_back(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let (pool, programs) = world(pool, &database).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let deadline = (now.as_millis() + 500).to_string();
    let paused = Instant::now();
    programs[0].pause();
    let resuming = async {
        sleep_until(paused + Duration::from_secs(5)).await;
        programs[0].resume();
    };
    // What the paused instance was sent lies in its sockets until long after the deadline.
    let paused_only = (0..20).map(|at| {
        let (deadline, program) = (HeaderValue::from_str(&deadline).unwrap(), &programs[0]);
        async move {
            let mut post = post("ghost", (at % 2 == 0).then_some("ghost"));
            post.headers_mut().insert("x-request-deadline", deadline);
            program.try_send(post).await.unwrap()
        }
    });
    let (late, both, ()) = tokio::join!(
        join_all(paused_only),
        ask(&programs, Some(&deadline)),
        resuming
    );
    for answer in late {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(
            answer.text(),
            r#"{"detail":"The deadline had passed. Nothing was written."}"#
        );
    }
    let ghosts: i64 = query_scalar("select count(*) from music where song = 'ghost'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(ghosts, 0);
    // The other instance wrote it in time, if the machine was quick; then the paused one answers the same.
    let done = equal_successes(&both);
    let rows_now = rows(&pool).await;
    assert!(
        rows_now <= 1 && (done == 0 || rows_now == 1),
        "{done} {rows_now}"
    );
    assert_eq!(equal_successes(&ask(&programs, None).await), TIMES);
    assert_eq!(rows(&pool).await, 1);
}
