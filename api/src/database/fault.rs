//! Why a piece of database work failed, as far as a request cares: can it be tried again later?

use sqlx::Error;

/// What kept the database from answering.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Too many requests wait already.
    #[error("too many requests wait for a database connection")]
    Full,
    /// The request's time for database work was over.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The database is away, or cannot do this now.
    #[error("{0}")]
    Unavailable(Error),
    /// The query itself is wrong: a fault of this program or of the data.
    #[error("{0}")]
    Broken(Error),
}

impl Fault {
    /// Judges an error from getting a connection: whatever it was, there is none.
    pub(super) fn connecting(error: Error) -> Self {
        match error {
            Error::PoolTimedOut => Self::TimedOut,
            other => Self::Unavailable(other),
        }
    }

    /// Judges an error from a query.
    pub(super) fn querying(error: Error) -> Self {
        let unavailable = match &error {
            Error::Database(cause) => cause.code().is_some_and(|code| is_passing(&code)),
            Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::WorkerCrashed => true,
            _ => false,
        };
        if unavailable {
            Self::Unavailable(error)
        } else {
            Self::Broken(error)
        }
    }
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
        assert!(matches!(Fault::querying(lost), Fault::Unavailable(_)));
        assert!(matches!(
            Fault::querying(Error::RowNotFound),
            Fault::Broken(_)
        ));
        assert!(matches!(
            Fault::connecting(Error::PoolClosed),
            Fault::Unavailable(_)
        ));
        assert!(matches!(
            Fault::connecting(Error::PoolTimedOut),
            Fault::TimedOut
        ));
    }
}
