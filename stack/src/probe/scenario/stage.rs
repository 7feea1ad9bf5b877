//! The stack that an event strikes, whichever way it runs.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::compose::Compose;
use super::native::Native;
use super::row::Place;
use crate::Fault;
use crate::admin::reload;
use crate::ask::{Address, get};
use crate::probe::Authorization;

/// How often is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(5);

/// What can be done to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// SIGKILL.
    Kill,
    /// Ask it to end.
    Stop,
    /// Run it again.
    Start,
    /// Freeze it.
    Pause,
    /// Let it go on.
    Resume,
    /// Take it from its network.
    Cut,
    /// Give it its network back.
    Join,
}

/// A running stack.
#[derive(Debug)]
pub enum Stage {
    /// As plain processes.
    Native(Native),
    /// In containers.
    Compose(Compose),
}

impl Stage {
    /// Which of the two.
    pub fn place(&self) -> Place {
        match self {
            Self::Native(_) => Place::Native,
            Self::Compose(_) => Place::Docker,
        }
    }

    /// Where its proxy listens.
    pub fn listen(&self) -> SocketAddr {
        match self {
            Self::Native(native) => native.listen,
            Self::Compose(compose) => compose.listen,
        }
    }

    /// How to be let in to write: by a token, as programs are. An instance that has just begun would verify a
    /// password first, by 25 ms of work.
    pub async fn authorization(&self) -> Result<Option<Authorization>, Fault> {
        let token = match self {
            Self::Native(native) => native.token().await?,
            Self::Compose(compose) => compose.token().await?,
        };
        Authorization::token(&token).map(Some)
    }

    /// Does something to a service's instances, and returns when it is done.
    pub async fn act(&self, deed: Deed, service: &str) -> Result<(), Fault> {
        match self {
            Self::Native(native) => native.act(deed, service).await,
            Self::Compose(compose) => compose.act(deed, service).await,
        }
    }

    /// Sets the number of a service's instances.
    pub async fn scale(&self, service: &str, count: usize) -> Result<(), Fault> {
        match self {
            Self::Native(native) => native.scale(service, count).await,
            Self::Compose(compose) => compose.scale(service, count).await,
        }
    }

    /// Replaces every instance of a service by a new one.
    pub async fn recreate(&self, service: &str) -> Result<(), Fault> {
        match self {
            Self::Native(native) => {
                native.act(Deed::Stop, service).await?;
                native.act(Deed::Start, service).await
            }
            Self::Compose(compose) => compose.recreate(service).await,
        }
    }

    /// Waits until an instance itself, asked past the proxy, says that it is well.
    pub async fn listens(
        &self,
        service: &str,
        number: usize,
        limit: Duration,
    ) -> Result<(), Fault> {
        let what = format!("{service}_{number} listens");
        eventually(limit, &what, async || {
            let address = match self {
                Self::Native(native) => native.address(service, number).await,
                Self::Compose(compose) => compose.address(service, number).await,
            };
            match address {
                Some(address) => is_well(&address).await,
                None => false,
            }
        })
        .await
    }

    /// Waits until an instance answers through the proxy.
    pub async fn answers(&self, instance: &str, limit: Duration) -> Result<(), Fault> {
        answers(self.listen(), instance, limit).await
    }

    /// Has the proxy read its settings again.
    pub async fn reload(&self) -> Result<(), Fault> {
        match self {
            Self::Native(native) => reload(native.admin).await,
            Self::Compose(_) => Err(Fault::new("the proxy's admin listener is in its container")),
        }
    }
}

/// Waits until an instance answers through the proxy that listens there.
pub(super) async fn answers(
    proxy: SocketAddr,
    instance: &str,
    limit: Duration,
) -> Result<(), Fault> {
    let address = Address::Tcp(proxy);
    eventually(limit, &format!("{instance} answers"), async || {
        let answer = get(&address, "/api/music/", Duration::from_secs(5)).await;
        answer.is_ok_and(|answer| {
            answer.status.is_success() && answer.instance().replace('-', "_") == instance
        })
    })
    .await
}

async fn is_well(address: &Address) -> bool {
    let answer = get(address, "/healthz", Duration::from_millis(500)).await;
    answer.is_ok_and(|answer| answer.status.is_success())
}

/// Waits until a condition holds.
pub(super) async fn eventually(
    limit: Duration,
    what: &str,
    condition: impl AsyncFn() -> bool,
) -> Result<(), Fault> {
    let deadline = Instant::now() + limit;
    while !condition().await {
        if Instant::now() > deadline {
            return Err(Fault::new(format!("not within {limit:?}: {what}")));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Runs a command to its end, and returns what it has printed.
pub(super) async fn output(mut command: Command) -> Result<String, Fault> {
    let what = format!("{:?}", command.as_std());
    let output = command.kill_on_drop(true).output().await;
    let output = output.map_err(|error| Fault::new(format!("{what}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Fault::new(format!("{what}: {}", errors.trim_end())))
}
