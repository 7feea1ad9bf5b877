//! Has the configuration file changed? It is read again and again; nothing else sees every way in
//! which a file can be replaced: written over, renamed over, behind a link, on a mounted folder.

use std::io::ErrorKind;
use std::path::PathBuf;

/// What a look at the file found.
pub type Found = Result<Vec<u8>, ErrorKind>;

/// Watches one file.
#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    noticed: Noticed,
}

impl Watch {
    /// A watch that does not know yet what is in the file.
    pub fn new(file: PathBuf) -> Self {
        Self {
            file,
            noticed: Noticed::default(),
        }
    }

    /// Looks at the file; true once for each change, when it has come to rest.
    pub async fn has_changed(&mut self) -> bool {
        let found = self.look().await;
        self.noticed.take_in(found)
    }

    /// Notes that the file as it is now is being read, for whatever reason.
    pub async fn is_being_read(&mut self) {
        self.noticed.handled = Some(self.look().await);
    }

    async fn look(&self) -> Found {
        let read = tokio::fs::read(&self.file).await;
        read.map_err(|error| error.kind())
    }
}

/// What has been seen of the file.
#[derive(Debug, Default)]
struct Noticed {
    /// What was acted on.
    handled: Option<Found>,
    /// What stood there at the last look, if it is something else.
    fresh: Option<Found>,
}

impl Noticed {
    /// Takes in what is there. A new content counts when two looks in a row have found the same:
    /// a file that is half written may parse, too.
    fn take_in(&mut self, found: Found) -> bool {
        if self.handled.is_none() && found.is_err() {
            // There never was a file: nothing has changed.
            self.handled = Some(found);
            return false;
        }
        if self.handled.as_ref() == Some(&found) {
            self.fresh = None;
            return false;
        }
        let is_at_rest = self.fresh.as_ref() == Some(&found);
        if is_at_rest {
            self.fresh = None;
            self.handled = Some(found);
        } else {
            self.fresh = Some(found);
        }
        is_at_rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each character is a look: a letter for a content, `-` for no file; returns which count.
    fn check(looks: &str, expected: &str) {
        let mut noticed = Noticed::default();
        let counts: String = looks
            .chars()
            .filter(|&look| {
                noticed.take_in(match look {
                    '-' => Err(ErrorKind::NotFound),
                    letter => Ok(vec![letter as u8]),
                })
            })
            .collect();
        assert_eq!(counts, expected, "{looks}");
    }

    #[test]
    fn a_change_counts_once_and_at_rest() {
        check("aaaaaa", "a");
        check("aabbbb", "ab");
        check("aabcdddd", "ad");
        check("aabababb", "ab");
        check("aab-bbaa", "aba");
        check("aa---bb", "a-b");
        check("-----", "");
        check("--aa", "a");
    }
}
