//! A page of the list as the admin leafs through it: rows whose texts are cut, and the cursors of the pages around it.
//!
//! Nothing is counted and nothing skipped, so the last page costs as little as the first.

use tokio::time::Instant;

use super::answer::SEARCH_LIMIT;
use super::asked::{Asked, Paging, ROWS_BY_CURSOR};
use super::candidates::Among;
use super::cursor::Cursor;
use super::position::Position;
use super::reads::ListReads;
use super::walk::{FIRST_LOOK, Stage, Walk};
use crate::error::Error;
use crate::music::Music;

/// So many characters of a text are shown. No fewer than a position has: the cut row says where it stands.
const LONGEST_SHOWN: usize = 200;

/// A page, and where those around it begin.
#[derive(Debug, Default)]
pub(crate) struct Leaf {
    pub(crate) rows: Vec<Music>,
    /// `None`: this is the last one.
    pub(crate) next: Option<String>,
    /// `None`: this is the first one.
    pub(crate) previous: Option<String>,
}

/// Reads the page that is asked for by a cursor; without one, the first.
pub(in crate::music) async fn read(reads: ListReads, asked: Asked) -> Result<Leaf, Error> {
    let (limit, from) = match asked.paging {
        Paging::Cursor { limit, from } => (limit, from),
        Paging::Numbered { limit, .. } => (limit, None),
        Paging::Whole => (ROWS_BY_CURSOR, None),
    };
    let (ordering, is_first) = (asked.ordering, from.is_none());
    let is_backwards = from.as_ref().is_some_and(|cursor| cursor.backwards);
    let mut walk = Walk {
        reads,
        filter: asked.filter,
        ordering: if is_backwards {
            ordering.reversed()
        } else {
            ordering.clone()
        },
        stage: from.map_or(Stage::Begin, |cursor| Stage::After(cursor.after)),
        skip: 0,
        // One more tells whether there are more.
        wanted: Some(limit + 1),
        look: FIRST_LOOK,
        among: Among::default(),
    };
    let mut rows = Vec::new();
    let end = Instant::now() + SEARCH_LIMIT;
    let mut looked_up_to = None;
    while !walk.is_at_end() {
        if walk.is_search() && Instant::now() >= end {
            // What it found so far is a page, too; the next one goes on from here.
            looked_up_to = walk.position().cloned();
            break;
        }
        // Cut as they come: a page of texts of megabytes would fill the memory.
        rows.extend(walk.next().await?.into_iter().map(cut));
    }
    let is_over = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let beyond = if is_over {
        rows.last().map(|music| Position::of(music, &ordering))
    } else {
        looked_up_to
    };
    if is_backwards {
        rows.reverse();
    }
    let cursor = |backwards: bool, after: Position| Cursor { backwards, after }.encode(&ordering);
    let at = |music: Option<&Music>| music.map(|music| Position::of(music, &ordering));
    let (next, previous) = if is_backwards {
        (at(rows.last()), beyond)
    } else {
        (beyond, at(rows.first()).filter(|_| !is_first))
    };
    Ok(Leaf {
        next: next.map(|after| cursor(false, after)),
        previous: previous.map(|after| cursor(true, after)),
        rows,
    })
}

/// Leaves as much of a music's texts as a list shows.
fn cut(mut music: Music) -> Music {
    for text in [&mut music.song, &mut music.singer] {
        if let Some((end, _)) = text.char_indices().nth(LONGEST_SHOWN) {
            *text = format!("{}…", &text[..end]);
        }
    }
    music
}
