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

/// Writes text at the end of `out`, in quotes: what [`write()`] makes of it, without a serializer in between.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !MAY_BE_ESCAPED[usize::from(byte)] {
            continue;
        }
        let (escape, length): (&[u8], usize) = match byte {
            b'"' => (br#"\""#, 1),
            b'\\' => (br"\\", 1),
            b'\n' => (br"\n", 1),
            b'\r' => (br"\r", 1),
            b'\t' => (br"\t", 1),
            0x08 => (br"\b", 1),
            0x0c => (br"\f", 1),
            0xe2 => match bytes.get(at + 1..at + 3) {
                Some([0x80, 0xa8]) => (br"\u2028", 3),
                Some([0x80, 0xa9]) => (br"\u2029", 3),
                _ => continue,
            },
            control => {
                out.extend_from_slice(&bytes[written..at]);
                out.extend_from_slice(br"\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
                written = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&bytes[written..at]);
        out.extend_from_slice(escape);
        written = at + length;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The bytes with which something begins that is written otherwise: of `e2`, the two line separators.
const MAY_BE_ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0xe2] = true;
    table
};

/// Writes a whole number at the end of `out`.
pub fn write_number(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        first -= 1;
        // The remainder is one digit.
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[first..]);
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
    use proptest::prelude::*;

    #[test]
    fn text_is_written_as_the_original_writes_it() {
        let text = "歌🎵\u{2028}a\u{2029}\u{1}\u{1f}\u{7f}\"\\/\u{8}\u{c}\n\r\t<&'";
        let expected = "\"歌🎵\\u2028a\\u2029\\u0001\\u001f\u{7f}\\\"\\\\/\\b\\f\\n\\r\\t<&'\"";
        assert_eq!(String::from_utf8(to_bytes(&text)).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn text_alone_is_written_alike(
            text in "([\\x00-\\x7f]|[\u{2027}-\u{202a}]|\\PC){0,20}"
        ) {
            let mut out = b"before".to_vec();
            write_text(&mut out, &text);
            prop_assert_eq!(&out[..6], b"before");
            prop_assert_eq!(&out[6..], to_bytes(&text));
        }

        #[test]
        fn numbers_alone_are_written_alike(number: i64) {
            for number in [number, i64::MIN, i64::MAX, 0, number % 100] {
                let mut out = Vec::new();
                write_number(&mut out, number);
                prop_assert_eq!(out, to_bytes(&number));
            }
        }
    }

    #[test]
    fn nothing_stands_between_the_parts() {
        let value = serde_json::json!({ "b": [1, 2], "a": null });
        assert_eq!(to_bytes(&value), br#"{"b":[1,2],"a":null}"#);
    }
}
