//! Fields that keep a page from doing, or from being used for, what it is not meant for.
//!
//! They stand on the proxy's own pages and on pages among files. What a server answers says itself
//! what it may do: nothing is added there, and nothing replaced.

use http::header::{self, HeaderValue};
use pingora_error::Result;
use pingora_http::ResponseHeader;

use crate::files::PagePolicy;

/// For a page of the proxy's own, which is nothing but text.
const OWN: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// For one that links the style sheet and the icon.
const OWN_STYLED: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";
/// For pages among files, as long as their route says nothing else.
const STRICT: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'; object-src 'none'";
/// Other hosts are not told which page has led to them.
const REFERRER: &str = "same-origin";

/// Whether a browser shows this as a page, which can hold code.
pub(super) fn is_page(content_type: &HeaderValue) -> bool {
    let kind = content_type.to_str().unwrap_or("").split(';').next();
    matches!(kind, Some("text/html" | "application/xhtml+xml"))
}

/// Guards a page of the proxy's own.
pub(super) fn guard_own(header: &mut ResponseHeader, styled: bool) -> Result<()> {
    let policy = if styled { OWN_STYLED } else { OWN };
    allow(header, HeaderValue::from_static(policy))?;
    forbid_frames(header)
}

/// Guards a page among files.
pub(super) fn guard(header: &mut ResponseHeader, policy: &PagePolicy) -> Result<()> {
    match policy {
        PagePolicy::Strict => {
            allow(header, HeaderValue::from_static(STRICT))?;
            forbid_frames(header)
        }
        PagePolicy::Given(policy) => allow(header, policy.clone()),
        PagePolicy::Open => refer_nobody(header),
    }
}

fn allow(header: &mut ResponseHeader, policy: HeaderValue) -> Result<()> {
    header.insert_header(header::CONTENT_SECURITY_POLICY, policy)?;
    refer_nobody(header)
}

fn refer_nobody(header: &mut ResponseHeader) -> Result<()> {
    header.insert_header(header::REFERRER_POLICY, REFERRER)
}

/// For browsers that do not know `frame-ancestors`.
fn forbid_frames(header: &mut ResponseHeader) -> Result<()> {
    header.insert_header(header::X_FRAME_OPTIONS, "DENY")
}
