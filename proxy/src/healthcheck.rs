//! `proxy healthcheck`: asks a running proxy's admin listener whether it is well.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::single_get::single_get;

/// For the whole question.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks the proxy whose admin listener is at `admin`; says in words what is wrong.
pub async fn ask(admin: SocketAddr) -> Result<(), String> {
    tokio::time::timeout(LIMIT, exchange(admin))
        .await
        .map_err(|_| format!("no answer from {admin} within {LIMIT:?}"))?
        .map_err(|error| format!("no answer from {admin}: {error}"))
        .and_then(|status| match status.is_success() {
            true => Ok(()),
            false => Err(format!("{admin} answered {status}")),
        })
}

async fn exchange(admin: SocketAddr) -> io::Result<http::StatusCode> {
    let stream = TcpStream::connect(admin).await?;
    let answer = single_get(stream, &admin.to_string(), "/healthz").await?;
    Ok(answer.status())
}
