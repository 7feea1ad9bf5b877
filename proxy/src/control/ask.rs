//! One question to the admin listener of a running proxy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::admin::token;
use crate::config::{self, Refused};

/// For a whole question; a reload may wait a while for new servers.
const LIMIT: Duration = Duration::from_secs(15);
/// The longest answer.
const LONGEST: usize = 16 << 20;
/// What a name keeps as a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b':');

/// What went wrong, in a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// The admin listener of a running proxy.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    token_file: Option<PathBuf>,
}

impl Admin {
    /// Finds the listener: at `address`, or where the configuration says.
    pub fn find(address: Option<SocketAddr>, config: &Path) -> Result<Self, Refused> {
        let configured = config::admin_access(config);
        match (address, configured) {
            // Whoever says where it is need not have the file.
            (Some(address), configured) => Ok(Self {
                address,
                token_file: configured.ok().and_then(|access| access.token_file),
            }),
            (None, Ok(access)) => Ok(Self {
                address: access.address,
                token_file: access.token_file,
            }),
            (None, Err(refused)) => Err(refused),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.ask(Method::GET, path, "").await
    }

    pub(super) async fn post(&self, path: &str) -> Result<Value, Fault> {
        self.ask(Method::POST, path, "").await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.ask(Method::PATCH, path, &body.to_string()).await
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Value, Fault> {
        let fault = |why: String| Fault(format!("the proxy at {}: {why}", self.address));
        let answer = tokio::time::timeout(LIMIT, self.exchange(method, path, body)).await;
        let (status, answer) = answer
            .map_err(|_| fault(format!("no answer within {LIMIT:?}")))?
            .map_err(|error| fault(error.to_string()))?;
        if status.is_success() {
            return Ok(answer);
        }
        let detail = answer["detail"].as_str().unwrap_or("no reason given");
        let faults = answer["faults"].as_array();
        let faults = faults.map(|all| all.iter().filter_map(Value::as_str));
        let faults: String = faults
            .into_iter()
            .flatten()
            .map(|one| format!("\n{one}"))
            .collect();
        Err(fault(format!("{}: {detail}{faults}", status.as_u16())))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<(StatusCode, Value), Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::CONNECTION, "close")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(file) = &self.token_file {
            let text = tokio::fs::read_to_string(file).await.unwrap_or_default();
            if let Some(token) = token::of_file(&text) {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
        let stream = TokioIo::new(TcpStream::connect(self.address).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        // It ends with the answer; what goes wrong with it shows there.
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let bytes = Limited::new(answer.into_body(), LONGEST)
            .collect()
            .await?
            .to_bytes();
        connection.abort();
        Ok((status, serde_json::from_slice(&bytes)?))
    }
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}
