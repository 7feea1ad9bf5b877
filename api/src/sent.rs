//! The body of a request: read within a limit of size and time, then understood as JSON.

use std::borrow::Cow;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use multer::Multipart;
use serde_json::value::RawValue;
use serde_json::{Map, json};
use tokio::time::{Instant, timeout, timeout_at};

use crate::charset;
use crate::error::Error;

/// The largest body that is read: that of the original.
pub const LIMIT: usize = 2_621_440;
/// The next piece of a body has to come within this time.
const PIECE_LIMIT: Duration = Duration::from_secs(15);
/// The whole body has to come within this time.
const WHOLE_LIMIT: Duration = Duration::from_secs(60);
/// A form has no more fields than this: each costs far more than its bytes.
const MOST_FIELDS: usize = 2000;
/// How much of a body over the limit is read and thrown away, so that the client gets to read the answer.
const SWALLOWED: usize = 16 * LIMIT;

/// A body as it was sent, with its type. Has no `Debug`: it may hold a password.
pub struct Sent {
    content_type: String,
    body: Bytes,
}

impl<S: Sync> FromRequest<S> for Sent {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let content_type =
            content_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let announced = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let body = read(request.into_body(), announced.unwrap_or(0)).await?;
        Ok(Self {
            content_type: content_type.unwrap_or_default(),
            body,
        })
    }
}

impl Sent {
    /// Returns the body as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Returns what the body says: its bytes in UTF-8, if it has another charset, and else as they came.
    #[must_use]
    pub fn content(&self) -> Cow<'_, [u8]> {
        match self.json_text() {
            Ok(Cow::Owned(text)) => text.into_bytes().into(),
            _ => (&*self.body).into(),
        }
    }

    /// Returns the JSON object that was sent, as text that is known to be JSON; an empty body is an empty object.
    pub fn object(&self) -> Result<Cow<'_, str>, Error> {
        if self.body.is_empty() {
            return Ok("{}".into());
        }
        let text = self.json_text()?;
        let value: &RawValue =
            serde_json::from_str(&text).map_err(|error| Error::NotJson(error.to_string()))?;
        match kind(value.get()) {
            "dict" => Ok(text),
            "NoneType" => Err(not_an_object("No data provided")),
            kind => Err(not_an_object(&format!(
                "Invalid data. Expected a dictionary, but got {kind}."
            ))),
        }
    }

    /// Returns the fields of an HTML form that was sent, in either of the encodings that browsers have for one.
    pub async fn form(&self) -> Result<Vec<(String, String)>, Error> {
        if self.body.is_empty() {
            return Ok(Vec::new());
        }
        let media = self.content_type.split(';').next().unwrap_or_default();
        match media.trim().to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => {
                let ends = self.body.iter().filter(|byte| **byte == b'&').count();
                if ends >= MOST_FIELDS {
                    return Err(Error::NotForm(format!("more than {MOST_FIELDS} fields")));
                }
                Ok(form_urlencoded::parse(&self.body).into_owned().collect())
            }
            "multipart/form-data" => self.parts().await,
            _ => Err(Error::UnsupportedMediaType(self.content_type.clone())),
        }
    }

    /// Returns the parts of a form that have a name; a file counts as its text.
    async fn parts(&self) -> Result<Vec<(String, String)>, Error> {
        let boundary = multer::parse_boundary(&self.content_type);
        let boundary = boundary.map_err(|error| Error::NotForm(error.to_string()))?;
        let body = stream::iter([Ok::<_, Infallible>(self.body.clone())]);
        let mut parts = Multipart::new(body, boundary);
        let mut fields = Vec::new();
        loop {
            let part = parts.next_field().await;
            let Some(part) = part.map_err(|error| Error::NotForm(error.to_string()))? else {
                return Ok(fields);
            };
            let Some(name) = part.name().map(str::to_owned) else {
                continue;
            };
            let text = part.bytes().await;
            let text = text.map_err(|error| Error::NotForm(error.to_string()))?;
            fields.push((name, String::from_utf8_lossy(&text).into_owned()));
        }
    }

    /// Returns the text of a body of JSON. As in the original it is decoded by the charset that it names, and a
    /// charset that nobody knows is none.
    fn json_text(&self) -> Result<Cow<'_, str>, Error> {
        let mut parts = self.content_type.split(';').map(str::trim);
        if !parts
            .next()
            .is_some_and(|media| media.eq_ignore_ascii_case("application/json"))
        {
            return Err(Error::UnsupportedMediaType(self.content_type.clone()));
        }
        let charset = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.eq_ignore_ascii_case("charset")
                .then(|| value.trim_matches('"'))
        });
        charset::decode(&self.body, charset.unwrap_or("utf-8"))
    }
}

