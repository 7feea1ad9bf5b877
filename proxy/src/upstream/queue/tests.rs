use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;

#[test]
fn a_free_place_is_offered_to_the_first_one() {
    let queue = Arc::new(Queue::default());
    let (one, two) = (queue.join(9).unwrap(), queue.join(9).unwrap());
    assert!(one.is_woken(), "who finds nobody there looks at once");
    assert!(!two.is_woken());
    queue.wake();
    assert!(one.is_woken() && !two.is_woken());
}

#[test]
fn whoever_leaves_has_the_next_one_look() {
    let queue = Arc::new(Queue::default());
    let tickets: Vec<_> = (0..4).map(|_| queue.join(9).unwrap()).collect();
    let [one, two, three, four] = <[_; 4]>::try_from(tickets).unwrap();
    queue.wake();
    drop(one);
    assert!(two.is_woken(), "it left with the wake-up in hand");
    drop(three);
    assert!(!two.is_woken() && four.is_woken());
    two.pass_on();
    assert!(four.is_woken());
    four.pass_on();
    drop((two, four));
    assert_eq!(queue.length(), 0);
    queue.wake();
}

#[test]
fn it_is_no_longer_than_it_may_be() {
    let queue = Arc::new(Queue::default());
    assert!(queue.join(0).is_none());
    let _one = queue.join(1).unwrap();
    assert!(queue.join(1).is_none());
    assert_eq!(queue.length(), 1);
}

/// Places that are taken and given back by many at once, some of whom lose patience: everybody
/// who waits gets one, and nobody waits while one is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_forgotten() {
    let queue = Arc::new(Queue::default());
    let free = Arc::new([const { AtomicBool::new(true) }; 3]);
    let mut all = tokio::task::JoinSet::new();
    for number in 0..600 {
        let (queue, free) = (Arc::clone(&queue), Arc::clone(&free));
        all.spawn(async move {
            let take = || {
                free.iter()
                    .position(|place| place.swap(false, Ordering::SeqCst))
            };
            let mut place = if queue.length() == 0 { take() } else { None };
            if place.is_none() {
                let ticket = queue.join(usize::MAX).unwrap();
                let patience =
                    Duration::from_micros(if number % 5 == 0 { 300 } else { 20_000_000 });
                let end = tokio::time::Instant::now() + patience;
                while place.is_none() {
                    if timeout_at(end, ticket.turn.notified()).await.is_err() {
                        assert_eq!(number % 5, 0, "forgotten");
                        return;
                    }
                    place = take();
                }
            }
            tokio::time::sleep(Duration::from_micros(50)).await;
            free[place.unwrap()].store(true, Ordering::SeqCst);
            queue.wake();
        });
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
    assert_eq!(queue.length(), 0);
}
