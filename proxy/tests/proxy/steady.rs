//! A proxy before a server that is up for good: no check of it fails since the machine is busy.

use std::net::SocketAddr;

use crate::support::Proxy;

/// What `[upstreams.*]` says for it.
pub(crate) const STEADY: &str = r#"
    health = { path = "/healthz", every = "5s", timeout = "4s" }
    timeouts = { connect = "5s" }
"#;

/// Starts a proxy whose route `/api` leads to this server and takes bodies of 1 MiB.
pub(crate) async fn steady(server: SocketAddr) -> Proxy {
    let proxy = Proxy::start(&format!(
        r#"
        listen = ["127.0.0.1:0"]
        admin = "127.0.0.1:0"
        log.access = "off"
        [[routes]]
        path = "/api"
        upstream = "music"
        max_body = "1 MiB"
        [upstreams.music]
        servers = [{{ address = "{server}" }}]
        {STEADY}
        "#
    ))
    .await;
    proxy.until_up(1).await;
    proxy
}
