//! The fields of a form, all of which one template writes (`templates/admin/fields.html`). Pure.

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) label: &'static str,
    /// Empty for a password, which is never shown again.
    pub(super) value: String,
    pub(super) errors: Vec<String>,
    kind: Kind,
}

/// What is typed into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing: it only goes along.
    Hidden,
    /// Any text, of several lines if it has some.
    Text,
    /// What a user is called.
    Name,
    /// The password that one has.
    OldPassword,
    /// One that is to be.
    NewPassword,
    /// A box to tick.
    Choice,
}

impl Field {
    pub(super) fn hidden(name: &str, value: &str) -> Self {
        Self::new(name, "", value, Kind::Hidden)
    }

    pub(super) fn song(value: &str) -> Self {
        Self::new("song", "Song", value, Kind::Text)
    }

    pub(super) fn singer(value: &str) -> Self {
        Self::new("singer", "Singer", value, Kind::Text)
    }

    pub(super) fn username(value: &str) -> Self {
        Self::new("username", "Name", value, Kind::Name)
    }

    pub(super) fn old_password() -> Self {
        Self::new("old", "Your password until now", "", Kind::OldPassword)
    }

    pub(super) fn new_password() -> Self {
        Self::new("password", "New password", "", Kind::NewPassword)
    }

    pub(super) fn password_again() -> Self {
        Self::new("again", "The same password again", "", Kind::NewPassword)
    }

    pub(super) fn is_active(is_ticked: bool) -> Self {
        Self::choice("is_active", "May sign in", is_ticked)
    }

    pub(super) fn is_staff(is_ticked: bool) -> Self {
        Self::choice("is_staff", "Staff: may use the admin", is_ticked)
    }

    /// Says what is wrong with it.
    pub(super) fn with_errors(mut self, errors: impl IntoIterator<Item = String>) -> Self {
        self.errors = errors.into_iter().collect();
        self
    }

    fn choice(name: &str, label: &'static str, is_ticked: bool) -> Self {
        let value = if is_ticked { "on" } else { "" };
        Self::new(name, label, value, Kind::Choice)
    }

    fn new(name: &str, label: &'static str, value: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            label,
            value: value.to_owned(),
            errors: Vec::new(),
            kind,
        }
    }

    /// Names it within the page.
    pub(super) fn id(&self) -> String {
        self.name.replace('_', "-")
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.kind == Kind::Hidden
    }

    pub(super) fn is_choice(&self) -> bool {
        self.kind == Kind::Choice
    }

    pub(super) fn is_ticked(&self) -> bool {
        self.is_choice() && !self.value.is_empty()
    }

    /// A text of several lines needs a field of several lines.
    pub(super) fn has_lines(&self) -> bool {
        self.kind == Kind::Text && self.value.contains(['\n', '\r'])
    }

    /// What its element says of what is typed into it, as markup.
    pub(super) fn attributes(&self) -> &'static str {
        match self.kind {
            Kind::Hidden | Kind::Choice => "",
            Kind::Text => r#" dir="auto" autocomplete="off""#,
            Kind::Name => r#" autocomplete="off" autocapitalize="none" maxlength="150" required"#,
            Kind::OldPassword => r#" type="password" autocomplete="current-password" required"#,
            Kind::NewPassword => r#" type="password" autocomplete="new-password" required"#,
        }
    }
}
