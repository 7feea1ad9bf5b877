//! Reads `requests.cases`, which says itself how a case is written.

const TABLE: &str = include_str!("requests.cases");

/// One case of the table.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) sent: Vec<u8>,
    /// Each answer's statuses that are right, and whether a body follows.
    pub(super) answers: Vec<(Vec<u16>, bool)>,
    pub(super) may_be_kept: bool,
    pub(super) may_be_closed: bool,
    /// `METHOD TARGET "BODY"` of each request that the upstream reads.
    pub(super) read: Vec<String>,
    /// It may as well read nothing, if the answer is no 200.
    pub(super) read_is_optional: bool,
}

/// Returns all cases, in the order of the file.
pub(super) fn cases() -> Vec<Case> {
    blocks(TABLE).iter().map(|block| case(block)).collect()
}

/// Returns the cases of a table as they are written, without comments and headlines.
pub(super) fn blocks(table: &str) -> Vec<String> {
    let lines = table
        .lines()
        .filter(|line| !line.starts_with("# ") && *line != "#" && !line.starts_with("== "));
    let text = lines.collect::<Vec<_>>().join("\n");
    let blocks = text.split("\n\n").map(str::trim_start);
    blocks
        .map(|block| block.trim_start_matches('\n').to_owned())
        .filter(|block| !block.is_empty())
        .collect()
}

fn case(block: &str) -> Case {
    let mut lines = block.lines();
    let mut case = Case {
        name: lines.next().unwrap().to_owned(),
        sent: Vec::new(),
        answers: Vec::new(),
        may_be_kept: false,
        may_be_closed: false,
        read: Vec::new(),
        read_is_optional: false,
    };
    for line in lines {
        let (mark, rest) = line.split_once(' ').unwrap();
        match mark {
            ">" => case.sent.extend(unescape(rest)),
            "<" => expect(&mut case, rest),
            "^" => case.read.push(shown(rest)),
            "^?" => {
                case.read.push(shown(rest));
                case.read_is_optional = true;
            }
            _ => {
                let times = mark.strip_prefix("^*").unwrap().parse().unwrap();
                case.read.extend(vec![shown(rest); times]);
            }
        }
    }
    assert!(
        !case.sent.is_empty() && !case.answers.is_empty(),
        "{case:?}"
    );
    case
}

fn expect(case: &mut Case, line: &str) {
    for word in line.split(' ') {
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            let bare = word.strip_suffix('-');
            let statuses = bare.unwrap_or(word).split('|');
            let statuses = statuses.map(|status| status.parse().unwrap()).collect();
            case.answers.push((statuses, bare.is_none()));
        } else {
            case.may_be_kept |= word.contains("kept");
            case.may_be_closed |= word.contains("close");
        }
    }
}

/// What is written of a request in the table, with its escapes undone.
fn shown(line: &str) -> String {
    String::from_utf8_lossy(&unescape(line)).into_owned()
}

/// Undoes escapes and repetitions, which may stand in each other.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((times, inner, after)) = repetition(rest) {
            bytes.extend(unescape(inner).repeat(times));
            rest = after;
        } else if let Some(escaped) = rest.strip_prefix('\\') {
            let (byte, length) = escape(escaped);
            bytes.push(byte);
            rest = &escaped[length..];
        } else {
            bytes.extend(first.to_string().bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

fn escape(text: &str) -> (u8, usize) {
    match text.as_bytes()[0] {
        b'r' => (b'\r', 1),
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'0' => (0, 1),
        b'x' => (u8::from_str_radix(&text[1..3], 16).unwrap(), 3),
        other => (other, 1),
    }
}

/// Finds `{N*text}` at the beginning.
fn repetition(text: &str) -> Option<(usize, &str, &str)> {
    let (times, inner) = text.strip_prefix('{')?.split_once('*')?;
    let times = times.parse().ok()?;
    let mut depth = 1;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((times, &inner[..at], &inner[at + 1..]));
        }
    }
    None
}
