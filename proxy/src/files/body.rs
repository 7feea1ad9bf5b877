//! The bytes of a file that was found, piece by piece.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};

use super::Twin;
use super::disk::Disk;

/// How many bytes are read at once: each reading is a turn on another thread.
const PIECE: usize = 256 * 1024;

/// The bytes of a file: exactly as many as were announced, or an error.
#[derive(Debug)]
pub struct Body(Source);

#[derive(Debug)]
enum Source {
    /// Bytes in memory, not yet handed out, and their twin.
    Memory(Bytes, Option<Twin>),
    /// The part of an open file from `position` up to `end`.
    Disk {
        file: Arc<File>,
        position: u64,
        end: u64,
        disk: Disk,
    },
}

impl Body {
    pub(super) fn whole(content: Bytes, twin: Option<Twin>) -> Self {
        Self(Source::Memory(content, twin))
    }

    /// Where its bytes lie once more, if they do.
    pub fn twin(&self) -> Option<&Twin> {
        match &self.0 {
            Source::Memory(_, twin) => twin.as_ref(),
            Source::Disk { .. } => None,
        }
    }

    /// The bytes of `range` of an open file.
    pub(super) fn streamed(file: File, range: Range<u64>, disk: Disk) -> Self {
        Self(Source::Disk {
            file: Arc::new(file),
            position: range.start,
            end: range.end,
            disk,
        })
    }

    /// Returns the next bytes, and `None` after the last: at once what is in memory, and 256 KiB at
    /// most of an open file.
    ///
    /// Fails with `UnexpectedEof` when the file has become shorter than was announced: the answer
    /// must then be cut. A file that has grown is sent up to the announced length. May be dropped
    /// and called again without losing bytes.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.0 {
            Source::Memory(content, _) => {
                let all = mem::take(content);
                Ok(Some(all).filter(|bytes| !bytes.is_empty()))
            }
            Source::Disk {
                file,
                position,
                end,
                disk,
            } => {
                let length =
                    usize::try_from(*end - *position).map_or(PIECE, |rest| rest.min(PIECE));
                if length == 0 {
                    return Ok(None);
                }
                let (open_file, offset) = (Arc::clone(file), *position);
                // Taken here: each of the many threads of the disk would keep memory for the next piece.
                let room = Vec::with_capacity(length);
                let piece = disk
                    .run(move || read(&open_file, offset, length, room))
                    .await?;
                *position += length as u64;
                Ok(Some(piece))
            }
        }
    }
}

/// Reads so many bytes into `piece`, which has room for them that is not zeroed before.
fn read(file: &File, mut offset: u64, length: usize, mut piece: Vec<u8>) -> io::Result<Bytes> {
    while piece.len() < length {
        let read = retry_on_intr(|| pread(file, spare_capacity(&mut piece), offset))?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
    }
    // What came beyond it, since more was reserved, was not announced.
    piece.truncate(length);
    Ok(piece.into())
}
