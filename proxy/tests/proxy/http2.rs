//! Clients over HTTP/2: every head of a table in clear and over TLS, broken frames, floods, and
//! what else of the proxy must be the same as over HTTP/1.1.

mod cases;
mod client;
mod floods;
mod frames;
mod refused;
mod routes;
mod same;
mod slow;
mod tools;

use http::Method;
use pingora_rustls::version;

use self::cases::{Case, cases};
use self::client::{Client, Told, block, get};
use crate::raw::{FINE, RawOrigin, Reply, Request};
use crate::secure::Secure;
use crate::steady::steady;
use crate::table::in_short;

/// Runs one case; the answer is what is wrong about it.
async fn run(case: &Case, client: &mut Client, origin: &RawOrigin) -> Option<String> {
    let method = case.fields.iter().find(|(name, _)| name == b":method");
    // The client looks at the answer's length by the method that it believes it has sent.
    let is_head = method.is_some_and(|(_, method)| method == b"HEAD");
    let method = if is_head { "HEAD" } else { "POST" }.parse().unwrap();
    let body = case.body.clone();
    let body = body.map(|pieces| pieces.into_iter().map(Into::into).collect());
    let told = client.send_head(block(&case.fields), method, body).await;
    let read = origin.take_seen();
    let seen = match &told {
        Ok((answer, _)) => answer.status().as_u16().to_string(),
        Err(error) if error.is_reset() => "reset".to_owned(),
        Err(_) => "closed".to_owned(),
    };
    let wrong = judge(case, &seen, &told, &read)?;
    Some(format!("{}: {wrong}\n    {told:?}", case.name))
}

/// Says what of a case is not as the table has it.
fn judge(case: &Case, seen: &str, told: &Told, read: &[Request]) -> Option<String> {
    if !case.expected.iter().any(|expected| expected == seen) {
        return Some(format!("expected {:?}, and it was {seen}", case.expected));
    }
    if let Ok((answer, _)) = told
        && !answer.headers().contains_key("x-instance")
    {
        return Some("no X-Instance".to_owned());
    }
    let lines: Vec<String> = read.iter().map(in_short).collect();
    if case.read_is_optional && lines.is_empty() {
        return None;
    }
    if lines != case.read {
        let short = |line: &String| line.chars().take(100).collect::<String>();
        let lines: Vec<String> = lines.iter().map(short).collect();
        return Some(format!("the upstream read {lines:?}"));
    }
    let wrong = case.fields_read.iter().find(|(name, value)| {
        let values = read[0].field(name);
        match value.as_str() {
            "-" => !values.is_empty(),
            value => values != [value],
        }
    });
    wrong.map(|(name, _)| format!("the upstream read {name}: {:?}", read[0].field(name)))
}

/// Runs all cases, one behind the other on a connection as long as it lasts.
async fn run_all(connect: &impl AsyncFn() -> Client, origin: &RawOrigin) {
    let cases = cases();
    assert!(cases.len() >= 110, "the table has {} cases", cases.len());
    let mut wrong = Vec::new();
    let mut client = connect().await;
    for case in &cases {
        wrong.extend(run(case, &mut client, origin).await);
        // What is refused costs the others nothing, unless it may end the connection.
        if case.expected.iter().any(|expected| expected == "closed") {
            client = connect().await;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    let last = client.send_head(get("/api/"), Method::GET, None).await;
    assert_eq!(last.unwrap().0.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_head_in_clear() {
    let origin = RawOrigin::start(Reply::Keep(FINE)).await;
    let proxy = steady(origin.address).await;
    run_all(&async || Client::connect(proxy.address).await, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_head_over_tls() {
    let secure = Secure::start(false).await;
    run_all(&async || over_tls(&secure).await, &secure.origin).await;
}

async fn over_tls(secure: &Secure) -> Client {
    let versions = &[&version::TLS13];
    let stream = secure
        .pair
        .connect_for(secure.address(), versions, &["h2"])
        .await;
    Client::over(stream.unwrap()).await
}
