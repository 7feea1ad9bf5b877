//! In which form is a file that was found sent, and is it sent at all? Pure but for the file's handle.
//!
//! The order is that of RFC 9110, section 13.2.2: the form is chosen, its conditions are weighed,
//! and only then is a range looked at.

use std::fs;
use std::ops::Range;

use http::{HeaderMap, HeaderValue, Method};

use super::coding::{self, Coding};
use super::conditions::{self, Verdict};
use super::disk::Disk;
use super::memory::{Form, Held};
use super::range::{self, Part};
use super::{Body, File, Outcome, Request, Validators, Version};

/// A file that is too large to be held.
pub(super) struct Large {
    pub(super) content_type: HeaderValue,
    pub(super) file: fs::File,
    pub(super) length: u64,
    pub(super) validators: Validators,
}

/// Answers with a file that is held in memory.
pub(super) fn from_memory(
    held: &Held,
    cache_control: Option<HeaderValue>,
    request: &Request<'_>,
) -> Outcome {
    let (coding, form) = form(held, request);
    let version = Version {
        validators: form.validators.clone(),
        cache_control,
        varies: held.varies(),
    };
    let length = form.content.len() as u64;
    let part = match settle(&version.validators, length, request) {
        Settled::Send(part) => part,
        Settled::Otherwise(outcome) => return outcome(version, length),
    };
    let content = match &part {
        None => form.content.clone(),
        // Both ends lie within the content, which is in memory.
        Some(bytes) => form.content.slice(bytes.start as usize..bytes.end as usize),
    };
    Outcome::Found(File {
        content_type: held.content_type.clone(),
        content_encoding: coding.map(Coding::name),
        content_range: part.and_then(|bytes| content_range(&bytes, length)),
        length: content.len() as u64,
        version,
        body: Body::whole(content, form.twin.clone()),
    })
}

/// Answers with a file that is read while it is sent.
pub(super) fn from_disk(
    large: Large,
    cache_control: Option<HeaderValue>,
    request: &Request<'_>,
    disk: &Disk,
) -> Outcome {
    let version = Version {
        validators: large.validators,
        cache_control,
        varies: false,
    };
    let part = match settle(&version.validators, large.length, request) {
        Settled::Send(part) => part,
        Settled::Otherwise(outcome) => return outcome(version, large.length),
    };
    let bytes = part.clone().unwrap_or(0..large.length);
    Outcome::Found(File {
        content_type: large.content_type,
        content_encoding: None,
        content_range: part.and_then(|bytes| content_range(&bytes, large.length)),
        length: bytes.end - bytes.start,
        version,
        body: Body::streamed(large.file, bytes, disk.clone()),
    })
}

/// Chooses the form of a file; one of which a part is asked for is sent as it is, because a part
/// of an encoded one is of no use to most programs that ask for parts.
fn form<'h>(held: &'h Held, request: &Request<'_>) -> (Option<Coding>, &'h Form) {
    if asks_for_part(request) {
        return (None, &held.plain);
    }
    let coding = coding::choose(request.headers, |coding| held.form(coding).is_some());
    match coding.and_then(|coding| held.form(coding)) {
        Some(form) => (coding, form),
        None => (None, &held.plain),
    }
}

/// A range is defined for GET alone (RFC 9110, 14.2).
fn asks_for_part(request: &Request<'_>) -> bool {
    *request.method == Method::GET && range::is_asked_for(request.headers)
}

/// Whether a form is sent, and which part of it.
enum Settled {
    /// These bytes, or all.
    Send(Option<Range<u64>>),
    /// Something else, made of the version and the length.
    Otherwise(fn(Version, u64) -> Outcome),
}

fn settle(validators: &Validators, length: u64, request: &Request<'_>) -> Settled {
    let headers: &HeaderMap = request.headers;
    match conditions::verdict(headers, validators) {
        Verdict::NotModified => {
            return Settled::Otherwise(|version, _| Outcome::NotModified(version));
        }
        Verdict::Failed => return Settled::Otherwise(|_, _| Outcome::PreconditionFailed),
        Verdict::Send => {}
    }
    if !asks_for_part(request) {
        return Settled::Send(None);
    }
    match range::part(headers, validators, length) {
        Part::Whole => Settled::Send(None),
        Part::Bytes(bytes) => Settled::Send(Some(bytes)),
        Part::Unsatisfiable => Settled::Otherwise(|_, length| unsatisfiable(length)),
    }
}

fn unsatisfiable(length: u64) -> Outcome {
    match HeaderValue::try_from(format!("bytes */{length}")) {
        Ok(content_range) => Outcome::RangeNotSatisfiable { content_range },
        Err(_) => Outcome::NotFound,
    }
}

fn content_range(bytes: &Range<u64>, length: u64) -> Option<HeaderValue> {
    // A part has at least one byte.
    let last = bytes.end - 1;
    HeaderValue::try_from(format!("bytes {}-{last}/{length}", bytes.start)).ok()
}
