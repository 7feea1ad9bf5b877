//! What an operator does to accounts on the command line, on a connection that is not a request's.

use sqlx::PgConnection;

use super::password::{self, Refused};
use super::secret::Secret;
use super::store;

/// Why nothing was done, in one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CannotDo {
    /// A name that cannot be one.
    #[error("a name has 1 to 150 characters, which are letters, digits and any of @ . + - _")]
    Name,
    /// There is an account of this name.
    #[error("there is an account of the name {0:?} already")]
    Taken(String),
    /// There is no account of this name.
    #[error("there is no account of the name {0:?}")]
    Missing(String),
    /// The password is refused.
    #[error(transparent)]
    Password(#[from] Refused),
    /// The operating system has no random numbers.
    #[error("no random numbers: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// The database did not do its part.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// Refuses a name that cannot be one.
pub fn check_name(name: &str) -> Result<(), CannotDo> {
    let fits = (1..=150).contains(&name.chars().count());
    let plain = |character: char| character.is_alphanumeric() || "@.+-_".contains(character);
    if fits && name.chars().all(plain) {
        Ok(())
    } else {
        Err(CannotDo::Name)
    }
}

/// Refuses a password that is too short or too long.
pub fn check_password(password: &str) -> Result<(), CannotDo> {
    Ok(password::check(password)?)
}

/// Refuses a name that is taken, before a password is asked for.
pub async fn check_is_free(connection: &mut PgConnection, name: &str) -> Result<(), CannotDo> {
    check_name(name)?;
    if store::has_account(connection, name).await? {
        return Err(CannotDo::Taken(name.to_owned()));
    }
    Ok(())
}

/// Refuses a name that nobody has, before a password is asked for.
pub async fn check_exists(connection: &mut PgConnection, name: &str) -> Result<(), CannotDo> {
    if store::has_account(connection, name).await? {
        return Ok(());
    }
    Err(CannotDo::Missing(name.to_owned()))
}

/// Makes an account that may use the admin.
pub async fn create_superuser(
    connection: &mut PgConnection,
    name: &str,
    password: String,
) -> Result<(), CannotDo> {
    check_name(name)?;
    let hash = password::hash_apart(password).await?;
    if store::add_account(connection, name, &hash, true).await? {
        Ok(())
    } else {
        Err(CannotDo::Taken(name.to_owned()))
    }
}

/// Gives an account another password, and ends its sessions.
pub async fn change_password(
    connection: &mut PgConnection,
    name: &str,
    password: String,
) -> Result<(), CannotDo> {
    let hash = password::hash_apart(password).await?;
    if store::set_password(connection, name, &hash, None).await? {
        Ok(())
    } else {
        Err(CannotDo::Missing(name.to_owned()))
    }
}

/// Makes a token of an account.
pub async fn add_token(connection: &mut PgConnection, name: &str) -> Result<Secret, CannotDo> {
    let token = Secret::random()?;
    if store::add_token(connection, name, token.digest()).await? {
        Ok(token)
    } else {
        Err(CannotDo::Missing(name.to_owned()))
    }
}

/// Takes all tokens of an account away, and returns how many there were.
pub async fn revoke_tokens(connection: &mut PgConnection, name: &str) -> Result<u64, CannotDo> {
    check_exists(connection, name).await?;
    Ok(store::revoke_tokens(connection, name).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain() {
        for name in [
            "admin",
            "leo@music.example",
            "a.b+c-d_e",
            "Zoë",
            "歌手",
            &"x".repeat(150),
        ] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a:b", "a\n", "<b>", "a/b", &"x".repeat(151)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
