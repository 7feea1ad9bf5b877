//! `ETag` and `Last-Modified` of a file.
//!
//! A small file's tag is a hash of its bytes: the same bytes have the same tag on every machine
//! and after every restart, and a changed byte has another one whatever the clock says. A large
//! file's tag is a hash of its size, inode and times of change in nanoseconds (the status change
//! time too, which no program can set back); it misses only a second change in place, of the same
//! size, within one tick of the kernel's clock (10 ms at most). Both are hashes, so that no
//! inode number is told to strangers.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

/// What tells one version of a file from another.
#[derive(Debug, Clone)]
pub struct Validators {
    /// A strong entity tag, quoted.
    pub etag: HeaderValue,
    /// When it was last changed; `None` when the file's time is before 1970.
    pub last_modified: Option<HeaderValue>,
    /// The same to the whole second, as a client can repeat it.
    pub(super) modified: Option<SystemTime>,
}

impl Validators {
    /// Makes those of a small file from all its bytes.
    pub(super) fn of_content(content: &[u8], metadata: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self::new(&hasher, content.len() as u64, metadata)
    }

    /// Makes those of a large file from what the file system says about it.
    pub(super) fn of_metadata(metadata: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        (metadata.dev(), metadata.ino()).hash(&mut hasher);
        (metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
        (metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
        Self::new(&hasher, metadata.len(), metadata)
    }

    fn new(hasher: &DefaultHasher, length: u64, metadata: &Metadata) -> Self {
        let etag = format!("\"{:016x}-{length:x}\"", hasher.finish());
        let modified = whole_seconds(metadata.mtime(), SystemTime::now());
        Self {
            etag: HeaderValue::try_from(etag).expect("digits in quotes are a header value"),
            last_modified: modified
                .and_then(|time| HeaderValue::try_from(httpdate::fmt_http_date(time)).ok()),
            modified,
        }
    }
}

/// Returns the time of change, which no answer may put into the future (RFC 9110, 8.8.2.1).
fn whole_seconds(seconds: i64, now: SystemTime) -> Option<SystemTime> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let seconds = u64::try_from(seconds).ok()?.min(now);
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::{Validators, whole_seconds};

    #[test]
    fn a_small_file_is_told_apart_by_its_bytes_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let tag = |content: &[u8]| Validators::of_content(content, &metadata).etag;
        assert_eq!(tag(b"one"), tag(b"one"));
        assert_ne!(tag(b"one"), tag(b"two"));
        assert_ne!(tag(b""), tag(b"\0"));
        assert_eq!(tag(b"one").to_str().unwrap().matches('"').count(), 2);
    }

    #[test]
    fn a_large_file_is_told_apart_although_its_date_was_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let tag = |content: &str| {
            fs::write(&path, content).unwrap();
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
                .unwrap();
            Validators::of_metadata(&file.metadata().unwrap())
        };
        let first = tag("one");
        // The kernel's clock may tick only every 10 ms: written again until it did.
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        let mut second = tag("two");
        while second.etag == first.etag && std::time::Instant::now() < deadline {
            second = tag("two");
        }
        assert_ne!(first.etag, second.etag);
        assert_eq!(first.last_modified, second.last_modified);
        assert_eq!(
            first.last_modified.unwrap(),
            "Thu, 01 Jan 1970 00:00:01 GMT"
        );
    }

    proptest! {
        #[test]
        fn any_time_is_a_date_or_none(seconds: i64) {
            let now = SystemTime::now();
            match whole_seconds(seconds, now) {
                Some(time) => {
                    prop_assert!(seconds >= 0 && time <= now);
                    httpdate::fmt_http_date(time);
                }
                None => prop_assert!(seconds < 0),
            }
        }
    }
}
