//! Is what a client sends worth its reading? Frames are counted as their bytes arrive.
//!
//! Pure: bytes and the time in, a verdict out. `h2` bounds what it keeps; this bounds the work that
//! a client can cause with frames that ask for nothing: pings, settings, window updates by the
//! byte, empty data, heads in crumbs, and requests that are taken back (rapid reset). Such frames
//! use up an allowance that time, requests and answers fill again, so that no honest use gets near.

use std::time::{Duration, Instant};

/// The bytes that a client sends before the first frame.
const PREFACE: usize = 24;
/// The length of what stands before the payload of every frame (RFC 9113, 4.1).
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Bytes of an answer that are worth a frame: clients that confirm often do so every 2 KiB.
const ANSWER_PER_FRAME: usize = 1024;
/// Frames that belong to a request: its head, and what opens and closes a window for it.
const FRAMES_PER_REQUEST: u32 = 4;

/// Why a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flood {
    /// Too many frames that ask for nothing.
    Frames,
    /// Too many requests taken back.
    Resets,
    /// A head did not end in time.
    LateHead,
}

/// So many of something, and so many more each second.
#[derive(Debug)]
struct Allowance {
    most: u32,
    per_second: u32,
    left: u32,
    filled: Instant,
}

impl Allowance {
    fn new(most: u32, per_second: u32, now: Instant) -> Self {
        Self {
            most,
            per_second,
            left: most,
            filled: now,
        }
    }

    fn add(&mut self, more: u32) {
        self.left = self.left.saturating_add(more).min(self.most);
    }

    /// Uses up one; whether there was one.
    fn take(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs();
        if seconds > 0 {
            self.filled += Duration::from_secs(seconds);
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            self.add(self.per_second.saturating_mul(seconds));
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

/// The state of a connection's frames.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes of the preface that are still to come.
    preface: usize,
    header: [u8; FRAME_HEADER],
    header_read: usize,
    /// Bytes of the current frame's payload that are still to come.
    payload: usize,
    /// A head has begun, and not ended.
    head_since: Option<Instant>,
    head_limit: Duration,
    frames: Allowance,
    resets: Allowance,
    /// Bytes of answers that have not made up a frame yet.
    answered: usize,
}

impl Meter {
    /// A connection of which nothing was read; a head may take `head_limit`.
    pub(super) fn new(head_limit: Duration, now: Instant) -> Self {
        Self {
            preface: PREFACE,
            header: [0; FRAME_HEADER],
            header_read: 0,
            payload: 0,
            head_since: None,
            head_limit,
            frames: Allowance::new(1000, 50, now),
            resets: Allowance::new(200, 20, now),
            answered: 0,
        }
    }

    /// Counts what has arrived.
    pub(super) fn read(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.header_read < FRAME_HEADER {
                self.header[self.header_read] = bytes[0];
                self.header_read += 1;
                bytes = &bytes[1..];
                if self.header_read == FRAME_HEADER {
                    self.begin_frame(now)?;
                }
            } else {
                let part = self.payload.min(bytes.len());
                self.payload -= part;
                bytes = &bytes[part..];
            }
            if self.header_read == FRAME_HEADER && self.payload == 0 {
                self.end_frame();
            }
        }
        self.check_head(now)
    }

    fn begin_frame(&mut self, now: Instant) -> Result<(), Flood> {
        let [a, b, c, kind, flags, ..] = self.header;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.head_since.get_or_insert(now);
        }
        let is_useful = kind == DATA && (self.payload > 0 || flags & END_STREAM != 0);
        if kind == RST_STREAM && !self.resets.take(now) {
            return Err(Flood::Resets);
        }
        if !is_useful && !self.frames.take(now) {
            return Err(Flood::Frames);
        }
        Ok(())
    }

    fn end_frame(&mut self) {
        let [.., kind, flags, _, _, _, _] = self.header;
        if matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0 {
            self.head_since = None;
        }
        self.header_read = 0;
    }

    /// Until when the head that has begun must have ended.
    pub(super) fn head_due(&self) -> Option<Instant> {
        self.head_since.map(|since| since + self.head_limit)
    }

    /// Whether the head that has begun is late.
    pub(super) fn check_head(&self, now: Instant) -> Result<(), Flood> {
        match self.head_due() {
            Some(due) if now >= due => Err(Flood::LateHead),
            _ => Ok(()),
        }
    }

    /// Counts a request: the frames that it takes are well spent.
    pub(super) fn accepted(&mut self) {
        self.frames.add(FRAMES_PER_REQUEST);
    }

    /// Counts bytes of answers that the client has taken.
    pub(super) fn written(&mut self, bytes: usize) {
        self.answered += bytes;
        let frames = self.answered / ANSWER_PER_FRAME;
        self.answered %= ANSWER_PER_FRAME;
        self.frames.add(u32::try_from(frames).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const PING: u8 = 6;
    const SETTINGS: u8 = 4;
    const PRIORITY: u8 = 2;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEADER + payload, 0);
        frame
    }

