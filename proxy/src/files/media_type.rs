//! Which media type has a file? By its name's extension, and in UTF-8 where it is text.

use http::HeaderValue;
use mime_guess::{Mime, mime};

/// Returns the value of `Content-Type` for the file of this name.
pub(super) fn of(name: &str) -> HeaderValue {
    let Some(media_type) = mime_guess::from_path(name).first() else {
        return HeaderValue::from_static("application/octet-stream");
    };
    let value = if is_text(&media_type) {
        format!("{media_type}; charset=utf-8")
    } else {
        media_type.to_string()
    };
    HeaderValue::try_from(value)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// Whether files of this type shrink when they are encoded; pictures and archives are packed already.
pub(super) fn is_worth_encoding(content_type: &HeaderValue) -> bool {
    let Some(media_type) = content_type
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
    else {
        return false;
    };
    is_text(&media_type) || media_type.subtype() == "wasm" || media_type.subtype() == "x-icon"
}

fn is_text(media_type: &Mime) -> bool {
    media_type.type_() == mime::TEXT
        || matches!(media_type.subtype().as_str(), "javascript" | "json" | "xml")
        || matches!(media_type.suffix(), Some(mime::XML | mime::JSON))
}

#[cfg(test)]
mod tests {
    use super::{is_worth_encoding, of};

    #[test]
    fn text_is_worth_encoding() {
        for name in [
            "a.html", "a.css", "a.js", "a.json", "a.svg", "a.xml", "a.wasm",
        ] {
            assert!(is_worth_encoding(&of(name)), "{name}");
        }
        for name in ["a.png", "a.woff2", "a.gz", "a.unheard-of", "a.mp4"] {
            assert!(!is_worth_encoding(&of(name)), "{name}");
        }
    }

    #[test]
    fn types_by_extension() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a.htm", "text/html; charset=utf-8"),
            ("a/style.css", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "application/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.webmanifest", "application/manifest+json; charset=utf-8"),
            ("a.xml", "text/xml; charset=utf-8"),
            ("feed.atom", "application/atom+xml; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("README.MD", "text/markdown; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.webp", "image/webp"),
            ("favicon.ico", "image/x-icon"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.pdf", "application/pdf"),
            ("a.tar.gz", "application/gzip"),
            ("a.unheard-of", "application/octet-stream"),
            ("Makefile", "application/octet-stream"),
            ("json", "application/octet-stream"),
            ("a.b/c", "application/octet-stream"),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
    }
}
