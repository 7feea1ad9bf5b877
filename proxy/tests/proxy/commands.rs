//! The commands of the binary that ask a running proxy, and signals to it.

use std::process::{Command, Output};

use crate::binary::{BINARY, Running, config as file};
use crate::reloading::{config, server};
use crate::support::{Origin, Proxy, eventually};

/// Runs the binary against the proxy's admin listener.
async fn run(proxy: &Proxy, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    let admin = proxy.admin.to_string();
    command.args(arguments).args(["--admin", &admin]);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn check(output: &Output, code: i32, words: &[&str]) {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&all);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_drained_weighed_and_enabled_by_any_of_its_names() {
    let (a, b) = (Origin::start("a").await, Origin::start("b").await);
    let proxy = Proxy::before(&[&a, &b]).await;
    check(
        &run(&proxy, &["status"]).await,
        0,
        &["music (round-robin)", "INSTANCE", "up"],
    );
    let json = run(&proxy, &["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["upstreams"][0]["servers"][1]["weight"], 6);
    let address = b.address.to_string();
    check(
        &run(&proxy, &["weight", &address, "9"]).await,
        0,
        &["weight 9"],
    );
    check(&run(&proxy, &["healthcheck"]).await, 0, &[]);
    let refused = run(&proxy, &["explain", "/api/", "--method", "TRACE"]).await;
    check(&refused, 0, &["refused   405: This method"]);
    check(&run(&proxy, &["drain", "music/b"]).await, 0, &["drained"]);
    assert_eq!(proxy.states().await, ["up", "drained by hand"]);
    check(&run(&proxy, &["enable", "b"]).await, 0, &["ready"]);
    assert_eq!(proxy.states().await, ["up", "up"]);
    // Both servers have this host.
    check(
        &run(&proxy, &["drain", "127.0.0.1"]).await,
        1,
        &["may mean", &address],
    );
    check(
        &run(&proxy, &["drain", "nobody"]).await,
        1,
        &["there is no server", &format!("music/{address}")],
    );
    check(&run(&proxy, &["weight", "b", "1001"]).await, 2, &["1000"]);
    assert_eq!(proxy.states().await, ["up", "up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_waits_until_nothing_is_in_flight() {
    let a = Origin::start("a").await;
    let proxy = Proxy::before(&[&a]).await;
    let slow = async {
        let answer = proxy.get("/api/?slow=1500").await;
        assert_eq!(answer.status, 200);
    };
    let drain = async {
        eventually("it is in hand", || async {
            proxy.status().await["in_flight"] == 1
        })
        .await;
        let output = run(&proxy, &["drain", "a", "--wait", "1ms"]).await;
        check(&output, 1, &["still 1 in flight", "stays drained"]);
        let output = run(&proxy, &["drain", "a", "--wait", "20s"]).await;
        check(&output, 0, &["nothing in flight"]);
        assert_eq!(proxy.status().await["in_flight"], 0);
    };
    tokio::join!(slow, drain);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_in_a_sentence() {
    let missing = ["status", "--config", "/nonexistent.toml"];
    let output = Command::new(BINARY).args(missing).output().unwrap();
    let how = "; say where the proxy is with --admin ADDRESS or --config FILE";
    check(
        &output,
        78,
        &["/nonexistent.toml: there is no such file", how],
    );
    let off = file("listen = [\"127.0.0.1:0\"]\n");
    let output = Command::new(BINARY)
        .args(["reload", "--config", off.path().to_str().unwrap()])
        .output()
        .unwrap();
    check(&output, 78, &["admin: missing", how]);
}

/// Whether the process has a handler for SIGHUP.
async fn outlives_hangups(process: u32) -> bool {
    let file = format!("/proc/{process}/status");
    let status = tokio::fs::read_to_string(file).await.unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|caught| u64::from_str_radix(caught.trim(), 16).unwrap() & 1 == 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_hangups_kills_nobody_not_even_at_the_start() {
    let a = Origin::start("a").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.toml");
    std::fs::write(&path, config(&server(&a, 1), "")).unwrap();
    let starting = Running::spawn(&path);
    let process = starting.id();
    eventually("it has a handler", || async {
        outlives_hangups(process).await
    })
    .await;
    let hangup = move || {
        Command::new("kill")
            .args(["-s", "HUP", &process.to_string()])
            .status()
    };
    for _ in 0..20 {
        assert!(hangup().unwrap().success());
    }
    let running = Running::wait_for(starting);
    for weight in 2..40 {
        std::fs::write(&path, config(&server(&a, weight), "")).unwrap();
        assert!(hangup().unwrap().success());
    }
    // A route that only the last of them has.
    let last = config(&server(&a, 1), "").replace("/api", "/last");
    std::fs::write(&path, last).unwrap();
    assert!(hangup().unwrap().success());
    eventually("the last file is in force", || async {
        running.get("/last").starts_with("HTTP/1.1 200 ")
    })
    .await;
    assert!(running.get("/api").starts_with("HTTP/1.1 404 "));
}
