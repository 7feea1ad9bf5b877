//! A `WebSocket` that a server has taken: from here on bytes pass both ways, until one side closes.
//!
//! It counts as in flight all the while, on its route and on its server, and may be silent for as
//! long as both sides like. When the proxy stops it is given less time than a request: it may
//! never end by itself, and whoever speaks over it has to be able to connect anew in any case.

use std::sync::Arc;
use std::time::Duration;

use http::header;
use pingora_error::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use tokio_util::task::AbortOnDropHandle;

use super::exchange::Exchange;
use super::{harden, passing};
use crate::drain::{Drain, Phase};
use crate::front::client::ClientStream;
use crate::upstream::dialler::CutHandle;

/// How long a tunnel may go on after connections between two requests have been closed.
const PARTING: Duration = Duration::from_secs(2);

/// An open tunnel.
#[derive(Debug)]
pub struct Tunnel {
    /// Ends it when the proxy stops.
    _guard: AbortOnDropHandle<()>,
}

/// Keeps a handshake back that is about to be written.
///
/// Pingora passes on the end of the request, which has no body, when it has written its head. A server that answers
/// before that is read on the other side would have it taken for the end of the tunnel: the tunnel would
/// end as soon as it is open. So the server gets the handshake only when the end has been passed on.
pub(super) fn keep_back(exchange: &Exchange) {
    if let Some(connection) = connection(exchange) {
        connection.keep_back();
    }
}

/// Sends a handshake that was kept back, as soon as the task that now passes on its end has come to rest.
pub(super) fn let_go(exchange: &Exchange) {
    if let Some(connection) = connection(exchange).cloned() {
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            connection.let_go();
        });
    }
}

fn connection(exchange: &Exchange) -> Option<&Arc<CutHandle>> {
    exchange.current.as_ref()?.open.connection()
}

/// Opens the tunnel behind an answer of 101, which was judged before, and rewrites its header.
pub(super) fn open(
    session: &mut Session,
    answer: &mut ResponseHeader,
    exchange: &mut Exchange,
    drain: &Arc<Drain>,
) -> Result<()> {
    passing::rewrite_answer(session, answer, exchange)?;
    harden(answer, exchange)?;
    // Nothing but the tunnel follows.
    answer.remove_header(&header::CONTENT_LENGTH);
    answer.remove_header(&header::TRANSFER_ENCODING);
    answer.insert_header(header::CONNECTION, "Upgrade")?;
    answer.insert_header(header::UPGRADE, "websocket")?;
    session.set_read_timeout(None);
    let client = session.as_downstream().stream();
    if let Some(client) = client.and_then(|stream| stream.as_any().downcast_ref::<ClientStream>()) {
        client.open_tunnel();
    }
    let Some(current) = &exchange.current else {
        return Ok(());
    };
    current.open.became_tunnel();
    let (entry, drain) = (current.open.handle(), Arc::clone(drain));
    let guard = tokio::spawn(async move {
        drain.reached(Phase::Closing).await;
        tokio::time::sleep(PARTING).await;
        entry.disconnect();
    });
    exchange.tunnel = Some(Tunnel {
        _guard: AbortOnDropHandle::new(guard),
    });
    Ok(())
}
