//! The table of `answers.cases`: what a server says, what a client may get of it, and that the next
//! request, on the same connection and on another one, gets its own answer.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use super::Connection;
use super::cases::{blocks, unescape};
use super::client::{Client, End, Got};
use super::scripted::{Script, Scripted};
use crate::secure::Pair;
use crate::support::{Proxy, eventually};

const TABLE: &str = include_str!("answers.cases");

/// How a case is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    NewConnection,
    KeptConnection,
    OverTls,
}

/// What becomes of the client's connection and the answer on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Closed,
    /// The end of the connection ends the body.
    Ended,
    Cut,
}

/// One thing that the client may get.
#[derive(Debug, Clone)]
struct Expected {
    statuses: Vec<u16>,
    body: Option<Vec<u8>>,
    fates: Vec<Fate>,
}

#[derive(Debug)]
struct Case {
    name: String,
    /// `GET`, `HEAD`, `POST`, `POST half`, `GET 1.0` …
    request: String,
    script: Script,
    expected: Vec<Expected>,
    fields: Vec<(String, String)>,
    no_fields: Vec<String>,
    /// How often the server reads the request, at least and at most.
    reads: Option<(usize, usize)>,
}

fn cases() -> Vec<Case> {
    blocks(TABLE).iter().map(|block| case(block)).collect()
}

fn case(block: &str) -> Case {
    let mut lines = block.lines();
    let mut case = Case {
        name: lines.next().unwrap().to_owned(),
        request: "GET".to_owned(),
        script: Script::default(),
        expected: Vec::new(),
        fields: Vec::new(),
        no_fields: Vec::new(),
        reads: None,
    };
    let mut new_piece = true;
    for line in lines {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "?" => rest.clone_into(&mut case.request),
            ">" if new_piece => case.script.pieces.push(unescape(rest)),
            ">" => case
                .script
                .pieces
                .last_mut()
                .unwrap()
                .extend(unescape(rest)),
            "~" => {}
            "!" => {
                for word in rest.split(' ') {
                    case.script.closes |= word == "close";
                    case.script.resets |= word == "reset";
                    case.script.once |= word == "once";
                    case.script.early |= word == "early";
                }
            }
            "<" => case.expected.push(expected(rest)),
            "^" => {
                let (name, value) = rest.split_once(": ").unwrap();
                case.fields.push((name.to_owned(), value.to_owned()));
            }
            "^-" => case.no_fields.push(rest.to_owned()),
            "=" => {
                let (least, most) = rest.split_once('-').unwrap_or((rest, rest));
                case.reads = Some((least.parse().unwrap(), most.parse().unwrap()));
            }
            other => panic!("{other:?} in {block}"),
        }
        new_piece = mark == "~" || case.script.pieces.is_empty();
    }
    assert!(!case.expected.is_empty(), "{case:?}");
    case
}

/// Reads `200 "body" kept|close`.
fn expected(line: &str) -> Expected {
    let (line, body) = match line.split_once('"') {
        Some((before, after)) => {
            let (body, after) = after.rsplit_once('"').unwrap();
            (format!("{before}{after}"), Some(unescape(body)))
        }
        None => (line.to_owned(), None),
    };
    let mut expected = Expected {
        statuses: Vec::new(),
        body,
        fates: Vec::new(),
    };
    for word in line.split([' ', '|']).filter(|word| !word.is_empty()) {
        match word {
            "kept" => expected.fates.push(Fate::Kept),
            "close" => expected.fates.push(Fate::Closed),
            "ended" => expected.fates.push(Fate::Ended),
            "cut" => expected.fates.push(Fate::Cut),
            status => expected.statuses.push(status.parse().unwrap()),
        }
    }
    assert!(!expected.fates.is_empty(), "{line}");
    expected
}

/// The bytes of a case's request, and what is sent of it once the answer is there.
fn request(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "GET" => ("GET /api/case HTTP/1.1\r\nHost: x\r\n\r\n", ""),
        "GET 1.0" => (
            "GET /api/case HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "",
        ),
        "HEAD" => ("HEAD /api/case HTTP/1.1\r\nHost: x\r\n\r\n", ""),
        "POST" => (
            "POST /api/case HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
            "",
        ),
        "POST expecting" => (
            "POST /api/case HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            "",
        ),
        "PUT" => (
            "PUT /api/case HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi",
            "",
        ),
        // The rest of the body never comes.
        "POST stuck" => (
            "POST /api/case HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nhi",
            "",
        ),
        // What comes of the body later looks like a request, and is none.
        "POST half" => (
            "POST /api/case HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\nhi",
            "GET /api/evil HTTP/1.1\r\nHost: evil\r\n\r\n",
        ),
        other => panic!("{other}"),
    }
}

/// A proxy before a scripted server.
struct Stage {
    proxy: Proxy,
    server: Scripted,
    pair: Pair,
    _folder: TempDir,
}

