//! The first account, made when an instance starts and there is none: somebody has to be able to sign in.

use sqlx::PgConnection;

use super::accounts::CannotDo;
use super::{password, store};
use crate::config::FirstAccount;

/// Makes the account if there is none at all; of instances that start at once exactly one makes it.
pub async fn make(connection: &mut PgConnection, first: FirstAccount) -> Result<(), CannotDo> {
    // Hashing is left out when it would be for nothing, which is at every start but one.
    if store::any_account(connection).await? {
        return Ok(());
    }
    let name = first.name;
    let hash = password::hash_apart(first.password).await?;
    if store::add_first_account(connection, &name, &hash).await? {
        tracing::info!(name, "made the first account");
    }
    Ok(())
}
