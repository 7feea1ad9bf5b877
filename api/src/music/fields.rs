//! One text field of what a client sent, with the messages of the original for what is wrong with it.

use serde_json::value::RawValue;

use super::number;

/// What the original says of a wrong field.
pub(super) mod message {
    pub(crate) const REQUIRED: &str = "This field is required.";
    pub(super) const NULL: &str = "This field may not be null.";
    pub(super) const BLANK: &str = "This field may not be blank.";
    pub(super) const NOT_TEXT: &str = "Not a valid string.";
    pub(crate) const NUL: &str = "Null characters are not allowed.";
}

/// Reads a text: trimmed as Python trims, and a number is text too.
pub(super) fn text(value: &RawValue) -> Result<String, Vec<String>> {
    let json = value.get();
    let text = match json.as_bytes().first() {
        Some(b'n') => return Err(vec![message::NULL.into()]),
        Some(b'"') => unescaped(json)?,
        Some(b'-' | b'0'..=b'9') => number::as_text(json),
        _ => return Err(vec![message::NOT_TEXT.into()]),
    };
    let trimmed = text.trim_matches(is_space);
    if trimmed.is_empty() {
        return Err(vec![message::BLANK.into()]);
    }
    if trimmed.contains('\0') {
        return Err(vec![message::NUL.into()]);
    }
    Ok(trimmed.to_owned())
}

/// What Python's `str.strip` takes away: white space as Unicode has it, and four separators.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// Reads a JSON string whose grammar is right: half of a surrogate pair is all that can be wrong.
fn unescaped(json: &str) -> Result<String, Vec<String>> {
    serde_json::from_str(json).map_err(|_| match lone_surrogate(json) {
        Some(unit) => vec![format!(
            "Surrogate characters are not allowed: U+{unit:04X}."
        )],
        None => vec![message::NOT_TEXT.into()],
    })
}

/// Finds the first `\ud800` to `\udfff` that has no other half.
fn lone_surrogate(json: &str) -> Option<u16> {
    let mut rest = json;
    let mut high = None;
    while let Some(at) = rest.find('\\') {
        // Between the halves of a pair there is nothing.
        let pair = high.take().filter(|_| at == 0);
        let escape = &rest[at..];
        let unit = escape
            .strip_prefix("\\u")
            .and_then(|hex| u16::from_str_radix(hex.get(..4)?, 16).ok());
        match (pair, unit) {
            (Some(_), Some(0xdc00..=0xdfff)) => {}
            (Some(first), _) => return Some(first),
            (None, Some(first @ 0xd800..=0xdbff)) => high = Some(first),
            (None, Some(low @ 0xdc00..=0xdfff)) => return Some(low),
            (None, _) => {}
        }
        rest = escape.get(if unit.is_some() { 6 } else { 2 }..)?;
        if high.is_some() && !rest.starts_with('\\') {
            return high;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<&str, &str>) {
        let value: &RawValue = serde_json::from_str(json).unwrap();
        let found = text(value).map_err(|messages| messages.join(" "));
        assert_eq!(
            found,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{json}"
        );
    }

    #[test]
    fn text_is_taken_and_trimmed() {
        for (json, expected) in [
            (r#""  padded  ""#, "padded"),
            (r#""\t\n tab \r\n""#, "tab"),
            (r#""\u00a0\u3000nbsp\u3000\u00a0""#, "nbsp"),
            (
                r#""\u0085\u001c\u001d\u001e\u001f\u2003em\u2003\u001f""#,
                "em",
            ),
            (r#""\u200bzw\u200b""#, "\u{200b}zw\u{200b}"),
            (
                r#""\ufeffbom\ufeff|\u180e|\u2060""#,
                "\u{feff}bom\u{feff}|\u{180e}|\u{2060}",
            ),
            (r#""\u200b""#, "\u{200b}"),
            (r#""e\u0301""#, "e\u{301}"),
            (r#""\u6708 \ud83c\udfb5""#, "月 🎵"),
            (r#""\u0001|\u007f|\"|\\|/""#, "\u{1}|\u{7f}|\"|\\|/"),
            ("123", "123"),
            ("4.50", "4.5"),
        ] {
            check(json, Ok(expected));
        }
    }

    #[test]
    fn anything_else_is_refused_in_the_words_of_the_original() {
        for (json, expected) in [
            ("null", message::NULL),
            (r#""""#, message::BLANK),
            (r#""  \t\n ""#, message::BLANK),
            (r#""\u3000""#, message::BLANK),
            ("true", message::NOT_TEXT),
            (r#"["a"]"#, message::NOT_TEXT),
            (r#"{"a":1}"#, message::NOT_TEXT),
            (r#""a\u0000b""#, message::NUL),
            (
                r#""\ud83d""#,
                "Surrogate characters are not allowed: U+D83D.",
            ),
            (
                r#""\ud83d x""#,
                "Surrogate characters are not allowed: U+D83D.",
            ),
            (
                r#""\ud83d\n""#,
                "Surrogate characters are not allowed: U+D83D.",
            ),
            (
                r#""\ud83d\ud83c\udfb5""#,
                "Surrogate characters are not allowed: U+D83D.",
            ),
            (
                r#""\\\ud83c\udfb5\udfb5""#,
                "Surrogate characters are not allowed: U+DFB5.",
            ),
            (
                r#""\\ud83d \udc00""#,
                "Surrogate characters are not allowed: U+DC00.",
            ),
        ] {
            check(json, Err(expected));
        }
    }
}
