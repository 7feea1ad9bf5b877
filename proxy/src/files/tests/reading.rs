//! The bytes of files small and large, and of files that change while they are sent.

use std::fs;
use std::io::{self, Write};

use super::{Site, read};

#[tokio::test]
async fn sizes_around_one_piece_are_whole() {
    let site = Site::new();
    let held = 1 << 20;
    let piece = 256 * 1024;
    for length in [
        0,
        1,
        piece,
        held,
        held + 1,
        5 * piece - 1,
        5 * piece,
        5 * piece + 1,
        5_000_001,
    ] {
        let content: Vec<u8> = (0..length).map(|index: u32| (index % 251) as u8).collect();
        let name = format!("big-{length}.bin");
        fs::write(site.path(&name), &content).unwrap();
        let file = site.found(&format!("/{name}")).await;
        assert_eq!(file.length, u64::from(length));
        assert!(
            read(file.body).await.unwrap() == content,
            "{length} bytes differ"
        );
    }
}

#[tokio::test]
async fn a_file_that_shrinks_meanwhile_ends_in_an_error() {
    let site = Site::new();
    fs::write(site.path("big.bin"), vec![7; 3_000_000]).unwrap();
    let mut file = site.found("/big.bin").await;
    assert_eq!(file.body.chunk().await.unwrap().unwrap().len(), 262_144);
    fs::write(site.path("big.bin"), vec![7; 100_000]).unwrap();
    let cut = read(file.body).await.unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_file_that_grows_meanwhile_is_cut_at_the_announced_length() {
    let site = Site::new();
    fs::write(site.path("big.bin"), vec![7; 3_000_000]).unwrap();
    let file = site.found("/big.bin").await;
    let mut more = fs::OpenOptions::new()
        .append(true)
        .open(site.path("big.bin"))
        .unwrap();
    more.write_all(&[8; 100_000]).unwrap();
    assert_eq!(file.length, 3_000_000);
    assert!(read(file.body).await.unwrap() == vec![7; 3_000_000]);
}

#[tokio::test]
async fn a_file_that_is_replaced_meanwhile_is_sent_as_it_was() {
    let site = Site::new();
    fs::write(site.path("big.bin"), vec![7; 3_000_000]).unwrap();
    let file = site.found("/big.bin").await;
    fs::write(site.path("new.bin"), vec![8; 10]).unwrap();
    fs::rename(site.path("new.bin"), site.path("big.bin")).unwrap();
    assert!(read(file.body).await.unwrap() == vec![7; 3_000_000]);
}