    fn meter(now: Instant) -> Meter {
        let mut meter = Meter::new(LIMIT, now);
        assert_eq!(meter.read(&[0; PREFACE], now), Ok(()));
        meter
    }

    /// How many of a frame are let through at one moment.
    fn passes(kind: u8, flags: u8, payload: usize) -> usize {
        let now = Instant::now();
        let mut meter = meter(now);
        let frame = frame(kind, flags, payload);
        (0..10_000)
            .take_while(|_| meter.read(&frame, now).is_ok())
            .count()
    }

    #[test]
    fn frames_that_ask_for_nothing_are_bounded() {
        for (kind, flags, payload, most) in [
            (PING, 0, 8, 1000),
            (PING, 1, 8, 1000),
            (SETTINGS, 0, 6, 1000),
            (SETTINGS, 0, 0, 1000),
            (PRIORITY, 0, 5, 1000),
            (WINDOW_UPDATE, 0, 4, 1000),
            (DATA, 0, 0, 1000),
            (HEADERS, END_HEADERS, 20, 1000),
            (HEADERS, 0, 0, 1000),
            (CONTINUATION, 0, 0, 1000),
            (200, 0, 100, 1000),
            (RST_STREAM, 0, 4, 200),
            (DATA, 0, 1, 10_000),
            (DATA, END_STREAM, 0, 10_000),
        ] {
            assert_eq!(
                passes(kind, flags, payload),
                most,
                "{kind} {flags} {payload}"
            );
        }
    }

    #[test]
    fn requests_and_answers_and_time_are_worth_frames() {
        let now = Instant::now();
        let mut busy = meter(now);
        for _ in 0..5000 {
            busy.read(&frame(HEADERS, END_HEADERS, 30), now).unwrap();
            busy.accepted();
            busy.read(&frame(WINDOW_UPDATE, 0, 4), now).unwrap();
            busy.read(&frame(WINDOW_UPDATE, 0, 4), now).unwrap();
        }
        let mut reader = meter(now);
        for _ in 0..5000 {
            reader.written(2048);
            reader.read(&frame(WINDOW_UPDATE, 0, 4), now).unwrap();
            reader.read(&frame(WINDOW_UPDATE, 0, 4), now).unwrap();
        }
        let mut patient = meter(now);
        for second in 0..1000 {
            let now = now + Duration::from_secs(second);
            for _ in 0..20 {
                patient.read(&frame(PING, 0, 8), now).unwrap();
                patient.read(&frame(RST_STREAM, 0, 4), now).unwrap();
            }
        }
    }

    #[test]
    fn a_window_opened_by_the_byte_is_a_flood() {
        let now = Instant::now();
        let mut meter = meter(now);
        let crumbs = (0..10_000).take_while(|_| {
            meter.written(10);
            meter.read(&frame(WINDOW_UPDATE, 0, 4), now).is_ok()
        });
        assert!((1000..1100).contains(&crumbs.count()));
    }

    #[test]
    fn a_head_must_end_in_time() {
        let now = Instant::now();
        let late = now + LIMIT;
        for begun in [
            frame(HEADERS, 0, 20),
            frame(HEADERS, END_HEADERS, 20)[..15].to_vec(),
            [frame(HEADERS, 0, 20), frame(CONTINUATION, 0, 20)].concat(),
            frame(HEADERS, END_HEADERS, 20)[..9].to_vec(),
        ] {
            let mut meter = meter(now);
            meter.read(&begun, now).unwrap();
            assert_eq!(meter.head_due(), Some(late));
            assert_eq!(meter.check_head(late - Duration::from_millis(1)), Ok(()));
            assert_eq!(meter.read(&[0], late), Err(Flood::LateHead));
        }
        let mut meter = meter(now);
        let whole = [frame(HEADERS, 0, 20), frame(CONTINUATION, END_HEADERS, 0)];
        meter.read(&whole.concat(), now).unwrap();
        assert_eq!(meter.head_due(), None);
        assert_eq!(meter.read(&frame(DATA, 0, 10), late), Ok(()));
    }

    proptest! {
        /// In whatever pieces the same bytes arrive, the verdict is the same.
        #[test]
        fn the_verdict_does_not_depend_on_the_pieces(
            frames in prop::collection::vec((0u8..12, 0u8..6, 0usize..40), 0..1500),
            piece in 1usize..50,
        ) {
            let bytes: Vec<u8> = frames
                .iter()
                .flat_map(|&(kind, flags, payload)| frame(kind, flags, payload))
                .collect();
            let now = Instant::now();
            let (mut whole, mut pieces) = (meter(now), meter(now));
            let expected = whole.read(&bytes, now);
            let seen = bytes.chunks(piece).try_for_each(|piece| pieces.read(piece, now));
            prop_assert_eq!(seen, expected);
            if expected.is_ok() {
                prop_assert_eq!(pieces.head_due(), whole.head_due());
            }
        }
    }
}
