//! A walk through the table: the rows that are wanted, window by window.
//!
//! Each window is a short statement of its own and the connection goes back in between: a long list is not a
//! snapshot, but no slow reader holds a connection or a transaction.

use super::asked::Filter;
use super::ordering::Ordering;
use super::position::{Key, Position};
use super::store::{self, SEARCHED_ROWS, Window};
use crate::database::{Database, Fault};
use crate::music::Music;
use crate::music::store::{PAGE_BYTES, PAGE_ROWS};

/// How many rows the first window of a search looks at. Of what many rows have, a page is soon full.
pub(super) const FIRST_LOOK: i64 = 250;

/// A walk that is under way.
pub(super) struct Walk {
    pub(super) database: Database,
    pub(super) filter: Filter,
    pub(super) ordering: Ordering,
    pub(super) stage: Stage,
    /// So many of the rows that fit are left out first.
    pub(super) skip: i64,
    /// How many more are wanted; `None`: all.
    pub(super) wanted: Option<i64>,
    /// How many rows the next window of a search looks at: [`FIRST_LOOK`], and then more and more.
    pub(super) look: i64,
}

/// Where a walk is.
#[derive(Debug)]
pub(super) enum Stage {
    Begin,
    After(Position),
    End,
}

impl Walk {
    /// Tells whether there is nothing more to come.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.stage, Stage::End)
    }

    /// Tells whether it looks at rows that may not be wanted.
    pub(super) fn is_search(&self) -> bool {
        !self.filter.words.is_empty()
    }

    /// Returns the row up to which it has looked.
    pub(super) fn position(&self) -> Option<&Position> {
        match &self.stage {
            Stage::After(position) => Some(position),
            Stage::Begin | Stage::End => None,
        }
    }

    /// Returns the rows of the next window. There may be none in it although there are more to come.
    pub(super) async fn next(&mut self) -> Result<Vec<Music>, Fault> {
        let after = match std::mem::replace(&mut self.stage, Stage::End) {
            Stage::Begin => None,
            Stage::After(position) => Some(position),
            Stage::End => return Ok(Vec::new()),
        };
        let take = (PAGE_ROWS as i64).min(self.wanted.unwrap_or(i64::MAX));
        let (rows, next) = if self.is_plain() {
            self.plain(after, take).await?
        } else {
            self.window(after, take).await?
        };
        self.wanted = self.wanted.map(|wanted| wanted - rows.len() as i64);
        if let Some(next) = next.filter(|_| self.wanted != Some(0)) {
            self.stage = Stage::After(next);
        }
        Ok(rows)
    }

    /// Tells whether this is the list as everybody reads it: all rows, by id.
    fn is_plain(&self) -> bool {
        self.filter == Filter::default() && self.ordering.is_by_id() && self.skip == 0
    }

    async fn plain(
        &self,
        after: Option<Position>,
        take: i64,
    ) -> Result<(Vec<Music>, Option<Position>), Fault> {
        let after = after.as_ref().and_then(|position| position.keys().first());
        let after = match after {
            Some(Key::Number(id)) => *id,
            _ => i64::MIN,
        };
        let page = crate::music::store::page;
        let mut work = self.database.work();
        let rows = work
            .run(move |connection| Box::pin(page(connection, after, take)))
            .await?;
        let text = |music: &Music| music.song.len() + music.singer.len();
        let bytes: usize = rows.iter().map(text).sum();
        let is_full = rows.len() as i64 >= take || bytes as i64 > PAGE_BYTES;
        let last = rows.last().filter(|_| is_full);
        let next = last.map(|music| Position::of(music, &self.ordering));
        Ok((rows, next))
    }

    async fn window(
        &mut self,
        after: Option<Position>,
        take: i64,
    ) -> Result<(Vec<Music>, Option<Position>), Fault> {
        let (filter, ordering) = (self.filter.clone(), self.ordering.clone());
        let (skip, look) = (self.skip, self.look);
        self.look = (look * 4).min(SEARCHED_ROWS);
        // A search is many windows, which are bounded together.
        let mut work = if self.is_search() {
            self.database.work_apart()
        } else {
            self.database.work()
        };
        let read = work.run(move |connection| {
            Box::pin(async move {
                let window = Window {
                    filter: &filter,
                    ordering: &ordering,
                    after: after.as_ref(),
                    skip,
                    take,
                    look,
                };
                store::read(connection, &window).await
            })
        });
        let found = read.await?;
        // Without a search, the first window went past them all.
        self.skip = if self.filter.words.is_empty() {
            0
        } else {
            (self.skip - found.fitted).max(0)
        };
        Ok((found.rows, found.next))
    }
}
