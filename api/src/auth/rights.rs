//! What an account may do, and who may change it.

use sqlx::{Connection, PgConnection, Result};

use super::store;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Whether it may sign in at all.
    pub(crate) is_active: bool,
    /// Whether it may use the admin.
    pub(crate) is_staff: bool,
}

/// What became of a change of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Granted {
    /// It was made.
    Done,
    /// There is no such account.
    Missing,
    /// Somebody else has changed the rights since they were looked at.
    Changed,
    /// Whoever asks for it is no staff any more.
    NotByYou,
}

/// A change of what an account may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grant {
    /// Who makes it: somebody of the staff, who does not take that from themselves.
    pub(crate) by: i64,
    /// Whose rights.
    pub(crate) of: i64,
    /// What they were when somebody decided on it; a form shows it.
    pub(crate) seen: Rights,
    /// What they are to be.
    pub(crate) new: Rights,
}

/// Changes what an account may do; one that may not sign in has no sessions any more.
///
/// Whoever makes the change is of the staff also when it is made, and stays so: two who take each other's rights at
/// the same moment wait for each other's row, and the second one is told. So somebody of the staff is always left.
pub(crate) async fn grant(connection: &mut PgConnection, grant: Grant) -> Result<Granted> {
    let mut transaction = connection.begin().await?;
    // In the order of their ids, so that no two wait for each other in a circle.
    let rows = sqlx::query!(
        "select id, is_active, is_staff from account where id = any($1) order by id for no key update",
        &[grant.by, grant.of],
    )
    .fetch_all(&mut *transaction)
    .await?;
    let rights = |id: i64| {
        let row = rows.iter().find(|row| row.id == id)?;
        Some(Rights {
            is_active: row.is_active,
            is_staff: row.is_staff,
        })
    };
    let granted = judge(&grant, rights(grant.by), rights(grant.of));
    if granted != Granted::Done {
        // Dropped, it would be rolled back by the next use of the connection only, and hold the rows until then.
        transaction.rollback().await?;
        return Ok(granted);
    }
    sqlx::query!(
        "update account set is_active = $2, is_staff = $3 where id = $1",
        grant.of,
        grant.new.is_active,
        grant.new.is_staff,
    )
    .execute(&mut *transaction)
    .await?;
    if !grant.new.is_active {
        store::end_sessions(&mut transaction, grant.of).await?;
    }
    transaction.commit().await?;
    Ok(granted)
}

/// Judges a change by the rights that both accounts have now. Pure.
fn judge(grant: &Grant, by: Option<Rights>, of: Option<Rights>) -> Granted {
    let all = Rights {
        is_active: true,
        is_staff: true,
    };
    let leaves_oneself = grant.by == grant.of && grant.new != all;
    match of {
        _ if by != Some(all) || leaves_oneself => Granted::NotByYou,
        None => Granted::Missing,
        Some(now) if now != grant.seen => Granted::Changed,
        Some(_) => Granted::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_given_by_the_staff_as_they_were_seen_and_never_leave_nobody() {
        let rights = |is_active, is_staff| Rights {
            is_active,
            is_staff,
        };
        let (all, active, none) = (
            rights(true, true),
            rights(true, false),
            rights(false, false),
        );
        for (of, seen, new, by_now, of_now, expected) in [
            (2, active, all, Some(all), Some(active), Granted::Done),
            (2, all, none, Some(all), Some(all), Granted::Done),
            (2, all, none, Some(all), Some(active), Granted::Changed),
            (2, all, none, Some(all), None, Granted::Missing),
            (2, all, none, Some(active), Some(all), Granted::NotByYou),
            (
                2,
                all,
                none,
                Some(rights(false, true)),
                Some(all),
                Granted::NotByYou,
            ),
            (2, all, none, None, Some(all), Granted::NotByYou),
            (1, all, active, Some(all), Some(all), Granted::NotByYou),
            (1, all, all, Some(all), Some(all), Granted::Done),
        ] {
            let grant = Grant {
                by: 1,
                of,
                seen,
                new,
            };
            assert_eq!(
                judge(&grant, by_now, of_now),
                expected,
                "{grant:?} {by_now:?} {of_now:?}"
            );
        }
    }
}
