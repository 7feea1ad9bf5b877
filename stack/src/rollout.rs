//! `stack rollout`: every API instance is replaced by a new one, in turn, and no client notices.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::Fault;
use crate::admin::{Mode, set_mode};
use crate::health::proxy_status;
use crate::keeper::{Keeper, Order, State};
use crate::supervisor::{Say, Supervisor};

/// How long the requests of an instance that gets no new ones may take.
const UNTIL_IDLE: Duration = Duration::from_secs(30);
/// How long the proxy may take to see a new instance.
const UNTIL_SEEN: Duration = Duration::from_secs(10);
/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Replaces one instance after the other; an instance that is down already is left alone.
pub async fn rollout(supervisor: &Supervisor, say: &Say) -> Result<(), Fault> {
    for service in supervisor.services() {
        if service.weight.is_none() {
            continue;
        }
        for (index, keeper) in service.instances.iter().enumerate() {
            if keeper.condition().state != State::Running {
                continue;
            }
            replace(supervisor, &service.name, index + 1, keeper).await?;
            // Whoever asked may have gone; the work goes on.
            let _ = say.try_send(format!("{} replaced, and healthy", keeper.name));
        }
    }
    Ok(())
}

async fn replace(
    supervisor: &Supervisor,
    service: &str,
    number: usize,
    keeper: &Keeper,
) -> Result<(), Fault> {
    let socket = supervisor.api_socket(service, number);
    let server = format!("unix:{}", socket.display());
    let admin = supervisor.admin();
    set_mode(admin, &server, Mode::Drain).await?;
    if !is_idle(admin, &socket).await {
        // It finishes by itself what it has, as far as it is given the time.
        set_mode(admin, &server, Mode::Ready).await?;
        let seconds = UNTIL_IDLE.as_secs();
        return Err(Fault::new(format!(
            "{} still has requests after {seconds} s, and goes on",
            keeper.name
        )));
    }
    keeper.order(Order::Stop).await;
    keeper.reaches(&[State::Down]).await;
    keeper.order(Order::Start).await;
    keeper.reaches(&[State::Running]).await;
    is_seen(admin, &socket).await;
    set_mode(admin, &server, Mode::Ready).await?;
    supervisor.wait_until_healthy(service, keeper).await
}

/// Waits until a server has no requests; tells whether that came about in time.
async fn is_idle(admin: SocketAddr, socket: &Path) -> bool {
    let idle = async {
        while in_flight(admin, socket).await.is_some_and(|now| now > 0) {
            sleep(LOOK).await;
        }
    };
    timeout(UNTIL_IDLE, idle).await.is_ok()
}

/// Waits until the proxy lists a server; whether it is healthy is another matter.
async fn is_seen(admin: SocketAddr, socket: &Path) {
    let seen = async {
        while in_flight(admin, socket).await.is_none() {
            sleep(LOOK).await;
        }
    };
    // If it is not, the change that follows says so.
    let _ = timeout(UNTIL_SEEN, seen).await;
}

/// The requests that a server has; `None` when the proxy knows no such server.
async fn in_flight(admin: SocketAddr, socket: &Path) -> Option<u64> {
    let status = proxy_status(admin).await?;
    status.server(socket).map(|server| server.in_flight)
}
