//! What was done, said on the page that one is led to. It stands in the address, as a word and a number: so it needs
//! no memory of the instance that did it, and nothing that somebody typed is repeated. It is signed with the id of the
//! session, which nobody else knows: an address that somebody made up says nothing. Pure.

use crate::auth::secret::digest;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// A song was added; its id.
    Added(i64),
    /// A song was changed; its id.
    Saved(i64),
    /// So many songs were deleted.
    Deleted(i64),
    /// A user was added; its id.
    UserAdded(i64),
    /// What a user may do was set; its id.
    UserSaved(i64),
    /// The password of a user was set; its id.
    PasswordSet(i64),
    /// One's own password was changed.
    OwnPassword,
}

impl Notice {
    /// Returns the value of `done` in an address, for this session alone.
    pub(super) fn signed(self, session: &str) -> String {
        let word = self.word();
        let signature = signature(&word, session);
        format!("{word}.{signature}")
    }

    /// Reads the value of `done`; nothing, if it was not written for this session.
    pub(super) fn read(text: &str, session: &str) -> Option<Self> {
        let (word, signed) = text.split_once('.')?;
        Self::read_word(word).filter(|_| signature(word, session) == signed)
    }

    fn word(self) -> String {
        match self {
            Self::Added(id) => format!("added-{id}"),
            Self::Saved(id) => format!("saved-{id}"),
            Self::Deleted(number) => format!("deleted-{number}"),
            Self::UserAdded(id) => format!("user-added-{id}"),
            Self::UserSaved(id) => format!("user-saved-{id}"),
            Self::PasswordSet(id) => format!("password-set-{id}"),
            Self::OwnPassword => "own-password".to_owned(),
        }
    }

    fn read_word(word: &str) -> Option<Self> {
        if word == "own-password" {
            return Some(Self::OwnPassword);
        }
        let (kind, number) = word.rsplit_once('-')?;
        let number = number.parse().ok().filter(|number| *number >= 0)?;
        Some(match kind {
            "added" => Self::Added(number),
            "saved" => Self::Saved(number),
            "deleted" => Self::Deleted(number),
            "user-added" => Self::UserAdded(number),
            "user-saved" => Self::UserSaved(number),
            "password-set" => Self::PasswordSet(number),
            _ => return None,
        })
    }

    /// Says it.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Added(id) => format!("Song {id} was added."),
            Self::Saved(id) => format!("Song {id} was saved."),
            Self::Deleted(0) => "Nothing was deleted: the songs were gone already.".into(),
            Self::Deleted(1) => "1 song was deleted.".into(),
            Self::Deleted(number) => format!("{number} songs were deleted."),
            Self::UserAdded(_) => "The user was added, and may sign in.".into(),
            Self::UserSaved(_) => "The user was saved.".into(),
            Self::PasswordSet(_) => "The password was set, and the user's sessions ended.".into(),
            Self::OwnPassword => "Your password was changed, and your other sessions ended.".into(),
        }
    }
}

fn signature(word: &str, session: &str) -> String {
    let digest = digest(&[b"notice", word.as_bytes(), session.as_bytes()]);
    let beginning = u64::from_be_bytes(std::array::from_fn(|at| digest[at]));
    format!("{beginning:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for notice in [
            Notice::Added(7),
            Notice::Saved(8),
            Notice::Deleted(3),
            Notice::UserAdded(1),
            Notice::UserSaved(2),
            Notice::PasswordSet(i64::MAX),
            Notice::OwnPassword,
        ] {
            let signed = notice.signed("session");
            assert_eq!(Notice::read(&signed, "session"), Some(notice));
            assert_eq!(Notice::read(&signed, "another"), None);
            assert_eq!(Notice::read(&notice.word(), "session"), None);
        }
        let other = Notice::Deleted(9).signed("session").replace('9', "8");
        assert_eq!(Notice::read(&other, "session"), None);
        for word in [
            "",
            "added",
            "added-",
            "added-x",
            "gone-1",
            "<b>-1",
            "deleted--5",
        ] {
            assert_eq!(Notice::read_word(word), None, "{word}");
        }
        assert_eq!(Notice::Deleted(3).sentence(), "3 songs were deleted.");
    }
}
