//! The one resource of the API: music, a song and who sings it.
//!
//! [`handler`](self) → `store` → `row`; what a client sends becomes a `draft` first.

mod draft;
mod fields;
mod handler;
mod id;
mod list;
mod metadata;
mod number;
mod row;
mod store;

pub use handler::{
    change, create, delete, describe_item, describe_list, detail, list, read, replace, singers,
};
pub use metadata::{DETAIL, ITEM, LIST, SINGERS};
pub use row::Music;
