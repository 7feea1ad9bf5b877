//! In which coding is a file sent? Pure choice by `Accept-Encoding` (RFC 9110, section 12.5.3),
//! and the making of each coding.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue};

/// A content coding, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Brotli, RFC 7932.
    Brotli,
    /// Zstandard, RFC 8878.
    Zstd,
    /// Gzip, RFC 1952.
    Gzip,
}

/// Brotli's windows, in bits; 22 is what every client takes. One that fits the file costs the
/// proxy, and the client, no more memory than the file needs.
const BROTLI_WINDOWS: RangeInclusive<u32> = 10..=22;
/// Files are encoded once, so time is spent for size; above these levels it buys almost nothing.
/// From 9 on, Brotli's tables take 32 MiB whatever the size of the file.
const BROTLI_QUALITY: u32 = 6;
const ZSTD_LEVEL: i32 = 15;

impl Coding {
    /// All of them; where a client likes several alike, the first.
    pub(super) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The value of `Content-Encoding`.
    pub(super) fn name(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }

    fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    fn is_called(self, token: &str) -> bool {
        token.eq_ignore_ascii_case(self.token())
            || self == Self::Gzip && token.eq_ignore_ascii_case("x-gzip")
    }

    /// Encodes the bytes of a file.
    pub(super) fn encode(self, content: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Brotli => {
                let buffer = 4096;
                let mut encoder = brotli::CompressorWriter::new(
                    Vec::new(),
                    buffer,
                    BROTLI_QUALITY,
                    brotli_window(content.len()),
                );
                encoder.write_all(content)?;
                Ok(encoder.into_inner())
            }
            Self::Zstd => zstd::bulk::compress(content, ZSTD_LEVEL),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(content)?;
                encoder.finish()
            }
        }
    }
}

/// The smallest of Brotli's windows that holds so many bytes; its format takes 16 of each.
fn brotli_window(bytes: usize) -> u32 {
    let mut windows = BROTLI_WINDOWS;
    let largest = *windows.end();
    let fits = windows.find(|bits| (1 << bits) - 16 >= bytes);
    fits.unwrap_or(largest)
}

/// Chooses among the codings that a file has; `None` is the file as it is.
///
/// The highest q-value wins, then the order of [`Coding::ALL`]. A file as it is can always be
/// sent, unless the client says `identity;q=0`: then any coding that it does not refuse.
pub(super) fn choose(headers: &HeaderMap, has: impl Fn(Coding) -> bool) -> Option<Coding> {
    let wishes = Wishes::read(headers);
    let identity = wishes.identity();
    let mut best = None;
    for coding in Coding::ALL.into_iter().filter(|&coding| has(coding)) {
        let quality = wishes.of(coding);
        if quality > best.map_or(0, |(_, best)| best) && quality >= identity {
            best = Some((coding, quality));
        }
    }
    best.map(|(coding, _)| coding)
}

/// Whether a client takes gzip, and would not rather have the bytes as they are.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    choose(headers, |coding| coding == Coding::Gzip).is_some()
}

/// What `Accept-Encoding` gives to each coding, in thousandths; `None` where it is silent.
#[derive(Default)]
struct Wishes {
    named: [Option<u16>; 3],
    identity: Option<u16>,
    any: Option<u16>,
}

impl Wishes {
    fn read(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        for field in headers.get_all(ACCEPT_ENCODING) {
            for item in field.to_str().unwrap_or("").split(',') {
                wishes.note(item);
            }
        }
        wishes
    }

    fn note(&mut self, item: &str) {
        let mut parts = item.split(';').map(str::trim);
        let token = parts.next().unwrap_or("");
        let quality =
            match parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q="))) {
                Some(text) => thousandths(text),
                None => 1000,
            };
        if token == "*" {
            self.any = Some(quality);
        } else if token.eq_ignore_ascii_case("identity") {
            self.identity = Some(quality);
        } else {
            for (slot, coding) in self.named.iter_mut().zip(Coding::ALL) {
                if coding.is_called(token) {
                    *slot = Some(quality);
                }
            }
        }
    }

    fn of(&self, coding: Coding) -> u16 {
        let named = Coding::ALL.iter().zip(self.named);
        let named = named.filter(|(other, _)| **other == coding);
        named
            .map(|(_, quality)| quality)
            .next()
            .flatten()
            .or(self.any)
            .unwrap_or(0)
    }

    /// Zero where it is not named: any coding that the client names is preferred to it.
    fn identity(&self) -> u16 {
        self.identity.unwrap_or(0)
    }
}

