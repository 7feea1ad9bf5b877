//! What was done, said on the page that one is led to. It stands in the address, as a word and a number: so it needs
//! no memory of the instance that did it, and nothing that somebody typed is repeated. Pure.

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
    /// Returns the value of `done` in an address.
    pub(super) fn word(self) -> String {
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

    /// Reads the value of `done`.
    pub(super) fn read(word: &str) -> Option<Self> {
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
            assert_eq!(Notice::read(&notice.word()), Some(notice));
        }
        for word in [
            "",
            "added",
            "added-",
            "added-x",
            "gone-1",
            "<b>-1",
            "deleted--5",
        ] {
            assert_eq!(Notice::read(word), None, "{word}");
        }
        assert_eq!(Notice::Deleted(3).sentence(), "3 songs were deleted.");
    }
}
