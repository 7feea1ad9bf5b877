//! The configuration as it is written: every key of the product has its place here.
//!
//! A key that is not here is refused. What a value may be, its type in [`super::setting`] says.
//! [`super::build`] takes every struct apart field by field, so that no key can be read and then
//! forgotten.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::files::{CacheControl, FileName, Policy};
use super::setting::{
    AccessLog, CookieName, Flag, Folder, Given, HealthPath, MethodName, Name, NumberUpTo, Period,
    PeriodOrNone, Size, TokenFile, Whole,
};
use super::tls::FilePath;
use crate::balance::Key;
use crate::idempotency::Idempotency;
use crate::route::{HostPattern, Prefix};
use crate::upstream::{Address, ServerName};

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Raw {
    pub(super) listen: Option<Spanned<Vec<Given<SocketAddr>>>>,
    pub(super) admin: Option<Given<SocketAddr>>,
    pub(super) admin_token_file: Option<Given<TokenFile>>,
    pub(super) threads: Option<Given<Whole<0, 1024>>>,
    #[serde(default)]
    pub(super) clients: RawClients,
    pub(super) tls: Option<Spanned<RawTls>>,
    #[serde(default)]
    pub(super) log: RawLog,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<RawRoute>>,
    #[serde(default)]
    pub(super) upstreams: BTreeMap<Spanned<String>, Spanned<RawUpstream>>,
}

/// `[clients]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawClients {
    #[serde(default)]
    pub(super) trusted_proxies: Vec<Given<IpNet>>,
    pub(super) header_timeout: Option<Given<Period>>,
    pub(super) idle_timeout: Option<Given<Period>>,
    pub(super) body_timeout: Option<Given<Period>>,
    pub(super) max_connections: Option<Given<Whole<1, 1_000_000>>>,
    pub(super) max_connections_per_address: Option<Given<Whole<0, 1_000_000>>>,
}

/// `[tls]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawTls {
    pub(super) listen: Option<Given<SocketAddr>>,
    pub(super) certificate: Option<Given<FilePath>>,
    pub(super) key: Option<Given<FilePath>>,
    pub(super) redirect: Option<Given<Flag>>,
}

/// `[log]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawLog {
    pub(super) access: Option<Given<AccessLog>>,
}

/// One of `[[routes]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawRoute {
    pub(super) host: Option<Given<HostPattern>>,
    pub(super) path: Option<Given<Prefix>>,
    pub(super) files: Option<Given<Folder>>,
    pub(super) cache_control: Option<Given<CacheControl>>,
    pub(super) fallback: Option<Given<FileName>>,
    pub(super) content_security_policy: Option<Given<Policy>>,
    pub(super) upstream: Option<Given<Name>>,
    pub(super) max_body: Option<Given<Size>>,
    pub(super) idempotency: Option<Given<Idempotency>>,
    pub(super) rate_limit: Option<Spanned<RawRateLimit>>,
    pub(super) websocket: Option<Given<Flag>>,
    pub(super) compress: Option<Given<Flag>>,
}

/// `rate_limit` of a route
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { requests = 100, per = \"1s\", burst = 200 }"
)]
pub(super) struct RawRateLimit {
    pub(super) requests: Option<Given<Whole<1, 1_000_000>>>,
    pub(super) per: Option<Given<Period>>,
    pub(super) burst: Option<Given<Whole<1, 1_000_000>>>,
}

/// One of `[upstreams.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawUpstream {
    pub(super) method: Option<Given<MethodName>>,
    pub(super) servers: Option<Spanned<Vec<Spanned<RawServer>>>>,
    pub(super) sticky: Option<Spanned<RawSticky>>,
    pub(super) hash: Option<Given<Key>>,
    pub(super) resolve: Option<Given<Period>>,
    pub(super) slow_start: Option<Given<PeriodOrNone>>,
    pub(super) max_connections: Option<Given<Whole<0, 1_000_000>>>,
    #[serde(default)]
    pub(super) queue: RawQueue,
    #[serde(default)]
    pub(super) timeouts: RawTimeouts,
    #[serde(default)]
    pub(super) retry: RawRetry,
    #[serde(default)]
    pub(super) health: RawHealth,
    #[serde(default)]
    pub(super) eject: RawEject,
    pub(super) tls: Option<Spanned<RawUpstreamTls>>,
}

/// One of `servers`
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { address = \"api:8000\" }"
)]
pub(super) struct RawServer {
    pub(super) address: Option<Given<Address>>,
    pub(super) weight: Option<Given<Whole<0, 1000>>>,
    pub(super) backup: Option<Given<Flag>>,
    pub(super) down: Option<Given<Flag>>,
    pub(super) max_connections: Option<Given<Whole<0, 1_000_000>>>,
}

/// `sticky` of an upstream
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table such as { cookie = \"lb\" }")]
pub(super) struct RawSticky {
    pub(super) cookie: Option<Given<CookieName>>,
}

/// `tls` of an upstream
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawUpstreamTls {
    pub(super) server_name: Option<Given<ServerName>>,
    pub(super) ca: Option<Given<FilePath>>,
}

/// `queue` of an upstream
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawQueue {
    pub(super) length: Option<Given<Whole<0, 100_000>>>,
    pub(super) wait: Option<Given<Period>>,
}

/// `timeouts` of an upstream
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawTimeouts {
    pub(super) connect: Option<Given<Period>>,
    pub(super) first_byte: Option<Given<Period>>,
    pub(super) request: Option<Given<Period>>,
    pub(super) idle: Option<Given<Period>>,
    pub(super) keep_alive: Option<Given<Period>>,
}

/// `retry` of an upstream
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawRetry {
    pub(super) tries: Option<Given<Whole<1, 16>>>,
    pub(super) budget: Option<Given<NumberUpTo<10>>>,
}

/// `health` of an upstream
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawHealth {
    pub(super) path: Option<Given<HealthPath>>,
    pub(super) every: Option<Given<Period>>,
    pub(super) timeout: Option<Given<Period>>,
    pub(super) rise: Option<Given<Whole<1, 100>>>,
    pub(super) fall: Option<Given<Whole<1, 100>>>,
}

/// `eject` of an upstream
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawEject {
    pub(super) consecutive_5xx: Option<Given<Whole<1, 1000>>>,
    pub(super) base: Option<Given<Period>>,
    pub(super) cap: Option<Given<Period>>,
    pub(super) at_most: Option<Given<NumberUpTo<1>>>,
}
