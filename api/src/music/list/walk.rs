//! A walk through the table: the rows that are wanted, window by window.
//!
//! Each window is a short statement of its own and the connection goes back in between: a long list is not a
//! snapshot, but no slow reader holds a connection or a transaction.

use std::sync::Arc;

use bytes::Bytes;

use super::asked::Filter;
use super::candidates::{Among, among};
use super::ordering::Ordering;
use super::plain::Plain;
use super::position::{Key, Position};
use super::reads::ListReads;
use super::store::{Found, SEARCHED_ROWS, Window};
use crate::database::{Fault, Read};
use crate::music::Music;
use crate::music::store::{PAGE_BYTES, PAGE_ROWS, page};

/// How many rows the first window of a search looks at. Of what many rows have, a page is soon full.
pub(super) const FIRST_LOOK: i64 = 250;

/// Of rows that were looked at, no more than one in so many fits where words are rare.
const SPARSE: i64 = 50;

/// A walk that is under way.
pub(super) struct Walk {
    pub(super) reads: ListReads,
    pub(super) filter: Filter,
    pub(super) ordering: Ordering,
    pub(super) stage: Stage,
    /// So many of the rows that fit are left out first.
    pub(super) skip: i64,
    /// How many more are wanted; `None`: all.
    pub(super) wanted: Option<i64>,
    /// How many rows the next window of a search looks at: [`FIRST_LOOK`], and then as many as seem needed.
    pub(super) look: i64,
    /// Where a search looks. It asks once it has seen that hardly any row fits.
    pub(super) among: Among,
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
        let Some((after, take)) = self.begin() else {
            return Ok(Vec::new());
        };
        if !self.is_plain() {
            let found = Arc::unwrap_or_clone(self.window(after, take).await?);
            self.went_on(found.rows.len() as i64, found.next);
            return Ok(found.rows);
        }
        let after = id_of(after.as_ref());
        let mut work = self.reads.database().work();
        let page = work.run(move |connection| Box::pin(page(connection, after, take)));
        let rows = page.await?;
        let text = |music: &Music| music.song.len() + music.singer.len();
        let bytes: usize = rows.iter().map(text).sum();
        let is_full = rows.len() as i64 >= take || bytes as i64 > PAGE_BYTES;
        let last = rows.last().filter(|_| is_full);
        let next = last.map(|music| Position::of(music, &self.ordering));
        self.went_on(rows.len() as i64, next);
        Ok(rows)
    }

    /// Returns the rows of the next window as JSON, each with a comma before it; maybe none, as above.
    pub(super) async fn next_json(&mut self) -> Result<Bytes, Fault> {
        let Some((after, take)) = self.begin() else {
            return Ok(Bytes::new());
        };
        if !self.is_plain() {
            let found = self.window(after, take).await?;
            self.went_on(found.rows.len() as i64, found.next.clone());
            return Ok(found.json());
        }
        let after = id_of(after.as_ref());
        let rows = self.reads.page(Plain { after, take }).await?;
        let next = rows.is_full(take).then(|| Position::by_id(rows.last));
        self.went_on(rows.count, next);
        Ok(rows.json)
    }

    /// Returns where the next window begins and how many rows it may have; `None` at the end. Until it was read,
    /// the walk is at its end: a failure ends it.
    fn begin(&mut self) -> Option<(Option<Position>, i64)> {
        let after = match std::mem::replace(&mut self.stage, Stage::End) {
            Stage::Begin => None,
            Stage::After(position) => Some(position),
            Stage::End => return None,
        };
        let take = (PAGE_ROWS as i64).min(self.wanted.unwrap_or(i64::MAX));
        Some((after, take))
    }

    /// Notes what a window had, and where the next one begins.
    fn went_on(&mut self, rows: i64, next: Option<Position>) {
        self.wanted = self.wanted.map(|wanted| wanted - rows);
        if let Some(next) = next.filter(|_| self.wanted != Some(0)) {
            self.stage = Stage::After(next);
        }
    }

    /// Tells whether this is the list as everybody reads it: all rows, by id.
    fn is_plain(&self) -> bool {
        self.filter == Filter::default() && self.ordering.is_by_id() && self.skip == 0
    }

    async fn window(&mut self, after: Option<Position>, take: i64) -> Result<Arc<Found>, Fault> {
        let window = Window {
            filter: self.filter.clone(),
            ordering: self.ordering.clone(),
            after,
            skip: self.skip,
            take,
            look: self.look,
            among: self.among.ids(),
        };
        if !self.is_search() {
            // The first window goes past all that are left out.
            self.skip = 0;
            return self.reads.window(window).await;
        }
        // A search is many windows, which are bounded together.
        let mut work = self.reads.database().work_apart();
        let found = work.run(move |connection| window.query(connection)).await?;
        let missing = self.wanted.map(|wanted| self.skip + wanted - found.fitted);
        let goes_on = found.next.is_some() && missing.is_none_or(|missing| missing > 0);
        if goes_on && is_sparse(self.look, found.fitted) && self.among.is_unknown() {
            self.among = among(&self.reads, &self.filter.words).await;
        }
        self.look = next_look(self.look, found.fitted, missing);
        self.skip = (self.skip - found.fitted).max(0);
        Ok(found)
    }

    /// Leaves out the rows that are to be, from the end of the list, where `left` rows are still to come: the way there
    /// is shorter. Only without a search.
    pub(super) async fn skip_to_the_last(&mut self, left: i64) -> Result<(), Fault> {
        let before = Window {
            filter: self.filter.clone(),
            ordering: self.ordering.reversed(),
            after: None,
            skip: left,
            take: 1,
            look: 1,
            among: None,
        };
        let found = self.reads.window(before).await?;
        if let Some(before) = found.rows.first() {
            self.stage = Stage::After(Position::of(before, &self.ordering));
            self.skip = 0;
        }
        Ok(())
    }
}

/// Tells whether a page would take so many more windows that it is better to ask for candidates first.
fn is_sparse(look: i64, fitted: i64) -> bool {
    fitted.saturating_mul(SPARSE) < look
}

/// Returns how many rows the next window of a search looks at: as many as should hold what is missing, as far as the
/// last one tells, of which so many rows fitted; no less than at first, and no more than a statement may.
fn next_look(look: i64, fitted: i64, missing: Option<i64>) -> i64 {
    let grown = look * 4;
    let enough = match missing {
        Some(missing) if fitted > 0 => missing.saturating_mul(look) / fitted,
        _ => grown,
    };
    // With a quarter more, so that it seldom takes another one.
    let enough = enough.saturating_add(enough / 4);
    enough.min(grown).clamp(FIRST_LOOK, SEARCHED_ROWS)
}

/// Returns the id that a position in the plain list is; before the beginning, the least there could be.
fn id_of(position: Option<&Position>) -> i64 {
    match position.and_then(|position| position.keys().first()) {
        Some(Key::Number(id)) => *id,
        _ => i64::MIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_looks_at_as_many_rows_as_seem_needed() {
        for (look, fitted, missing, expected) in [
            (250, 0, Some(51), 1000),
            (250, 250, None, 1000),
            (4000, 0, None, 5000),
            (250, 16, Some(85), 1000),
            (250, 50, Some(51), 318),
            (1000, 100, Some(3), 250),
            (1000, 1, Some(50), 4000),
            (5000, 1, Some(i64::MAX), 5000),
        ] {
            let next = next_look(look, fitted, missing);
            assert_eq!(next, expected, "{look} {fitted} {missing:?}");
        }
    }
}
