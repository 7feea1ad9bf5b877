//! Links that lead inside at one moment and outside at the next, while files are asked for.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::paths::{Watch, serve};
use super::targets::plant;
use crate::table::client::Client;

/// So many links that few of the files behind them are held in memory.
const LINKS: usize = 500;
/// How many answers of either kind are waited for.
const ENOUGH: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(20);

/// Swaps every link in turn, first as a folder, then as a file, until it is told to stop.
fn swap(root: &Path, stop: &AtomicBool) {
    let targets = ["a", "../outside", "file", "../secret"];
    for target in targets.iter().cycle() {
        for link in 0..LINKS {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let next = root.join("next");
            symlink(target, &next).unwrap();
            std::fs::rename(next, root.join(format!("link{link}"))).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_that_is_swapped_during_requests_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    plant(folder.path());
    // What the swapped links lead to has the same names inside and outside.
    std::fs::write(folder.path().join("outside/file"), "SECRET").unwrap();
    let root = folder.path().join("root");
    let watch = Watch::outside(folder.path());
    let proxy = serve(folder.path()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || swap(&root, &stop))
    };
    let end = Instant::now() + PATIENCE;
    let mut random = fastrand::Rng::with_seed(1);
    let mut statuses = BTreeMap::<u16, u64>::new();
    let mut stream = proxy.connect().await;
    let seen = |statuses: &BTreeMap<u16, u64>, status| statuses.get(&status).copied().unwrap_or(0);
    while (seen(&statuses, 200) < ENOUGH || seen(&statuses, 404) < ENOUGH) && Instant::now() < end {
        let link = random.usize(..LINKS);
        let below = ["", "/file", "/secret"][random.usize(..3)];
        let head = format!("GET /link{link}{below} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let got = Client::new(&mut stream).answer(false).await;
        let got = got.unwrap().unwrap();
        assert!(
            got.statuses != [200] || got.body == b"0123456789",
            "{got:?}"
        );
        *statuses.entry(got.statuses[0]).or_default() += 1;
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    assert_eq!(watch.opened(), 0, "something outside was opened");
    assert!(
        statuses.keys().all(|s| [200, 301, 404].contains(s)),
        "{statuses:?}"
    );
    assert!(
        seen(&statuses, 200) >= ENOUGH && seen(&statuses, 404) >= ENOUGH,
        "{statuses:?}"
    );
}
