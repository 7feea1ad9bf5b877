//! Limits on clients: how many connections there may be, and how slow they may be.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::binary::{BINARY, Running, config};
use crate::rates::connect_from;
use crate::support::{BOUND, Origin, Proxy, eventually, read_to_end, read_until};

const GET: &[u8] = b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n";

/// Asks on a connection that is kept; whether it was answered.
async fn is_served(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let asking = async {
        stream.write_all(GET).await.ok()?;
        while !String::from_utf8_lossy(&bytes).ends_with("a 0") {
            let read = tokio::io::AsyncReadExt::read_buf(stream, &mut bytes).await;
            read.ok().filter(|&read| read > 0)?;
        }
        Some(())
    };
    tokio::time::timeout(BOUND, asking).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_idle_connection_makes_room_for_a_new_one() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "max_connections = 2", "").await;
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    assert!(is_served(&mut one).await, "now it is the younger one");
    let mut three = proxy.connect().await;
    assert!(is_served(&mut three).await);
    assert_eq!(read_to_end(&mut two).await.status, 0, "it was closed");
    assert!(is_served(&mut one).await && is_served(&mut three).await);
    let metrics = proxy.admin("GET", "/metrics", "").await.body;
    for figure in [
        "proxy_client_connections 2",
        "proxy_client_connections_max 2",
        "proxy_client_connections_closed_total 1",
    ] {
        assert!(metrics.contains(figure), "{figure} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_being_served_is_not_closed_for_a_new_one() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "max_connections = 1", "").await;
    let mut busy = proxy.connect().await;
    let slow = b"GET /api/?slow=700 HTTP/1.1\r\nHost: x\r\n\r\n";
    busy.write_all(slow).await.unwrap();
    eventually("it is in hand", || async { origin.received().len() == 1 }).await;
    let mut new = proxy.connect().await;
    assert!(is_served(&mut new).await);
    let answer = read_to_end(&mut busy).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "a 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_no_more_than_its_share() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "max_connections_per_address = 2", "").await;
    let (mut one, mut two) = (proxy.connect().await, proxy.connect().await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    let mut three = proxy.connect().await;
    assert!(!is_served(&mut three).await, "the third of one address");
    let mut other = connect_from("127.0.0.2", proxy.address).await;
    assert!(is_served(&mut other).await);
    assert!(is_served(&mut one).await && is_served(&mut two).await);
    drop(one);
    let address = proxy.address;
    eventually("there is room for it", || async move {
        is_served(&mut TcpStream::connect(address).await.unwrap()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_not_waited_for_to_the_end() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::with(&[&origin], "body_timeout = \"5s\"", "").await;
    let mut stream = proxy.connect().await;
    let head = b"POST /api/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let began = Instant::now();
    let (mut input, mut output) = stream.split();
    let drip = async {
        while output.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        std::future::pending::<()>().await
    };
    let answer = tokio::select! {
        answer = read_to_end(&mut input) => answer,
        () = drip => unreachable!("it never ends"),
    };
    let took = began.elapsed();
    assert_eq!(
        (answer.status, answer.instance()),
        (408, "proxy"),
        "{answer:?}"
    );
    assert!(took >= Duration::from_secs(9), "{took:?}");
    assert!(origin.received().is_empty());
    assert_eq!(proxy.states().await, ["up"], "no fault of the server's");
}

/// Starts the binary with a limit of open descriptors.
fn with_descriptors(most: u32, file: &Path) -> Running {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n $0 && exec \"$1\" serve --config \"$2\""])
        .args([&most.to_string(), BINARY])
        .arg(file)
        .env("LOG_FORMAT", "json")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Running::wait_for(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_it_serves_whom_it_has_says_so_once_and_recovers() {
    let origin = Origin::start("a").await;
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\nlog.access = \"off\"\n[[routes]]\npath = \"/api\"\nupstream = \"u\"\n\
         [upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
        origin.address
    ));
    let mut running = with_descriptors(100, file.path());
    let address = running.address;
    eventually("it serves", || async move {
        is_served(&mut TcpStream::connect(address).await.unwrap()).await
    })
    .await;
    let mut kept = TcpStream::connect(address).await.unwrap();
    // A request in hand, so that it is not idle.
    kept.write_all(b"GET /api/?slow=1500 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut crowd = Vec::new();
    for _ in 0..300 {
        let mut one = TcpStream::connect(address).await.unwrap();
        // A head that does not end: nobody can be asked to leave.
        one.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        crowd.push(one);
    }
    read_until(&mut kept, "a 0").await;
    drop(crowd);
    eventually("new ones are served again", || async move {
        is_served(&mut TcpStream::connect(address).await.unwrap()).await
    })
    .await;
    let log = running.log();
    let said = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(said("leaves room for fewer connections"), 1, "{log}");
    assert_eq!(said("new ones wait"), 1, "{log}");
    assert_eq!(said("again"), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_system_refuses_descriptors_it_says_so_once_and_recovers() {
    let origin = Origin::start("a").await;
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\nlog.access = \"off\"\n[[routes]]\npath = \"/api\"\nupstream = \"u\"\n\
         [upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
        origin.address
    ));
    let mut running = with_descriptors(4000, file.path());
    let address = running.address;
    eventually("it serves", || async move {
        is_served(&mut TcpStream::connect(address).await.unwrap()).await
    })
    .await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /api/?slow=2000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    eventually("it is in hand", || async { origin.received().len() > 1 }).await;
    // Below what the proxy has reckoned with.
    let id = running.child.id().to_string();
    let lowered = Command::new("prlimit")
        .args(["--nofile=60:4000", "--pid", &id])
        .status();
    assert!(lowered.unwrap().success());
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let mut one = TcpStream::connect(address).await.unwrap();
        one.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        crowd.push(one);
    }
    read_until(&mut busy, "a 0").await;
    drop(crowd);
    eventually("new ones are served again", || async move {
        is_served(&mut TcpStream::connect(address).await.unwrap()).await
    })
    .await;
    let log = running.log();
    let said = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(said("no connection can be accepted"), 1, "{log}");
    assert_eq!(said("connections are accepted again"), 1, "{log}");
}
