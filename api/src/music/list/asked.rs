//! What the query of a list asks for. Pure.

use form_urlencoded::parse;
use serde_json::{Map, json};

use super::cursor::Cursor;
use super::ordering::Ordering;
use super::search::{self, MOST_WORDS};
use crate::error::Error;
use crate::music::fields::message;

/// A page has no more rows than this, whatever is asked for.
pub(crate) const MOST_ROWS: i64 = 1000;
/// A page that is asked for by cursor has this many rows, unless `limit` says otherwise.
pub(crate) const ROWS_BY_CURSOR: i64 = 100;

/// The words of a search have no more characters than this: long ones are dear to look for.
pub(crate) const LONGEST_SEARCH: usize = 200;

/// What is wanted of the list.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) filter: Filter,
    pub(super) ordering: Ordering,
    pub(super) paging: Paging,
}

/// Which rows are wanted; without anything, all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Filter {
    /// Who sings, as it is written.
    pub(super) singer: Option<String>,
    /// Each of these is part of the song or of the singer.
    pub(super) words: Vec<String>,
}

/// Which part of these rows is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// All of them.
    Whole,
    /// So many, after so many others.
    Numbered { limit: i64, offset: i64 },
    /// So many from a cursor on, or from the beginning.
    Cursor { limit: i64, from: Option<Cursor> },
}

impl Asked {
    /// Reads a query. What it does not know is ignored, as in the original.
    pub(crate) fn parse(query: &str) -> Result<Self, Error> {
        let pairs: Vec<_> = parse(query.as_bytes()).collect();
        // Of two parameters with one name the last one counts.
        let last = |wanted: &str| {
            let mut found = pairs.iter().rev().filter(|(name, _)| name == wanted);
            found.next().map(|(_, value)| value.as_ref())
        };
        let filter = Filter::parse(last("singer"), last("search"))?;
        let ordering = Ordering::parse(last("ordering").unwrap_or_default());
        let limit = last("limit")
            .and_then(whole_number)
            .filter(|limit| *limit > 0);
        let limit = limit.map(|limit| limit.min(MOST_ROWS));
        let paging = match (last("cursor"), limit) {
            (Some(cursor), limit) => Paging::Cursor {
                limit: limit.unwrap_or(ROWS_BY_CURSOR),
                from: from(cursor, &ordering)?,
            },
            (None, Some(limit)) => Paging::Numbered {
                limit,
                offset: last("offset").and_then(whole_number).unwrap_or(0).max(0),
            },
            (None, None) => Paging::Whole,
        };
        Ok(Self {
            filter,
            ordering,
            paging,
        })
    }

    /// Asks only for the first rows, if all are asked for; returns whether it does now.
    pub(crate) fn cut(&mut self) -> bool {
        let is_whole = self.paging == Paging::Whole;
        if is_whole {
            self.paging = Paging::Cursor {
                limit: ROWS_BY_CURSOR,
                from: None,
            };
        }
        is_whole
    }
}

impl Filter {
    fn parse(singer: Option<&str>, search: Option<&str>) -> Result<Self, Error> {
        for (name, value) in [("singer", singer), ("search", search)] {
            if value.is_some_and(|value| value.contains('\0')) {
                return Err(invalid(name, message::NUL));
            }
        }
        let words = search::words(search.unwrap_or_default());
        if words.len() > MOST_WORDS {
            let text = format!("No more than {MOST_WORDS} words can be searched for.");
            return Err(invalid("search", &text));
        }
        if words.iter().map(|word| word.chars().count()).sum::<usize>() > LONGEST_SEARCH {
            let text = format!("No more than {LONGEST_SEARCH} characters can be searched for.");
            return Err(invalid("search", &text));
        }
        Ok(Self {
            singer: singer
                .filter(|singer| !singer.is_empty())
                .map(str::to_owned),
            words,
        })
    }
}

fn from(cursor: &str, ordering: &Ordering) -> Result<Option<Cursor>, Error> {
    if cursor.is_empty() {
        return Ok(None);
    }
    Cursor::decode(cursor, ordering)
        .map(Some)
        .ok_or(Error::InvalidCursor)
}

fn invalid(name: &str, text: &str) -> Error {
    Error::Invalid(Map::from_iter([(name.to_owned(), json!([text]))]))
}

/// Reads a whole number as the original does, but as large as it may be.
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let too_large = if text.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Some(text.parse().unwrap_or(too_large))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(query: &str) -> Paging {
        Asked::parse(query).unwrap().paging
    }

    #[test]
    fn limit_and_offset_are_read_as_the_original_reads_them() {
        let page = |limit, offset| Paging::Numbered { limit, offset };
        for (query, expected) in [
            ("", Paging::Whole),
            ("limit=5", page(5, 0)),
            ("limit=5&offset=7", page(5, 7)),
            ("limit=%20+5+&offset=+7", page(5, 7)),
            ("limit=005&offset=-1", page(5, 0)),
            ("limit=5&offset=abc", page(5, 0)),
            ("limit=1&limit=5&offset=1&offset=", page(5, 0)),
            ("limit=1001", page(1000, 0)),
            ("limit=99999999999999999999", page(1000, 0)),
            ("limit=5&offset=99999999999999999999", page(5, i64::MAX)),
            ("limit=0", Paging::Whole),
            ("limit=-5", Paging::Whole),
            ("limit=", Paging::Whole),
            ("limit=abc", Paging::Whole),
            ("limit=1.5", Paging::Whole),
            ("limit=1_0", Paging::Whole),
            ("limit=%EF%BC%95", Paging::Whole),
            ("offset=7", Paging::Whole),
            ("LIMIT=5", Paging::Whole),
        ] {
            assert_eq!(paging(query), expected, "{query}");
        }
    }

    #[test]
    fn a_cursor_goes_before_limit_and_offset() {
        let first = |limit| Paging::Cursor { limit, from: None };
        assert_eq!(paging("cursor="), first(100));
        assert_eq!(paging("cursor=&limit=7&offset=3"), first(7));
        assert_eq!(paging("cursor=&limit=abc"), first(100));
        for query in ["cursor=x", "cursor=%FF", "cursor=cD0x", "cursor=&cursor=0"] {
            let refusal = Asked::parse(query).unwrap_err();
            assert!(matches!(refusal, Error::InvalidCursor), "{query}");
        }
    }

    #[test]
    fn a_filter_is_read_and_an_empty_one_is_none() {
        let filter = |query| Asked::parse(query).map(|asked| asked.filter);
        assert_eq!(
            filter("singer=&search=+%2C&x=1").unwrap(),
            Filter::default()
        );
        let found = filter("singer=singer+A&search=one%20TWO").unwrap();
        assert_eq!(found.singer.as_deref(), Some("singer A"));
        assert_eq!(found.words, ["one", "TWO"]);
        let many: String = (0..21).map(|word| format!("+{word}")).collect();
        for query in ["singer=%00", "search=a%00", &format!("search={many}")] {
            let refusal = filter(query).unwrap_err();
            assert!(matches!(refusal, Error::Invalid(_)), "{query}");
        }
    }
}
