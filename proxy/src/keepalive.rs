//! Ends connections whose other side has vanished without a word: its cable cut, its machine gone.
//!
//! A tunnel or a stream of events may be silent for hours, so that no limit on silence can tell.
//! The system asks the other side from time to time whether it is still there.

use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// How long a connection is silent before the other side is asked.
const SILENT: Duration = Duration::from_secs(60);
/// From one question to the next; after nine without an answer the connection is over.
const AGAIN: Duration = Duration::from_secs(15);

/// Has the system look after a connection, or after all that come through a listener.
pub fn watch(socket: &impl AsFd) {
    let asked = TcpKeepalive::new().with_time(SILENT).with_interval(AGAIN);
    // An error means that the connection is gone already.
    let _ = SockRef::from(socket).set_tcp_keepalive(&asked);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn the_system_is_told_to_look() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connection = TcpStream::connect(address).await.unwrap();
        assert!(!SockRef::from(&connection).keepalive().unwrap());
        watch(&connection);
        assert!(SockRef::from(&connection).keepalive().unwrap());
    }
}
