//! The fuzz targets without a fuzzer: every file of the corpora in `fuzz/corpus/`, and a number of
//! mutations of them that is the same in every run.
//!
//! `FUZZ_MUTATIONS` sets how many for each target, `FUZZ_SEED` which.

mod paths;
mod swapped;
pub(crate) mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use self::targets::TARGETS;

/// Mutations of each target's corpus.
const MUTATIONS: u64 = 5_000;
/// Bytes that mean something to one of the targets.
const WORDS: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"=",
    b"-",
    b"/",
    b"..",
    b"%2e",
    b"%00",
    b"chunked",
    b"Content-Length: ",
    b"Transfer-Encoding: ",
    b"0",
    b"\r\n\r\n",
    b"ffffffff",
    b"\"",
    b"[",
    b"\xc3\xa9",
];

/// A number from the environment, or else `otherwise`.
fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var_os(name).map(|text| text.into_string().unwrap());
    text.map_or(otherwise, |text| text.parse().unwrap())
}

#[expect(
    clippy::disallowed_methods,
    reason = "no worker of a runtime waits for it"
)]
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let files = fs::read_dir(folder.join(target)).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Changes a few places: a byte, a word put in, a piece cut out, repeated, or taken of another file.
fn mutate(random: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.usize(..corpus.len())].clone();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=bytes.len());
        let end = random.usize(at..=bytes.len().min(at + 16));
        match random.u8(..6) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => {
                bytes.drain(at..end);
            }
            2 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => {
                let other = &corpus[random.usize(..corpus.len())];
                let from = random.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let word = WORDS[random.usize(..WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes
}

/// Runs a target and shows the input that it failed for.
fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    let ran = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(ran.is_ok(), "{name}: {}", input.escape_ascii());
}

#[test]
fn every_file_of_the_corpora_and_mutations_of_them() {
    let mutations = number("FUZZ_MUTATIONS", MUTATIONS);
    let seed = number("FUZZ_SEED", 1);
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() >= 8, "{name}: {} files", corpus.len());
        for input in &corpus {
            run(name, target, input);
        }
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..mutations {
            run(name, target, &mutate(&mut random, &corpus));
        }
    }
}

#[test]
fn the_corpora_hold_what_passes_too() {
    let heads = corpus("head");
    let passing = heads.iter().filter(|head| {
        let verdict = proxy::head::Reader::new(proxy::head::Limits::default()).read(head);
        matches!(verdict, proxy::head::Verdict::Accepted(_))
    });
    assert!(passing.count() >= 4);
    let right = corpus("config").into_iter().filter(|text| {
        let text = String::from_utf8_lossy(text);
        proxy::config::Config::parse(&text, Path::new("proxy.toml")).is_ok()
    });
    assert!(right.count() >= 1);
}