impl Stage {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair::new();
        pair.write(folder.path());
        let server = Scripted::start().await;
        let [first, second] = server.addresses;
        let proxy = Proxy::start(&format!(
            r#"
            listen = ["127.0.0.1:0"]
            admin = "127.0.0.1:0"
            [tls]
            listen = "127.0.0.1:0"
            certificate = "{folder}/tls.crt"
            key = "{folder}/tls.key"
            [log]
            access = "off"
            [[routes]]
            path = "/api"
            upstream = "music"
            [upstreams.music]
            servers = [{{ address = "{first}" }}, {{ address = "{second}" }}]
            health = {{ path = "/healthz", every = "20ms", timeout = "20ms" }}
            eject = {{ consecutive_5xx = 1000 }}
            "#,
            folder = folder.path().display(),
        ))
        .await;
        Self {
            proxy,
            server,
            pair,
            _folder: folder,
        }
    }

    async fn connect(&self, way: Way) -> Connection {
        if way == Way::OverTls {
            let address = self.proxy.secure.unwrap();
            Box::new(self.pair.connect(address).await.unwrap())
        } else {
            Box::new(self.proxy.connect().await)
        }
    }

    /// Runs one case; the answer is what is wrong about it.
    async fn run(&self, case: &Case, way: Way) -> Result<(), String> {
        // A server that broke off may be out for a moment.
        self.proxy.until_up(2).await;
        self.server.play(&case.script);
        let mut stream = self.connect(way).await;
        if way == Way::KeptConnection {
            // Both servers get a connection that is kept, one of which the case will have.
            for _ in 0..2 {
                next_on(&mut stream).await?;
            }
        }
        let (head, rest) = request(&case.request);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut client = Client::new(&mut stream);
        let got = client.answer(case.request == "HEAD").await?;
        let got = got.ok_or("the connection was closed without an answer")?;
        drop(client);
        let fate = self.fate(&got, rest, &mut stream).await?;
        eventually("the script has been played", || async {
            self.server.has_played()
        })
        .await;
        if !case.expected.iter().any(|e| e.holds(&got, fate)) {
            return Err(format!("the connection was {fate:?}: {got:?}"));
        }
        check_fields(case, &got)?;
        if fate == Fate::Kept {
            next_on(&mut stream).await?;
        }
        self.proxy.until_up(2).await;
        for _ in 0..3 {
            next_on(&mut self.connect(way).await).await?;
        }
        self.check_seen(case)
    }

    /// What became of the connection behind the answer; it must be what the answer says.
    async fn fate(&self, got: &Got, rest: &str, stream: &mut Connection) -> Result<Fate, String> {
        match got.end {
            End::Cut => return Ok(Fate::Cut),
            End::ByClose => return Ok(Fate::Ended),
            End::Whole => {}
        }
        let said_close = got.has_value("connection", "close");
        // The client may find the connection closed, then.
        let _ = stream.write_all(rest.as_bytes()).await;
        if !said_close {
            return Ok(Fate::Kept);
        }
        let behind = Client::new(stream).until_the_end().await?;
        if behind.is_empty() {
            Ok(Fate::Closed)
        } else {
            Err(format!("behind the answer: {behind:?}"))
        }
    }

    fn check_seen(&self, case: &Case) -> Result<(), String> {
        let (seen, garbage) = self.server.seen();
        if !garbage.is_empty() || seen.iter().any(|request| request.contains("evil")) {
            return Err(format!("the server read {seen:?} and {garbage:?}"));
        }
        let reads = seen.iter().filter(|r| r.ends_with("/api/case")).count();
        match case.reads {
            Some((least, most)) if !(least..=most).contains(&reads) => {
                Err(format!("the server read it {reads} times"))
            }
            _ => Ok(()),
        }
    }
}

impl Expected {
    fn holds(&self, got: &Got, fate: Fate) -> bool {
        // Who is tried again says his hints again.
        let mut once = got.statuses.clone();
        once.dedup_by(|a, b| a == b && *a < 200);
        self.fates.contains(&fate)
            && (self.statuses.is_empty() || [&got.statuses, &once].contains(&&self.statuses))
            && self.body.as_ref().is_none_or(|body| *body == got.body)
    }
}

fn check_fields(case: &Case, got: &Got) -> Result<(), String> {
    let failed = got.statuses.last().is_none_or(|&status| status == 502);
    if !got.has("x-instance") && got.end != End::Cut {
        return Err(format!("no X-Instance: {got:?}"));
    }
    if failed {
        return match got.has_value("x-instance", "proxy") {
            true => Ok(()),
            false => Err(format!("not the proxy's own: {got:?}")),
        };
    }
    for (name, value) in &case.fields {
        if !got.has_value(name, value) {
            return Err(format!("{name}: {value} is missing: {got:?}"));
        }
    }
    match case.no_fields.iter().find(|name| got.has(name)) {
        Some(name) => Err(format!("there is {name}: {got:?}")),
        None => Ok(()),
    }
}

/// Sends another request, which must get its own answer.
async fn next_on(stream: &mut Connection) -> Result<(), String> {
    let request = b"GET /api/next HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.map_err(|e| e.to_string())?;
    let got = Client::new(stream).answer(false).await;
    match got {
        Ok(Some(got)) if got.statuses == [200] && got.body == b"next" => Ok(()),
        other => Err(format!("the next request got {other:?}")),
    }
}

async fn run_all(way: Way) {
    let cases = cases();
    assert!(cases.len() >= 200, "the table has {} cases", cases.len());
    let stage = Stage::set().await;
    let mut wrong = Vec::new();
    for case in &cases {
        let began = Instant::now();
        if let Err(cause) = stage.run(case, way).await {
            let cause: String = cause.chars().take(1000).collect();
            wrong.push(format!("{}: {cause}", case.name));
        }
        let took = began.elapsed();
        if took > Duration::from_secs(5) {
            wrong.push(format!("{} took {took:?}", case.name));
        }
    }
    let (count, all) = (wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{count} of {all}:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_on_a_new_connection() {
    run_all(Way::NewConnection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_behind_good_ones() {
    run_all(Way::KeptConnection).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_over_tls() {
    run_all(Way::OverTls).await;
}
