//! The places for connections: how many there are, and whose place is taken when there is none.
//!
//! A connection that was kept after a request and waits for the next one may be called back: the
//! one that has waited longest gives its place to one that has just come. Where nobody waits so,
//! the new one waits until a place is free.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::addresses::{Addresses, Entered};

/// The places for connections.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    most: Mutex<usize>,
    /// More than so many there never are, whatever is asked for.
    ceiling: usize,
    resting: Mutex<Resting>,
    somebody_rests: Notify,
    addresses: Arc<Addresses>,
    called_back: AtomicU64,
    turned_away: AtomicU64,
}

/// Those who wait for their next request, the longest first.
#[derive(Debug, Default)]
struct Resting {
    by_turn: BTreeMap<u64, Rester>,
    next: u64,
}

#[derive(Debug)]
struct Rester {
    permit: OwnedSemaphorePermit,
    call: oneshot::Sender<()>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
    _entered: Entered,
}

/// A connection between two requests: until this is dropped its place may be taken.
#[derive(Debug)]
pub struct Rest<'p> {
    place: &'p mut Place,
    turn: u64,
    call: oneshot::Receiver<()>,
}

impl Places {
    /// So many places, but not more than `ceiling`, all free.
    pub fn new(most: usize, ceiling: usize) -> Arc<Self> {
        let most = most.min(ceiling);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            most: Mutex::new(most),
            ceiling,
            resting: Mutex::default(),
            somebody_rests: Notify::new(),
            addresses: Arc::default(),
            called_back: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        })
    }

    /// Takes a place if one is free.
    pub fn try_take(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(self.place(permit))
    }

    /// Takes the place of whoever has waited longest for its next request, if anybody does.
    pub fn call_back(self: &Arc<Self>) -> Option<Place> {
        let (_, longest) = lock(&self.resting).by_turn.pop_first()?;
        self.called_back.fetch_add(1, Ordering::Relaxed);
        // Whoever does not hear it has gone already.
        let _ = longest.call.send(());
        Some(self.place(longest.permit))
    }

    /// Waits for a place, free or called back.
    pub async fn take(self: &Arc<Self>) -> Option<Place> {
        loop {
            if let Some(place) = self.try_take().or_else(|| self.call_back()) {
                return Some(place);
            }
            tokio::select! {
                permit = Arc::clone(&self.free).acquire_owned() => return Some(self.place(permit.ok()?)),
                () = self.somebody_rests.notified() => {}
            }
        }
    }

    /// Lets a connection from an address in, unless `most` are there already; 0 is no limit.
    pub fn enter(&self, address: IpAddr, most: usize) -> Option<Entered> {
        if most == 0 {
            return Some(Entered::default());
        }
        let entered = self.addresses.enter(address, most);
        if entered.is_none() {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    /// Changes the number. No connection is closed for it: where there are more than that, new
    /// ones wait until enough of them have ended.
    pub fn set_most(&self, most: usize) {
        let most = most.min(self.ceiling);
        let mut before = lock(&self.most);
        if let Some(more) = most.checked_sub(*before) {
            self.free.add_permits(more);
        } else {
            let fewer = *before - most;
            let owed = fewer - self.free.forget_permits(fewer);
            self.collect(owed);
        }
        *before = most;
    }

    /// The most places that there may be, as far as descriptors go.
    pub fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// How many places there are.
    pub fn most(&self) -> usize {
        *lock(&self.most)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.most().saturating_sub(self.free.available_permits())
    }

    /// How many wait for their next request.
    pub fn resting(&self) -> usize {
        lock(&self.resting).by_turn.len()
    }

    /// How many connections were closed for new ones.
    pub fn called_back(&self) -> u64 {
        self.called_back.load(Ordering::Relaxed)
    }

    /// How many connections were turned away since too many came from their address.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place {
            permit: Some(permit),
            places: Arc::clone(self),
            _entered: Entered::default(),
        }
    }

    /// Takes places that are still in use away as they become free.
    fn collect(&self, owed: usize) {
        let free = Arc::clone(&self.free);
        let owed = u32::try_from(owed).unwrap_or(u32::MAX);
        if owed > 0 {
            tokio::spawn(async move {
                if let Ok(collected) = free.acquire_many(owed).await {
                    collected.forget();
                }
            });
        }
    }
}

impl Place {
    /// Holds the connection's number among those of its address as long as the place.
    pub fn of_address(mut self, entered: Entered) -> Self {
        self._entered = entered;
        self
    }

    /// Whether nobody has taken it.
    pub fn is_held(&self) -> bool {
        self.permit.is_some()
    }

    /// Begins to wait for the next request.
    pub fn rest(&mut self) -> Rest<'_> {
        let (sender, call) = oneshot::channel();
        let mut turn = 0;
        if let Some(permit) = self.permit.take() {
            let mut resting = lock(&self.places.resting);
            turn = resting.next;
            resting.next += 1;
            let rester = Rester {
                permit,
                call: sender,
            };
            resting.by_turn.insert(turn, rester);
        }
        self.places.somebody_rests.notify_one();
        Rest {
            place: self,
            turn,
            call,
        }
    }
}

impl Rest<'_> {
    /// Waits until the place is taken for another connection.
    pub async fn called_back(&mut self) {
        let _ = (&mut self.call).await;
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        let rester = lock(&self.place.places.resting).by_turn.remove(&self.turn);
        self.place.permit = rester.map(|rester| rester.permit);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[tokio::test]
    async fn fewer_places_close_nothing_and_hold_back_the_next() {
        let places = Places::new(2, 3);
        let (one, two) = (places.take().await, places.take().await);
        places.set_most(1);
        tokio::task::yield_now().await;
        drop(one);
        tokio::task::yield_now().await;
        assert!(places.try_take().is_none(), "the second one still is there");
        drop(two);
        let third = places.take().await;
        assert!(third.is_some() && places.try_take().is_none());
        places.set_most(9);
        assert_eq!(places.most(), 3, "that is the ceiling");
        assert!(places.try_take().is_some());
    }

    #[tokio::test]
    async fn the_longest_rester_gives_its_place() {
        let places = Places::new(2, 2);
        let mut one = places.take().await.unwrap();
        let mut two = places.take().await.unwrap();
        let mut first = one.rest();
        let second = two.rest();
        assert_eq!((places.taken(), places.resting()), (2, 2));
        let third = places.take().await.unwrap();
        first.called_back().await;
        drop((first, second));
        assert!(!one.is_held() && two.is_held() && third.is_held());
        assert_eq!((places.taken(), places.resting()), (2, 0));
        assert_eq!(places.called_back(), 1);
        drop((one, two, third));
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_place_of_the_next_who_rests() {
        let places = Places::new(1, 1);
        let mut one = places.take().await.unwrap();
        let waiting = tokio::spawn({
            let places = std::sync::Arc::clone(&places);
            async move { places.take().await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let mut rest = one.rest();
        rest.called_back().await;
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn an_address_has_its_share() {
        let places = Places::new(9, 9);
        let address = "127.0.0.2".parse().unwrap();
        let place = places.take().await.unwrap();
        let place = place.of_address(places.enter(address, 1).unwrap());
        assert!(places.enter(address, 1).is_none());
        assert!(places.enter("127.0.0.3".parse().unwrap(), 1).is_some());
        assert!(places.enter(address, 0).is_some(), "no limit");
        drop(place);
        assert!(places.enter(address, 1).is_some());
        assert_eq!(places.turned_away(), 1);
    }
}
