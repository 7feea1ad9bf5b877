//! Where the lines go, as it is configured, and whether that can be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Output;

/// Who may read a file that is made: its owner and its group, for lines have addresses of clients.
const MODE: u32 = 0o640;

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destination {
    /// To standard output.
    #[default]
    Stdout,
    /// To the end of this file.
    File(PathBuf),
    /// Nowhere.
    Off,
}

impl Destination {
    /// The same, with a relative path below a folder.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            Self::File(file) => Self::File(folder.join(file)),
            other => other,
        }
    }

    /// Looks whether lines could be written there; makes nothing. The error says in a sentence what
    /// is wrong, and with which file.
    pub fn look(&self) -> io::Result<()> {
        let Self::File(file) = self else {
            return Ok(());
        };
        match append(file, OpenOptions::new().append(true)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = folder_of(file);
                may_be_made_in(folder).map_err(|error| told(&error, "folder", folder))
            }
            opened => opened.map(drop).map_err(|error| of_file(&error, file)),
        }
    }

    /// Opens it; a file that is not there is made. The error says the same as that of
    /// [`Self::look`].
    pub fn open(&self) -> io::Result<Output> {
        match self {
            Self::Stdout => {
                let stdout = io::stdout().as_fd().try_clone_to_owned()?;
                Ok(Output::to("standard output", File::from(stdout)))
            }
            Self::File(path) => {
                let file = append(
                    path,
                    OpenOptions::new().append(true).create(true).mode(MODE),
                );
                let file = file.map_err(|error| of_file(&error, path))?;
                Ok(Output::to(path.display(), file).behind(last_byte(path)))
            }
            Self::Off => Ok(Output::OFF),
        }
    }
}

/// Opens a file, unless it is a pipe: to open one waits for its reader, and a reader that stops
/// holds up every line.
fn append(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let is_pipe = |kind: fs::FileType| kind.is_fifo() || kind.is_socket();
    if fs::metadata(path).is_ok_and(|found| is_pipe(found.file_type())) {
        let sentence = "expected a file, but this is a pipe or a socket";
        return Err(io::Error::new(ErrorKind::InvalidInput, sentence));
    }
    options.open(path)
}

/// The last byte of a file; `None` where there is none, or it may not be read.
fn last_byte(file: &Path) -> Option<u8> {
    let mut file = File::open(file).ok()?;
    file.seek(SeekFrom::End(-1)).ok()?;
    let mut last = [0];
    file.read_exact(&mut last).ok()?;
    Some(last[0])
}

fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    folder.unwrap_or(Path::new("."))
}

fn may_be_made_in(folder: &Path) -> io::Result<()> {
    if !fs::metadata(folder)?.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Says why a file could not be opened, or made.
fn of_file(error: &io::Error, file: &Path) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => told(error, "folder", folder_of(file)),
        _ => told(error, "file", file),
    }
}

/// Says what is wrong with a file that is to be written, or with the folder that it is to be made in.
fn told(error: &io::Error, what: &str, path: &Path) -> io::Error {
    let sentence = match error.kind() {
        ErrorKind::NotFound => format!("there is no such {what}"),
        ErrorKind::NotADirectory => "this is not a folder".to_owned(),
        ErrorKind::IsADirectory => "this is a folder".to_owned(),
        ErrorKind::PermissionDenied => format!("this process may not write to the {what}"),
        ErrorKind::ReadOnlyFilesystem => format!("the {what} is on a disk that is read-only"),
        ErrorKind::InvalidInput => error.to_string(),
        _ => format!("the {what} cannot be written: {error}"),
    };
    io::Error::new(error.kind(), format!("{sentence}: {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_look_makes_nothing_and_finds_what_opening_finds() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Destination::File(folder.path().join(name));
        fs::write(folder.path().join("old"), "a\n").unwrap();
        for name in ["new", "old"] {
            at(name).look().unwrap();
        }
        assert!(!folder.path().join("new").exists());
        for name in ["new", "old"] {
            let written = at(name).open().unwrap().write(b"b\n");
            assert!(written.is_ok());
        }
        let read = |name: &str| fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!((read("new").size(), read("old").size()), (2, 4));
        let others = read("new").permissions().mode() & 0o7777 & !MODE;
        assert_eq!(others, 0, "others may do nothing with it");
    }

    #[test]
    fn a_line_begins_behind_one_that_a_full_disk_has_torn() {
        let folder = tempfile::tempdir().unwrap();
        for (before, after) in [("a\ntor", "a\ntor\nb\n"), ("a\n", "a\nb\n"), ("", "b\n")] {
            let file = folder.path().join("log");
            fs::write(&file, before).unwrap();
            let written = Destination::File(file.clone())
                .open()
                .unwrap()
                .write(b"b\n");
            assert!(written.is_ok());
            let mut whole = String::new();
            File::open(&file)
                .unwrap()
                .read_to_string(&mut whole)
                .unwrap();
            assert_eq!(whole, after);
        }
    }

    #[test]
    fn what_cannot_be_is_said_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        for (name, expected) in [
            ("no/x.log", "there is no such folder: HERE/no"),
            ("file/x.log", "this is not a folder: HERE/file"),
            (".", "this is a folder: HERE/."),
            (
                "pipe",
                "expected a file, but this is a pipe or a socket: HERE/pipe",
            ),
        ] {
            let look = Destination::File(folder.path().join(name)).look();
            let told = look.unwrap_err().to_string();
            assert_eq!(told.replace(here, "HERE"), expected);
        }
    }
}
