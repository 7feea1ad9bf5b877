//! Recorded requests and answers, and what tells whether an API answers as the original did.

mod conversation;
mod table;
pub(crate) mod wording;

pub(crate) use conversation::{Conversation, Seen};
pub(crate) use table::{Action, cases};
