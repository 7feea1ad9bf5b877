//! The honest client: a request now and then, on a thread of its own, each answer timed and read.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Between two requests.
const EVERY: Duration = Duration::from_millis(4);
/// The longest that it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the honest client has met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    /// What 99 in 100 take at most; of few requests, 95 in 100.
    pub(crate) p99: Duration,
}

/// With fewer requests than that, one unlucky one would be the p99.
const FEW: usize = 1000;

/// Asks for a while: a server and a file in turn, on a kept connection and every fourth time on a
/// new one.
pub(crate) fn ask_for(time: Duration, to: SocketAddr) -> Account {
    let began = Instant::now();
    let mut kept = None;
    let (mut times, mut failed) = (Vec::new(), 0);
    while began.elapsed() < time {
        let path = if times.len() % 2 == 0 {
            "/api/"
        } else {
            "/files/small.txt"
        };
        if times.len() % 4 == 0 {
            kept = None;
        }
        let asked = Instant::now();
        let answered = ask(&mut kept, to, path);
        times.push(asked.elapsed());
        if let Err(error) = answered {
            eprintln!("{path}: {error}");
            kept = None;
            failed += 1;
        }
        thread::sleep(EVERY.saturating_sub(asked.elapsed()));
    }
    times.sort_unstable();
    Account {
        requests: times.len(),
        failed,
        p99: times[times.len() * if times.len() < FEW { 95 } else { 99 } / 100],
    }
}

fn ask(kept: &mut Option<TcpStream>, to: SocketAddr, path: &str) -> io::Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            kept.insert(stream)
        }
    };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: honest\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut piece = [0; 2048];
    while !is_whole(&answer) {
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    match answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&answer))),
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    length.is_some_and(|length| body.len() >= length)
}
