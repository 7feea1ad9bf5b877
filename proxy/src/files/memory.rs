//! Small files, kept in memory with their encoded forms, and how long they are believed.
//!
//! A file is looked at again on disk once it was not for [`FRESH`]: so a change is seen within a
//! second, and a file that everybody asks for costs the disk two looks a second.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderValue;

use super::coding::Coding;
use super::{Twin, Validators, media_type};

/// How long what is held is sent without another look at the disk.
const FRESH: Duration = Duration::from_millis(500);
/// How much of one root is held at most; what was asked for longest ago goes first.
const CAPACITY: usize = 64 << 20;
/// A file that changed this short a time before it was read may change again within one tick of
/// the kernel's clock, and then look the same.
const UNSETTLED: Duration = Duration::from_millis(100);
/// What is shorter is not encoded: the header field would outweigh it.
const WORTH_ENCODING: usize = 256;

/// One form of a file: as it is, or encoded.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) content: Bytes,
    /// The content once more, where the system can send it from.
    pub(super) twin: Option<Twin>,
    pub(super) validators: Validators,
}

impl Form {
    fn new(content: Bytes, validators: Validators) -> Self {
        Self {
            twin: Twin::of(&content),
            content,
            validators,
        }
    }

    fn bytes(&self) -> usize {
        self.content.len() * if self.twin.is_some() { 2 } else { 1 }
    }

    fn share(&mut self, other: &Self) {
        if self.content == other.content {
            self.content = other.content.clone();
            self.twin = other.twin.clone();
        }
    }
}

/// A small file as it was read.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) content_type: HeaderValue,
    pub(super) plain: Form,
    encoded: Vec<(Coding, Form)>,
    stamp: Stamp,
    settled: bool,
    /// Milliseconds since the memory began.
    looked_at: AtomicU64,
}

/// What tells on disk that a file is another one than before.
#[derive(Debug, PartialEq, Eq)]
struct Stamp([i64; 7]);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self([
            metadata.dev() as i64,
            metadata.ino() as i64,
            metadata.size() as i64,
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ])
    }
}

impl Held {
    /// Makes all forms of a file that was read; takes its time, so not where connections are served.
    pub(super) fn new(name: &str, content: Bytes, metadata: &Metadata) -> Self {
        let content_type = media_type::of(name);
        let encoded =
            if media_type::is_worth_encoding(&content_type) && content.len() >= WORTH_ENCODING {
                Coding::ALL
                    .into_iter()
                    .filter_map(|coding| encoded(coding, &content, metadata))
                    .collect()
            } else {
                Vec::new()
            };
        let validators = Validators::of_content(&content, metadata);
        Self {
            content_type,
            plain: Form::new(content, validators),
            encoded,
            stamp: Stamp::of(metadata),
            settled: is_settled(metadata, SystemTime::now()),
            looked_at: AtomicU64::new(0),
        }
    }

    /// Whether a file with this metadata is surely the one that is held.
    pub(super) fn is_still(&self, metadata: &Metadata) -> bool {
        self.settled && self.stamp == Stamp::of(metadata)
    }

    /// Whether there are several forms to choose from.
    pub(super) fn varies(&self) -> bool {
        !self.encoded.is_empty()
    }

    /// Its form in a coding.
    pub(super) fn form(&self, coding: Coding) -> Option<&Form> {
        self.encoded
            .iter()
            .find(|(other, _)| *other == coding)
            .map(|(_, form)| form)
    }

    /// Takes the bytes of a copy that is held already, if they are the same.
    fn share(&mut self, other: &Self) {
        self.plain.share(&other.plain);
        for (coding, form) in &mut self.encoded {
            if let Some(other) = other.form(*coding) {
                form.share(other);
            }
        }
    }

    fn bytes(&self) -> usize {
        let encoded = self.encoded.iter().map(|(_, form)| form.bytes());
        self.plain.bytes() + encoded.sum::<usize>()
    }
}

/// Encodes a file; `None` when that does not make it smaller.
fn encoded(coding: Coding, content: &Bytes, metadata: &Metadata) -> Option<(Coding, Form)> {
    let encoded = coding
        .encode(content)
        .ok()
        .filter(|encoded| encoded.len() < content.len())?;
    let validators = Validators::of_content(&encoded, metadata);
    Some((coding, Form::new(encoded.into(), validators)))
}

fn is_settled(metadata: &Metadata, now: SystemTime) -> bool {
    let (Ok(seconds), Ok(rest)) = (
        u64::try_from(metadata.ctime()),
        u32::try_from(metadata.ctime_nsec()),
    ) else {
        return false;
    };
    let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, rest);
    now.duration_since(changed)
        .is_ok_and(|age| age >= UNSETTLED)
}

