//! What lies at a name below the root? Blocking; runs on [`super::disk`].

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::sync::Arc;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use super::Validators;
use super::memory::Held;

/// Up to this size a file is read whole when it is opened, and held.
pub(super) const SMALL: u64 = 1 << 20;

/// What was found at a name.
#[derive(Debug)]
pub(super) enum Opened {
    /// A file of at most [`SMALL`] bytes.
    Small(Arc<Held>),
    /// A larger file and its length.
    Large(File, u64, Validators),
    /// A folder.
    Folder,
}

/// Opens a name beneath the folder; what is neither a file nor a folder is not found.
///
/// A small file that is still as it was `known` is not read again.
pub(super) fn open(folder: &Dir, name: &str, known: Option<Arc<Held>>) -> io::Result<Opened> {
    let mut options = OpenOptions::new();
    // A named pipe without a writer would hold the thread for ever.
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = folder.open_with(name, &options)?.into_std();
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        Ok(Opened::Folder)
    } else if !metadata.is_file() {
        Err(io::ErrorKind::NotFound.into())
    } else if metadata.len() > SMALL {
        let validators = Validators::of_metadata(&metadata);
        Ok(Opened::Large(file, metadata.len(), validators))
    } else {
        match known.filter(|held| held.is_still(&metadata)) {
            Some(held) => Ok(Opened::Small(held)),
            None => read_whole(name, &file, &metadata),
        }
    }
}

/// Reads a small file, no further than the length it had when it was opened.
fn read_whole(name: &str, file: &File, metadata: &Metadata) -> io::Result<Opened> {
    let mut content = Vec::with_capacity(metadata.len() as usize);
    file.take(metadata.len()).read_to_end(&mut content)?;
    let held = Held::new(name, content.into(), metadata);
    Ok(Opened::Small(Arc::new(held)))
}

/// Whether a failure is ours to repair, and no property of the name that was asked for.
pub(super) fn is_our_trouble(cause: &io::Error) -> bool {
    const OURS: [i32; 6] = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::EIO,
        libc::ESTALE,
        libc::EINTR,
    ];
    match cause.raw_os_error() {
        Some(code) => OURS.contains(&code),
        None => matches!(cause.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Other),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::is_our_trouble;

    #[test]
    fn only_what_no_name_can_cause_is_our_trouble() {
        for code in [libc::EMFILE, libc::ENFILE, libc::EIO] {
            assert!(
                is_our_trouble(&io::Error::from_raw_os_error(code)),
                "{code}"
            );
        }
        for code in [
            libc::ENOENT,
            libc::ENOTDIR,
            libc::EACCES,
            libc::ELOOP,
            libc::ENAMETOOLONG,
            libc::EINVAL,
            libc::ENXIO,
            libc::EXDEV,
            libc::EPERM,
        ] {
            assert!(
                !is_our_trouble(&io::Error::from_raw_os_error(code)),
                "{code}"
            );
        }
        assert!(is_our_trouble(&io::ErrorKind::TimedOut.into()));
        assert!(!is_our_trouble(&io::ErrorKind::NotFound.into()));
        assert!(!is_our_trouble(&io::ErrorKind::PermissionDenied.into()));
    }
}
