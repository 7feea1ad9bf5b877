//! How many connections each address has open; who has none is not remembered.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::rate_limit::network;

/// The number of connections by address, or by /64 of IPv6.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<HashMap<IpAddr, usize>>);

/// A connection that is counted, if there is a limit, as long as this lives.
#[derive(Debug, Default)]
pub struct Entered(Option<(Arc<Addresses>, IpAddr)>);

impl Addresses {
    /// Counts one more, unless `most` are there already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<Entered> {
        let network = network(address);
        let mut counts = self.lock();
        let count = counts.get(&network).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        counts.insert(network, count + 1);
        Some(Entered(Some((Arc::clone(self), network))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some((addresses, network)) = &self.0 else {
            return;
        };
        let mut counts = addresses.lock();
        if let Some(count) = counts.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(network);
            }
        }
    }
}
