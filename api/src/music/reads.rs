//! The reads of music as values, so that equal ones which wait at the same moment can be one query.
//!
//! What is shared is an answer's JSON, made once. [`Shared`] has the rule by which it is always fresh.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Result};

use super::all_singers::{self, Singers};
use super::current::Rendered;
use super::list::ListReads;
use super::store;
use crate::database::{Database, Fault, Read, Shared};
use crate::json;

/// What is being read of music by this instance. Clones share it.
#[derive(Clone)]
pub(crate) struct Reads {
    ones: Shared<One>,
    details: Shared<Detail>,
    singers: Shared<Singers>,
    list: ListReads,
}

impl Reads {
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            ones: Shared::new(database.clone()),
            details: Shared::new(database.clone()),
            singers: Shared::new(database.clone()),
            list: ListReads::new(database),
        }
    }

    /// Reads one music.
    pub(super) async fn one(&self, id: i64) -> Result<Option<Arc<Rendered>>, Fault> {
        self.ones.read(One(id)).await
    }

    /// Reads the short form of one music, as JSON.
    pub(super) async fn detail(&self, id: i64) -> Result<Option<Bytes>, Fault> {
        self.details.read(Detail(id)).await
    }

    /// Reads some of those who sing.
    pub(super) async fn singers(&self, wanted: Singers) -> Result<all_singers::Window, Fault> {
        self.singers.read(wanted).await
    }

    /// Returns the reads of lists.
    pub(super) fn list(&self) -> &ListReads {
        &self.list
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct One(i64);

impl Read for One {
    type Answer = Option<Arc<Rendered>>;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Self::Answer>> {
        Box::pin(async move {
            let found = store::find(connection, self.0).await?;
            Ok(found.map(|current| Arc::new(current.rendered())))
        })
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Detail(i64);

impl Read for Detail {
    type Answer = Option<Bytes>;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, Result<Self::Answer>> {
        Box::pin(async move {
            let found = store::detail(connection, self.0).await?;
            Ok(found.map(|detail| json::to_bytes(&detail).into()))
        })
    }
}
