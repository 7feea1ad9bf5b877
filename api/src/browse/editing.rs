//! The forms of a page that change something: fields, raw data, the question before something is deleted. Pure but
//! for the key that each form gets.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::View;
use super::form::{Content, Submitted};
use crate::auth::secret::Secret;
use crate::error::Error;

/// The fields that can be written, and what they are called.
const FIELDS: [(&str, &str); 2] = [("song", "Song"), ("singer", "Singer")];

/// What can be changed from a page by whoever looks at it.
#[derive(Debug)]
pub(super) struct Editing {
    /// Makes each form one that is applied once.
    pub(super) key: String,
    /// The method of the form with fields: POST or PUT.
    pub(super) method: &'static str,
    /// The fields; empty where their values are not known.
    pub(super) fields: Vec<Field>,
    /// The raw data to begin with.
    pub(super) raw: String,
    /// Whether the raw data was sent last.
    pub(super) is_raw: bool,
    /// Whether there is something that can be deleted.
    pub(super) can_delete: bool,
    /// Whether that was asked for, and has to be confirmed.
    pub(super) asks_back: bool,
}

/// One field of a form.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    /// Whether a field of one line would lose some of it.
    pub(super) has_lines: bool,
    pub(super) errors: Vec<String>,
}

impl Editing {
    /// Returns the forms of a page, if there are any: for who may write, and where it is known what is there.
    pub(super) fn of(
        view: &View,
        may_write: bool,
        status: StatusCode,
        json: Option<&Value>,
    ) -> Result<Option<Self>, Error> {
        let method = if view.knows("POST") {
            "POST"
        } else if view.knows("PUT") {
            "PUT"
        } else {
            return Ok(None);
        };
        let is_refused = may_be_tried_again(status);
        let submitted = view.submitted.as_ref().filter(|_| is_refused);
        let is_row = |json: &&Value| json.get("id").is_some() && json.get("song").is_some();
        let row = json.filter(is_row).filter(|_| status.is_success());
        let is_there = method == "POST" || row.is_some() || submitted.is_some();
        if !may_write || !is_there {
            return Ok(None);
        }
        let values = match (method, submitted) {
            (_, Some(submitted)) => Values::Submitted(submitted),
            ("POST", None) => Values::Empty,
            (_, None) => row.map_or(Values::Empty, Values::Row),
        };
        let key = submitted
            .filter(|_| status != StatusCode::BAD_REQUEST)
            .and_then(|submitted| submitted.key.clone());
        let key = match key {
            // What became of the first one is not known: the same form finds out.
            Some(key) => key,
            None => Secret::random()
                .map_err(Error::NoRandomness)?
                .reveal()
                .to_owned(),
        };
        Ok(Some(Self {
            key,
            method,
            fields: values.fields(json.filter(|_| is_refused)),
            raw: values.raw(),
            is_raw: matches!(
                &values,
                Values::Submitted(Submitted {
                    content: Content::Raw { .. },
                    ..
                })
            ),
            can_delete: view.knows("DELETE"),
            asks_back: view.knows("DELETE") && view.method == Method::GET && view.place.asks_back(),
        }))
    }
}

/// Whether a form that was answered so is worth to be shown again as it was sent.
fn may_be_tried_again(status: StatusCode) -> bool {
    let is_refused = status.is_client_error() || status.is_server_error();
    is_refused && status != StatusCode::NOT_FOUND && status != StatusCode::FORBIDDEN
}

/// What the forms show to begin with.
enum Values<'a> {
    Empty,
    Row(&'a Value),
    Submitted(&'a Submitted),
}

impl Values<'_> {
    fn fields(&self, refusal: Option<&Value>) -> Vec<Field> {
        let value = |name: &str| match self {
            Values::Row(row) => row.get(name).and_then(Value::as_str),
            Values::Submitted(Submitted {
                content: Content::Fields(fields),
                ..
            }) => fields.get(name).and_then(Value::as_str),
            Values::Empty | Values::Submitted(_) => None,
        };
        let fields = FIELDS.into_iter().map(|(name, label)| {
            let value = value(name).unwrap_or_default().to_owned();
            let errors = refusal.and_then(|refusal| refusal.get(name));
            Field {
                name,
                label,
                has_lines: value.contains(['\n', '\r']),
                value,
                errors: errors.map(messages).unwrap_or_default(),
            }
        });
        match self {
            // Fields that do not show what is there would overwrite it.
            Values::Submitted(Submitted {
                content: Content::Raw { .. } | Content::Nothing,
                ..
            }) => Vec::new(),
            _ => fields.collect(),
        }
    }

    fn raw(&self) -> String {
        match self {
            Values::Submitted(Submitted {
                content: Content::Raw { text, .. },
                ..
            }) => text.to_string(),
            values => {
                let fields = values.fields(None);
                let value = |at: usize| fields.get(at).map_or("", |field| field.value.as_str());
                let object = json!({ FIELDS[0].0: value(0), FIELDS[1].0: value(1) });
                serde_json::to_string_pretty(&object).unwrap_or_default()
            }
        }
    }
}

/// Returns what is said of each field, with its name.
pub(super) fn problems_of_fields(refusal: &Value) -> Vec<String> {
    let said = |(name, label)| {
        let texts = refusal.get(name).map(messages).unwrap_or_default();
        texts
            .into_iter()
            .map(move |text| format!("{label}: {text}"))
    };
    FIELDS.into_iter().flat_map(said).collect()
}

/// Returns the texts of a list of messages.
pub(super) fn messages(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn shown(values: &Values<'_>, refusal: Option<&Value>) -> String {
        let fields = values.fields(refusal);
        let fields = fields
            .iter()
            .map(|field| format!("{}={} {:?}", field.name, field.value, field.errors));
        fields.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_was_typed_is_kept_and_the_messages_stand_at_their_fields() {
        let typed = json!({ "song": "s", "singer": "" })
            .as_object()
            .unwrap()
            .clone();
        let submitted = Submitted {
            content: Content::Fields(Arc::new(typed)),
            key: None,
        };
        let refusal = json!({ "singer": ["a", "b"] });
        assert_eq!(
            shown(&Values::Submitted(&submitted), Some(&refusal)),
            r#"song=s [], singer= ["a", "b"]"#
        );
    }

    #[test]
    fn a_row_fills_the_fields_and_the_raw_data() {
        let row = json!({ "id": 1, "song": "a\nb", "singer": "x" });
        let values = Values::Row(&row);
        assert_eq!(shown(&values, None), "song=a\nb [], singer=x []");
        let lines: Vec<_> = values
            .fields(None)
            .iter()
            .map(|field| field.has_lines)
            .collect();
        assert_eq!(lines, [true, false]);
        assert_eq!(
            values.raw(),
            "{\n  \"song\": \"a\\nb\",\n  \"singer\": \"x\"\n}"
        );
        assert_eq!(
            Values::Empty.raw(),
            "{\n  \"song\": \"\",\n  \"singer\": \"\"\n}"
        );
    }

    #[test]
    fn raw_data_comes_back_alone() {
        let submitted = Submitted {
            content: Content::Raw {
                text: "{\"song\":".into(),
                kind: String::new(),
            },
            key: None,
        };
        let values = Values::Submitted(&submitted);
        assert!(values.fields(None).is_empty());
        assert_eq!(values.raw(), "{\"song\":");
    }
}
