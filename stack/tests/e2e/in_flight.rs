//! Requests that are under way while a process is told to end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use http::Method;
use serde_json::{Value, json};

use crate::Scenario;
use crate::world::{SECOND, World};

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    (
        "an_instance_finishes_what_it_has",
        an_instance_finishes_what_it_has,
    ),
    (
        "the_proxy_finishes_what_it_has",
        the_proxy_finishes_what_it_has,
    ),
];

fn an_instance_finishes_what_it_has(world: &World) {
    // Of ten in a row, about four are on `api`.
    let posts: Vec<_> = (0..10)
        .map(|number| HalfPost::send(world, number))
        .collect();
    thread::scope(|scope| {
        let stopping = scope.spawn(|| world.stop("api"));
        world.leaves_rotation("api_1");
        let served_by: Vec<_> = posts.into_iter().map(|post| post.finish(world)).collect();
        let count = served_by.iter().filter(|name| *name == "api_1").count();
        // Those that watch the rotation take their turns in between.
        assert!((2..=6).contains(&count), "{served_by:?}");
        stopping.join().unwrap();
    });
    world.start("api");
    world.returns("api_1");
}

fn the_proxy_finishes_what_it_has(world: &World) {
    let post = HalfPost::send(world, 0);
    // The request is on its way to a server when the next one is answered.
    world.get("/api/music/");
    thread::scope(|scope| {
        let stopping = scope.spawn(|| world.stop("proxy"));
        world.eventually(10 * SECOND, "the proxy takes no more", || {
            world.try_get("/api/music/").is_err()
        });
        post.finish(world);
        stopping.join().unwrap();
    });
    world.start("proxy");
    world.eventually(10 * SECOND, "the proxy is back", || {
        world
            .try_get("/api/music/")
            .is_ok_and(|answer| answer.status == 200)
    });
    world.settle();
}

/// A POST of which only half the body was sent.
struct HalfPost {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl HalfPost {
    fn send(world: &World, number: usize) -> Self {
        let song = format!("in flight {} {number}", std::process::id());
        let body = json!({ "song": song, "singer": "e2e" }).to_string();
        let (now, later) = body.split_at(body.len() / 2);
        let head = format!(
            "POST /api/music/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAuthorization: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            world.address,
            world.authorization().header().to_str().unwrap(),
            body.len()
        );
        let mut stream = TcpStream::connect(world.address).unwrap();
        stream.set_read_timeout(Some(10 * SECOND)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(now.as_bytes()).unwrap();
        Self {
            stream,
            rest: later.as_bytes().to_vec(),
        }
    }

    /// Sends the rest, expects 201, and returns who answered.
    fn finish(mut self, world: &World) -> String {
        self.stream.write_all(&self.rest).unwrap();
        let mut answer = String::new();
        let read = self.stream.read_to_string(&mut answer);
        assert!(read.is_ok(), "{read:?} after {answer}");
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let row: Value = serde_json::from_str(body).unwrap();
        remove(world, &row);
        let name = head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case("x-instance").then_some(value)
        });
        name.unwrap().replace('-', "_")
    }
}

/// Removes a song, if the proxy still takes requests.
fn remove(world: &World, row: &Value) {
    let path = format!("/api/music/{}/", row["id"]);
    if world.try_get(&path).is_ok() {
        world.send(Method::DELETE, &path, &Value::Null);
    }
}
