//! When an instance counts as healthy, and waiting for it.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Supervisor;
use crate::Fault;
use crate::ask::Address;
use crate::health::{is_healthy, proxy_status};
use crate::keeper::{Keeper, State};
use crate::plan::{DATABASE, PROXY};
use crate::postgres;

/// How long an instance may take until it is healthy; the API itself waits 60 s for its database.
const UNTIL_HEALTHY: Duration = Duration::from_secs(75);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

impl Supervisor {
    /// Waits until an instance does its work, or cannot.
    pub async fn wait_until_healthy(&self, service: &str, keeper: &Keeper) -> Result<(), Fault> {
        let restarts = keeper.condition().restarts;
        let healthy = async {
            loop {
                let now = keeper.condition();
                if now.state == State::Down || now.restarts > restarts + 2 {
                    return Err(Fault::new(format!(
                        "{} ended while it was starting ({}); its log says why",
                        keeper.name,
                        now.last_end.as_deref().unwrap_or("no cause")
                    )));
                }
                if self.is_healthy(service, keeper).await {
                    return Ok(());
                }
                sleep(LOOK).await;
            }
        };
        timeout(UNTIL_HEALTHY, healthy).await.unwrap_or_else(|_| {
            Err(Fault::new(format!(
                "{} is not healthy after {} s; its log may say why",
                keeper.name,
                UNTIL_HEALTHY.as_secs()
            )))
        })
    }

    async fn is_healthy(&self, service: &str, keeper: &Keeper) -> bool {
        let Some(pid) = keeper.condition().pid else {
            return false;
        };
        match service {
            DATABASE => postgres::is_ready(&self.layout, pid).await,
            PROXY => is_healthy(&Address::Tcp(self.admin)).await,
            _ => self.api_is_healthy(service, keeper).await,
        }
    }

    /// An API instance is healthy when it says so and the proxy, if there is one, has seen it.
    async fn api_is_healthy(&self, service: &str, keeper: &Keeper) -> bool {
        let number = keeper.name.rsplit('_').next().and_then(|n| n.parse().ok());
        let socket = self.api_socket(service, number.unwrap_or(1));
        if !is_healthy(&Address::Unix(socket.clone())).await {
            return false;
        }
        let proxy = self.service(PROXY).ok();
        let proxy_runs = proxy.is_some_and(|proxy| {
            let states = proxy.instances.iter().map(|one| one.condition().state);
            states.into_iter().all(|state| state == State::Running)
        });
        if !proxy_runs {
            return true;
        }
        let status = proxy_status(self.admin).await;
        let seen = status.as_ref().and_then(|status| status.server(&socket));
        seen.is_some_and(|server| server.state == "up")
    }
}
