//! What a list's page offers to find something: a form for search, filter and order, and the way to other pages.
//! Pure.

use serde_json::Value;

use super::editing::messages;
use super::place::Place;

/// The orders that the page offers, and what they are called.
const ORDERS: [(&str, &str); 9] = [
    ("", "As they were added"),
    ("-id", "Newest first"),
    ("song", "Song, A to Z"),
    ("-song", "Song, Z to A"),
    ("singer", "Singer, A to Z"),
    ("-singer", "Singer, Z to A"),
    ("-last_modify_date", "Last changed first"),
    ("last_modify_date", "Last changed last"),
    ("-created", "Last created first"),
];

/// How many rows a page may be asked to have.
const LIMITS: [(&str, &str); 5] = [
    ("", "The first 100"),
    ("10", "10 a page"),
    ("25", "25 a page"),
    ("100", "100 a page"),
    ("1000", "1000 a page"),
];

/// The form that looks for something, as it was sent last.
#[derive(Debug)]
pub(super) struct Seeking {
    pub(super) search: String,
    pub(super) search_errors: Vec<String>,
    pub(super) singer: String,
    pub(super) singer_errors: Vec<String>,
    pub(super) orders: Vec<Choice>,
    pub(super) limits: Vec<Choice>,
    /// The format, if the address names it.
    pub(super) format: String,
    /// Whether anything was looked for.
    pub(super) is_used: bool,
}

/// One of several values to choose from.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_chosen: bool,
}

/// The way to the pages before and after.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pager {
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    /// Of how many rows this is a part, if they were counted.
    pub(super) count: Option<i64>,
}

impl Seeking {
    /// Fills the form with what the address asks for, and with what was wrong with it.
    pub(super) fn of(place: &Place, refusal: Option<&Value>) -> Self {
        let errors = |name: &str| {
            let found = refusal.and_then(|refusal| refusal.get(name));
            // The form that adds a music has a field of this name, too.
            found
                .filter(|_| !place.parameter(name).is_empty())
                .map(messages)
                .unwrap_or_default()
        };
        let asked = ["search", "singer", "ordering", "limit", "cursor", "offset"];
        Self {
            search: place.parameter("search").to_owned(),
            search_errors: errors("search"),
            singer: place.parameter("singer").to_owned(),
            singer_errors: errors("singer"),
            orders: choices(&ORDERS, place.parameter("ordering")),
            limits: choices(&LIMITS, place.parameter("limit")),
            format: place.parameter("format").to_owned(),
            is_used: asked.iter().any(|name| !place.parameter(name).is_empty()),
        }
    }
}

/// Returns what can be chosen; a value that is not among it was chosen by the address, and is.
fn choices(known: &[(&str, &str)], chosen: &str) -> Vec<Choice> {
    let choice = |value: &str, label: &str| Choice {
        value: value.to_owned(),
        label: label.to_owned(),
        is_chosen: value == chosen,
    };
    let mut choices: Vec<_> = known
        .iter()
        .map(|(value, label)| choice(value, label))
        .collect();
    if choices.iter().all(|choice| !choice.is_chosen) {
        choices.push(choice(chosen, chosen));
    }
    choices
}

impl Pager {
    /// Reads the envelope of a page, if it is one.
    pub(super) fn of(envelope: &Value, origin: &str) -> Option<Self> {
        let (next, previous) = (envelope.get("next")?, envelope.get("previous")?);
        envelope.get("results")?;
        // Without scheme and host a link is the same, and shorter.
        let link = |address: &Value| {
            let address = address.as_str()?;
            Some(address.strip_prefix(origin).unwrap_or(address).to_owned())
        };
        Some(Self {
            previous: link(previous),
            next: link(next),
            count: envelope.get("count").and_then(Value::as_i64),
        })
    }

    /// Tells whether there is another page, or something to be said.
    pub(super) fn is_shown(&self) -> bool {
        self.previous.is_some() || self.next.is_some() || self.count.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;
    use serde_json::json;

    #[test]
    fn the_form_shows_what_was_asked_for() {
        let place = Place::of(&Uri::from_static(
            "/api/music/?search=a+b&ordering=song,-created&limit=25",
        ));
        let form = Seeking::of(
            &place,
            Some(&json!({ "search": ["No."], "singer": ["no"] })),
        );
        assert_eq!(form.search, "a b");
        assert_eq!(form.search_errors, ["No."]);
        assert!(form.singer_errors.is_empty(), "no singer was looked for");
        assert!(form.is_used);
        let chosen = |choices: &[Choice]| {
            let chosen = choices.iter().filter(|choice| choice.is_chosen);
            chosen
                .map(|choice| choice.value.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(&form.orders), ["song,-created"]);
        assert_eq!(chosen(&form.limits), ["25"]);
        let plain = Seeking::of(&Place::of(&Uri::from_static("/api/music/")), None);
        assert_eq!(
            (chosen(&plain.orders), plain.is_used),
            (vec![String::new()], false)
        );
    }

    #[test]
    fn an_envelope_leads_to_its_neighbours() {
        let envelope = json!({ "count": 3, "next": "http://m.test/api/music/?a=1", "previous": null, "results": [] });
        let expected = Pager {
            previous: None,
            next: Some("/api/music/?a=1".into()),
            count: Some(3),
        };
        assert_eq!(Pager::of(&envelope, "http://m.test"), Some(expected));
        assert_eq!(Pager::of(&json!([]), ""), None);
        assert_eq!(Pager::of(&json!({ "next": null, "id": 1 }), ""), None);
    }
}
