//! The reads that lists are made of, shared by those who wait for equal ones.

use std::sync::Arc;

use super::counted::Counter;
use super::plain::{Plain, Rows};
use super::store::{CountSinger, Found, Window};
use crate::database::{Database, Fault, Shared};

/// What is being read of lists by this instance. Clones share it.
#[derive(Clone)]
pub(crate) struct ListReads {
    database: Database,
    pages: Shared<Plain>,
    windows: Shared<Window>,
    all: Counter,
    singers: Shared<CountSinger>,
}

impl ListReads {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            pages: Shared::new(database.clone()),
            windows: Shared::new(database.clone()),
            all: Counter::new(database.clone()),
            singers: Shared::new(database.clone()),
        }
    }

    /// Returns the database, for what is not shared: the windows of a search, of which each reader has many.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) async fn page(&self, page: Plain) -> Result<Rows, Fault> {
        self.pages.read(page).await
    }

    pub(super) async fn window(&self, window: Window) -> Result<Arc<Found>, Fault> {
        self.windows.read(window).await
    }

    /// Returns how many rows a list without a search has.
    pub(super) async fn count(&self, singer: Option<&str>) -> Result<i64, Fault> {
        match singer {
            Some(singer) => self.singers.read(CountSinger(singer.to_owned())).await,
            None => self.all.count().await,
        }
    }
}
