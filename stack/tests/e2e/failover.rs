//! What dies, and what its clients notice.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::support::{Stack, eventually, eventually_within, read_to_end};

/// The figure is 2 s; a test gives five times the room.
const BACK_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn an_instance_is_stopped(stack: &Stack) {
    goes_away(stack, "stop api", "start api").await;
}

pub(crate) async fn an_instance_is_killed(stack: &Stack) {
    goes_away(stack, "kill api", "start api").await;
}

pub(crate) async fn an_instance_is_paused(stack: &Stack) {
    goes_away(stack, "pause api", "resume api").await;
}

/// One of two instances goes away and comes back under load: no read is lost, no write doubled.
async fn goes_away(stack: &Stack, away: &str, back: &str) {
    let traffic = stack.traffic(0.2);
    traffic.flow(2).await;
    stack.driver.run(away).await;
    eventually_within(BACK_WITHIN, "only api2 answers", || async {
        !stack.answers("api_1").await
    })
    .await;
    traffic.flow(2).await;
    stack.driver.run(back).await;
    eventually_within(BACK_WITHIN, "api answers again", || stack.answers("api_1")).await;
    traffic.flow(1).await;
    let report = traffic.stop().await;
    assert_eq!(report.lost_get, 0, "{away}: {report}");
    assert_eq!(report.refused, 0, "{away}: {report}");
    let writes = report.writes.as_ref().unwrap();
    assert_eq!((writes.missing, writes.doubled), (0, 0), "{away}: {report}");
    eventually_within(BACK_WITHIN, "they share exactly", || stack.is_whole()).await;
}

pub(crate) async fn both_instances_are_stopped(stack: &Stack) {
    tokio::join!(stack.driver.run("stop api"), stack.driver.run("stop api2"));
    eventually("nobody is left", || stack.says(503)).await;
    let began = Instant::now();
    let answer = stack.ask(Method::GET, "/api/music/", "*/*", "").await;
    // The figure is 50 ms; a test gives five times the room.
    assert!(
        began.elapsed() < Duration::from_millis(250),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.instance(), "proxy");
    assert!(answer.json()["detail"].is_string(), "{}", answer.text());
    let page = stack
        .ask(Method::GET, "/api/music/", "text/html,*/*;q=0.8", "")
        .await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.header("content-type").starts_with("text/html"));
    stack.driver.run("start api").await;
    eventually("api alone answers", || stack.says(200)).await;
    stack.driver.run("start api2").await;
    eventually("both share", || stack.is_whole()).await;
}

pub(crate) async fn the_database_is_stopped(stack: &Stack) {
    let traffic = stack.traffic(0.2);
    traffic.flow(1).await;
    stack.driver.run("stop db").await;
    let answer = stack.ask(Method::GET, "/api/music/", "*/*", "").await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text()
    );
    assert!(!answer.header("retry-after").is_empty());
    assert!(answer.json()["detail"].is_string(), "{}", answer.text());
    assert!(
        answer.instance().starts_with("api"),
        "the instances live: {}",
        answer.instance()
    );
    traffic.flow(2).await;
    assert_eq!(stack.servers().await, ["up", "up"], "nobody is ejected");
    stack.driver.run("start db").await;
    eventually("it recovers by itself", || stack.says(200)).await;
    traffic.flow(1).await;
    let report = traffic.stop().await;
    assert_eq!(
        (report.lost_get, report.lost_post),
        (0, 0),
        "refused, never failed: {report}"
    );
    let writes = report.writes.as_ref().unwrap();
    assert_eq!((writes.missing, writes.doubled), (0, 0), "{report}");
}

/// A POST whose body has half arrived.
const HALF: &str = "POST /api/music/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
    Content-Type: application/json\r\nContent-Length: 36\r\n\r\n{\"song\": \"Half\", ";
/// The rest of it.
const OTHER_HALF: &str = "\"singer\": \"Half\"}  ";

pub(crate) async fn an_upload_outlives_the_stop_of_its_instance(stack: &Stack) {
    let mut upload = stack.send(HALF).await;
    let finish = async {
        eventually("both are stopping", || stack.says(503)).await;
        finish(&mut upload).await;
    };
    tokio::join!(
        stack.driver.run("stop api"),
        stack.driver.run("stop api2"),
        finish
    );
    let answer = read_to_end(upload).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

pub(crate) async fn an_upload_outlives_the_stop_of_the_proxy(stack: &Stack) {
    let mut upload = stack.send(HALF).await;
    let finish = async {
        eventually("the proxy is stopping", || async {
            match stack.get("/").await {
                Ok(answer) => answer.header("connection") == "close",
                Err(_) => true,
            }
        })
        .await;
        finish(&mut upload).await;
    };
    tokio::join!(stack.driver.run("stop proxy"), finish);
    let answer = read_to_end(upload).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    stack.driver.run("start proxy").await;
    eventually("it serves again", || stack.is_whole()).await;
}

async fn finish(upload: &mut tokio::net::TcpStream) {
    use tokio::io::AsyncWriteExt;
    upload.write_all(OTHER_HALF.as_bytes()).await.unwrap();
}
