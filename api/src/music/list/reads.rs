//! The reads that lists are made of, shared by those who wait for equal ones.

use std::sync::Arc;

use super::count::CountListed;
use super::counted::Counted;
use super::plain::{Plain, Rows};
use super::store::{Found, Window};
use crate::database::{Database, Fault, Shared};

/// What is being read of lists by this instance. Clones share it.
#[derive(Clone)]
pub(crate) struct ListReads {
    database: Database,
    pages: Shared<Plain>,
    windows: Shared<Window>,
    counts: Shared<CountListed>,
    counted: Counted,
}

impl ListReads {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            pages: Shared::new(database.clone()),
            windows: Shared::new(database.clone()),
            counts: Shared::new(database.clone()),
            counted: Counted::new(database.clone()),
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

    pub(super) async fn count(&self, count: CountListed) -> Result<i64, Fault> {
        self.counts.read(count).await
    }

    /// Returns what was counted before.
    pub(super) fn counted(&self) -> &Counted {
        &self.counted
    }
}
