//! Texts of the table: what is short in a file and long in a request, and what an answer may say.

use std::collections::BTreeMap;

/// Writes out `{a*5000}`.
pub(crate) fn expand(text: &str) -> String {
    pieces(text)
        .map(|piece| match piece {
            Piece::Repeated(text, times) => text.repeat(times),
            Piece::Text(text) => text.to_owned(),
            Piece::Name(name) => format!("{{{name}}}"),
        })
        .collect()
}

/// Reads `\xff`, `\r`, `\n` and `\\`.
pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = match after.as_bytes().first()? {
            b'r' => (b'\r', 1),
            b'n' => (b'\n', 1),
            b'\\' => (b'\\', 1),
            b'x' => (u8::from_str_radix(after.get(1..3)?, 16).ok()?, 3),
            _ => return None,
        };
        bytes.push(byte);
        rest = &after[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// What an answer must say, with names in the place of what the server makes.
#[derive(Clone, Debug)]
pub(crate) struct Words(String);

/// What names stand for so far.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    known: BTreeMap<String, String>,
    /// Those of the answer that is looked at.
    new: BTreeMap<String, String>,
}

impl Words {
    pub(crate) fn new(source: String) -> Self {
        Self(source)
    }

    pub(crate) fn source(&self) -> &str {
        &self.0
    }

    /// Tells whether an answer says this, and gives the names their meanings.
    pub(crate) fn are_said(&self, answer: &str, meanings: &mut Meanings) -> bool {
        meanings.new.clear();
        let mut rest = answer;
        let mut pieces = pieces(&self.0).peekable();
        while let Some(piece) = pieces.next() {
            let length = match piece {
                Piece::Text(text) => rest.starts_with(text).then_some(text.len()),
                Piece::Repeated(text, times) => {
                    let length = text.len() * times;
                    let text = rest.get(..length);
                    text.filter(|found| *found == piece.to_text()).map(str::len)
                }
                Piece::Name("text") => match pieces.peek() {
                    Some(Piece::Text(next)) => rest.find(next),
                    _ => Some(rest.len()),
                },
                Piece::Name(name) => meanings.length_of(name, rest),
            };
            let Some(length) = length else { return false };
            rest = &rest[length..];
        }
        if rest.is_empty() {
            meanings.known.append(&mut meanings.new);
        }
        rest.is_empty()
    }
}

impl Meanings {
    /// Returns how much of `rest` the name stands for, if it can stand there.
    fn length_of(&mut self, name: &str, rest: &str) -> Option<usize> {
        if let Some(known) = self.known.get(name).or_else(|| self.new.get(name)) {
            return rest.starts_with(known.as_str()).then_some(known.len());
        }
        let end = rest.find(['"', ',', '}']).unwrap_or(rest.len());
        let text = &rest[..end];
        let is_time = name.starts_with("time");
        let fits = if is_time {
            is_timestamp(text)
        } else {
            text.parse::<i64>().is_ok()
        };
        // What moves is no longer what it was.
        let is_new = !is_time || self.known.values().all(|known| known != text);
        (fits && is_new).then(|| {
            self.new.insert(name.to_owned(), text.to_owned());
            end
        })
    }
}

/// RFC 3339 in UTC, with microseconds or none.
fn is_timestamp(text: &str) -> bool {
    let digits = |text: &str| {
        text.bytes()
            .map(|byte| {
                if byte.is_ascii_digit() {
                    '0'
                } else {
                    char::from(byte)
                }
            })
            .collect::<String>()
    };
    ["0000-00-00T00:00:00.000000Z", "0000-00-00T00:00:00Z"].contains(&digits(text).as_str())
}

#[derive(Clone, Copy)]
enum Piece<'text> {
    Text(&'text str),
    Repeated(&'text str, usize),
    Name(&'text str),
}

impl Piece<'_> {
    fn to_text(self) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Repeated(text, times) => text.repeat(times),
            Self::Name(_) => String::new(),
        }
    }
}

/// Cuts a text at `{name}` and `{a*5000}`. JSON has no such braces: a quote follows them, or another brace.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((piece, length)) = braces(rest) {
            rest = &rest[length..];
            return Some(piece);
        }
        let next = |at: &usize| braces(&rest[*at..]).is_some();
        let mut openings = rest.match_indices('{').map(|(at, _)| at).filter(next);
        let (text, after) = rest.split_at(openings.next().unwrap_or(rest.len()));
        rest = after;
        Some(Piece::Text(text))
    })
}

/// Reads braces that stand at the beginning, and says how long they are.
fn braces(text: &str) -> Option<(Piece<'_>, usize)> {
    let inner = text.strip_prefix('{')?.split_once('}')?.0;
    let length = inner.len() + 2;
    let repeated = inner.split_once('*');
    if let Some((letter, times)) = repeated.filter(|(letter, _)| letter.chars().count() == 1) {
        let times = times.parse().ok()?;
        return Some((Piece::Repeated(letter, times), length));
    }
    let name = inner.trim_end_matches(|end: char| end.is_ascii_alphanumeric());
    let known = ["time", "id", "days", "text", "jar", "csrf", "sid", "oldsid"];
    let is_known = name.is_empty() && known.iter().any(|known| inner.starts_with(known));
    is_known.then_some((Piece::Name(inner), length))
}
