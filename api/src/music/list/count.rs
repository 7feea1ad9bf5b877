//! How many rows fit, exactly, as a page by number says it: what was `counted` still holds, or it is counted again.
//!
//! A search is counted by the index on words where that knows them and not very many rows have them; otherwise it goes
//! through the table, in short statements, one stretch after the other.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Result};
use tokio::time::Instant;

use super::answer::SEARCH_LIMIT;
use super::asked::Filter;
use super::candidates::{self, Among};
use super::reads::ListReads;
use super::store;
use crate::database::Read;
use crate::error::Error;

/// Counts the rows that fit. Of a search it also tells where they are, as far as it came to know.
pub(super) async fn count(reads: &ListReads, filter: &Filter) -> Result<(i64, Among), Error> {
    // First, for whatever is written from here on must not go unnoticed.
    let moment = reads.counted().moment().await?;
    if let Some(rows) = reads.counted().at(&moment, filter) {
        return Ok((rows, Among::Unknown));
    }
    let (rows, among) = if filter.words.is_empty() {
        let listed = CountListed(filter.singer.clone());
        (reads.count(listed).await?, Among::Unknown)
    } else {
        count_found(reads, filter).await?
    };
    reads.counted().remember(moment, filter.clone(), rows);
    Ok((rows, among))
}

/// How many rows there are, or those of a singer alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CountListed(Option<String>);

impl Read for CountListed {
    type Answer = i64;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<i64>> {
        match self.0 {
            Some(singer) => Box::pin(store::count_singer(connection, singer)),
            None => Box::pin(store::count_all(connection)),
        }
    }
}

async fn count_found(reads: &ListReads, filter: &Filter) -> Result<(i64, Among), Error> {
    if filter.singer.is_some() {
        let among = candidates::among(reads, &filter.words).await;
        return Ok((count_among(reads, filter, &among).await?, among));
    }
    let Some(found) = candidates::count(reads, &filter.words).await else {
        return Ok((count_among(reads, filter, &Among::All).await?, Among::All));
    };
    let long = count_among(reads, filter, &found.long).await?;
    Ok((found.short + long, found.among))
}

/// Goes through all of these rows.
async fn count_among(reads: &ListReads, filter: &Filter, among: &Among) -> Result<i64, Error> {
    let ids = among.ids();
    if ids.as_ref().is_some_and(|ids| ids.is_empty()) {
        return Ok(0);
    }
    let end = Instant::now() + SEARCH_LIMIT;
    let (mut count, mut after) = (0, Some(i64::MIN));
    let filter = Arc::new(filter.clone());
    while let Some(id) = after {
        if Instant::now() >= end {
            return Err(Error::SearchTooLong);
        }
        let (filter, ids) = (Arc::clone(&filter), ids.clone());
        let mut work = reads.database().work_apart();
        let stretch = work.run(move |connection| {
            Box::pin(
                async move { store::count_stretch(connection, &filter, ids.as_deref(), id).await },
            )
        });
        let (fitted, next) = stretch.await?;
        count += fitted;
        after = next;
    }
    Ok(count)
}
