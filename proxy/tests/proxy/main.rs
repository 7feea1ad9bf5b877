//! The proxy on real sockets: a running proxy, real upstream servers, bytes in and bytes out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answer;
mod binary;
mod changing;
mod commands;
mod compression;
mod drain;
mod edge;
mod event_streams;
mod explained_files;
mod failover;
mod figures;
mod forwarding;
mod fuzzing;
mod http2;
mod idempotency;
mod large_answers;
mod limits;
mod log_file;
mod log_lines;
mod long_work;
mod methods;
mod misbehaviour;
mod overload;
mod page_headers;
mod patience;
mod rates;
mod raw;
mod reloading;
mod retries;
mod secure;
mod smuggling;
mod static_files;
mod steady;
mod streamer;
mod streams;
mod support;
mod table;
mod talker;
mod tls;
mod unfit;
mod websocket;
