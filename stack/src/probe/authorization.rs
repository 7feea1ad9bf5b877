//! How a probe is let in to write: by a token, or by a name and a password.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::HeaderValue;

use crate::Fault;
use crate::layout::Layout;
use crate::plan::ADMIN;

/// The value of `Authorization`. It is marked as a secret, so that `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Authorization(HeaderValue);

/// Who sends the requests of a probe. Its `Debug` shows no secret.
#[derive(Clone, Default, Args)]
pub struct Credentials {
    /// Write as the owner of this token, which `api token USER` makes
    #[arg(long, env = "STACK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Write as this account, by its password
    #[arg(
        long,
        env = "STACK_USER",
        hide_env_values = true,
        value_name = "NAME:PASSWORD",
        conflicts_with = "token"
    )]
    pub user: Option<String>,
    /// Write as `admin`, by the password in this file; by default the one that `stack up` left
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "user"])]
    pub password_file: Option<PathBuf>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Finds out how to be let in; `None`: nothing is known, so only what is open to all will do.
    pub async fn authorization(&self, dir: &Path) -> Result<Option<Authorization>, Fault> {
        if let Some(token) = &self.token {
            return Authorization::token(token).map(Some);
        }
        if let Some(user) = &self.user {
            let (name, password) = user
                .split_once(':')
                .ok_or_else(|| Fault::new("--user: expected NAME:PASSWORD"))?;
            return Authorization::basic(name, password).map(Some);
        }
        match &self.password_file {
            Some(file) => Authorization::admin(file).await.map(Some),
            None => Authorization::of_stack(dir).await,
        }
    }
}

impl Authorization {
    /// By a token.
    pub fn token(token: &str) -> Result<Self, Fault> {
        Self::new(&format!("Token {}", token.trim()))
    }

    /// By a name and a password.
    pub fn basic(name: &str, password: &str) -> Result<Self, Fault> {
        let pair = STANDARD.encode(format!("{name}:{password}"));
        Self::new(&format!("Basic {pair}"))
    }

    /// As the administrator, by the password in a file.
    pub async fn admin(file: &Path) -> Result<Self, Fault> {
        let read = tokio::fs::read_to_string(file).await;
        let text = read.map_err(|error| Fault::new(format!("{}: {error}", file.display())))?;
        Self::basic(ADMIN, text.trim_end_matches(['\r', '\n']))
    }

    /// As the administrator of a stack of plain processes, if there is one in that folder.
    pub async fn of_stack(dir: &Path) -> Result<Option<Self>, Fault> {
        if !tokio::fs::try_exists(dir).await.unwrap_or(false) {
            return Ok(None);
        }
        let file = Layout::find(dir).await?.admin_password();
        if tokio::fs::try_exists(&file).await.unwrap_or(false) {
            Self::admin(&file).await.map(Some)
        } else {
            Ok(None)
        }
    }

    /// The value of the header.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    fn new(text: &str) -> Result<Self, Fault> {
        let value = HeaderValue::from_str(text);
        let mut value = value.map_err(|_| Fault::new("these credentials fit into no header"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_given_counts_and_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let found = Credentials::default().authorization(folder.path()).await;
        assert!(found.unwrap().is_none());

        let token = Credentials {
            token: Some("abc".into()),
            ..Credentials::default()
        };
        assert!(!format!("{token:?}").contains("abc"), "{token:?}");
        let found = token.authorization(folder.path()).await.unwrap().unwrap();
        assert_eq!(found.header(), "Token abc");
        assert!(!format!("{found:?}").contains("abc"), "{found:?}");

        let file = folder.path().join("password");
        tokio::fs::write(&file, "password123\n").await.unwrap();
        let by_file = Credentials {
            password_file: Some(file),
            ..Credentials::default()
        };
        let found = by_file.authorization(folder.path()).await.unwrap().unwrap();
        assert_eq!(found.header(), "Basic YWRtaW46cGFzc3dvcmQxMjM=");

        let wrong = Credentials {
            user: Some("admin".into()),
            ..Credentials::default()
        };
        assert!(wrong.authorization(folder.path()).await.is_err());
    }
}
