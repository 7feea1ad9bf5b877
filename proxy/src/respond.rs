//! What the proxy says itself: the one table from cause to status, and the bytes of its answers.
//!
//! [`crate::front`] and [`crate::gateway`] find out what happened; this writes it. The client
//! reads a fixed sentence, never a text that it sent or that an upstream gave as an error.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use crate::files;
use crate::websocket;

mod pages;

/// The name under which the proxy answers.
pub const INSTANCE: &str = "proxy";

/// Why the proxy answers with an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request broke a rule of `head`.
    Refused {
        /// The status that the rule gives.
        status: StatusCode,
        /// The fixed sentence of the rule.
        sentence: &'static str,
    },
    /// No route matches.
    NoRoute,
    /// The route serves files and there is none.
    NoFile,
    /// The path cannot name a file.
    BadPath,
    /// A precondition of the request does not hold.
    PreconditionFailed,
    /// The method is not one of those that files answer.
    FileMethod,
    /// The disk does not give the file.
    FileUnavailable,
    /// The client names no host under which it could come over TLS.
    OnlyHttps,
    /// The route takes no `WebSocket`s.
    NoWebSocket,
    /// The route takes `WebSocket`s, but not by this handshake.
    BadHandshake(websocket::Fault),
    /// The client has sent more requests than its route allows.
    TooManyRequests {
        /// Seconds after which the next one is let in.
        retry_after: u32,
    },
    /// The body is larger than its route allows.
    BodyTooLarge,
    /// The body breaks the rules of its framing.
    MalformedBody,
    /// The client stopped sending.
    ClientSilent,
    /// The client left.
    ClientGone,
    /// No server is left.
    NoServer,
    /// All servers have as much in hand as they may, and so many wait already.
    Busy,
    /// A server answered wrongly or broke off.
    BadAnswer,
    /// A server did not answer in time.
    LateAnswer,
    /// A fault in the proxy.
    Internal,
    /// The proxy has stopped in the middle of it; for the log only.
    Stopped,
}

impl Failure {
    /// The status for the client and the log; 499 is for the log only.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Refused { status, .. } => status,
            Self::NoRoute | Self::NoFile => StatusCode::NOT_FOUND,
            Self::BadPath | Self::MalformedBody => StatusCode::BAD_REQUEST,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::FileMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoWebSocket | Self::OnlyHttps => StatusCode::FORBIDDEN,
            Self::BadHandshake(fault) => fault.status(),
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ClientSilent => StatusCode::REQUEST_TIMEOUT,
            Self::ClientGone => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::NoServer | Self::Busy | Self::FileUnavailable | Self::Stopped => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::BadAnswer => StatusCode::BAD_GATEWAY,
            Self::LateAnswer => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The words for the log.
    pub fn cause(self) -> &'static str {
        self.sentence()
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Refused { sentence, .. } => sentence,
            Self::NoRoute | Self::NoFile => "There is nothing at this address.",
            Self::BadPath => "The path is malformed.",
            Self::PreconditionFailed => "A precondition of the request does not hold.",
            Self::FileMethod => "Files answer GET and HEAD only.",
            Self::FileUnavailable => "The file cannot be read at the moment.",
            Self::OnlyHttps => "This address is served over https only.",
            Self::NoWebSocket => "This address takes no WebSockets.",
            Self::BadHandshake(fault) => fault.sentence(),
            Self::TooManyRequests { .. } => "Too many requests: try again later.",
            Self::BodyTooLarge => "The body is too large for this address.",
            Self::MalformedBody => "The body is malformed.",
            Self::ClientSilent => "The request did not arrive in time.",
            Self::ClientGone => "The client has left.",
            Self::NoServer => "No server is available at the moment.",
            Self::Busy => "All servers are busy at the moment.",
            Self::BadAnswer => "The server broke off or gave an answer that makes no sense.",
            Self::LateAnswer => "The server did not answer in time.",
            Self::Stopped => "The proxy stopped before the answer was whole.",
            Self::Internal => "The proxy failed to handle this request.",
        }
    }

    fn extra(self) -> Vec<(header::HeaderName, HeaderValue)> {
        let fixed = HeaderValue::from_static;
        match self {
            Self::NoServer | Self::Busy | Self::FileUnavailable => {
                vec![(header::RETRY_AFTER, fixed("1"))]
            }
            Self::TooManyRequests { retry_after } => {
                vec![(header::RETRY_AFTER, retry_after.into())]
            }
            Self::FileMethod => vec![(header::ALLOW, fixed(files::ALLOW))],
            Self::Refused { status, .. } if status == StatusCode::METHOD_NOT_ALLOWED => {
                vec![(header::ALLOW, fixed(crate::head::ALLOW))]
            }
            Self::BadHandshake(websocket::Fault::Version) => vec![
                (header::SEC_WEBSOCKET_VERSION, fixed(websocket::VERSION)),
                // A 426 says what to switch to (RFC 9110, 15.5.22).
                (header::UPGRADE, fixed("websocket")),
            ],
            _ => Vec::new(),
        }
    }
}

