//! Whom to make the first account for. Holds a password, so nothing here can be printed.

use super::secret::secret;
use super::{WrongSetting, set};
use crate::auth::accounts;
use crate::cli::FirstAccountArguments;

const NAME: &str = "ADMIN_USERNAME (--admin-username)";
const PASSWORD: &str = "ADMIN_PASSWORD (--admin-password)";
const PASSWORD_FILE: &str = "ADMIN_PASSWORD_FILE (--admin-password-file)";

/// The account that is made at the start if there is none at all.
#[derive(Clone)]
pub struct FirstAccount {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
}

impl FirstAccount {
    /// Parses what the command line gave: both a name and a password, or neither.
    pub(super) fn parse(arguments: &FirstAccountArguments) -> Result<Option<Self>, WrongSetting> {
        let name = set(arguments.admin_username.as_deref());
        let password = secret(
            (PASSWORD, arguments.admin_password.as_deref()),
            (PASSWORD_FILE, arguments.admin_password_file.as_deref()),
        )?;
        let (name, password) = match (name, password) {
            (Some(name), Some(password)) => (name, password),
            (None, None) => return Ok(None),
            (Some(_), None) => {
                let problem = format!("is set, and neither {PASSWORD} nor {PASSWORD_FILE} is");
                return Err(WrongSetting::new(NAME, problem));
            }
            (None, Some(_)) => {
                return Err(WrongSetting::new(NAME, "is not set, but its password is"));
            }
        };
        accounts::check_name(name).map_err(|wrong| WrongSetting::new(NAME, wrong.to_string()))?;
        accounts::check_password(&password)
            .map_err(|wrong| WrongSetting::new(PASSWORD, wrong.to_string()))?;
        Ok(Some(Self {
            name: name.to_owned(),
            password,
        }))
    }
}
