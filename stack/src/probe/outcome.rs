//! What became of one request, judged as its client sees it.

use std::time::{Duration, Instant};

use http::StatusCode;

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// A read.
    Get,
    /// The N-th song of this probe.
    Post(u64),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx.
    Done,
    /// 503 with `Retry-After`: the client is told to come again.
    Refused,
    /// A refusal which adds that the write may have been done: the client is told to find out.
    Unsure,
    /// Anything else that tells the client that it failed, with the cause.
    Lost(String),
    /// A write without an answer: it may have been done or not.
    Unknown(String),
}

/// The end of a request, before it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// An answer came.
    Answer {
        status: StatusCode,
        retry_after: bool,
        /// Its body says that the outcome is not known.
        unsure: bool,
    },
    /// There was no connection, so nothing was sent.
    NotSent,
    /// The connection ended before the answer did.
    Cut,
    /// No answer in time.
    Late,
}

/// One request and its end.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What was sent.
    pub sent: Sent,
    /// What came back.
    pub outcome: Outcome,
    /// The moment at which it was to be sent.
    pub due: Instant,
    /// From the moment at which it was due.
    pub latency: Duration,
    /// Who answered.
    pub instance: Option<String>,
}

/// Judges the end of a request.
pub(super) fn judge(sent: Sent, reply: &Reply) -> Outcome {
    let cause = match reply {
        Reply::Answer { status, .. } if status.is_success() => return Outcome::Done,
        Reply::Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: true,
            unsure,
        } => {
            return if *unsure {
                Outcome::Unsure
            } else {
                Outcome::Refused
            };
        }
        Reply::Answer { status, .. } => return Outcome::Lost(status.as_u16().to_string()),
        Reply::NotSent => return Outcome::Lost("no connection".to_owned()),
        Reply::Cut => "connection cut",
        Reply::Late => "no answer in time",
    };
    match sent {
        Sent::Get => Outcome::Lost(cause.to_owned()),
        Sent::Post(_) => Outcome::Unknown(cause.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: bool) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply::Answer {
            status,
            retry_after,
            unsure: false,
        }
    }

    #[test]
    fn an_answer_is_judged_by_its_status() {
        let lost = |cause: &str| Outcome::Lost(cause.to_owned());
        for (reply, outcome) in [
            (answer(200, false), Outcome::Done),
            (answer(201, false), Outcome::Done),
            (answer(503, true), Outcome::Refused),
            (answer(503, false), lost("503")),
            (answer(502, true), lost("502")),
            (answer(404, false), lost("404")),
            (answer(301, false), lost("301")),
            (Reply::NotSent, lost("no connection")),
        ] {
            assert_eq!(judge(Sent::Get, &reply), outcome, "{reply:?}");
            assert_eq!(judge(Sent::Post(1), &reply), outcome, "{reply:?}");
        }
    }

    #[test]
    fn a_refusal_may_leave_open_whether_a_write_was_done() {
        let reply = Reply::Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: true,
            unsure: true,
        };
        assert_eq!(judge(Sent::Post(1), &reply), Outcome::Unsure);
    }

    #[test]
    fn only_a_write_without_an_answer_is_unknown() {
        for reply in [Reply::Cut, Reply::Late] {
            assert!(matches!(judge(Sent::Get, &reply), Outcome::Lost(_)));
            assert!(matches!(judge(Sent::Post(1), &reply), Outcome::Unknown(_)));
        }
    }
}