/// An answer of the proxy's own, whole.
#[derive(Debug)]
pub struct Page {
    header: ResponseHeader,
    body: Bytes,
}

impl Page {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.header.status
    }

    /// Its header, for what depends on the connection.
    pub fn header_mut(&mut self) -> &mut ResponseHeader {
        &mut self.header
    }

    /// The length of its body in bytes.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Its header and its body.
    pub fn into_parts(self) -> (ResponseHeader, Bytes) {
        (self.header, self.body)
    }

    /// The answer as it goes over the wire on a connection that is closed behind it.
    pub fn to_http1(&self) -> Vec<u8> {
        let status = self.header.status;
        let reason = status.canonical_reason().unwrap_or("");
        let mut wire = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        for (name, value) in &self.header.headers {
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"connection: close\r\n\r\n");
        wire.extend_from_slice(&self.body);
        wire
    }

    /// Writes the answer to a client that Pingora serves.
    pub async fn send(self, session: &mut Session) -> Result<()> {
        let bodyless = session.req_header().method == http::Method::HEAD;
        let downstream = session.as_downstream_mut();
        downstream
            .write_response_header(Box::new(self.header))
            .await?;
        if !bodyless {
            downstream.write_response_body(self.body, true).await?;
        }
        Ok(())
    }
}

/// The form of an answer of the proxy's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// HTML, for a browser.
    Html {
        /// Whether the style sheet of the pages can be had from here; without it a page is plain.
        styled: bool,
    },
}

/// Where the style sheet of all pages is, if a route serves it.
pub const STYLE_SHEET: &str = "/static/style.css";

/// Makes the page for a failure.
pub fn failure_page(failure: Failure, form: Form, request_id: &str) -> Result<Page> {
    let (kind, body) = match form {
        Form::Html { styled } => (
            "text/html; charset=utf-8",
            html_body(failure, styled, request_id),
        ),
        Form::Json => ("application/json", json_body(failure, request_id)),
    };
    let mut header = own_header(failure.status(), request_id)?;
    header.insert_header(header::CONTENT_TYPE, kind)?;
    header.insert_header(header::CONTENT_LENGTH, body.len())?;
    header.insert_header(header::CACHE_CONTROL, "no-store")?;
    if let Form::Html { styled } = form {
        pages::guard_own(&mut header, styled)?;
    }
    for (name, value) in failure.extra() {
        header.insert_header(name, value)?;
    }
    Ok(Page {
        header,
        body: body.into(),
    })
}

/// Makes the answer that sends a client to the same target over TLS; its method stays (308).
pub fn https_page(host: &str, port: u16, target: &str, request_id: &str) -> Result<Page> {
    let port = match port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let mut header = own_header(StatusCode::PERMANENT_REDIRECT, request_id)?;
    header.insert_header(header::LOCATION, format!("https://{host}{port}{target}"))?;
    header.insert_header(header::CONTENT_LENGTH, 0)?;
    Ok(Page {
        header,
        body: Bytes::new(),
    })
}

/// Makes the answer to a client that asks what can be done here, and not at a server.
pub fn options_page(request_id: &str) -> Result<Page> {
    let mut header = own_header(StatusCode::OK, request_id)?;
    header.insert_header(header::ALLOW, crate::head::ALLOW)?;
    header.insert_header(header::CONTENT_LENGTH, 0)?;
    Ok(Page {
        header,
        body: Bytes::new(),
    })
}

/// Whether a client would rather read HTML than JSON: it names HTML, and before JSON.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT);
    let mut kinds = accepts
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or("").trim());
    kinds.find(|&kind| kind == "text/html" || kind == "application/json") == Some("text/html")
}

