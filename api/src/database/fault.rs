//! Why a piece of database work failed, as far as a request cares: can it be tried again later?

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::Error;

/// What kept the database from answering. Those who share a read share its fault.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// Too many requests wait already.
    #[error("too many requests wait for a database connection")]
    Full,
    /// There was no connection in the time that a request has.
    #[error("no database connection was to be had in time")]
    TimedOut,
    /// The database was asked, and the request's time was over before it answered.
    #[error("the database did not answer in time")]
    Unanswered,
    /// The database was asked, and the connection was lost before it answered.
    #[error("the database connection was lost: {0}")]
    Lost(Arc<Error>),
    /// The database is away, or cannot do this now.
    #[error("{0}")]
    Unavailable(Arc<Error>),
    /// The query itself is wrong: a fault of this program or of the data.
    #[error("{0}")]
    Broken(Arc<Error>),
}

impl Fault {
    /// Judges an error from getting a connection: whatever it was, there is none.
    pub(super) fn connecting(error: Error) -> Self {
        Self::Unavailable(Arc::new(error))
    }

    /// Judges an error from a query.
    pub(super) fn querying(error: Error) -> Self {
        let error = Arc::new(error);
        if let Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed = *error {
            return Self::Lost(error);
        }
        match code(&error).as_deref() {
            Some(code) if ends_the_session(code) => Self::Lost(Arc::clone(&error)),
            Some(code) if is_passing(code) => Self::Unavailable(Arc::clone(&error)),
            _ => Self::Broken(Arc::clone(&error)),
        }
    }

    /// Tells whether a statement may have been carried out all the same.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        matches!(self, Self::Unanswered | Self::Lost(_))
    }

    /// Tells whether the other connections of the pool may have the same trouble: they are lost, or lead to a
    /// server that has become read-only.
    pub(super) fn casts_doubt(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Unavailable(error) => code(error).is_some_and(|code| code == READ_ONLY),
            _ => false,
        }
    }

    /// Tells whether it was the statement that Postgres gave up, and the connection is as good as before.
    pub(super) fn spares_the_connection(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Unavailable(error) => code(error).is_some_and(|code| SPARING.contains(&&*code)),
            _ => false,
        }
    }
}

/// A write in a read-only transaction.
const READ_ONLY: &str = "25006";

/// Lock timeout, statement timeout, disk full, serialization failure, deadlock.
const SPARING: [&str; 5] = ["55P03", "57014", "53100", "40001", "40P01"];

/// Returns the SQLSTATE of an error that Postgres reported.
fn code(error: &Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Tells whether Postgres ended the session with it: by then the transaction may have been committed.
fn ends_the_session(code: &str) -> bool {
    ["57P01", "57P02", "57P05", "25P03"].contains(&code) || code.starts_with("08")
}

/// Tells by its SQLSTATE whether an error can pass by itself, the query being right.
fn is_passing(code: &str) -> bool {
    // Connection, resources (disk full, too many connections), object in use (lock timeout), operator
    // intervention (shutdown, statement timeout), system error.
    let classes = ["08", "53", "55", "57", "58"];
    // A read-only server (failover), serialization failure, deadlock.
    let codes = ["25006", "40001", "40P01"];
    codes.contains(&code) || code.get(..2).is_some_and(|class| classes.contains(&class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_pass_is_told_from_what_cannot() {
        for code in [
            "57P01", "57014", "53300", "53100", "55P03", "08006", "25006", "40P01", "58030",
        ] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["42P01", "23505", "22021", "XX000", ""] {
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_unavailable_and_a_wrong_row_is_broken() {
        let lost = Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(Fault::querying(lost).leaves_open());
        assert!(matches!(
            Fault::querying(Error::RowNotFound),
            Fault::Broken(_)
        ));
        assert!(matches!(
            Fault::connecting(Error::PoolClosed),
            Fault::Unavailable(_)
        ));
    }
}
