//! `WebSocket`s: handshakes that pass and that do not, and what the tunnel behind one does.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::binary::{Running, config};
use crate::raw::FINE;
use crate::secure::Pair;
use crate::steady::STEADY;
use crate::support::{BOUND, Proxy, eventually, read_until};
use crate::talker::{BYE, SWITCHED, Talker};

const ROUTE: &str = "websocket = true\ncompress = true";
const HANDSHAKE: &str = "GET /api/chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const PLAIN: &str = "GET /api/plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Says something and reads the same back.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, said: &[u8]) {
    stream.write_all(said).await.unwrap();
    let mut heard = vec![0; said.len()];
    let read = tokio::time::timeout(BOUND, stream.read_exact(&mut heard)).await;
    read.expect("nothing came back").unwrap();
    assert!(heard == said, "other bytes came back");
}

/// Reads a head and returns it.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(BOUND, stream.read_u8()).await;
        bytes.push(byte.expect("nothing came").unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

async fn until_in_flight(proxy: &Proxy, expected: u64) {
    eventually("so many are in flight", || async {
        let status = proxy.status().await;
        let on_server = &status["upstreams"][0]["servers"][0]["in_flight"];
        status["in_flight"] == expected && *on_server == expected
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_both_ways_also_after_a_long_silence() {
    let talker = Talker::start(SWITCHED).await;
    let clients = "body_timeout = \"200ms\"\nidle_timeout = \"200ms\"";
    let limits = "health = { path = \"/healthz\", every = \"5s\", timeout = \"4s\" }\n\
        timeouts = { first_byte = \"2s\", idle = \"200ms\", request = \"3s\" }";
    let proxy = Proxy::built(&[talker.address], clients, ROUTE, limits).await;
    let mut stream = proxy.connect().await;
    // A client need not wait for the answer.
    let early = format!("{HANDSHAKE}early");
    stream.write_all(early.as_bytes()).await.unwrap();
    let answer = head(&mut stream).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    for field in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: chat",
        "x-instance: talker",
        "x-request-id: ",
    ] {
        assert!(answer.contains(field), "{field} is not in {answer}");
    }
    assert!(!answer.contains("server:"), "{answer}");
    let mut early = [0; 5];
    stream.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
    until_in_flight(&proxy, 1).await;
    echo(&mut stream, b"\x81\x02hi").await;
    tokio::time::sleep(Duration::from_millis(3500)).await;
    echo(&mut stream, b"GET /api/x HTTP/1.1\r\n\r\n").await;
    stream.write_all(BYE).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await;
    ended.expect("the server's end did not come").unwrap();
    assert!(rest.is_empty(), "{rest:?}");
    until_in_flight(&proxy, 0).await;
    let heads = talker.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    let sent = heads[0].to_ascii_lowercase();
    for field in [
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-key: dghlihnhbxbszsbub25jzq==\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
    ] {
        assert!(sent.contains(field), "{field} is not in {sent}");
    }
    assert_eq!(proxy.states().await, ["up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_ends_the_tunnel_on_the_other_side_too() {
    let talker = Talker::start(SWITCHED).await;
    let proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
    let mut stream = proxy.connect().await;
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    head(&mut stream).await;
    echo(&mut stream, b"hi").await;
    stream.shutdown().await.unwrap();
    eventually("the server sees the end", || async { talker.closed() == 1 }).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await;
    ended.expect("the proxy did not close").unwrap();
    until_in_flight(&proxy, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_at_once_is_heard() {
    let talker = Talker::start(SWITCHED).await;
    let proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
    speak_at_once(&proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_at_once_is_heard_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talker.sock");
    Talker::on_unix(&path, SWITCHED);
    let proxy = on_unix(&path).await;
    speak_at_once(&proxy).await;
}

/// Opens many tunnels at a time, so that a server often answers while the proxy is at work on something else.
async fn speak_at_once(proxy: &Proxy) {
    let many = (0..8).map(|_| async {
        for _ in 0..60 {
            let mut stream = proxy.connect().await;
            stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
            assert!(head(&mut stream).await.starts_with("HTTP/1.1 101 "));
            echo(&mut stream, b"hi").await;
        }
    });
    futures_util::future::join_all(many).await;
}

/// A proxy in front of a server on a Unix socket.
async fn on_unix(path: &Path) -> Proxy {
    let address = format!("unix:{}", path.display());
    Proxy::built(&[address], "", ROUTE, STEADY).await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_passes_than_any_buffer_and_any_limit_of_a_body_hold() {
    let talker = Talker::start(SWITCHED).await;
    let proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
    much_passes(&proxy, 4 << 20).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talker.sock");
    Talker::on_unix(&path, SWITCHED);
    much_passes(&on_unix(&path).await, 1 << 20).await;
}

async fn much_passes(proxy: &Proxy, bytes: u32) {
    let mut stream = proxy.connect().await;
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    head(&mut stream).await;
    let (mut reader, mut writer) = stream.split();
    let sent: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8).collect();
    let mut heard = vec![0; sent.len()];
    let both = async { tokio::join!(writer.write_all(&sent), reader.read_exact(&mut heard)) };
    let (wrote, read) = tokio::time::timeout(BOUND, both).await.unwrap();
    wrote.unwrap();
    read.unwrap();
    assert!(heard == sent, "other bytes came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_goes_through_tls_too() {
    let talker = Talker::start(SWITCHED).await;
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new();
    pair.write(folder.path());
    let proxy = Proxy::start(&format!(
        "listen = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\n\
         tls = {{ listen = \"127.0.0.1:0\", certificate = \"{folder}/tls.crt\", key = \"{folder}/tls.key\" }}\n\
         log.access = \"off\"\nroutes = [{{ path = \"/api\", upstream = \"u\", websocket = true }}]\n\
         [upstreams.u]\nservers = [{{ address = \"{}\" }}]\nhealth = {{ path = \"/healthz\", every = \"5s\", timeout = \"4s\" }}\n",
        talker.address,
        folder = folder.path().display()
    ))
    .await;
    proxy.until_up(1).await;
    let mut stream = pair.connect(proxy.secure.unwrap()).await.unwrap();
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    for _ in 0..3 {
        echo(&mut stream, &b"over TLS".repeat(5000)).await;
    }
    assert!(talker.heads()[0].contains("https"));
    stream.write_all(BYE).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the server's end did not come");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_handshakes_are_refused_and_the_connection_is_kept() {
    let talker = Talker::start(SWITCHED).await;
    let proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (old, new, status) in [
        ("GET ", "POST ", 400),
        ("GET ", "HEAD ", 400),
        (key, "", 400),
        (key, "Sec-WebSocket-Key: short\r\n", 400),
        (key, &key.repeat(2), 400),
        ("keep-alive, Upgrade", "keep-alive", 400),
        ("Version: 13", "Version: 12", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Host: x", "Host: x\r\nContent-Length: 1", 400),
        ("Host: x", "Host: x\r\nTransfer-Encoding: chunked", 400),
        ("HTTP/1.1", "HTTP/1.0", 400),
    ] {
        let mut stream = proxy.connect().await;
        let handshake = HANDSHAKE.replacen(old, new, 1);
        stream.write_all(handshake.as_bytes()).await.unwrap();
        let answer = head(&mut stream).await;
        let wanted = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&wanted), "{handshake}: {answer}");
        let answer = answer.to_ascii_lowercase();
        assert!(answer.contains("x-instance: proxy"), "{answer}");
        let tells = answer.contains("sec-websocket-version: 13\r\nupgrade: websocket\r\n");
        assert_eq!(tells, status == 426, "{answer}");
        let is_kept = !new.contains("Host: x\r\n") && old != "HTTP/1.1";
        assert_eq!(
            answer.contains("connection: keep-alive"),
            is_kept,
            "{answer}"
        );
        if is_kept {
            stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
            read_until(&mut stream, "HTTP/1.1 101 ").await;
        }
    }
    assert!(talker.heads().iter().all(|head| head.contains("13\r\n")));
    assert_eq!(talker.heads().len(), 8, "only what is right is passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_decline_and_what_follows_is_the_next_request() {
    let talker = Talker::start(FINE).await;
    let proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
    let mut stream = proxy.connect().await;
    let both = format!("{HANDSHAKE}{PLAIN}");
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut answers = String::new();
    let read = tokio::time::timeout(BOUND, stream.read_to_string(&mut answers)).await;
    read.expect("the proxy did not close").unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
    let heads = talker.heads();
    assert_eq!(heads.len(), 2, "{heads:?}");
    assert!(heads[1].starts_with("GET /api/plain "), "{heads:?}");
    assert!(talker.said().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    let other =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nboo";
    let old = "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: x\r\n\r\nboo";
    for (answer, request) in [(SWITCHED, PLAIN), (other, HANDSHAKE), (old, HANDSHAKE)] {
        let talker = Talker::start(answer).await;
        let proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
        let mut stream = proxy.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = String::new();
        let read = tokio::time::timeout(BOUND, stream.read_to_string(&mut got)).await;
        read.expect("the proxy did not close").unwrap();
        assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
        assert!(!got.contains("boo"), "{got}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_a_tunnel_less_time_than_a_request() {
    let talker = Talker::start(SWITCHED).await;
    let mut proxy = Proxy::built(&[talker.address], "", ROUTE, STEADY).await;
    let mut stream = proxy.connect().await;
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    head(&mut stream).await;
    let began = Instant::now();
    proxy.stop();
    tokio::time::sleep(Duration::from_millis(1300)).await;
    echo(&mut stream, b"still here").await;
    proxy.stopped().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(7), "{took:?}");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(BOUND, stream.read_to_end(&mut rest)).await;
    ended.expect("it was not closed").unwrap();
    eventually("the server sees the end", || async { talker.closed() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_leaves_one_line_at_its_end_with_its_bytes() {
    let talker = Talker::start(SWITCHED).await;
    let file = config(&format!(
        "listen = [\"127.0.0.1:0\"]\n[[routes]]\npath = \"/api\"\nupstream = \"u\"\nwebsocket = true\n\
         [upstreams.u]\nservers = [{{ address = \"{}\" }}]\n",
        talker.address
    ));
    let mut running = Running::start(&file);
    let address = running.address;
    let open = || async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
        let is_open = head(&mut stream).await.starts_with("HTTP/1.1 101 ");
        is_open.then_some(stream)
    };
    eventually("the server is up", || async { open().await.is_some() }).await;
    let mut stream = open().await.unwrap();
    echo(&mut stream, &b"x".repeat(12_345)).await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let lines = running.lines();
    let tunnels: Vec<_> = lines
        .iter()
        .filter(|line| line["bytes"] == 12_345)
        .collect();
    assert_eq!(tunnels.len(), 1, "{lines:?}");
    assert_eq!(tunnels[0]["status"], 101, "{tunnels:?}");
    assert_eq!(tunnels[0]["instance"], "talker", "{tunnels:?}");
    assert_eq!(tunnels[0]["tries"][0]["outcome"], "answered", "{tunnels:?}");
}
