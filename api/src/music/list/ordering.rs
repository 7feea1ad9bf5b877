//! The order of a list, as `?ordering=song,-created` names it. Pure.

use std::fmt;

/// A field that a list can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Id,
    Song,
    Singer,
    LastModifyDate,
    Created,
}

const FIELDS: [(Field, &str); 5] = [
    (Field::Id, "id"),
    (Field::Song, "song"),
    (Field::Singer, "singer"),
    (Field::LastModifyDate, "last_modify_date"),
    (Field::Created, "created"),
];

/// One field of an order, and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) field: Field,
    pub(super) descending: bool,
}

/// An order in which no two rows are equal: its last term is the id, and no field is in it twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ordering(Vec<Term>);

impl Ordering {
    /// Reads names with commas between them. As in the original, what is no field is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        for name in text.split(',').map(str::trim) {
            let (name, descending) = match name.strip_prefix('-') {
                Some(name) => (name, true),
                None => (name, false),
            };
            let known = FIELDS.iter().find(|(_, known)| *known == name);
            let Some(&(field, _)) = known else { continue };
            if terms.iter().all(|term| term.field != field) {
                terms.push(Term { field, descending });
            }
            if field == Field::Id {
                return Self(terms);
            }
        }
        // Equal rows go the way of the last term, so that an index serves both directions.
        let descending = terms.last().is_some_and(|term| term.descending);
        terms.push(Term {
            field: Field::Id,
            descending,
        });
        Self(terms)
    }

    /// Returns the terms, the one that counts most first.
    pub(super) fn terms(&self) -> &[Term] {
        &self.0
    }

    /// Returns the same order, read from its end.
    pub(super) fn reversed(&self) -> Self {
        let turn = |term: &Term| Term {
            field: term.field,
            descending: !term.descending,
        };
        Self(self.0.iter().map(turn).collect())
    }

    /// Tells whether this is the order that a list has by itself: by id.
    pub(super) fn is_by_id(&self) -> bool {
        matches!(
            self.0.as_slice(),
            [Term {
                field: Field::Id,
                descending: false
            }]
        )
    }

    /// Tells whether all terms have the same direction.
    pub(super) fn is_uniform(&self) -> bool {
        self.0
            .windows(2)
            .all(|pair| pair[0].descending == pair[1].descending)
    }
}

/// As in `?ordering=`.
impl fmt::Display for Ordering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let minus = if term.descending { "-" } else { "" };
            let name = FIELDS.iter().find(|(field, _)| *field == term.field);
            let name = name.map_or("", |(_, name)| name);
            write!(formatter, "{comma}{minus}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_no_field_twice_and_ends_in_the_id() {
        for (text, expected) in [
            ("", "id"),
            ("id", "id"),
            ("-id", "-id"),
            ("song", "song,id"),
            ("-created", "-created,-id"),
            ("song,-created", "song,-created,-id"),
            (" song , singer ", "song,singer,id"),
            ("song,-song", "song,id"),
            ("id,song", "id"),
            ("-singer,id,song", "-singer,id"),
            (
                "nonsense,days_since_created,SONG,--song,-,last_modify_date",
                "last_modify_date,id",
            ),
        ] {
            assert_eq!(Ordering::parse(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn turned_twice_it_is_the_same() {
        let ordering = Ordering::parse("song,-created");
        assert_eq!(ordering.reversed().to_string(), "-song,created,id");
        assert_eq!(ordering.reversed().reversed(), ordering);
        assert!(!ordering.is_uniform() && !ordering.is_by_id());
        assert!(Ordering::parse("").is_uniform() && Ordering::parse("").is_by_id());
    }
}
