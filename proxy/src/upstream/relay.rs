//! A connection to a server on a Unix socket whose bytes can be kept back, as `TCP_CORK` does it for TCP.
//!
//! Pingora gets one end of a pair of sockets, and what it writes there goes on to the server, except while it is
//! kept back. It is for tunnels alone ([`crate::gateway`] says why): other requests are not copied once more.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// A piece is kept back no longer than this, as over TCP.
const LONGEST: Duration = Duration::from_millis(200);
/// So much is read at once.
const PIECE: usize = 16 * 1024;
/// So much may wait for the server. Pingora reads nothing from a server while it writes to it, so a server that does
/// the same would never go on; over TCP it is the system's buffers that keep them apart, and those of Unix sockets
/// are small. Where even more is under way both ways, both stand still.
const MOST_WAITING: usize = 1024 * 1024;
/// What still waits when the near end is closed has so long. Then the connection is closed, whatever the server does.
const PARTING: Duration = Duration::from_secs(2);

/// What keeps the bytes of a relayed connection back.
#[derive(Debug)]
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    /// Keeps back what is written from now on.
    pub(super) fn shut(&self) {
        self.0.send_replace(true);
    }

    /// Passes on what was kept back.
    pub(super) fn open(&self) {
        self.0.send_replace(false);
    }
}

/// Returns the end through which a server is reached, and the gate before the server, which is open.
pub(super) fn before(server: UnixStream) -> io::Result<(UnixStream, Gate)> {
    let (near, far) = UnixStream::pair()?;
    let (gate, is_shut) = watch::channel(false);
    tokio::spawn(pass(far, server, is_shut));
    Ok((near, Gate(gate)))
}

/// Passes bytes both ways until the near end is closed. When the server has closed, the near end gets all that it
/// said before, and the end.
async fn pass(far: UnixStream, server: UnixStream, is_shut: watch::Receiver<bool>) {
    let gone = gone(is_shut.clone());
    let (from_near, mut to_near) = far.into_split();
    let (mut from_server, to_server) = server.into_split();
    let back = pin!(async {
        // However it ends, this is the end.
        let _ = copy(&mut from_server, &mut to_near).await;
        let _ = to_near.shutdown().await;
    });
    let forth = pin!(forth(from_near, to_server, is_shut));
    let both = pin!(async {
        match select(forth, back).await {
            Either::Left((Ok(()), _)) => {}
            Either::Left((Err(_), back)) => back.await,
            Either::Right(((), forth)) => drop(forth.await),
        }
    });
    select(both, pin!(gone)).await;
}

/// Waits until the near end is closed, and [`PARTING`]: whoever holds that holds the gate, too.
async fn gone(mut gate: watch::Receiver<bool>) {
    while gate.changed().await.is_ok() {}
    sleep(PARTING).await;
}

/// Passes on what is written at the near end, until it is closed. Fails when the server takes no more.
async fn forth(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut is_shut: watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut piece, mut waiting) = (vec![0; PIECE], BytesMut::new());
    loop {
        tokio::select! {
            read = from.read(&mut piece), if waiting.len() < MOST_WAITING => {
                let read = read.unwrap_or(0);
                if read == 0 {
                    break;
                }
                waiting.extend_from_slice(&piece[..read]);
                // A gate that is gone is none: the near end is about to be closed.
                let _ = timeout(LONGEST, is_shut.wait_for(|is_shut| !is_shut)).await;
            }
            written = to.write(&waiting), if !waiting.is_empty() => {
                waiting.advance(written?);
                if waiting.is_empty() && waiting.capacity() > 4 * PIECE {
                    waiting = BytesMut::new();
                }
            }
        }
    }
    to.write_all(&waiting).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn nothing_passes_a_shut_gate_and_all_an_open_one() {
        let (server, mut there) = UnixStream::pair().unwrap();
        let (mut near, gate) = before(server).unwrap();
        gate.shut();
        near.write_all(b"one").await.unwrap();
        let mut bytes = [0; 6];
        let early = timeout(LONGEST / 10, there.read(&mut bytes)).await;
        assert!(early.is_err(), "it was kept back");
        near.write_all(b"two").await.unwrap();
        gate.open();
        timeout(BOUND, there.read_exact(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&bytes, b"onetwo");
        // The other way it never is.
        gate.shut();
        there.write_all(b"answer").await.unwrap();
        timeout(BOUND, near.read_exact(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&bytes, b"answer");
    }

    #[tokio::test]
    async fn a_gate_that_nobody_opens_opens_by_itself() {
        let (server, mut there) = UnixStream::pair().unwrap();
        let (mut near, gate) = before(server).unwrap();
        gate.shut();
        near.write_all(b"x").await.unwrap();
        assert_eq!(
            timeout(BOUND, there.read_u8()).await.unwrap().unwrap(),
            b'x'
        );
    }

    #[tokio::test]
    async fn the_end_of_either_side_is_passed_on() {
        let (server, mut there) = UnixStream::pair().unwrap();
        let (mut near, _gate) = before(server).unwrap();
        // What the server has said before comes first, also when it no longer takes anything.
        there.write_all(&vec![b'x'; 1 << 16][..]).await.ok();
        drop(there);
        near.write_all(b"too late").await.ok();
        let mut said = Vec::new();
        timeout(BOUND, near.read_to_end(&mut said))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(said.len(), 1 << 16);

        let (server, mut there) = UnixStream::pair().unwrap();
        let (near, _gate) = before(server).unwrap();
        drop(near);
        assert_eq!(
            timeout(BOUND, there.read(&mut [0; 1]))
                .await
                .unwrap()
                .unwrap(),
            0
        );
        // Nothing holds the connection any more.
        let closed = async {
            while there.write_all(b"x").await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(BOUND, closed).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_holds_nothing() {
        for bytes in [300 * 1024, 4 * MOST_WAITING] {
            let (server, mut there) = UnixStream::pair().unwrap();
            let (mut near, gate) = before(server).unwrap();
            let written = timeout(LONGEST, near.write_all(&vec![b'x'; bytes])).await;
            assert_eq!(written.is_err(), bytes > MOST_WAITING);
            drop((near, gate));
            let closed = async {
                // It says something now and then, and reads nothing.
                while there.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(BOUND, closed).await.unwrap();
        }
    }
}
