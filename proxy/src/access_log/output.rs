//! What the writer writes lines to, whole or not at all.

use std::fmt;
use std::io::{self, ErrorKind, Write};

/// An open destination.
pub struct Output {
    /// Absent: nothing is written.
    open: Option<Open>,
}

struct Open {
    name: String,
    out: Box<dyn Write + Send>,
    /// A line has been written in part: what comes next is not to be read as its end.
    torn: bool,
}

/// Lines that could not be written.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// How many.
    pub(super) lines: u64,
    /// Why not.
    pub(super) cause: io::Error,
}

impl Output {
    /// Nothing is written.
    pub const OFF: Self = Self { open: None };

    /// Lines go to `out`, which is called `name` in messages.
    pub(super) fn to(name: impl fmt::Display, out: impl Write + Send + 'static) -> Self {
        Self {
            open: Some(Open {
                name: name.to_string(),
                out: Box::new(out),
                torn: false,
            }),
        }
    }

    /// The same, where the last line that is there already may be one in part.
    pub(super) fn behind(mut self, last: Option<u8>) -> Self {
        if let Some(open) = &mut self.open {
            open.torn = last.is_some_and(|byte| byte != b'\n');
        }
        self
    }

    /// Whether anything is written.
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Writes whole lines. After a failure those before it are written, and the others are not.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        match &mut self.open {
            Some(open) => open.write(lines),
            None => Ok(()),
        }
    }
}

impl Open {
    fn write(&mut self, lines: &[u8]) -> Result<(), Unwritten> {
        let mut left = lines;
        self.advance(&mut left).map_err(|cause| {
            let written = &lines[..lines.len() - left.len()];
            self.torn |= written.last().is_some_and(|&byte| byte != b'\n');
            let ends = left.iter().filter(|&&byte| byte == b'\n');
            Unwritten {
                lines: ends.count() as u64,
                cause,
            }
        })
    }

    /// Writes from the front of `left` until nothing is left of it.
    fn advance(&mut self, left: &mut &[u8]) -> io::Result<()> {
        if self.torn {
            self.out.write_all(b"\n")?;
            self.torn = false;
        }
        while !left.is_empty() {
            match self.out.write(left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => *left = &left[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.open.as_ref();
        f.write_str(open.map_or("nowhere", |open| &open.name))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::{Arc, Mutex};

    /// A disk with room for so many bytes, and what is on it.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (room, written) = &mut *self.0.lock().unwrap();
            let taken = bytes.len().min(*room);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *room -= taken;
            written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        /// However a disk fills and empties, each line is whole on it or counted as lost, and what
        /// there is of one that was torn stands alone.
        #[test]
        fn every_line_is_whole_or_counted(
            rounds in prop::collection::vec((0..40usize, 1..4usize), 1..20),
        ) {
            let disk = Disk::default();
            let mut output = Output::to("a disk", disk.clone());
            let (mut all, mut lost) = (0, 0);
            for (room, lines) in rounds {
                disk.0.lock().unwrap().0 += room;
                all += lines as u64;
                if let Err(unwritten) = output.write("a line\n".repeat(lines).as_bytes()) {
                    prop_assert_eq!(unwritten.cause.kind(), ErrorKind::StorageFull);
                    lost += unwritten.lines;
                }
            }
            let written = disk.0.lock().unwrap().1.clone();
            let written = String::from_utf8(written).unwrap();
            // One of which nothing but its end could be written counts as lost, and is there all the same.
            let whole = written.lines().filter(|line| *line == "a line").count() as u64;
            prop_assert!(written.lines().all(|line| "a line".starts_with(line)), "{}", written);
            prop_assert!((all - lost..=all).contains(&whole), "{} of {} lost: {:?}", lost, all, written);
        }
    }
}
