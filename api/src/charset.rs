//! The charset of a body of JSON: the original decoded by it, so old clients may rely on it.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16LE, WINDOWS_1252};

use crate::error::Error;

/// Decodes a text. Charsets are called what the WHATWG's Encoding Standard calls them, and what Python does where it is
/// common; one that nobody knows is none.
pub(crate) fn decode<'body>(body: &'body [u8], charset: &str) -> Result<Cow<'body, str>, Error> {
    let charset = &*charset.to_ascii_lowercase().replace('_', "-");
    let refused = || Error::NotJson(format!("'{charset}' codec can't decode the body"));
    let encoding = match charset {
        // There it is another name of windows-1252, which would take UTF-8 for something else.
        "ascii" | "us-ascii" if !body.is_ascii() => return Err(refused()),
        "ascii" | "us-ascii" => UTF_8,
        "latin-1" => WINDOWS_1252,
        "utf-16" => Encoding::for_bom(body).map_or(UTF_16LE, |(encoding, _)| encoding),
        _ => Encoding::for_label(charset.as_bytes()).unwrap_or(UTF_8),
    };
    if encoding != UTF_8 {
        let (text, is_malformed) = encoding.decode_with_bom_removal(body);
        return if is_malformed {
            Err(refused())
        } else {
            Ok(text)
        };
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Error::NotJson(format!(
            "'utf-8' codec can't decode the byte in position {}",
            error.valid_up_to()
        ))
    })?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_decoded_by_its_charset() {
        for (charset, body, expected) in [
            ("utf-8", "é".as_bytes(), Some("é")),
            ("UTF8", b"x", Some("x")),
            ("utf-8", b"\xe9", None),
            ("us-ascii", b"x", Some("x")),
            ("ASCII", b"x", Some("x")),
            ("ascii", "é".as_bytes(), None),
            ("us-ascii", "é".as_bytes(), None),
            ("ISO-8859-1", b"\xe9", Some("é")),
            ("iso_8859-1", b"\xe9", Some("é")),
            ("latin1", b"\xe9", Some("é")),
            ("Latin-1", b"\xe9", Some("é")),
            ("big5", b"\xba\xab", Some("澈")),
            ("big5", "歌\"".as_bytes(), None),
            ("utf-16", b"\xff\xfex\0", Some("x")),
            ("UTF-16", b"\xfe\xff\0x", Some("x")),
            ("utf-16le", b"x\0", Some("x")),
            ("of-my-own", "é".as_bytes(), Some("é")),
            ("", b"x", Some("x")),
        ] {
            let decoded = decode(body, charset);
            match expected {
                Some(expected) => assert_eq!(decoded.unwrap(), expected, "{charset}"),
                None => assert!(matches!(decoded, Err(Error::NotJson(_))), "{charset}"),
            }
        }
    }
}
