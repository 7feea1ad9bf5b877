//! `proxy explain`: asks a running proxy where a request would go, and says it in a table.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::AdminArguments;

/// For the whole question.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// The request that is to be explained.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Flags {
    /// Its path.
    #[arg(value_name = "PATH")]
    path: String,

    /// Its method.
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,

    /// The host that it names.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,

    /// The address that it comes from.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    client: IpAddr,

    /// A field of its header, again for each.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// Prints the answer as it came.
    #[arg(long)]
    json: bool,

    /// Where the proxy is.
    #[command(flatten)]
    pub admin: AdminArguments,
}

impl Flags {
    fn target(&self) -> String {
        let mut pairs = vec![("path", self.path.clone()), ("method", self.method.clone())];
        pairs.push(("client", self.client.to_string()));
        pairs.extend(self.host.clone().map(|host| ("host", host)));
        pairs.extend(self.header.iter().cloned().map(|header| ("header", header)));
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
            .collect();
        format!("/explain?{}", pairs.join("&"))
    }
}

/// Asks the proxy whose admin listener is at `admin`; the error says in words what is wrong.
pub async fn ask(admin: SocketAddr, flags: &Flags) -> Result<String, String> {
    let exchange = exchange(admin, flags.target());
    let answer = tokio::time::timeout(LIMIT, exchange)
        .await
        .map_err(|_| format!("no answer from {admin} within {LIMIT:?}"))?
        .map_err(|error| format!("no answer from {admin}: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let value: Value =
        serde_json::from_str(body).map_err(|_| format!("{admin} gave no answer to this"))?;
    if head.split(' ').nth(1) != Some("200") {
        let told = value["detail"].as_str().unwrap_or("it was refused");
        return Err(told.to_owned());
    }
    if flags.json {
        return Ok(body.trim_end().to_owned());
    }
    Ok(table(&value))
}

/// HTTP/1.0: the answer ends with its connection.
async fn exchange(admin: SocketAddr, target: String) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET {target} HTTP/1.0\r\nHost: {admin}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).await?;
    Ok(answer)
}

fn table(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or("none");
    let mut lines = format!("{} from {}\n", text("request"), text("client"));
    // Writing into a string cannot fail.
    let _ = writeln!(lines, "route     {}", text("route"));
    if let Some(status) = answer["refused"]["status"].as_u64() {
        let why = answer["refused"]["why"].as_str().unwrap_or_default();
        let _ = writeln!(lines, "refused   {status}: {why}");
        return lines.trim_end().to_owned();
    }
    if let Some(limit) = answer["rate_limit"].as_object() {
        let rate = format!(
            "{} in {} from a client, {} at once",
            limit["requests"],
            limit["per"].as_str().unwrap_or_default(),
            limit["burst"]
        );
        let verdict = match limit["retry_after"].as_u64() {
            Some(seconds) => format!("refused now with 429, Retry-After: {seconds}"),
            None => "let in now".to_owned(),
        };
        let _ = writeln!(lines, "limit     {rate}: {verdict}");
    }
    match answer["target"].as_str() {
        Some("files") => {
            let name = match (answer["file"].as_str(), answer["redirect"] == true) {
                (Some(name), _) => name,
                (None, true) => "a folder: 301 to the same path with a slash",
                (None, false) => "answered by the proxy itself",
            };
            let instead = match answer["is_fallback"] == true {
                true => ", the fallback: there is no such file",
                false => "",
            };
            let _ = writeln!(lines, "file      {name}{instead}");
        }
        Some(_) => {
            let _ = writeln!(lines, "upstream  {}, {}", text("upstream"), text("method"));
            let by = answer["hash"].as_str();
            if let (Some(by), Some(has)) = (by, answer["has_key"].as_bool()) {
                let missing = if has {
                    ""
                } else {
                    ", which this request lacks: it takes turns"
                };
                let _ = writeln!(lines, "hashed by {by}{missing}");
            }
            let nobody = answer["nobody"].as_str().unwrap_or("none");
            let picked = answer["picked"].as_str().unwrap_or(nobody);
            let _ = writeln!(lines, "picked    {picked}\n");
            for server in answer["candidates"].as_array().into_iter().flatten() {
                candidate(&mut lines, server);
            }
        }
        None => lines.push_str("no route matches: 404\n"),
    }
    lines.trim_end().to_owned()
}

fn candidate(lines: &mut String, server: &Value) {
    let text = |key: &str| server[key].as_str().unwrap_or_default();
    let mark = if server["picked"] == true { "=>" } else { "  " };
    let mut load = format!(
        "weight {}, {} in flight",
        server["weight"], server["in_flight"]
    );
    if let Some(most) = server["max_connections"].as_u64() {
        let _ = write!(load, " of {most}");
    }
    if let Some(time) = server["first_byte_ms"].as_f64() {
        let _ = write!(load, ", first byte {time:.1} ms");
    }
    if server["backup"] == true {
        load.push_str(", backup");
    }
    let cause = server["cause"].as_str();
    let state = cause.map_or_else(|| text("state").to_owned(), |cause| format!("out: {cause}"));
    let _ = writeln!(lines, "{mark} {} ({state}; {load})", text("endpoint"));
    let _ = writeln!(lines, "     {}", text("why"));
}
