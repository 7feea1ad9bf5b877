//! How many connections do the process's descriptors allow?
//!
//! Clients are never given all of them: what is kept back serves the connections to servers, the
//! files and the log of those who are there already. So when they run short new clients wait, and
//! nobody who is being served notices.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is kept back: the connections to servers that are kept open, and a few files.
const KEPT_BACK: u64 = 1024 + 64;

/// Raises the limit of open descriptors as far as the process may.
pub fn raise_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open descriptors cannot be raised");
    }
}

/// The most connections of clients that the limit in force leaves room for.
pub(super) fn room() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    room_within(limit)
}

/// The same for a limit. A small one is shared half and half.
fn room_within(limit: u64) -> usize {
    let room = limit - KEPT_BACK.min(limit.div_ceil(2));
    usize::try_from(room).unwrap_or(usize::MAX).max(1)
}

/// Says so where fewer connections are possible than are configured.
pub(crate) fn warn_if_short(wanted: usize, possible: usize) {
    if wanted > possible {
        tracing::warn!(
            max_connections = wanted,
            possible,
            "the limit of open descriptors (ulimit -Hn) leaves room for fewer connections than \
             `clients.max_connections`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::room_within;

    #[test]
    fn something_is_always_kept_back() {
        for (limit, room) in [
            (20_000, 18_912),
            (2_176, 1_088),
            (1_024, 512),
            (65, 32),
            (1, 1),
        ] {
            assert_eq!(room_within(limit), room, "{limit}");
        }
        assert!(room_within(u64::MAX) > 1 << 40);
    }
}
