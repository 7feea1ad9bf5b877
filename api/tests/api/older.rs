//! The program of the release before runs beside its successor: migrations only add.

use http::Method;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::running::Running;
use crate::support::request;

/// What would take something away from a program that is still running.
const TAKES_AWAY: [&str; 9] = [
    "drop",
    "rename",
    "truncate",
    "delete from",
    "alter column",
    "set schema",
    "set not null",
    "revoke",
    "update music",
];

/// The statements of a file, without comments and with single blanks.
fn statements(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split("--").next().unwrap());
    let code = code.collect::<Vec<_>>().join(" ");
    let plain = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    code.split(';')
        .map(plain)
        .filter(|plain| !plain.is_empty())
        .collect()
}

/// Says what is wrong with a statement for those who do not know of it.
fn fault(statement: &str) -> Option<String> {
    let statement = statement.to_lowercase();
    let takes_away = TAKES_AWAY.iter().find(|words| {
        let bare = format!(" {statement} ");
        bare.contains(&format!(" {words} "))
    });
    let unfilled = statement.split("add column").skip(1).any(|column| {
        let column = column.split(',').next().unwrap();
        column.contains("not null") && !column.contains("default") && !column.contains("generated")
    });
    match (takes_away, unfilled) {
        (Some(words), _) => Some(format!("{words}: {statement}")),
        (None, true) => Some(format!("not null without a default: {statement}")),
        (None, false) => None,
    }
}

#[test]
fn migrations_only_add() {
    let mut seen = 0;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations")).unwrap() {
        #[expect(clippy::disallowed_methods, reason = "no worker runs")]
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for statement in statements(&text) {
            seen += 1;
            assert_eq!(fault(&statement), None);
        }
    }
    assert!(seen > 3, "{seen}");
    for wrong in [
        "alter table music drop column song;",
        "ALTER TABLE music\n  RENAME song TO title;",
        "alter table music add column a text, add column b text not null;",
        "drop index music_by_singer;",
    ] {
        assert!(fault(&statements(wrong)[0]).is_some(), "{wrong}");
    }
    let right = "alter table music add column b text not null default ''; -- drop nothing";
    assert_eq!(fault(&statements(right)[0]), None);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_queries_of_the_release_before_still_run(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database).await.unwrap();
    let queries = statements(include_str!("previous.sql"));
    assert!(queries.len() > 5);
    for (at, query) in queries.iter().enumerate() {
        let prepare = format!("prepare q{at} as {query}");
        let prepared = sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
            .execute(&pool)
            .await;
        prepared.unwrap_or_else(|error| panic!("{error}: {query}"));
    }
    let inserted = "insert into music (song, singer) values ('s', 'x')";
    sqlx::query(inserted).execute(&pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn on_a_database_that_is_one_migration_further_it_starts_and_serves(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let next = "alter table music add column note text not null default 'none', add column length int;
                alter table write_keys add column note text not null default '';
                create table album (id bigint primary key, music bigint references music on delete cascade);
                create index music_by_note on music (note);
                insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                values (9999, 'next', true, '', 0)";
    sqlx::raw_sql(next).execute(&pool).await.unwrap();
    let older = Running::start(&database).await;
    let music = r#"{"song":"s","singer":"x"}"#;
    for key in [None, Some("k")] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let added = older
            .try_send(request(Method::POST, "/api/music/", &headers, music))
            .await;
        let added = added.unwrap();
        assert_eq!(added.status, 201, "{added:?}");
        let path = format!("/api/music/{}/", added.json()["id"]);
        for (method, path, status) in [
            (Method::GET, path.as_str(), 200),
            (Method::GET, "/api/music/", 200),
            (Method::GET, "/api/music/all_singer/", 200),
            (Method::GET, "/readyz", 200),
            (Method::PUT, &path, 200),
            (Method::PATCH, &path, 200),
            (Method::DELETE, &path, 204),
            (Method::GET, &path, 404),
        ] {
            let answer = older
                .try_send(request(method.clone(), path, &headers, music))
                .await;
            let answer = answer.unwrap();
            assert_eq!(
                answer.status.as_u16(),
                status,
                "{method} {path}: {answer:?}"
            );
        }
    }
}
