//! The configuration is read again while the proxy serves: nothing is lost by it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use crate::support::{Answer, Origin, Proxy, eventually, read_until};
use crate::table::client::Client;

/// A proxy with a file of its own, in a folder of its own.
pub(crate) struct Filed {
    pub(crate) proxy: Proxy,
    pub(crate) file: PathBuf,
    folder: tempfile::TempDir,
}

/// A configuration with this for the servers of its one upstream, and these lines behind it.
pub(crate) fn config(servers: &str, more: &str) -> String {
    format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nlog.access = \"off\"\n\
         [[routes]]\npath = \"/api\"\nupstream = \"music\"\n\
         [upstreams.music]\nservers = [{servers}]\n\
         health = {{ path = \"/healthz\", every = \"100ms\", timeout = \"80ms\" }}\n{more}"
    )
}

pub(crate) fn server(origin: &Origin, weight: u32) -> String {
    format!("{{ address = \"{}\", weight = {weight} }}", origin.address)
}

impl Filed {
    pub(crate) async fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        std::fs::write(&file, text).unwrap();
        Self {
            proxy: Proxy::of_file(&file).await,
            file,
            folder,
        }
    }

    /// Writes the file anew and has it read.
    pub(crate) async fn reload(&self, text: &str) -> Answer {
        self.rename_over(text);
        self.proxy.admin("POST", "/reload", "").await
    }

    /// Replaces the file in one step, as most editors do.
    pub(crate) fn rename_over(&self, text: &str) {
        let fresh = self.folder.path().join(".proxy.toml.swp");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, &self.file).unwrap();
    }

    async fn weights(&self) -> Vec<u64> {
        let status = self.proxy.status().await;
        let servers = status["upstreams"][0]["servers"].as_array().unwrap();
        servers
            .iter()
            .map(|s| s["weight"].as_u64().unwrap())
            .collect()
    }

    async fn until_weights(&self, expected: &[u64]) {
        eventually(&format!("the weights are {expected:?}"), || async {
            self.weights().await == expected
        })
        .await;
    }

    /// How many reloads were refused, by cause.
    async fn refused_for(&self, cause: &str) -> usize {
        let events = self.proxy.events().await;
        let refused = events
            .iter()
            .filter(|event| event["event"] == "reload-refused");
        refused.filter(|event| event["cause"] == cause).count()
    }
}

