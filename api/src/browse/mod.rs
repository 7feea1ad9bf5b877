//! A plain page for a browser: the JSON of the answer, to be read.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};

const BEFORE: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
    <title>Music API</title>\n<pre style=\"white-space: pre-wrap; overflow-wrap: anywhere\">";
const AFTER: &str = "</pre>\n</html>\n";

/// Puts the JSON of an answer into a page; an answer without JSON stays as it is.
pub fn wrap(response: Response) -> Response {
    if response.headers().get(CONTENT_TYPE) != Some(&crate::json::CONTENT_TYPE) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(ETAG);
    let before = stream::iter([Ok(Bytes::from_static(BEFORE.as_bytes()))]);
    let after = stream::iter([Ok(Bytes::from_static(AFTER.as_bytes()))]);
    let json = body.into_data_stream().map_ok(|chunk| escape(&chunk));
    Response::from_parts(head, Body::from_stream(before.chain(json).chain(after)))
}

/// Escapes what HTML would read as markup. All of it is ASCII, so a chunk may end inside a character.
fn escape(chunk: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(chunk.len() + chunk.len() / 8);
    for &byte in chunk {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            other => out.push(other),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_json_is_read_as_markup() {
        assert_eq!(
            escape("<b>\"é\" & </b>".as_bytes()),
            "&lt;b&gt;&quot;é&quot; &amp; &lt;/b&gt;"
        );
    }
}
