//! JSON as markup: indented as in the original, text isolated from what stands around it, addresses of this site
//! as links. Pure.

use serde_json::Value;

use crate::json;

const INDENT: &str = "    ";

/// Writes a value. Addresses that begin with `origin` become links, and so do the ids of `rows`.
pub(super) fn markup(value: &Value, origin: &str, rows: bool) -> String {
    let mut writer = Writer {
        out: String::with_capacity(4096),
        origin,
        rows,
    };
    writer.value(value, 0);
    writer.out
}

struct Writer<'a> {
    out: String,
    origin: &'a str,
    rows: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) if !values.is_empty() => {
                self.out.push('[');
                for (at, value) in values.iter().enumerate() {
                    self.line(at > 0, depth + 1);
                    self.value(value, depth + 1);
                }
                self.line(false, depth);
                self.out.push(']');
            }
            Value::Object(map) if !map.is_empty() => {
                self.out.push('{');
                for (at, (name, value)) in map.iter().enumerate() {
                    self.line(at > 0, depth + 1);
                    self.quoted(name);
                    self.out.push_str(": ");
                    self.member(name, value, depth + 1);
                }
                self.line(false, depth);
                self.out.push('}');
            }
            other => escape(&mut self.out, &other.to_string()),
        }
    }

    fn member(&mut self, name: &str, value: &Value, depth: usize) {
        match value.as_i64().filter(|_| self.rows && name == "id") {
            Some(id) => {
                let link = format!("<a href=\"/api/music/{id}/\">{id}</a>");
                self.out.push_str(&link);
            }
            None => self.value(value, depth),
        }
    }

    fn line(&mut self, is_next: bool, depth: usize) {
        if is_next {
            self.out.push(',');
        }
        self.out.push('\n');
        for _ in 0..depth {
            self.out.push_str(INDENT);
        }
    }

    fn text(&mut self, text: &str) {
        let rest = text.strip_prefix(self.origin);
        let is_here = !self.origin.is_empty() && rest.is_some_and(|rest| rest.starts_with('/'));
        if is_here {
            self.out.push_str("<a href=\"");
            escape(&mut self.out, text);
            self.out.push_str("\">");
        }
        // Marks that turn the direction of writing end where the text ends.
        self.out.push_str("<bdi>");
        self.quoted(text);
        self.out.push_str("</bdi>");
        if is_here {
            self.out.push_str("</a>");
        }
    }

    fn quoted(&mut self, text: &str) {
        let json = json::to_bytes(&text);
        escape(&mut self.out, &String::from_utf8_lossy(&json));
    }
}

/// Writes text so that nothing of it is read as markup.
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '&', '"', '\'']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        out.push_str(match after.as_bytes()[0] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &after[1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_indented_and_the_ids_of_rows_are_links() {
        let value = json!([{ "id": 5, "song": null, "of": { "id": -1 } }, [], {}, true, 1.5]);
        let text = "[\n    {\n        &quot;id&quot;: 5,\n        &quot;song&quot;: null,\n        \
                    &quot;of&quot;: {\n            &quot;id&quot;: -1\n        }\n    },\n    [],\n    {},\n    true,\n    1.5\n]";
        assert_eq!(markup(&value, "http://m.test", false), text);
        let linked = text
            .replace(": 5", ": <a href=\"/api/music/5/\">5</a>")
            .replace(": -1", ": <a href=\"/api/music/-1/\">-1</a>");
        assert_eq!(markup(&value, "http://m.test", true), linked);
    }

    #[test]
    fn only_addresses_of_this_site_are_links_and_nothing_is_markup() {
        let check = |text: &str, expected: &str| {
            assert_eq!(markup(&json!(text), "http://m.test", true), expected);
        };
        check(
            "http://m.test/?a=1&b=\"",
            "<a href=\"http://m.test/?a=1&amp;b=&quot;\"><bdi>&quot;http://m.test/?a=1&amp;b=\\&quot;&quot;</bdi></a>",
        );
        for other in [
            "http://m.test.evil/",
            "https://evil.test/",
            "javascript:alert(1)",
        ] {
            check(other, &format!("<bdi>&quot;{other}&quot;</bdi>"));
        }
        check(
            "</pre><script>alert('1')</script>&",
            "<bdi>&quot;&lt;/pre&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;</bdi>",
        );
        assert_eq!(markup(&json!("/a"), "", true), "<bdi>&quot;/a&quot;</bdi>");
    }
}
