//! `GET /api/music/`: the whole list, or the part of it that the query asks for.
//!
//! query → `asked` (what is wanted: filter, ordering, paging) → `walk` (window by window through the table, by
//! `store`, or through the `candidates` of a search) → `answer` (an array, or the envelope of a page with its `links` and
//! the `count` of what is on all pages); `leaf` is a page of the admin.
//!
//! Whatever is asked, no statement is long, no connection is held while a client reads, and memory stays flat.

mod answer;
mod asked;
mod candidates;
mod count;
mod counted;
mod cursor;
pub(super) mod leaf;
mod links;
mod ordering;
mod plain;
mod position;
mod reads;
mod search;
mod store;
mod walk;

#[cfg(test)]
mod plans;

pub(super) use answer::{ByCursor, Numbered, respond};
pub(super) use asked::Asked;
pub(crate) use asked::{LONGEST_SEARCH, MOST_ROWS, ROWS_BY_CURSOR};
pub(crate) use leaf::Leaf;
pub(super) use links::Links;
pub(super) use reads::ListReads;
pub(crate) use search::MOST_WORDS;
