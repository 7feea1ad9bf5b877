//! The page of the form, in plain HTML that needs no script. Pure.

use askama::Template;

use crate::page::{Frame, Visitor};

/// What a page shows.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage<'a> {
    pub(super) frame: Frame,
    /// What went wrong, if anything.
    pub(super) problem: Option<&'a str>,
    /// The name as it was typed.
    pub(super) name: &'a str,
    /// Where to go afterwards.
    pub(super) next: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_sent_is_read_as_markup() {
        let odd = "\"><script>alert('1')</script>&";
        let frame = Frame {
            title: odd.into(),
            visitor: Visitor::Account {
                name: odd.into(),
                is_staff: true,
                has_session: true,
            },
            here: odd.into(),
            csrf: odd.into(),
            instance: odd.into(),
        };
        let page = LoginPage {
            frame,
            problem: Some(odd),
            name: odd,
            next: odd,
        };
        let page = page.render().unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("\"><"), "{page}");
        assert_eq!(page.matches("alert(&#39;1&#39;)").count(), 9, "{page}");
    }
}
