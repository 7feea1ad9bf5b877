//! JSON with line breaks, for a person who asks for it: `Accept: application/json; indent=4`.
//!
//! It is put in while the answer is streamed, so that a long list is no longer in memory than it has to be.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::TryStreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

/// Indents the JSON of an answer by `width` spaces; an answer without JSON stays as it is.
pub fn wrap(response: Response, width: usize) -> Response {
    if response.headers().get(CONTENT_TYPE) != Some(&crate::json::CONTENT_TYPE) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let mut indenter = Indenter::new(width);
    let lines = body
        .into_data_stream()
        .map_ok(move |chunk| indenter.indent(&chunk));
    Response::from_parts(head, Body::from_stream(lines))
}

/// Where in the JSON it is. All that it looks at is ASCII, so a chunk may end anywhere.
struct Indenter {
    width: usize,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
    /// A bracket was opened, and nothing came yet: an empty one stays on its line.
    is_opened: bool,
}

impl Indenter {
    fn new(width: usize) -> Self {
        Self {
            width,
            depth: 0,
            in_text: false,
            is_escaped: false,
            is_opened: false,
        }
    }

    fn indent(&mut self, chunk: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(chunk.len() * 3 / 2);
        for &byte in chunk {
            if self.in_text {
                self.in_text = self.is_escaped || byte != b'"';
                self.is_escaped = !self.is_escaped && byte == b'\\';
                out.push(byte);
                continue;
            }
            let is_closing = matches!(byte, b'}' | b']');
            if is_closing {
                self.depth = self.depth.saturating_sub(1);
            }
            if std::mem::take(&mut self.is_opened) != is_closing {
                self.break_line(&mut out);
            }
            out.push(byte);
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.is_opened = true;
                }
                b',' => self.break_line(&mut out),
                b':' => out.push(b' '),
                _ => {}
            }
        }
        out.into()
    }

    fn break_line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + self.depth * self.width, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_as_in_the_original_wherever_a_chunk_ends() {
        let json = r#"[{"a":"b,[\\\":{\\","c":[],"d":{},"e":[1,2]},null]"#;
        let expected = "[\n  {\n    \"a\": \"b,[\\\\\\\":{\\\\\",\n    \"c\": [],\n    \"d\": {},\n    \
                        \"e\": [\n      1,\n      2\n    ]\n  },\n  null\n]";
        for size in 1..=json.len() {
            let mut indenter = Indenter::new(2);
            let chunks = json.as_bytes().chunks(size);
            let lines: Vec<u8> = chunks.flat_map(|chunk| indenter.indent(chunk)).collect();
            assert_eq!(String::from_utf8(lines).unwrap(), expected, "{size}");
        }
    }
}
