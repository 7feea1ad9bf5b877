//! The accounts as the admin sees and changes them: who there is, who may do what, and their passwords.

use sqlx::{PgConnection, Result};
use time::OffsetDateTime;

use super::accounts::{self, CannotDo};
use super::store;

/// One account, without anything that is secret.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    pub(crate) is_staff: bool,
    pub(crate) created: OffsetDateTime,
    pub(crate) last_login: Option<OffsetDateTime>,
}

/// Returns accounts by name: so many, after so many others, whose names hold `part`.
pub(crate) async fn list(
    connection: &mut PgConnection,
    part: &str,
    limit: i64,
    offset: i64,
) -> Result<Vec<Person>> {
    sqlx::query_as!(
        Person,
        r#"select id, name, is_active, is_staff, created, last_login from account
           where $1 = '' or position(lower($1) in lower(name)) > 0
           order by name limit $2 offset $3"#,
        part,
        limit,
        offset,
    )
    .fetch_all(connection)
    .await
}

/// Returns one account.
pub(crate) async fn find(connection: &mut PgConnection, id: i64) -> Result<Option<Person>> {
    sqlx::query_as!(
        Person,
        "select id, name, is_active, is_staff, created, last_login from account where id = $1",
        id,
    )
    .fetch_optional(connection)
    .await
}

/// Says what an account may do; one that may not sign in has no sessions any more. `false`: there is no such account.
pub(crate) async fn set_flags(
    connection: &mut PgConnection,
    id: i64,
    is_active: bool,
    is_staff: bool,
) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"with changed as (update account set is_active = $2, is_staff = $3 where id = $1 returning id),
                ended as (delete from session using changed where session.account = changed.id and not $2)
           select id from changed"#,
        id,
        is_active,
        is_staff,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Adds an account that may sign in, with a password that was hashed before; returns its id, or `None` if the name is
/// taken.
pub(crate) async fn add(
    connection: &mut PgConnection,
    name: &str,
    hash: &str,
    is_staff: bool,
) -> Result<Option<i64>> {
    sqlx::query_scalar!(
        "insert into account (name, password, is_staff) values ($1, $2, $3)
         on conflict (name) do nothing returning id",
        name,
        hash,
        is_staff,
    )
    .fetch_optional(connection)
    .await
}

/// Sets a password that was hashed before, and ends the sessions that were begun with the old one.
pub(crate) async fn set_password(
    connection: &mut PgConnection,
    name: &str,
    hash: &str,
) -> Result<bool> {
    store::set_password(connection, name, hash).await
}

/// Says what is wrong with a name or a new password, typed twice; nothing if they are right.
pub(crate) fn problem_of_name(name: &str) -> Option<String> {
    accounts::check_name(name)
        .err()
        .map(|error| sentence(&error))
}

/// Says what is wrong with a new password that was typed twice.
pub(crate) fn problem_of_password(password: &str, again: &str) -> Option<String> {
    if password != again {
        return Some("The two passwords are not the same.".into());
    }
    let refused = accounts::check_password(password).err();
    refused.map(|error| sentence(&error))
}

/// An error of the command line as a sentence for a page.
fn sentence(error: &CannotDo) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).chain(['.']).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        assert_eq!(problem_of_name("leo"), None);
        let name = problem_of_name("a b").unwrap();
        assert!(
            name.starts_with("A name has") && name.ends_with('.'),
            "{name}"
        );
        assert_eq!(problem_of_password("password1", "password1"), None);
        let differ = problem_of_password("password1", "password2").unwrap();
        assert_eq!(differ, "The two passwords are not the same.");
        let short = problem_of_password("short", "short").unwrap();
        assert!(short.starts_with("The password must"), "{short}");
    }
}
