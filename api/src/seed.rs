//! `api seed`: music that is made up, as much as one wants, and fast.
//!
//! Each batch is one `COPY`, which is one transaction: a run that is interrupted leaves whole batches.

mod progress;
mod songs;

use sqlx::PgConnection;

use progress::Progress;

/// How many rows are committed at once.
const BATCH: u64 = 50_000;
/// How much is sent to Postgres at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// Adds `count` rows, and shows how far it is.
pub async fn run(connection: &mut PgConnection, count: u64) -> sqlx::Result<()> {
    let mut progress = Progress::start(count);
    let mut done = 0;
    while done < count {
        let batch = BATCH.min(count - done);
        copy(connection, done..done + batch).await?;
        done += batch;
        progress.show(done);
    }
    progress.end();
    // So that the planner knows what was added.
    sqlx::query!("analyze music").execute(connection).await?;
    Ok(())
}

async fn copy(connection: &mut PgConnection, numbers: std::ops::Range<u64>) -> sqlx::Result<()> {
    let mut copy = connection
        .copy_in_raw("copy music (song, singer) from stdin")
        .await?;
    let mut chunk = String::with_capacity(CHUNK + 256);
    for number in numbers {
        songs::write(&mut chunk, number);
        if chunk.len() >= CHUNK {
            copy.send(chunk.as_bytes()).await?;
            chunk.clear();
        }
    }
    copy.send(chunk.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}
