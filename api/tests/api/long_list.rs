//! The list when it is very long: the first byte comes at once and memory stays flat. 60 000 rows, or as many as
//! `API_TEST_ROWS` says: `API_TEST_ROWS=1000000 scripts/with-postgres cargo test --release -p api --test api long_list`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use crate::program::{api, url};
use crate::support::{PATIENCE, eventually};

/// Memory that a list may take beyond what the program had before, in KiB: a few windows of rows, and what an
/// allocator keeps, which on a busy machine came to 25 MiB; the shortest list here has 55.
const GROWTH: u64 = 40 * 1024;

#[sqlx::test(migrations = "../migrations")]
async fn a_long_list_is_streamed_from_the_first_byte_on_with_flat_memory(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let asked = std::env::var_os("API_TEST_ROWS");
    let rows: u64 = asked.map_or(60_000, |rows| rows.to_str().unwrap().parse().unwrap());
    let pool = pool.connect_with(database.clone()).await.unwrap();
    let row = fill(&pool, rows).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let (listen, url) = (format!("unix:{}", path.display()), url(&database));
    let environment = [("DATABASE_URL", url.as_str()), ("API_LISTEN", &listen)];
    let mut serve = api(&["serve"], &environment);
    // A log that nobody reads would bring the program to a halt.
    serve.stdout(Stdio::null()).stderr(Stdio::null());
    let child = serve.spawn().unwrap();
    eventually("an instance that listens", || async {
        UnixStream::connect(&path).await.is_ok()
    })
    .await;
    // What the program needs once, it has then.
    read(&path, "/api/music/?limit=1000").await;
    let before = peak(&child).await;
    for list in [
        "/api/music/",
        "/api/music/?ordering=-song",
        "/api/music/?search=SONG",
        "/api/music/all_singer/",
    ] {
        let (first, length) = read(&path, list).await;
        // Every row has a singer of its own, but a short one.
        let least = if list.ends_with("singer/") { 14 } else { row };
        assert!(length > rows * least, "{list}: {length} bytes");
        assert!(first < Duration::from_secs(5), "{list}: {first:?}");
        let growth = peak(&child).await - before;
        assert!(
            growth < GROWTH,
            "{list}: grown by {growth} KiB for {length} bytes"
        );
    }
}

/// Adds rows that would not fit into the memory that a list may take, all of them together, and returns how much of
/// an answer each makes up at least, in bytes.
async fn fill(pool: &PgPool, rows: u64) -> u64 {
    let padding = (48_000_000 / rows).min(800);
    let indexes = "select indexname::text, indexdef from pg_indexes
                   where tablename = 'music' and indexname <> 'music_pkey'";
    let indexes: Vec<(String, String)> = sqlx::query_as(indexes).fetch_all(pool).await.unwrap();
    // To make them afterwards takes a fraction of the time.
    for (name, _) in &indexes {
        let drop = AssertSqlSafe(format!("drop index {name}"));
        sqlx::query(drop).execute(pool).await.unwrap();
    }
    sqlx::query(
        "insert into music (song, singer)
         select 'song ' || i || repeat('x', $2), 'singer ' || i from generate_series(1, $1) i",
    )
    .bind(i64::try_from(rows).unwrap())
    .bind(i32::try_from(padding).unwrap())
    .execute(pool)
    .await
    .unwrap();
    for (_, definition) in indexes {
        let create = AssertSqlSafe(definition);
        sqlx::query(create).execute(pool).await.unwrap();
    }
    sqlx::query("analyze music").execute(pool).await.unwrap();
    padding + 100
}

/// Reads an answer without keeping it: after which time it began, and how long it was.
async fn read(socket: &Path, list: &str) -> (Duration, u64) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!("GET {list} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let begin = Instant::now();
    let mut buffer = vec![0; 64 * 1024];
    let mut first = None;
    let (mut length, mut last) = (0, Vec::new());
    loop {
        let read = timeout(PATIENCE, stream.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        first.get_or_insert_with(|| begin.elapsed());
        if read == 0 {
            break;
        }
        length += read as u64;
        last = buffer[read.saturating_sub(5)..read].to_vec();
    }
    assert!(
        last.ends_with(b"\r\n\r\n") || last.ends_with(b"}"),
        "{list} was cut"
    );
    (first.unwrap(), length)
}

/// The most memory that a process had, in KiB.
async fn peak(child: &Child) -> u64 {
    let path = format!("/proc/{}/status", child.id().unwrap());
    let status = tokio::fs::read_to_string(path).await.unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
