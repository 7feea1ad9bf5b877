//! JSON as the original writes it: compact, UTF-8 as it is, but U+2028 and U+2029 as escapes.

use std::io;

use http::HeaderValue;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// `application/json`, without a charset.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// Writes `value` at the end of `out`.
pub fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    let written = value.serialize(&mut Serializer::with_formatter(out, AsTheOriginal));
    written
        .expect("a vector takes any bytes, and no type of this crate has keys that are not text");
}

/// Writes `value` into bytes of its own.
pub fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    out
}

/// Escapes the two line separators, which a script that holds JSON could not hold as they are.
struct AsTheOriginal;

impl Formatter for AsTheOriginal {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(['\u{2028}', '\u{2029}']) {
            let (before, after) = rest.split_at(at);
            let (separator, after) = after.split_at('\u{2028}'.len_utf8());
            writer.write_all(before.as_bytes())?;
            writer.write_all(if separator == "\u{2028}" {
                br"\u2028"
            } else {
                br"\u2029"
            })?;
            rest = after;
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_the_original_writes_it() {
        let text = "歌🎵\u{2028}a\u{2029}\u{1}\u{1f}\u{7f}\"\\/\u{8}\u{c}\n\r\t<&'";
        let expected = "\"歌🎵\\u2028a\\u2029\\u0001\\u001f\u{7f}\\\"\\\\/\\b\\f\\n\\r\\t<&'\"";
        assert_eq!(String::from_utf8(to_bytes(&text)).unwrap(), expected);
    }

    #[test]
    fn nothing_stands_between_the_parts() {
        let value = serde_json::json!({ "b": [1, 2], "a": null });
        assert_eq!(to_bytes(&value), br#"{"b":[1,2],"a":null}"#);
    }
}
