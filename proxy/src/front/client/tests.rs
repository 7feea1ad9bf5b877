//! The head of an answer goes out with what follows it, and never later than it must.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A connection that has a request in hand, and its client.
async fn asked(body: BodyEnd) -> (ClientStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let mut connection = ClientStream::new(Box::new(PlainStream::new(accepted)));
    connection.begin_request(0, body);
    (connection, client)
}

/// What has arrived at a client; what was sent to it over the loopback is there at once.
fn arrived(client: &TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 64 * 1024];
    match client.try_read(&mut bytes) {
        Ok(length) => bytes.truncate(length),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bytes.clear(),
        Err(error) => panic!("{error}"),
    }
    bytes
}

async fn read(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_head_goes_out_with_the_body() {
    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    connection.write_all(HEAD).await.unwrap();
    client.writable().await.unwrap();
    assert_eq!(arrived(&client), b"");
    connection.write_all(b"body").await.unwrap();
    client.readable().await.unwrap();
    assert_eq!(arrived(&client), [HEAD, b"body"].concat());
    // What comes later is not held.
    connection.write_all(b"more").await.unwrap();
    assert_eq!(read(&mut client, 4).await, b"more");
    assert_eq!(connection.held.capacity(), 0, "no memory stays behind");
}

#[tokio::test]
async fn a_body_in_pieces_goes_out_behind_its_head() {
    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    connection.write_all(HEAD).await.unwrap();
    let pieces = [io::IoSlice::new(b"4\r\n"), io::IoSlice::new(b"body\r\n")];
    let written = connection.write_vectored(&pieces).await.unwrap();
    assert_eq!(written, 9);
    let whole = read(&mut client, HEAD.len() + written).await;
    assert_eq!(whole, [HEAD, b"4\r\nbody\r\n"].concat());
}

#[tokio::test]
async fn a_head_waits_neither_for_a_flush_nor_for_the_end_nor_for_a_slow_server() {
    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    connection.write_all(HEAD).await.unwrap();
    connection.flush().await.unwrap();
    assert_eq!(read(&mut client, HEAD.len()).await, HEAD);

    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    connection.write_all(HEAD).await.unwrap();
    AsyncWriteExt::shutdown(&mut connection).await.unwrap();
    assert_eq!(read(&mut client, HEAD.len()).await, HEAD);

    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    connection.write_all(HEAD).await.unwrap();
    let looked = tokio::spawn(async move { connection.read(&mut [0]).await });
    assert_eq!(read(&mut client, HEAD.len()).await, HEAD);
    looked.abort();
}

#[tokio::test]
async fn only_the_head_of_a_small_exchange_is_held() {
    for body in [BodyEnd::CHUNKED, BodyEnd::Length(HELD as u64 + 1)] {
        let (mut connection, mut client) = asked(body).await;
        connection.write_all(HEAD).await.unwrap();
        assert_eq!(read(&mut client, HEAD.len()).await, HEAD);
    }
    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    let large = vec![b'x'; HELD + 1];
    connection.write_all(&large).await.unwrap();
    assert_eq!(read(&mut client, large.len()).await, large);
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_the_client_takes_it_slowly() {
    let (mut connection, mut client) = asked(BodyEnd::NONE).await;
    let body: Vec<u8> = (0..8 << 20).map(|index| (index % 251) as u8).collect();
    let expected = [HEAD, &body[..]].concat();
    let writing = tokio::spawn(async move {
        connection.write_all(HEAD).await.unwrap();
        connection.write_all(&body).await.unwrap();
        connection
    });
    assert!(read(&mut client, expected.len()).await == expected);
    writing.await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_there_comes_off_with_its_head() {
    for (length, taken, left) in [
        (0, "head", "bodyGET"),
        (4, "headbody", "GET"),
        (7, "headbodyGET", ""),
        (8, "head", "bodyGET"),
    ] {
        let (mut connection, mut client) = asked(BodyEnd::NONE).await;
        client.write_all(b"headbodyGET").await.unwrap();
        while connection.ahead().len() < 11 {
            connection.read_more().await.unwrap();
        }
        assert_eq!(connection.begin_request(4, BodyEnd::Length(length)), taken);
        assert_eq!(connection.ahead(), left.as_bytes());
        assert_eq!(connection.is_request_read(), length < 8);
    }
}
