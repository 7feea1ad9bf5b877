//! The SQL of accounts, sessions, tokens and failed tries, checked when the program is compiled.

use sqlx::{PgConnection, Result};

use super::secret::Digest;
use super::session::LIFETIME;
use super::tries::{Count, Failures, Keys, WINDOW_S};

/// Somebody who may sign in. The password's hash is not part of it, so that it goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its row.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// Whether it may sign in at all.
    pub is_active: bool,
    /// Whether it may use the admin.
    pub is_staff: bool,
}

/// Returns the account of this name with its password's hash, and what failed before.
pub(super) async fn by_name(
    connection: &mut PgConnection,
    name: String,
    keys: Keys,
) -> Result<(Option<(Account, String)>, Failures)> {
    let row = sqlx::query!(
        r#"select of_name as "of_name!", of_name_left as "of_name_left!",
                  of_address as "of_address!", of_address_left as "of_address_left!",
                  id as "id?", name as "name?", password as "password?",
                  is_active as "is_active?", is_staff as "is_staff?"
           from (
               select coalesce(max(failures) filter (where digest = $2), 0) as of_name,
                      coalesce(max(left_s) filter (where digest = $2), 0) as of_name_left,
                      coalesce(max(failures) filter (where digest = $3), 0) as of_address,
                      coalesce(max(left_s) filter (where digest = $3), 0) as of_address_left
               from (
                   select digest, failures,
                          $4 - extract(epoch from now() - began)::float8 as left_s
                   from login_failure where digest in ($2, $3)
               ) as counted
               where left_s > 0
           ) as failed
           left join account on account.name = $1"#,
        name,
        &keys.name,
        &keys.address,
        WINDOW_S,
    )
    .fetch_one(connection)
    .await?;
    let account = match (row.id, row.name, row.password, row.is_active, row.is_staff) {
        (Some(id), Some(name), Some(password), Some(is_active), Some(is_staff)) => Some((
            Account {
                id,
                name,
                is_active,
                is_staff,
            },
            password,
        )),
        _ => None,
    };
    let failures = Failures {
        of_name: Count {
            failures: row.of_name,
            left_s: row.of_name_left,
        },
        of_address: Count {
            failures: row.of_address,
            left_s: row.of_address_left,
        },
    };
    Ok((account, failures))
}

/// Counts a failed try; a window that is over begins anew.
pub(super) async fn count_failure(connection: &mut PgConnection, keys: Keys) -> Result<()> {
    // In the order of the digests, so that two tries never wait for each other.
    sqlx::query!(
        r#"insert into login_failure (digest, failures, began)
           select digest, 1, now() from unnest($1::bytea[]) as tried (digest) order by digest
           on conflict (digest) do update
           set failures = case when login_failure.began > now() - make_interval(secs => $2)
                               then login_failure.failures + 1 else 1 end,
               began = case when login_failure.began > now() - make_interval(secs => $2)
                            then login_failure.began else now() end"#,
        &[keys.name.to_vec(), keys.address.to_vec()],
        WINDOW_S,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns who is signed in with a session; an account that was switched off is not.
pub(super) async fn by_session(
    connection: &mut PgConnection,
    digest: Digest,
) -> Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"select account.id, name, is_active, is_staff
           from session join account on account.id = session.account
           where digest = $1 and expires > now() and is_active"#,
        &digest,
    )
    .fetch_optional(connection)
    .await
}

/// Returns whose token it is, also when the account was switched off.
pub(super) async fn by_token(
    connection: &mut PgConnection,
    digest: Digest,
) -> Result<Option<Account>> {
    sqlx::query_as!(
        Account,
        r#"select account.id, name, is_active, is_staff
           from token join account on account.id = token.account
           where digest = $1"#,
        &digest,
    )
    .fetch_optional(connection)
    .await
}

