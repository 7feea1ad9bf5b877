//! The bytes of a file that was found, piece by piece.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::Disk;

/// How many bytes are handed out at once.
const PIECE: usize = 64 * 1024;

/// The bytes of a file: exactly as many as were announced, or an error.
#[derive(Debug)]
pub struct Body(Source);

#[derive(Debug)]
enum Source {
    /// Bytes in memory, not yet handed out.
    Memory(Bytes),
    /// The part of an open file from `position` up to `end`.
    Disk {
        file: Arc<File>,
        position: u64,
        end: u64,
        disk: Disk,
    },
}

impl Body {
    pub(super) fn whole(content: Bytes) -> Self {
        Self(Source::Memory(content))
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

    /// Returns the next bytes, 64 KiB at most, and `None` after the last.
    ///
    /// Fails with `UnexpectedEof` when the file has become shorter than was announced: the answer
    /// must then be cut. A file that has grown is sent up to the announced length. May be dropped
    /// and called again without losing bytes.
    pub async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.0 {
            Source::Memory(content) => {
                let piece = content.split_to(content.len().min(PIECE));
                Ok(Some(piece).filter(|bytes| !bytes.is_empty()))
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
                let piece = disk.run(move || {
                    let mut piece = vec![0; length];
                    open_file.read_exact_at(&mut piece, offset)?;
                    Ok(Bytes::from(piece))
                });
                let piece = piece.await?;
                *position += length as u64;
                Ok(Some(piece))
            }
        }
    }
}
