//! A write of a music: applied once, in time, on its condition, or not at all; and the answer to it.
//!
//! One statement decides all of that. When it wrote nothing, one more read tells why.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use time::OffsetDateTime;

use super::current::Current;
use super::draft::{Change, Draft};
use super::verdict::{self, Stored, Verdict};
use super::{keyed, store};
use crate::database::{Fault, Work};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::router::App;
use crate::terms::{Condition, IDEMPOTENCY_REPLAYED, Key, Terms};

/// What is to be written.
#[derive(Debug)]
pub(super) enum Write {
    Insert(Draft),
    /// The whole of one music.
    Replace(i64, Change),
    /// A part of one music.
    Change(i64, Change),
    Delete(i64),
}

/// A write and its terms.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) write: Write,
    pub(super) condition: Condition,
    /// It must not begin after this.
    pub(super) deadline: OffsetDateTime,
    pub(super) key: Option<Keyed>,
}

/// What makes an order repeatable.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) owner: i64,
    pub(super) key: Key,
    /// Tells a repeat from another request.
    pub(super) digest: Vec<u8>,
}

/// What came of an order.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) done: Done,
    /// An earlier request with this key did it, not this one.
    pub(super) is_repeat: bool,
}

/// What was written.
#[derive(Debug)]
pub(super) enum Done {
    /// The row as it is now.
    Is(Current),
    Deleted,
}

impl Write {
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Insert(_) => "POST",
            Self::Replace(..) => "PUT",
            Self::Change(..) => "PATCH",
            Self::Delete(_) => "DELETE",
        }
    }

    /// Returns the row that it is about, if that is there already.
    pub(super) fn id(&self) -> Option<i64> {
        match self {
            Self::Insert(_) => None,
            Self::Replace(id, _) | Self::Change(id, _) | Self::Delete(id) => Some(*id),
        }
    }

    /// Returns the address in its one plain form.
    pub(super) fn path(&self) -> String {
        match self.id() {
            None => "/api/music/".to_owned(),
            Some(id) => format!("/api/music/{id}/"),
        }
    }

    fn answer(&self, done: Done) -> Response {
        match (self, done) {
            (_, Done::Deleted) => StatusCode::NO_CONTENT.into_response(),
            (Self::Insert(_), Done::Is(music)) => music.written(StatusCode::CREATED, true),
            (Self::Replace(..), Done::Is(music)) => music.written(StatusCode::OK, false),
            (_, Done::Is(music)) => music.written(StatusCode::OK, true),
        }
    }
}

impl Order {
    /// Puts an order together, to be carried out at once.
    pub(super) fn new(write: Write, terms: Terms, body: &[u8]) -> Self {
        let deadline = terms.begin_before(OffsetDateTime::now_utc());
        let digest = terms.digest(body);
        let owner = terms.owner;
        Self {
            write,
            deadline,
            key: terms.key.map(|key| Keyed { owner, key, digest }),
            condition: terms.condition,
        }
    }