impl Sent {
    /// A body of JSON, to see what is made of it.
    pub(crate) fn json(text: &'static str) -> Self {
        Self {
            content_type: "application/json".into(),
            body: Bytes::from_static(text.as_bytes()),
        }
    }
}

/// Reads a body to its end.
async fn read(mut body: Body, announced: usize) -> Result<Bytes, Error> {
    let deadline = Instant::now() + WHOLE_LIMIT;
    let mut read = Vec::with_capacity(announced.min(64 * 1024));
    let mut length = 0;
    let mut too_large = announced > LIMIT;
    loop {
        // Whoever announced more than will be swallowed is answered at once.
        if too_large && length.max(announced) > SWALLOWED {
            return Err(Error::TooLarge);
        }
        let frame = timeout_at(deadline, timeout(PIECE_LIMIT, body.frame())).await;
        let Ok(Ok(frame)) = frame else {
            return Err(Error::TooSlow);
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Error::Truncated)?.into_data() else {
            continue;
        };
        length += data.len();
        too_large |= length > LIMIT;
        if too_large {
            read = Vec::new();
        } else {
            read.extend_from_slice(&data);
        }
    }
    if too_large {
        Err(Error::TooLarge)
    } else {
        Ok(read.into())
    }
}

fn not_an_object(message: &str) -> Error {
    Error::Invalid(Map::from_iter([(
        "non_field_errors".to_owned(),
        json!([message]),
    )]))
}

