//! Requests that `h2` refuses before anybody sees them: each leaves a line in the log, and the
//! connection goes on.

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::client::{
    CONTINUATION, END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, block, frame, get,
    read_frame,
};
use crate::binary::{Running, serving_config};
use crate::support::{BOUND, Origin, Proxy, eventually};

/// A head as frames of the size that is agreed on.
fn frames(stream: u32, head: &[u8]) -> Vec<u8> {
    let pieces: Vec<_> = head.chunks(16 * 1024).collect();
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().map(|(index, piece)| {
        let (kind, flags) = match index {
            0 => (HEADERS, END_STREAM),
            _ => (CONTINUATION, 0),
        };
        let end = if index == last { END_HEADERS } else { 0 };
        frame(kind, flags | end, stream, piece)
    });
    frames.collect::<Vec<_>>().concat()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    block(&[(name.into(), value.into())])
}

#[tokio::test(flavor = "multi_thread")]
async fn each_leaves_a_line_and_the_others_are_served() {
    let mut running = Running::start(&serving_config());
    let mut client = Frames::greet(running.address).await;
    let large = field("x-large", &"x".repeat(132 * 1024));
    let heads = [
        field(":method", "GET"),
        [field("name", "value"), get("/late")].concat(),
        [get("/hop"), field("connection", "close")].concat(),
        get("/served"),
        [get("/large"), large].concat(),
        get("/too"),
    ];
    for (stream, head) in (1..).step_by(2).zip(&heads) {
        client
            .stream
            .write_all(&frames(stream, head))
            .await
            .unwrap();
    }
    let (mut answered, mut reset) = (Vec::new(), Vec::new());
    while answered.len() + reset.len() < heads.len() {
        let read = timeout(BOUND, read_frame(&mut client.stream)).await;
        let (kind, _, stream, _) = read.expect("no answer").expect("closed");
        match kind {
            HEADERS => answered.push(stream),
            RST_STREAM => reset.push(stream),
            _ => {}
        }
    }
    answered.sort_unstable();
    assert_eq!((answered, reset), (vec![7, 9, 11], vec![1, 3, 5]));
    let lines = running.lines();
    let mut statuses: Vec<_> = lines.iter().map(|line| line["status"].clone()).collect();
    statuses.sort_by_key(|status| status.as_u64());
    assert_eq!(statuses, [400, 400, 400, 404, 404, 431], "{lines:?}");
    let refused = lines.iter().filter(|line| line["path"].is_null());
    for line in refused {
        assert_eq!(line["protocol"], "HTTP/2");
        assert_eq!(line["instance"], "proxy");
        assert!(line["cause"].is_string(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_at_once_costs_no_server_anything() {
    let origin = Origin::start("a").await;
    let proxy = Proxy::before(&[&origin]).await;
    let mut client = Frames::greet(proxy.address).await;
    let cancel = 8_u32.to_be_bytes();
    // As many as may be taken back while they wait.
    let floods = (1..).step_by(2).take(10).map(|stream| {
        let request = frames(stream, &get("/api/flood"));
        [request, frame(RST_STREAM, 0, stream, &cancel)].concat()
    });
    let honest = frames(101, &get("/api/honest"));
    let all = [floods.collect::<Vec<_>>().concat(), honest].concat();
    client.stream.write_all(&all).await.unwrap();
    loop {
        let read = timeout(BOUND, read_frame(&mut client.stream)).await;
        let (kind, _, stream, _) = read.expect("no answer").expect("closed");
        if (kind, stream) == (HEADERS, 101) {
            break;
        }
    }
    let targets: Vec<_> = origin.received().into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/api/honest"]);
    eventually("all are counted", || async {
        let metrics = proxy.admin("GET", "/metrics", "").await.body;
        metrics.contains("{route=\"\",class=\"4xx\"} 10\n")
    })
    .await;
}
