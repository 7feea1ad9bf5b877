//! A server that says, byte for byte, what a case of `answers.cases` has it say.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::raw::{FINE, read_body, read_head};

/// How long it pauses between two pieces, so that they arrive one after the other. Nothing fails
/// when they do not.
const PAUSE: Duration = Duration::from_millis(20);
/// What it answers to any other request than the case's.
const NEXT: &[u8] = b"HTTP/1.1 200 OK\r\nX-Instance: scripted\r\nContent-Length: 4\r\n\r\nnext";

/// What it does when the request of a case comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Script {
    /// What it says, piece by piece.
    pub(super) pieces: Vec<Vec<u8>>,
    /// It closes the connection behind it.
    pub(super) closes: bool,
    /// It resets the connection behind it.
    pub(super) resets: bool,
    /// It does so once, and answers well when it is asked again.
    pub(super) once: bool,
    /// It reads the request's body behind it.
    pub(super) early: bool,
}

#[derive(Debug, Default)]
struct State {
    script: Script,
    /// How often the script began and how often it ended.
    begun: usize,
    ended: usize,
    /// `METHOD TARGET` of what it has read.
    seen: Vec<String>,
}

/// One server at two addresses.
pub(super) struct Scripted {
    pub(super) addresses: [SocketAddr; 2],
    state: Arc<Mutex<State>>,
    garbage: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(super) async fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let garbage = Arc::default();
        let mut addresses = Vec::new();
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            let (state, garbage) = (Arc::clone(&state), Arc::clone(&garbage));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&state), Arc::clone(&garbage)));
                }
            });
        }
        Self {
            addresses: addresses.try_into().unwrap(),
            state,
            garbage,
        }
    }

    /// Has this script played from now on.
    pub(super) fn play(&self, script: &Script) {
        *self.state.lock().unwrap() = State {
            script: script.clone(),
            ..State::default()
        };
    }

    /// Whether every script that began has ended.
    pub(super) fn has_played(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.begun == state.ended
    }

    /// What was read since the script was set, health checks apart; and what was no request.
    pub(super) fn seen(&self) -> (Vec<String>, Vec<String>) {
        let seen = self.state.lock().unwrap().seen.clone();
        (seen, std::mem::take(&mut *self.garbage.lock().unwrap()))
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, garbage: Arc<Mutex<Vec<String>>>) {
    stream.set_nodelay(true).unwrap();
    let mut bytes = Vec::new();
    while let Some(request) = read_head(&mut stream, &mut bytes, &garbage).await {
        if request.target == "/healthz" {
            // The proxy may have gone: that is for the test to see.
            let _ = stream.write_all(FINE.as_bytes()).await;
            return;
        }
        let script = begin(&state, &format!("{} {}", request.method, request.target));
        let early = script.as_ref().is_some_and(|script| script.early);
        if !early && read_body(&mut stream, &mut bytes, &request).await.is_none() {
            return;
        }
        let Some(script) = script else {
            if stream.write_all(NEXT).await.is_err() {
                return;
            }
            continue;
        };
        say(&mut stream, &script.pieces).await;
        if script.resets {
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        let ends = script.resets || script.closes;
        let kept = (!ends).then_some(stream);
        state.lock().unwrap().ended += 1;
        let Some(kept) = kept else { return };
        stream = kept;
        if early && read_body(&mut stream, &mut bytes, &request).await.is_none() {
            return;
        }
    }
}

/// Notes a request; returns the script if this is where it is played.
fn begin(state: &Mutex<State>, request: &str) -> Option<Script> {
    let mut state = state.lock().unwrap();
    state.seen.push(request.to_owned());
    let is_case = request.ends_with("/api/case");
    if !is_case || state.script.once && state.begun > 0 {
        return None;
    }
    state.begun += 1;
    Some(state.script.clone())
}

async fn say(stream: &mut TcpStream, pieces: &[Vec<u8>]) {
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        if stream.write_all(piece).await.is_err() {
            return;
        }
    }
}
