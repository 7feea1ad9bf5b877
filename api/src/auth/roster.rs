//! The accounts as the admin sees and changes them: who there is, and their passwords.

use sqlx::{PgConnection, Result};
use time::OffsetDateTime;

use super::SignedIn;
use super::accounts::{self, CannotDo};
use super::rights::Rights;
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

impl Person {
    pub(crate) fn rights(&self) -> Rights {
        Rights {
            is_active: self.is_active,
            is_staff: self.is_staff,
        }
    }
}

/// Where a page of the accounts, which are in the order of their names, begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With those that follow this name; an empty one goes before all.
    After(String),
    /// With those that go before this name, the nearest of them.
    Before(String),
}

/// Returns accounts whose names hold `part`, by name, no more than `limit`. The index leads to them: a page costs the
/// same wherever it is.
pub(crate) async fn list(
    connection: &mut PgConnection,
    part: &str,
    start: &Start,
    limit: i64,
) -> Result<Vec<Person>> {
    match start {
        Start::After(name) => {
            sqlx::query_as!(
                Person,
                r#"select id, name, is_active, is_staff, created, last_login from account
                   where name > $2 and ($1 = '' or position(lower($1) in lower(name)) > 0)
                   order by name limit $3"#,
                part,
                name,
                limit,
            )
            .fetch_all(connection)
            .await
        }
        Start::Before(name) => {
            let people = sqlx::query_as!(
                Person,
                r#"select id, name, is_active, is_staff, created, last_login from account
                   where name < $2 and ($1 = '' or position(lower($1) in lower(name)) > 0)
                   order by name desc limit $3"#,
                part,
                name,
                limit,
            );
            let mut people = people.fetch_all(connection).await?;
            people.reverse();
            Ok(people)
        }
    }
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
    store::set_password(connection, name, hash, None).await
}

/// Sets one's own password, unless somebody has set another one since it was found right.
pub(crate) async fn replace_password(
    connection: &mut PgConnection,
    who: &SignedIn,
    hash: &str,
) -> Result<bool> {
    store::set_password(connection, &who.account.name, hash, Some(&who.hash)).await
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
