//! Clients that others have written: `curl`, `h2load` and `openssl` of the distribution.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use crate::secure::Secure;
use crate::steady::steady;
use crate::support::Origin;

async fn output(command: &str, arguments: Vec<String>) -> (bool, String) {
    let mut command = Command::new(command);
    command.args(arguments).stdin(Stdio::null());
    let run = move || command.output();
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::task::spawn_blocking(run)
        .await
        .unwrap()
        .expect("scripts/setup test installs it");
    let text = [stdout, stderr].concat();
    (
        status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_served_by_every_way_to_http2() {
    let secure = Secure::start(false).await;
    let mut body = tempfile::NamedTempFile::new().unwrap();
    body.write_all(&vec![b'x'; 20 * 1024 * 1024]).unwrap();
    let body = body.path().display().to_string();
    let plain = format!("http://{}", secure.proxy.address);
    let over_tls = format!("https://localhost:{}", secure.address().port());
    let told = "-o /dev/null -w %{http_version}:%{http_code}:%{size_download}";
    for (arguments, expected) in [
        (format!("--http2-prior-knowledge {plain}/api/"), "2:200:2"),
        // An upgrade is an offer that one may pass over, and this one is out of use.
        (format!("--http2 {plain}/api/"), "1.1:200:2"),
        (format!("--http1.1 {plain}/api/"), "1.1:200:2"),
        (format!("-k --http2 {over_tls}/api/"), "2:200:2"),
        (format!("-k --http1.1 {over_tls}/api/"), "1.1:200:2"),
        (
            format!("-k --http2 -T {body} -X POST {over_tls}/api/"),
            "2:413:",
        ),
        (
            format!("--http2-prior-knowledge -T {body} -X POST {plain}/api/"),
            "2:413:",
        ),
        (
            format!("--http2-prior-knowledge -T {body} -X POST -H Content-Length: {plain}/api/"),
            "2:413:",
        ),
        (
            format!("--http2-prior-knowledge -X TRACE {plain}/api/"),
            "2:405:",
        ),
    ] {
        let line = format!("-sS --max-time 20 {told} {arguments}");
        let (_, text) = output("curl", words(&line)).await;
        assert!(text.starts_with(expected), "{arguments}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h2load_loses_no_request() {
    let a = Origin::start("a").await;
    let proxy = steady(a.address).await;
    let secure = Secure::start(false).await;
    for (address, path) in [
        (format!("http://{}", proxy.address), "/api/"),
        (format!("https://{}", secure.address()), "/files/"),
    ] {
        let line = format!("-n 3000 -c 10 -m 20 -t 1 {address}{path}");
        let (fine, text) = output("h2load", words(&line)).await;
        let all =
            "3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout";
        let is_whole = text.contains(all) && text.contains("status codes: 3000 2xx");
        assert!(fine && is_whole, "{text}\n{:?}", proxy.events().await);
    }
    assert_eq!(a.received().len(), 3000);
}

/// What `openssl s_client` says of a connection by these arguments.
async fn s_client(address: SocketAddr, arguments: &str) -> (bool, String) {
    let line = format!("s_client -connect {address} -servername localhost {arguments}");
    output("openssl", words(&line)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_safe_is_spoken() {
    let secure = Secure::start(false).await;
    // The tool itself refuses what is weak unless it is told not to.
    let weak = "-cipher ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for (arguments, expected) in [
        ("-tls1_2", Some("TLSv1.2")),
        ("-tls1_3", Some("TLSv1.3")),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256",
            Some("AES128-GCM-SHA256"),
        ),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384",
            Some("AES256-GCM-SHA384"),
        ),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
            Some("CHACHA20-POLY1305"),
        ),
        (
            "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",
            Some("TLS_AES_128_GCM_SHA256"),
        ),
        (
            "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
            Some("TLS_CHACHA20_POLY1305_SHA256"),
        ),
        ("-alpn h2,http/1.1", Some("ALPN protocol: h2")),
        ("-alpn http/1.1", Some("ALPN protocol: http/1.1")),
        ("-alpn unknown,http/1.1", Some("ALPN protocol: http/1.1")),
        ("-alpn unknown", None),
        (&format!("-tls1 {weak}"), None),
        (&format!("-tls1_1 {weak}"), None),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", None),
        (
            "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0",
            None,
        ),
        ("-tls1_2 -cipher kRSA:@SECLEVEL=0", None),
        ("-tls1_2 -cipher DHE:@SECLEVEL=0", None),
        ("-tls1_2 -cipher aNULL:@SECLEVEL=0", None),
        ("-tls1_2 -cipher eNULL:@SECLEVEL=0", None),
        ("-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256", None),
    ] {
        let (connected, text) = s_client(secure.address(), arguments).await;
        match expected {
            Some(word) => assert!(connected && text.contains(word), "{arguments}: {text}"),
            None => assert!(!connected && text.contains("alert"), "{arguments}: {text}"),
        }
    }
    // Neither compressed nor negotiated anew.
    let (_, text) = s_client(secure.address(), "-tls1_2").await;
    assert!(text.contains("Compression: NONE"), "{text}");
    assert!(text.contains("Secure Renegotiation IS supported"), "{text}");
}