/// The small files of one root.
#[derive(Debug)]
pub(super) struct Memory {
    began: Instant,
    files: RwLock<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_name: HashMap<String, Arc<Held>>,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            files: RwLock::default(),
        }
    }

    /// The file of a name, whenever it was looked at last.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Held>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.by_name.get(name).cloned()
    }

    /// The file of a name, if it was looked at a short time ago.
    pub(super) fn fresh(&self, name: &str, now: Instant) -> Option<Arc<Held>> {
        let now = self.milliseconds(now);
        self.known(name).filter(|held| {
            let age = now.saturating_sub(held.looked_at.load(Ordering::Relaxed));
            u128::from(age) < FRESH.as_millis()
        })
    }

    /// Holds a file that was looked at just now, and returns what is to be sent.
    ///
    /// Many may have read the same file at the same time, and slow clients would hold the copy of
    /// each for long: bytes that are held already are not held twice.
    pub(super) fn keep(&self, name: &str, mut held: Arc<Held>, now: Instant) -> Arc<Held> {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        if let (Some(before), Some(new)) = (files.by_name.get(name), Arc::get_mut(&mut held)) {
            new.share(before);
        }
        held.looked_at
            .store(self.milliseconds(now), Ordering::Relaxed);
        files.bytes += held.bytes();
        if let Some(before) = files.by_name.insert(name.to_owned(), Arc::clone(&held)) {
            files.bytes -= before.bytes();
        }
        while files.bytes > CAPACITY && files.drop_the_oldest() {}
        held
    }

    /// Lets go of a file that is not there any more.
    pub(super) fn forget(&self, name: &str) {
        if self.known(name).is_some() {
            let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = files.by_name.remove(name) {
                files.bytes -= before.bytes();
            }
        }
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.began).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX)
    }
}

impl Files {
    fn drop_the_oldest(&mut self) -> bool {
        let oldest = self
            .by_name
            .iter()
            .min_by_key(|(_, held)| held.looked_at.load(Ordering::Relaxed));
        let Some(name) = oldest.map(|(name, _)| name.clone()) else {
            return false;
        };
        if let Some(held) = self.by_name.remove(&name) {
            self.bytes -= held.bytes();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{CAPACITY, FRESH, Held, Memory};
    use crate::files::coding::Coding;

    fn held(name: &str, bytes: usize) -> Arc<Held> {
        let file = tempfile::tempfile().unwrap();
        Arc::new(Held::new(
            name,
            vec![b'a'; bytes].into(),
            &file.metadata().unwrap(),
        ))
    }

    #[test]
    fn a_file_is_fresh_for_a_while() {
        let began = Instant::now();
        let memory = Memory::new(began);
        memory.keep("a", held("a", 3), began);
        assert!(memory.fresh("a", began + FRESH / 2).is_some());
        assert!(memory.fresh("a", began + FRESH).is_none());
        assert!(memory.known("a").is_some());
        memory.forget("a");
        assert!(memory.known("a").is_none());
    }

    #[test]
    fn memory_has_a_bound() {
        let began = Instant::now();
        let memory = Memory::new(began);
        // With its twin each file takes a half.
        let half = CAPACITY / 4;
        for (age, name) in ["a.bin", "b.bin", "c.bin"].into_iter().enumerate() {
            memory.keep(
                name,
                held(name, half),
                began + Duration::from_secs(age as u64),
            );
        }
        assert!(memory.known("a.bin").is_none());
        assert!(memory.known("b.bin").is_some() && memory.known("c.bin").is_some());
        memory.keep("c.bin", held("c.bin", 1), began + Duration::from_secs(9));
        assert!(memory.files.read().unwrap().bytes == 2 * half + 1);
    }

    #[test]
    fn the_same_bytes_are_held_once() {
        let began = Instant::now();
        let memory = Memory::new(began);
        let first = memory.keep("a.css", held("a.css", 5000), began);
        let again = memory.keep("a.css", held("a.css", 5000), began);
        let at = |held: &Held| held.plain.content.as_ptr();
        assert_eq!(at(&first), at(&again));
        let other = memory.keep("a.css", held("a.css", 5001), began);
        assert_ne!(at(&first), at(&other));
        let held = memory.files.read().unwrap().bytes;
        assert_eq!(held, other.bytes());
    }

    #[test]
    fn text_has_forms_and_the_rest_has_not() {
        let text = held("a.css", 5000);
        assert!(text.varies());
        for coding in Coding::ALL {
            assert!(text.form(coding).unwrap().content.len() < 500);
            assert_ne!(
                text.form(coding).unwrap().validators.etag,
                text.plain.validators.etag
            );
        }
        assert!(!held("a.css", 20).varies());
        assert!(!held("a.png", 5000).varies());
    }
}
