//! Memory that was freed and is not used again: given back to the system.
//!
//! mimalloc keeps what is freed for a second, as it may be wanted again, and then looks at what it
//! keeps only when it lets go of one of its own pages. A proxy at rest lets go of none, and would
//! hold for ever what encoding its files at the start took, or a burst of clients.

use std::hint::black_box;
use std::time::Duration;

use tokio::time::sleep;

/// From one look to the next: longer than mimalloc keeps what is freed.
const EVERY: Duration = Duration::from_secs(2);
/// More than mimalloc takes out of a page that it shares among blocks: such a block is a page of
/// its own, and freeing it lets go of a page. Nothing is written to it, so it costs no memory.
const BLOCK: usize = 1 << 20;

/// Has the allocator look at what it keeps, again and again.
pub async fn give_back() {
    loop {
        sleep(EVERY).await;
        drop(black_box(Vec::<u8>::with_capacity(BLOCK)));
    }
}