/// Names the kind of a JSON value as Python does.
fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "dict",
        Some(b'[') => "list",
        Some(b'"') => "str",
        Some(b't' | b'f') => "bool",
        Some(b'n') | None => "NoneType",
        Some(_) if json.contains(['.', 'e', 'E']) => "float",
        Some(_) => "int",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use tokio::time::sleep;

    fn sent(content_type: &str, body: &[u8]) -> Result<String, String> {
        let sent = Sent {
            content_type: content_type.into(),
            body: Bytes::copy_from_slice(body),
        };
        sent.object()
            .map(Cow::into_owned)
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn an_object_is_taken_and_anything_else_is_named() {
        assert_eq!(
            sent("application/json", b" {\"a\": 1} ").unwrap(),
            " {\"a\": 1} "
        );
        for (body, expected) in [
            ("[]", "Expected a dictionary, but got list."),
            ("\"x\"", "but got str."),
            ("5", "but got int."),
            ("-5.0", "but got float."),
            ("false", "but got bool."),
            ("null", "No data provided"),
            ("{\"song\": ", "NotJson"),
            ("{'song':'a'}", "NotJson"),
            ("{\"a\":1,}", "NotJson"),
            ("{} x", "NotJson"),
            ("NaN", "NotJson"),
            ("\u{feff}{}", "NotJson"),
            ("{\"a\":\"\n\"}", "NotJson"),
        ] {
            let error = sent("application/json", body.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{body}: {error}");
        }
        assert!(
            sent("application/json", b"{\"a\":\"\xff\"}")
                .unwrap_err()
                .contains("position 6")
        );
    }

    #[test]
    fn a_body_as_deep_as_it_may_be_long_is_no_danger() {
        let deep = "[".repeat(LIMIT);
        assert!(
            sent("application/json", deep.as_bytes())
                .unwrap_err()
                .contains("NotJson")
        );
        let closed = "[".repeat(LIMIT / 2) + &"]".repeat(LIMIT / 2);
        assert!(
            sent("application/json", closed.as_bytes())
                .unwrap_err()
                .contains("list")
        );
    }

    #[test]
    fn only_json_is_read_and_an_empty_body_is_of_any_type() {
        for content_type in [
            "application/json",
            "APPLICATION/JSON",
            "application/json; charset=utf-8",
            "application/json ;charset=\"UTF-8\"",
        ] {
            assert!(sent(content_type, b"{}").is_ok(), "{content_type}");
        }
        for content_type in [
            "",
            "text/plain",
            "application/vnd.api+json",
            "application/jsonx",
        ] {
            assert!(
                sent(content_type, b"{}")
                    .unwrap_err()
                    .contains("UnsupportedMediaType"),
                "{content_type}"
            );
            assert_eq!(sent(content_type, b"").unwrap(), "{}");
        }
    }

    #[test]
    fn a_body_says_the_same_in_any_charset() {
        let content = |charset: &str, body: &[u8]| {
            let content_type = format!("application/json; v=1; Charset=\"{charset}\"");
            assert_eq!(sent(&content_type, body).unwrap(), "{\"é\":1}");
            let body = Bytes::copy_from_slice(body);
            let sent = Sent { content_type, body };
            sent.content().into_owned()
        };
        let expected = "{\"é\":1}".as_bytes();
        assert_eq!(content("utf-8", expected), expected);
        assert_eq!(content("latin1", b"{\"\xe9\":1}"), expected);
    }

    #[tokio::test]
    async fn a_form_is_read_in_both_encodings() {
        let form = async |content_type: &str, body: &str| {
            let sent = Sent {
                content_type: content_type.into(),
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            sent.form().await.map_err(|error| format!("{error:?}"))
        };
        let fields = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
            pairs.iter().map(owned).collect()
        };
        let expected = fields(&[("username", "é & b"), ("password", "a\r\nb")]);
        let plain = "username=%C3%A9+%26+b&password=a%0D%0Ab";
        let plain = form("application/x-www-form-urlencoded; charset=utf-8", plain);
        assert_eq!(plain.await.unwrap(), expected);
        let parts = "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\né & b\r\n\
                     --x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\na\r\nb\r\n--x--\r\n";
        let multipart = form("multipart/form-data; boundary=x", parts);
        assert_eq!(multipart.await.unwrap(), expected);
        assert_eq!(form("multipart/form-data", "").await.unwrap(), []);
        for (content_type, body, refusal) in [
            ("multipart/form-data", parts, "NotForm"),
            ("multipart/form-data; boundary=x", "no parts", "NotForm"),
            ("multipart/form-data; boundary=x", &parts[..60], "NotForm"),
            ("multipart/form-data; boundary=y", parts, "NotForm"),
            ("multipart/mixed; boundary=x", parts, "UnsupportedMediaType"),
            ("", parts, "UnsupportedMediaType"),
        ] {
            let refused = form(content_type, body).await.unwrap_err();
            assert!(refused.contains(refusal), "{content_type}: {refused}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_or_drips_is_given_up() {
        let piece = || Ok::<_, std::io::Error>(Bytes::from_static(b" "));
        let stalled = stream::iter([piece()]).chain(stream::pending());
        let started = Instant::now();
        let refusal = read(Body::from_stream(stalled), 0).await;
        assert!(matches!(refusal, Err(Error::TooSlow)));
        assert_eq!(started.elapsed().as_secs(), PIECE_LIMIT.as_secs());

        let dripping = stream::unfold((), move |()| async move {
            sleep(PIECE_LIMIT / 2).await;
            Some((piece(), ()))
        });
        let started = Instant::now();
        let refusal = read(Body::from_stream(dripping), 0).await;
        assert!(matches!(refusal, Err(Error::TooSlow)));
        assert_eq!(started.elapsed().as_secs(), WHOLE_LIMIT.as_secs());
    }
}
