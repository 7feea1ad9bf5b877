use super::*;
use crate::config::Config;
use std::path::Path;
use std::time::Duration;

/// The settings of an upstream with these servers.
fn settings(servers: &str) -> Settings {
    let text = format!(
        "routes = [{{ path = '/', upstream = 'u' }}]\n[upstreams.u]\nservers = [{servers}]\n"
    );
    let config = Config::parse(&text, Path::new("proxy.toml")).unwrap();
    config.upstreams[0].clone()
}

async fn with_servers(upstream: &Upstream, addresses: &[&str]) -> Vec<Arc<Server>> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let servers = upstream.servers().to_vec();
        if servers
            .iter()
            .map(|server| server.address())
            .eq(addresses.iter().copied())
        {
            return servers;
        }
        assert!(Instant::now() < end, "still {servers:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const TWO: &str =
    "{ address = '127.0.0.1:1', weight = 4 }, { address = '127.0.0.2:1', weight = 6 }";

async fn started(servers: &str, addresses: &[&str]) -> (Arc<Upstream>, Vec<Arc<Server>>) {
    let upstream = Arc::new(Upstream::new(
        settings(servers),
        Arc::default(),
        Instant::now(),
    ));
    upstream.start();
    let servers = with_servers(&upstream, addresses).await;
    (upstream, servers)
}

#[tokio::test]
async fn a_server_that_stays_keeps_its_state_and_one_that_goes_is_drained() {
    let (upstream, before) = started(TWO, &["127.0.0.1:1", "127.0.0.2:1"]).await;
    before[1].count_request();
    let in_hand = before[0].take().slot.open(None, Instant::now());
    let changed =
        "{ address = '127.0.0.3:1' }, { address = '127.0.0.2:1', weight = 7, down = true }";
    upstream.change(settings(changed), Instant::now());
    let after = with_servers(&upstream, &["127.0.0.3:1", "127.0.0.2:1"]).await;
    assert!(Arc::ptr_eq(&after[1], &before[1]));
    assert_eq!((after[1].counts().0, after[1].weight()), (1, 7));
    assert!(after[1].is_down());
    assert!(before[0].is_retired());
    assert_eq!(upstream.leaving().len(), 1);
    drop((in_hand, before));
    let end = Instant::now() + Duration::from_secs(20);
    while !upstream.leaving().is_empty() {
        assert!(Instant::now() < end, "its health checks never ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_file_wins_only_where_it_has_changed() {
    let (upstream, servers) = started(TWO, &["127.0.0.1:1", "127.0.0.2:1"]).await;
    servers[0].set_weight(9);
    servers[1].set_weight(9);
    servers[1].set_mode(Mode::Drain, Instant::now());
    upstream.change(settings(&TWO.replace('4', "5")), Instant::now());
    let weights: Vec<_> = servers.iter().map(|server| server.weight()).collect();
    assert_eq!(weights, [5, 9]);
    assert_eq!(servers[1].with_health(|health| health.mode()), Mode::Drain);
}

#[tokio::test]
async fn nothing_of_a_closed_upstream_goes_on() {
    let (upstream, servers) = started(TWO, &["127.0.0.1:1", "127.0.0.2:1"]).await;
    let alive = Arc::downgrade(&upstream);
    upstream.close();
    drop((upstream, servers));
    let end = Instant::now() + Duration::from_secs(20);
    while alive.strong_count() > 0 {
        assert!(Instant::now() < end, "a task still holds it");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
