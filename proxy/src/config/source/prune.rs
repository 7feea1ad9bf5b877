//! Takes what does not fit out of a parsed file, so that the rest can be read.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What was found at a place.
enum Found {
    /// Nothing.
    No,
    /// It was taken out.
    Removed,
    /// The value as a whole: its key is to go with it.
    Whole,
}

/// Takes out the innermost entry whose name or value is at this place; returns whether there was one.
pub(super) fn from_table(table: &mut DeTable<'_>, place: usize) -> bool {
    let mut whole = None;
    for (index, (name, value)) in table.iter_mut().enumerate() {
        let is_named = name.span().contains(&place);
        let found = if is_named {
            Found::Whole
        } else {
            within(value, place)
        };
        match found {
            Found::No => {}
            Found::Removed => return true,
            Found::Whole => whole = Some(index),
        }
    }
    let Some(whole) = whole else {
        return false;
    };
    let mut rest = DeTable::new();
    for (index, (name, value)) in table.iter().enumerate() {
        if index != whole {
            rest.insert(name.clone(), value.clone());
        }
    }
    *table = rest;
    true
}

fn within(value: &mut Spanned<DeValue<'_>>, place: usize) -> Found {
    let is_here = value.span().contains(&place);
    let is_inside = match value.get_mut() {
        DeValue::Table(table) => from_table(table, place),
        DeValue::Array(list) => from_list(list, place),
        _ => false,
    };
    match (is_inside, is_here) {
        (true, _) => Found::Removed,
        (false, true) => Found::Whole,
        (false, false) => Found::No,
    }
}

fn from_list(list: &mut DeArray<'_>, place: usize) -> bool {
    let mut whole = None;
    for (index, element) in list.iter_mut().enumerate() {
        match within(element, place) {
            Found::No => {}
            Found::Removed => return true,
            Found::Whole => whole = Some(index),
        }
    }
    let Some(whole) = whole else {
        return false;
    };
    let mut rest = DeArray::new();
    for (index, element) in list.iter().enumerate() {
        if index != whole {
            rest.push(element.clone());
        }
    }
    *list = rest;
    true
}