    /// Carries the order out, and answers.
    pub(super) async fn carry_out(self, app: &App) -> Result<Response, Error> {
        let order = Arc::new(self);
        let Outcome { done, is_repeat } = order.execute(app).await?;
        let mut response = order.write.answer(done);
        // Whose key is the proxy's has sent the request once, whatever the proxy made of it.
        if is_repeat && order.key.as_ref().is_some_and(|key| !key.key.is_minted()) {
            let yes = HeaderValue::from_static("true");
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED, yes);
        }
        Ok(response)
    }

    /// Carries the order out, and says what was written, now or when it came before.
    pub(super) async fn execute(self: &Arc<Self>, app: &App) -> Result<Outcome, Error> {
        let order = self;
        let mut work = app.database().work();
        let mut written = write(&mut work, order).await;
        let asked_again = matches!(written, Err(Fault::Lost(_))) && order.key.is_some();
        if asked_again {
            // With a key it can do no harm to ask again, on another connection.
            written = write(&mut work, order).await;
        }
        let done = match written {
            Ok(Some(done)) => {
                return Ok(Outcome {
                    done,
                    is_repeat: false,
                });
            }
            Ok(None) => order.why_not(&mut work, app.metrics()).await,
            Err(fault @ Fault::Broken(_)) => Err(Error::Database(fault)),
            Err(fault @ Fault::Unavailable(_)) => {
                order.after(fault, &mut work, app.metrics()).await
            }
            Err(fault) => Err(order.unless_certain(fault)),
        }?;
        // What was lost may have been done by this very request.
        Ok(Outcome {
            done,
            is_repeat: !asked_again,
        })
    }

    /// Answers a statement that wrote nothing.
    async fn why_not(
        self: &Arc<Self>,
        work: &mut Work<'_>,
        metrics: &Metrics,
    ) -> Result<Done, Error> {
        let verdict = self.judge(work).await?;
        if let Some(stored) = verdict.stored {
            return self.repeat(stored, metrics);
        }
        Err(if !verdict.in_time {
            Error::TooLate
        } else if self.write.id().is_some() && verdict.version.is_none() {
            Error::NoMusic
        } else if self.condition.only.is_some() || self.condition.unless.is_some() {
            Error::PreconditionFailed
        } else {
            // Whatever stood in its way is gone again: a key that expired just now.
            Error::StillRunning
        })
    }

    /// Answers a statement that Postgres refused to carry out: an earlier one may have been carried out.
    async fn after(
        self: &Arc<Self>,
        fault: Fault,
        work: &mut Work<'_>,
        metrics: &Metrics,
    ) -> Result<Done, Error> {
        let Some(key) = &self.key else {
            return Err(Error::Database(fault));
        };
        let order = Arc::clone(self);
        // Whoever runs has the lock. If nobody does, the read that follows sees whatever was committed.
        let free = work
            .run(move |connection| {
                Box::pin(async move { verdict::is_free(connection, &order).await })
            })
            .await;
        let Ok(free) = free else {
            return Err(Error::OutcomeUnknown(fault, Some(key.key.clone())));
        };
        match self.judge(work).await?.stored {
            Some(stored) => self.repeat(stored, metrics),
            None if free => Err(Error::Database(fault)),
            None => Err(Error::StillRunning),
        }
    }

    async fn judge(self: &Arc<Self>, work: &mut Work<'_>) -> Result<Verdict, Error> {
        let order = Arc::clone(self);
        let judged = work
            .run(move |connection| Box::pin(async move { verdict::read(connection, &order).await }))
            .await;
        judged.map_err(|fault| match (fault, &self.key) {
            (fault @ Fault::Broken(_), _) | (fault, None) => Error::Database(fault),
            // This one wrote nothing, but an earlier one may have.
            (fault, Some(key)) => Error::OutcomeUnknown(fault, Some(key.key.clone())),
        })
    }

    /// Answers a repeat as the first one was answered, if it is a repeat.
    fn repeat(&self, stored: Stored, metrics: &Metrics) -> Result<Done, Error> {
        let is_repeat = |keyed: &Keyed| keyed.digest == stored.digest;
        if !self.key.as_ref().is_some_and(is_repeat) {
            return Err(Error::OtherRequest);
        }
        metrics.key_repeated();
        Ok(stored.done)
    }

    /// Says what is certain after a fault. With a key an earlier try may have written, whatever came of this one.
    fn unless_certain(&self, fault: Fault) -> Error {
        let key = self.key.as_ref().map(|keyed| keyed.key.clone());
        if fault.leaves_open() || key.is_some() {
            Error::OutcomeUnknown(fault, key)
        } else {
            Error::Database(fault)
        }
    }
}

async fn write(work: &mut Work<'_>, order: &Arc<Order>) -> Result<Option<Done>, Fault> {
    let order = Arc::clone(order);
    work.run(move |connection| {
        Box::pin(async move {
            let (write, deadline) = (&order.write, order.deadline);
            match (&order.key, write) {
                (Some(key), write) => keyed::write(connection, &order, key, write).await,
                (None, Write::Insert(draft)) => {
                    let music = store::insert(connection, draft, deadline).await?;
                    Ok(music.map(Done::Is))
                }
                (None, Write::Replace(id, change) | Write::Change(id, change)) => {
                    let condition = &order.condition;
                    let music = store::update(connection, *id, change, condition, deadline).await?;
                    Ok(music.map(Done::Is))
                }
                (None, Write::Delete(id)) => {
                    let deleted =
                        store::delete(connection, *id, &order.condition, deadline).await?;
                    Ok(deleted.then_some(Done::Deleted))
                }
            }
        })
    })
    .await
}