/// The header of an answer to a request for a file; `None` when the outcome is a failure.
pub fn file_header(
    outcome: &files::Outcome,
    policy: &files::PagePolicy,
    request_id: &str,
) -> Result<Option<Box<ResponseHeader>>> {
    let mut header = own_header(StatusCode::OK, request_id)?;
    match outcome {
        files::Outcome::Found(file) => {
            header.insert_header(header::CONTENT_TYPE, file.content_type.clone())?;
            header.insert_header(header::CONTENT_LENGTH, file.length)?;
            if pages::is_page(&file.content_type) {
                pages::guard(&mut header, policy)?;
            }
            if let Some(content_range) = &file.content_range {
                header.set_status(StatusCode::PARTIAL_CONTENT)?;
                header.insert_header(header::CONTENT_RANGE, content_range.clone())?;
            }
            match &file.content_encoding {
                Some(coding) => header.insert_header(header::CONTENT_ENCODING, coding.clone())?,
                None => header.insert_header(header::ACCEPT_RANGES, "bytes")?,
            }
            tell_version(&mut header, &file.version)?;
        }
        files::Outcome::NotModified(version) => {
            header.set_status(StatusCode::NOT_MODIFIED)?;
            tell_version(&mut header, version)?;
        }
        files::Outcome::RangeNotSatisfiable { content_range } => {
            header.set_status(StatusCode::RANGE_NOT_SATISFIABLE)?;
            header.insert_header(header::CONTENT_RANGE, content_range.clone())?;
            header.insert_header(header::CONTENT_LENGTH, 0)?;
        }
        files::Outcome::Redirect { location } => {
            header.set_status(StatusCode::MOVED_PERMANENTLY)?;
            header.insert_header(header::LOCATION, location.clone())?;
            header.insert_header(header::CONTENT_LENGTH, 0)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(Box::new(header)))
}

fn tell_version(header: &mut ResponseHeader, version: &files::Version) -> Result<()> {
    let validators = &version.validators;
    header.insert_header(header::ETAG, validators.etag.clone())?;
    if let Some(last_modified) = &validators.last_modified {
        header.insert_header(header::LAST_MODIFIED, last_modified.clone())?;
    }
    if let Some(cache_control) = &version.cache_control {
        header.insert_header(header::CACHE_CONTROL, cache_control.clone())?;
    }
    if version.varies {
        header.insert_header(header::VARY, "Accept-Encoding")?;
    }
    Ok(())
}

/// What all answers of the proxy's own carry.
fn own_header(status: StatusCode, request_id: &str) -> Result<ResponseHeader> {
    let mut header = ResponseHeader::build(status, Some(10))?;
    header.insert_header(
        header::DATE,
        httpdate::fmt_http_date(std::time::SystemTime::now()),
    )?;
    header.insert_header("X-Instance", INSTANCE)?;
    header.insert_header("X-Request-Id", request_id)?;
    header.insert_header(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    )?;
    Ok(header)
}

fn json_body(failure: Failure, request_id: &str) -> String {
    serde_json::json!({ "detail": failure.sentence(), "request_id": request_id }).to_string()
}

/// The head of each page, with the ways on.
const SITE: &str = "<a class=\"skip\" href=\"#content\">Skip to the content</a>\n<header class=\"site\">\n\
    <nav aria-label=\"Site\"><a href=\"/\">Who answers?</a> <a href=\"/api/\">Music API</a></nav>\n</header>\n";

/// `request_id` is the proxy's own or a client's that has only letters, digits, `-`, `_` and `.`.
fn html_body(failure: Failure, styled: bool, request_id: &str) -> String {
    let status = failure.status();
    let reason = status.canonical_reason().unwrap_or("Error");
    let (code, sentence) = (status.as_u16(), failure.sentence());
    // The layout of the other pages, where the proxy has their style sheet.
    let (name, links, site) = if styled {
        let links = format!(
            "<link rel=\"icon\" href=\"/static/favicon.svg\" type=\"image/svg+xml\">\n\
             <link rel=\"stylesheet\" href=\"{STYLE_SHEET}\">\n"
        );
        (" – Music API", links, SITE)
    } else {
        ("", String::new(), "")
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{code} {reason}{name}</title>\n{links}</head>\n<body>\n{site}<main id=\"content\" class=\"page\" tabindex=\"-1\">\n\
         <section class=\"panel narrow\">\n<h1>{code} {reason}</h1>\n<p>{sentence}</p>\n\
         <p class=\"hint\">Request <code>{request_id}</code>, answered by <code class=\"instance\">{INSTANCE}</code></p>\n\
         </section>\n</main>\n</body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests;
