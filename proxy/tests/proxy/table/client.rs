//! A client that takes an answer by the letter of RFC 9112 and says how it ended.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Whatever is waited for takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By its length, its last chunk, or because it has no body.
    Whole,
    /// By a proper end of the connection, which is all that delimits it.
    ByClose,
    /// The connection ended before the answer did.
    Cut,
}

/// An answer as the client read it.
#[derive(Debug)]
pub(crate) struct Got {
    /// The statuses of interim answers and the final one.
    pub(crate) statuses: Vec<u16>,
    /// Every field of every head, its name in small letters.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) end: End,
}

impl Got {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field == name)
    }

    pub(crate) fn has_value(&self, name: &str, value: &str) -> bool {
        let wanted = (name.to_owned(), value.to_owned());
        self.fields.contains(&wanted)
    }
}

/// Reads answers from one connection.
pub(crate) struct Client<'s, S> {
    stream: &'s mut S,
    ahead: Vec<u8>,
}

/// What an answer cannot be read for.
type Odd = String;

impl<'s, S: AsyncRead + Unpin> Client<'s, S> {
    pub(crate) fn new(stream: &'s mut S) -> Self {
        let ahead = Vec::new();
        Self { stream, ahead }
    }

    /// Reads one answer and the interim ones before it; `None` when the connection has ended.
    pub(crate) async fn answer(&mut self, to_head: bool) -> Result<Option<Got>, Odd> {
        let mut got = Got {
            statuses: Vec::new(),
            fields: Vec::new(),
            body: Vec::new(),
            end: End::Whole,
        };
        let own = loop {
            let Some(head) = self.head().await? else {
                let nothing = self.ahead.is_empty() && got.statuses.is_empty();
                got.end = End::Cut;
                return Ok((!nothing).then_some(got));
            };
            let (status, fields) = parse(&head)?;
            got.statuses.push(status);
            let end = fields.clone();
            got.fields.extend(fields);
            if status >= 200 {
                break end;
            }
        };
        let status = got.statuses.last().copied().unwrap_or(0);
        let bodiless = to_head || matches!(status, 204 | 304);
        got.end = self.body(&own, bodiless, &mut got.body).await?;
        Ok(Some(got))
    }

    /// What has come that belongs to no answer, up to the end of the connection.
    pub(crate) async fn until_the_end(&mut self) -> Result<Vec<u8>, Odd> {
        while self.more().await? == Some(true) {}
        Ok(std::mem::take(&mut self.ahead))
    }

    async fn head(&mut self) -> Result<Option<Vec<u8>>, Odd> {
        loop {
            if let Some(at) = find(&self.ahead, b"\r\n\r\n") {
                return Ok(Some(self.ahead.drain(..at + 4).collect()));
            }
            if self.more().await?.is_none() {
                return Ok(None);
            }
        }
    }

    async fn body(
        &mut self,
        fields: &[(String, String)],
        bodiless: bool,
        body: &mut Vec<u8>,
    ) -> Result<End, Odd> {
        let of = |name: &str| -> Vec<&str> {
            let named = fields.iter().filter(|(field, _)| field == name);
            named.map(|(_, value)| value.as_str()).collect()
        };
        let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
        if bodiless {
            return Ok(End::Whole);
        }
        match (lengths.as_slice(), codings.as_slice()) {
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => self.chunks(body).await,
            ([length], []) => {
                let is_number = length.bytes().all(|b| b.is_ascii_digit());
                let length = length.parse().ok().filter(|_| is_number);
                self.take(length.ok_or("no length")?, body).await
            }
            ([], []) => self.until_closed(body).await,
            both => Err(format!("framed by {both:?}")),
        }
    }

    async fn until_closed(&mut self, body: &mut Vec<u8>) -> Result<End, Odd> {
        loop {
            body.append(&mut self.ahead);
            match self.more().await? {
                Some(true) => {}
                Some(false) => return Ok(End::Cut),
                None => return Ok(End::ByClose),
            }
        }
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> Result<End, Odd> {
        loop {
            let Some(line) = self.line().await? else {
                return Ok(End::Cut);
            };
            let digits = line.bytes().all(|byte| byte.is_ascii_hexdigit());
            let size = usize::from_str_radix(&line, 16).ok().filter(|_| digits);
            let size = size.ok_or_else(|| format!("a chunk of size {line:?}"))?;
            if self.take(size, body).await? == End::Cut {
                return Ok(End::Cut);
            }
            match self.line().await?.as_deref() {
                None => return Ok(End::Cut),
                Some("") if size == 0 => return Ok(End::Whole),
                Some("") => {}
                Some(other) => return Err(format!("behind a chunk: {other:?}")),
            }
        }
    }

    async fn take(&mut self, length: usize, body: &mut Vec<u8>) -> Result<End, Odd> {
        let mut left = length;
        loop {
            let here = left.min(self.ahead.len());
            body.extend(self.ahead.drain(..here));
            left -= here;
            if left == 0 {
                return Ok(End::Whole);
            }
            if self.more().await? != Some(true) {
                return Ok(End::Cut);
            }
        }
    }

    async fn line(&mut self) -> Result<Option<String>, Odd> {
        loop {
            if let Some(at) = find(&self.ahead, b"\r\n") {
                let line = self.ahead.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map(Some).map_err(|e| e.to_string());
            }
            if self.more().await? != Some(true) {
                return Ok(None);
            }
        }
    }

    /// Reads on: `Some(true)` when something came, `Some(false)` when the connection broke, `None`
    /// at its proper end.
    async fn more(&mut self) -> Result<Option<bool>, Odd> {
        match timeout(PATIENCE, self.stream.read_buf(&mut self.ahead)).await {
            Err(_) => Err(format!("waited in vain behind {:?}", self.ahead)),
            Ok(Ok(0)) => Ok(None),
            Ok(Ok(_)) => Ok(Some(true)),
            Ok(Err(_)) => Ok(Some(false)),
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut windows = bytes.windows(wanted.len());
    windows.position(|window| window == wanted)
}

/// Takes a head apart and is content with nothing but the grammar.
fn parse(head: &[u8]) -> Result<(u16, Vec<(String, String)>), Odd> {
    let odd = || format!("a head {:?}", String::from_utf8_lossy(head));
    let text: String = head.iter().map(|&byte| char::from(byte)).collect();
    let text = text.strip_suffix("\r\n\r\n").ok_or_else(odd)?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().ok_or_else(odd)?;
    let status = status_line.strip_prefix("HTTP/1.1 ").ok_or_else(odd)?;
    let (status, _reason) = status.split_at_checked(3).ok_or_else(odd)?;
    let number: u16 = status.parse().map_err(|_| odd())?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(odd)?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(odd());
        }
        let value = value.trim_matches([' ', '\t']).to_owned();
        fields.push((name.to_ascii_lowercase(), value));
    }
    let clean = |c: char| c == '\t' || c >= ' ' && c != '\x7f';
    if !text.replace("\r\n", "").chars().all(clean) || !(100..600).contains(&number) {
        return Err(odd());
    }
    Ok((number, fields))
}