/// Begins a session, in place of the one that the client had before; `false` if `hash` is not the password's any more,
/// or the account was switched off meanwhile.
pub(super) async fn begin_session(
    connection: &mut PgConnection,
    account: i64,
    hash: &str,
    new: Digest,
    old: Option<Digest>,
) -> Result<bool> {
    // The update waits for whoever sets a password, then looks at the new one: a session never begins with an old one.
    let done = sqlx::query!(
        r#"with signed_in as (update account set last_login = now()
                              where id = $1 and password = $5 and is_active returning id),
                ended as (delete from session using signed_in where digest = $3)
           insert into session (digest, account, expires)
           select $2, id, now() + make_interval(secs => $4) from signed_in"#,
        account,
        &new,
        old.as_ref().map(|old| &old[..]),
        LIFETIME.as_secs_f64(),
        hash,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends all sessions of an account, within the transaction that has changed its row.
///
/// A statement of its own: the one that changed the row may have waited for a session that began, and did not see it.
pub(super) async fn end_sessions(connection: &mut PgConnection, account: i64) -> Result<()> {
    sqlx::query!("delete from session where account = $1", account)
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends a session, if there is one.
pub(super) async fn end_session(connection: &mut PgConnection, digest: Digest) -> Result<()> {
    sqlx::query!("delete from session where digest = $1", &digest)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes a new account; `false` if there is one of this name.
pub(super) async fn add_account(
    connection: &mut PgConnection,
    name: &str,
    hash: &str,
    is_staff: bool,
) -> Result<bool> {
    let done = sqlx::query!(
        "insert into account (name, password, is_staff) values ($1, $2, $3) on conflict (name) do nothing",
        name,
        hash,
        is_staff,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes the first account; `false` if there is any.
pub(super) async fn add_first_account(
    connection: &mut PgConnection,
    name: &str,
    hash: &str,
) -> Result<bool> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    // Of instances that start at once the second one waits here, and then sees the account.
    sqlx::query!("lock table account in share row exclusive mode")
        .execute(&mut *transaction)
        .await?;
    let done = sqlx::query!(
        "insert into account (name, password, is_staff)
         select $1, $2, true where not exists (select from account)",
        name,
        hash,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(done.rows_affected() > 0)
}

/// Tells whether there is any account.
pub(super) async fn any_account(connection: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from account) as "any!""#)
        .fetch_one(connection)
        .await
}

/// Tells whether there is an account of this name.
pub(super) async fn has_account(connection: &mut PgConnection, name: &str) -> Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from account where name = $1) as "has!""#,
        name
    )
    .fetch_one(connection)
    .await
}

/// Sets a password, and ends the sessions that were begun with the old one; `false` if there is no such account, or
/// the old one is not `only_from`.
pub(super) async fn set_password(
    connection: &mut PgConnection,
    name: &str,
    hash: &str,
    only_from: Option<&str>,
) -> Result<bool> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let found = sqlx::query_scalar!(
        r#"update account set password = $2
           where name = $1 and ($3::text is null or password = $3) returning id"#,
        name,
        hash,
        only_from,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(account) = found {
        end_sessions(&mut transaction, account).await?;
    }
    transaction.commit().await?;
    Ok(found.is_some())
}

/// Writes a token of an account; `false` if there is no such account.
pub(super) async fn add_token(
    connection: &mut PgConnection,
    name: &str,
    digest: Digest,
) -> Result<bool> {
    let done = sqlx::query!(
        "insert into token (digest, account) select $2, id from account where name = $1",
        name,
        &digest,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes all tokens of an account away, and returns how many there were.
pub(super) async fn revoke_tokens(connection: &mut PgConnection, name: &str) -> Result<u64> {
    let done = sqlx::query!(
        "delete from token using account where account.id = token.account and account.name = $1",
        name,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes what is over: sessions and counts of failures, a bounded number; returns how many.
pub(super) async fn purge(connection: &mut PgConnection, most: i64) -> Result<u64> {
    let sessions = sqlx::query!(
        "delete from session where digest in (
             select digest from session where expires <= now() limit $1 for update skip locked)",
        most,
    )
    .execute(&mut *connection)
    .await?;
    let failures = sqlx::query!(
        "delete from login_failure where digest in (
             select digest from login_failure where began <= now() - make_interval(secs => $2)
             limit $1 for update skip locked)",
        most,
        WINDOW_S,
    )
    .execute(connection)
    .await?;
    Ok(sessions.rows_affected() + failures.rows_affected())
}
