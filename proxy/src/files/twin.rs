//! The bytes of a file once more, in memory of the system's: from there it sends them by itself.
//!
//! Bytes of ours are copied into the socket's buffers; what lies in the system's own memory goes out
//! as it lies there. The copy is sealed when it is made, so it is what the bytes are, for ever.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// What is shorter is copied almost as quickly, and a copy takes a descriptor: of this length there is
/// room for 128 among the files that are held of one root.
const WORTH_IT: usize = 256 * 1024;

/// Bytes, and the same bytes in memory of the system's.
#[derive(Debug, Clone)]
pub struct Twin {
    bytes: Bytes,
    copy: Arc<OwnedFd>,
}

impl Twin {
    /// Copies the bytes; `None` when it is not worth it, or the system does not like to.
    pub(super) fn of(bytes: &Bytes) -> Option<Self> {
        if bytes.len() < WORTH_IT {
            return None;
        }
        let copy = copy(bytes).ok()?;
        Some(Self {
            bytes: bytes.clone(),
            copy: Arc::new(copy),
        })
    }

    /// The copy of its bytes.
    pub fn copy(&self) -> &OwnedFd {
        &self.copy
    }

    /// Where in the copy a piece lies; `None` when it is no part of its bytes.
    ///
    /// It is told by its address: what lies among the bytes, which are held here, is nothing else.
    pub fn offset(&self, piece: &[u8]) -> Option<u64> {
        let (whole, part) = (self.bytes.as_ptr_range(), piece.as_ptr_range());
        let lies_within = whole.start <= part.start && part.end <= whole.end;
        lies_within.then(|| (part.start as usize - whole.start as usize) as u64)
    }
}

fn copy(bytes: &[u8]) -> io::Result<OwnedFd> {
    let copy = memfd_create("file", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(copy);
    file.write_all(bytes)?;
    let copy = OwnedFd::from(file);
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_piece_is_found_by_where_it_lies() {
        let bytes = Bytes::from(vec![7; WORTH_IT]);
        let twin = Twin::of(&bytes).unwrap();
        assert_eq!(twin.offset(&bytes), Some(0));
        assert_eq!(twin.offset(&bytes[10..20]), Some(10));
        assert_eq!(
            twin.offset(&bytes[WORTH_IT - 1..]),
            Some(WORTH_IT as u64 - 1)
        );
        assert_eq!(
            twin.offset(&vec![7; WORTH_IT]),
            None,
            "the same is not itself"
        );
        assert!(
            Twin::of(&bytes.slice(1..)).is_none(),
            "too short to be worth it"
        );
    }

    #[test]
    fn the_copy_cannot_be_changed() {
        let bytes = Bytes::from_iter((0..=255).cycle().take(WORTH_IT + 1));
        let twin = Twin::of(&bytes).unwrap();
        let mut file = File::from(twin.copy().try_clone().unwrap());
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
        let mut read = Vec::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }
}