/// Reads a q-value; what is none counts as a refusal.
fn thousandths(text: &str) -> u16 {
    let value: f32 = match text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        true => text.parse().unwrap_or(0.0),
        false => 0.0,
    };
    if value <= 1.0 {
        (value * 1000.0) as u16
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http::HeaderMap;
    use http::header::{ACCEPT_ENCODING, HeaderValue};
    use proptest::prelude::*;

    use super::{Coding, choose};

    fn chosen(accept: &str, has: &[Coding]) -> Option<Coding> {
        let accept = HeaderValue::from_str(accept).unwrap();
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, accept)]);
        choose(&headers, |coding| has.contains(&coding))
    }

    #[test]
    fn the_highest_q_value_wins_then_the_best_coding() {
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip, deflate", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("GZIP;Q=1.0, br;q=0.9", Some(Coding::Gzip)),
            ("br;q=0.5, zstd;q=0.8, gzip;q=0.8", Some(Coding::Zstd)),
            ("br;q=0, gzip", Some(Coding::Gzip)),
            ("*", Some(Coding::Brotli)),
            ("*;q=0.1, br;q=0", Some(Coding::Zstd)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(Coding::Gzip)),
            ("identity", None),
            ("deflate", None),
            ("", None),
            ("br;q=0, zstd;q=0, gzip;q=0", None),
            ("br;q=0.0001", None),
            ("br;q=nonsense", None),
            ("br;q=2", None),
            ("gzip;level=3;q=0.5", Some(Coding::Gzip)),
        ] {
            assert_eq!(chosen(accept, &Coding::ALL), expected, "{accept:?}");
        }
        assert_eq!(choose(&HeaderMap::new(), |_| true), None);
        assert_eq!(chosen("br", &[Coding::Gzip]), None);
    }

    #[test]
    fn a_window_fits_the_file() {
        for (bytes, bits) in [
            (0, 10),
            (1008, 10),
            (1009, 11),
            (1 << 20, 21),
            (1 << 30, 22),
        ] {
            assert_eq!(super::brotli_window(bytes), bits, "{bytes}");
        }
    }

    #[test]
    fn each_coding_is_undone_by_its_own_reader() {
        for times in [100, 1000, 30_000, 300_000] {
            undone(&"la ".repeat(times).into_bytes());
        }
    }

    fn undone(content: &[u8]) {
        for coding in Coding::ALL {
            let encoded = coding.encode(content).unwrap();
            assert!(encoded.len() < content.len() / 5, "{coding:?}");
            let mut decoded = Vec::new();
            match coding {
                Coding::Brotli => {
                    let mut decoder = brotli::Decompressor::new(&encoded[..], 4096);
                    decoder.read_to_end(&mut decoded).unwrap();
                }
                Coding::Zstd => decoded = zstd::bulk::decompress(&encoded, 1 << 20).unwrap(),
                Coding::Gzip => {
                    let mut decoder = flate2::read::GzDecoder::new(&encoded[..]);
                    decoder.read_to_end(&mut decoded).unwrap();
                }
            }
            assert!(decoded == content, "{coding:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_refused_is_never_chosen(items in prop::collection::vec(
            (prop::sample::select(vec!["br", "zstd", "gzip", "identity", "*"]), 0..=10u32), 0..6)) {
            let list: Vec<_> = items.iter().map(|(name, q)| format!("{name};q={}", *q as f32 / 10.0)).collect();
            if let Some(coding) = chosen(&list.join(", "), &Coding::ALL) {
                let last = |token: &str| items.iter().rev().find(|(name, _)| *name == token).map(|(_, q)| *q);
                let named = last(coding.token()).or(last("*"));
                prop_assert!(named.is_some_and(|q| q > 0), "{list:?} → {coding:?}");
            }
        }

        #[test]
        fn any_field_is_survived(value in prop::collection::vec(any::<u8>(), 0..60)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            choose(&HeaderMap::from_iter([(ACCEPT_ENCODING, value)]), |_| true);
        }
    }
}