/// Sends requests one after the other until told to stop; counts those not answered with 200.
async fn load(proxy: Arc<Filed>, stop: Arc<AtomicBool>, lost: Arc<Mutex<Vec<[u16; 3]>>>) -> usize {
    let mut sent = 0;
    let mut kept = proxy.proxy.connect().await;
    while !stop.load(Ordering::SeqCst) {
        let one = proxy.proxy.get("/api/").await.status;
        let two = proxy.proxy.post("/api/", "x").await.status;
        kept.write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let three = Client::new(&mut kept).answer(false).await.ok().flatten();
        let three = three.and_then(|got| got.statuses.last().copied());
        let statuses = [one, two, three.unwrap_or(0)];
        if statuses != [200, 200, 200] {
            lost.lock().unwrap().push(statuses);
        }
        sent += 3;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_nothing() {
    let origins = [
        Origin::start("a").await,
        Origin::start("b").await,
        Origin::start("c").await,
    ];
    let [a, b, c] = &origins;
    let with = |servers: &[String]| config(&servers.join(", "), "");
    let both = with(&[server(a, 4), server(b, 6)]);
    let filed = Arc::new(Filed::start(&both).await);
    filed.proxy.until_up(2).await;
    let (stop, lost) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let clients: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn(load(
                Arc::clone(&filed),
                Arc::clone(&stop),
                Arc::clone(&lost),
            ))
        })
        .collect();
    let elsewhere = with(&[server(a, 1)]).replace("upstream = \"music\"", "upstream = \"other\"")
        + &format!("[upstreams.other]\nservers = [{}]\n", server(c, 1));
    let steps = [
        with(&[server(b, 6), server(a, 1)]),
        // Every server another one.
        with(&[server(c, 1)]),
        both.clone(),
        // The route leads to an upstream that is new, and back to one that was gone.
        elsewhere,
        with(&[server(a, 1)])
            .replace("[upstreams.music]", "[upstreams.more]")
            .replace("\"music\"", "\"more\""),
        both,
    ];
    for _ in 0..3 {
        for step in &steps {
            let answer = filed.reload(step).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            // So that each of them is met by requests.
            let before = filed.proxy.status().await["in_flight"].clone();
            for _ in 0..5 {
                assert_eq!(filed.proxy.get("/api/").await.status, 200, "{before}");
            }
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut sent = 0;
    for client in clients {
        sent += client.await.unwrap();
    }
    assert!(sent >= 30, "only {sent} requests were sent");
    let lost = lost.lock().unwrap();
    assert!(lost.is_empty(), "{lost:?} of {sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_are_kept_and_what_is_in_hand_is_finished() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let filed = Filed::start(&config(&server(&a, 1), "")).await;
    filed.proxy.until_up(1).await;
    for _ in 0..5 {
        filed.proxy.get("/api/").await;
    }
    let slow = filed.proxy.get("/api/?slow=1000");
    let reload = async {
        eventually("it is in hand", || async {
            filed.proxy.status().await["in_flight"] == 1
        })
        .await;
        let both = config(&format!("{}, {}", server(&b, 3), server(&a, 9)), "");
        assert_eq!(
            filed.reload(&both).await.json()["changed"][0],
            "upstreams.music"
        );
        let status = filed.proxy.status().await;
        let kept = &status["upstreams"][0]["servers"][1];
        assert_eq!((&kept["weight"], &kept["requests"]), (&9.into(), &6.into()));
        // It leaves, and what it has in hand is seen until it is done.
        assert_eq!(filed.reload(&config(&server(&b, 3), "")).await.status, 200);
        eventually("it leaves when another is up", || async {
            filed.proxy.status().await["upstreams"][0]["leaving"][0]["in_flight"] == 1
        })
        .await;
    };
    let (answer, ()) = tokio::join!(slow, reload);
    assert_eq!((answer.status, answer.instance()), (200, "a"));
    assert_eq!(filed.proxy.get("/api/").await.instance(), "b");
    eventually("nothing of it is left", || async {
        filed.proxy.status().await["in_flight"] == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_line_and_key_and_the_old_one_stays() {
    let a = Origin::start("a").await;
    let filed = Filed::start(&config(&server(&a, 3), "")).await;
    filed.proxy.until_up(1).await;
    let good = config(&server(&a, 4), "");
    let refused = filed
        .reload(&good.replace("weight = 4", "weight = -4"))
        .await;
    assert_eq!(refused.status, 422);
    let fault = refused.json()["faults"][0].as_str().unwrap().to_owned();
    let expected = ":8: upstreams.music.servers[0].weight: expected a whole number from 0 to 1000";
    assert!(
        fault.contains("proxy.toml") && fault.contains(expected),
        "{fault}"
    );
    // Half of it being right changes nothing.
    let half = good.replace("path = \"/api\"", "path = \"/other\"\nhost = \"/\"");
    assert_eq!(filed.reload(&half).await.status, 422);
    for (key, other) in [
        (
            "listen",
            good.replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:1\"]"),
        ),
        (
            "admin",
            good.replace("admin = \"127.0.0.1:0\"", "admin = \"127.0.0.1:1\""),
        ),
        ("threads", format!("threads = 61\n{good}")),
    ] {
        let refused = filed.reload(&other).await.json();
        let fault = refused["faults"][0].as_str().unwrap();
        let sentence = format!("{key}: this cannot change by a reload: restart the proxy for it");
        assert!(fault.ends_with(&sentence), "{fault}");
    }
    assert_eq!(filed.weights().await, [3]);
    assert_eq!(filed.proxy.get("/api/").await.status, 200);
    assert_eq!(filed.reload(&good).await.status, 200);
    assert_eq!(filed.weights().await, [4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_file_is_noticed_however_it_is_written() {
    let a = Origin::start("a").await;
    let text = |weight| config(&server(&a, weight), "");
    let filed = Filed::start(&text(1)).await;
    filed.proxy.until_up(1).await;
    filed.rename_over(&text(2));
    filed.until_weights(&[2]).await;
    std::fs::write(&filed.file, text(3)).unwrap();
    filed.until_weights(&[3]).await;
    // Behind a link, as secrets and configurations are mounted by some.
    let elsewhere = filed.folder.path().join("elsewhere.toml");
    std::fs::write(&elsewhere, text(4)).unwrap();
    std::fs::remove_file(&filed.file).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &filed.file).unwrap();
    filed.until_weights(&[4]).await;
    // A bad one is told once, however long it stays.
    let cause = "the file has changed";
    // One that is written in place may have been read half.
    let before = filed.refused_for(cause).await;
    filed.rename_over("nonsense");
    eventually("it is refused", || async {
        filed.refused_for(cause).await == before + 1
    })
    .await;
    let looks = std::time::Instant::now() + std::time::Duration::from_secs(1);
    eventually("it was looked at again", || async {
        std::time::Instant::now() > looks
    })
    .await;
    filed.rename_over(&text(5));
    filed.until_weights(&[5]).await;
    assert_eq!(filed.refused_for(cause).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_reloads_and_a_storm_of_it_does_no_harm() {
    let a = Origin::start("a").await;
    let filed = Filed::start(&config(&server(&a, 1), "")).await;
    filed.proxy.until_up(1).await;
    for round in 2..20 {
        filed.rename_over(&config(&server(&a, round), ""));
        for _ in 0..50 {
            filed.proxy.hangup.notify_one();
        }
        assert_eq!(filed.proxy.get("/api/").await.status, 200);
    }
    filed.until_weights(&[19]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_limit_of_connections_change_in_place() {
    let a = Origin::start("a").await;
    let text = config(&server(&a, 1), "");
    let filed = Filed::start(&text).await;
    filed.proxy.until_up(1).await;
    let one = format!("{text}[clients]\nmax_connections = 1\n");
    assert_eq!(filed.reload(&one).await.json()["changed"][0], "clients");
    // In the middle of its head, and so not idle.
    let mut first = filed.proxy.connect().await;
    first.write_all(b"GET /api/ HTTP/1.1\r\n").await.unwrap();
    let mut second = filed.proxy.connect().await;
    second
        .write_all(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let waits = read_until(&mut second, "a 0");
    tokio::pin!(waits);
    let patience = tokio::time::timeout(std::time::Duration::from_millis(300), &mut waits).await;
    assert!(patience.is_err(), "a second connection was served");
    assert_eq!(filed.reload(&text).await.status, 200);
    waits.await;
    first.write_all(b"Host: x\r\n\r\n").await.unwrap();
    read_until(&mut first, "a 0").await;
}
