//! Reads `heads.cases`, which says itself how a case is written.

const TABLE: &str = include_str!("heads.cases");

/// One case of the table.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The pieces of the body; `None` if the head ends the request.
    pub(super) body: Option<Vec<Vec<u8>>>,
    /// The words of which one must come true: a status, `reset`, `closed`.
    pub(super) expected: Vec<String>,
    /// `METHOD TARGET "BODY"` and then `name: value` of what the upstream reads.
    pub(super) read: Vec<String>,
    pub(super) read_is_optional: bool,
    pub(super) fields_read: Vec<(String, String)>,
}

/// Returns all cases, in the order of the file.
pub(super) fn cases() -> Vec<Case> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let blocks = text.split("\n\n").map(str::trim);
    blocks.filter(|block| !block.is_empty()).map(case).collect()
}

fn case(block: &str) -> Case {
    let mut case = Case::default();
    let mut lines = block.lines();
    case.name = lines.next().unwrap().to_owned();
    for line in lines {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            ">" => {
                let at = 1 + rest[1..].find(": ").unwrap();
                case.fields
                    .push((unescape(&rest[..at]), unescape(&rest[at + 2..])));
            }
            "GET" | "POST" => {
                let plain = [
                    (":method", mark),
                    (":scheme", "http"),
                    (":authority", "x"),
                    (":path", rest),
                ];
                let plain = plain.map(|(name, value)| (unescape(name), unescape(value)));
                case.fields.extend(plain);
            }
            "+" => case.body.get_or_insert_default().push(unescape(rest)),
            "<" => case.expected = rest.split('|').map(str::to_owned).collect(),
            "^" | "^?" => {
                let read = String::from_utf8_lossy(&unescape(rest)).into_owned();
                case.read.push(read);
                case.read_is_optional = mark == "^?";
            }
            "^:" => {
                let (name, value) = rest.split_once(": ").unwrap();
                case.fields_read.push((name.to_owned(), value.to_owned()));
            }
            _ => panic!("{line:?} in {}", case.name),
        }
    }
    assert!(!case.expected.is_empty(), "{}", case.name);
    case
}

/// `\xNN` is a byte, `{N*text}` is text N times over.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else if let Some((count, end)) = repeated(rest) {
            let (times, text) = count;
            bytes.extend(text.repeat(times).into_bytes());
            rest = end;
        } else {
            bytes.extend(first.to_string().into_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

fn repeated(text: &str) -> Option<((usize, &str), &str)> {
    let (inner, rest) = text.strip_prefix('{')?.split_once('}')?;
    let (times, text) = inner.split_once('*')?;
    Some(((times.parse().ok()?, text), rest))
}
