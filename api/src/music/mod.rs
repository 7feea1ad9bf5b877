//! The one resource of the API: music, a song and who sings it.
//!
//! [`handler`](self) → `store` → `row`; what a client sends becomes a `draft` first. A write is an `order`,
//! carried out by `store` or, under a key, by `keyed`; `verdict` tells why nothing was written.

mod all_singers;
mod current;
pub(crate) mod described;
pub(crate) mod desk;
mod draft;
mod fields;
mod handler;
mod id;
mod keyed;
mod list;
mod metadata;
mod number;
mod order;
mod reads;
mod row;
mod store;
mod verdict;

pub use handler::{
    change, create, delete, describe_item, describe_list, detail, list, read, replace, singers,
};
pub(crate) use id::Id;
pub(crate) use list::Leaf;
pub use metadata::{DETAIL, ITEM, LIST, SINGERS};
pub(crate) use reads::Reads;
pub use row::Music;
