//! Sends one request of the probe, on a kept connection or one of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pooled, Error};
use hyper_util::rt::TokioExecutor;

use super::Settings;
use super::authorization::Authorization;
use super::outcome::Reply;
use crate::Fault;

/// A cheap handle; all clones share the kept connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pooled: Pooled<HttpConnector, Full<Bytes>>,
    base: String,
    timeout: Duration,
    authorization: Option<Authorization>,
}

/// The end of one request, with what an answer held.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) reply: Reply,
    pub(super) instance: Option<String>,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, Fault> {
        let url = &settings.url;
        let authority = url.authority().filter(|_| url.scheme_str() == Some("http"));
        let authority = authority.ok_or_else(|| {
            Fault::new(format!(
                "{url}: expected an address such as http://127.0.0.1:8080/"
            ))
        })?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Pooled::builder(TokioExecutor::new());
        if settings.new_connections {
            builder.pool_max_idle_per_host(0);
        }
        Ok(Self {
            pooled: builder.build(connector),
            base: format!("http://{authority}"),
            timeout: settings.timeout,
            authorization: settings.authorization.clone(),
        })
    }

    /// Where it sends to, without a path.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&self, method: Method, path: &str, body: Bytes) -> Ended {
        let exchange = self.exchange(method, path, body);
        let ended = tokio::time::timeout(self.timeout, exchange).await;
        ended.unwrap_or_else(|_| Ended::without_answer(Reply::Late))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Ended {
        let Ok(uri) = format!("{}{path}", self.base).parse::<Uri>() else {
            return Ended::without_answer(Reply::NotSent);
        };
        let mut request = Request::new(Full::new(body.clone()));
        let is_read = method == Method::GET;
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        if !body.is_empty() {
            let json = http::HeaderValue::from_static("application/json");
            request.headers_mut().insert("content-type", json);
        }
        // Reading is open to all; who reads shows nothing, as a browser would.
        if let Some(authorization) = self.authorization.as_ref().filter(|_| !is_read) {
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.header());
        }
        let (head, body) = match self.pooled.request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => return Ended::without_answer(without_head(&error)),
        };
        let Ok(body) = body.collect().await else {
            return Ended::without_answer(Reply::Cut);
        };
        let body = body.to_bytes();
        let unsure = head.status.as_u16() == 503 && leaves_open(&body);
        let text = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
        Ended {
            reply: Reply::Answer {
                status: head.status,
                retry_after: head.headers.contains_key("retry-after"),
                unsure,
            },
            instance: text("x-instance"),
            body,
        }
    }
}

impl Ended {
    fn without_answer(reply: Reply) -> Self {
        Self {
            reply,
            instance: None,
            body: Bytes::new(),
        }
    }

    /// Tells whether the answer was 2xx.
    pub(super) fn is_success(&self) -> bool {
        matches!(&self.reply, Reply::Answer { status, .. } if status.is_success())
    }
}

/// Tells whether an answer says that nobody knows what became of the request.
fn leaves_open(body: &[u8]) -> bool {
    let body = serde_json::from_slice::<serde_json::Value>(body);
    body.is_ok_and(|body| body["outcome"] == "unknown")
}

fn without_head(error: &Error) -> Reply {
    if error.is_connect() {
        Reply::NotSent
    } else {
        Reply::Cut
    }
}
