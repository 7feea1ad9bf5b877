//! What an operator changes of an upstream while the proxy runs.
//!
//! A change of a configured address holds for all servers that it stands for, also for those that
//! join later; a change of one endpoint for that server alone. It lasts until the file changes the
//! same key, or until the process ends.

use std::sync::Arc;
use std::time::Instant;

use super::{Group, Upstream, lock};
use crate::balance::Method;
use crate::events::{By, What};
use crate::upstream::health::Mode;
use crate::upstream::server::Server;
use crate::upstream::settings::Settings;

/// What is to be changed of some servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// Another weight.
    pub weight: Option<u32>,
    /// Another mode.
    pub mode: Option<Mode>,
}

impl Upstream {
    /// Changes the servers that `name` stands for and returns them; `None` if it stands for none.
    ///
    /// A name is an address as configured, the endpoint of a server, or the name that a server
    /// gives itself.
    pub fn change_by_hand(
        &self,
        name: &str,
        change: Change,
        now: Instant,
    ) -> Option<Vec<Arc<Server>>> {
        let mut members = lock(&self.members);
        let mut groups = members.groups.iter_mut();
        let configured = groups.find(|group| group.configured.address.to_string() == name);
        let servers = match configured {
            Some(group) => {
                group.weight = change.weight.unwrap_or(group.weight);
                group.mode = change.mode.unwrap_or(group.mode);
                group.servers.clone()
            }
            None => servers_named(&members.groups, name),
        };
        let is_known = configured_here(&members.groups, name) || !servers.is_empty();
        for server in &servers {
            self.change_server(server, change, By::Admin, now);
        }
        // Who waits for a place may find one now, or learn that there is none to wait for.
        self.queue.wake();
        is_known.then_some(servers)
    }

    /// Balances by another method from the next pick on.
    pub fn set_method_by_hand(&self, method: Method) {
        // So that no reload comes between reading and writing.
        let _members = lock(&self.members);
        let before = self.settings();
        if before.method != method {
            self.tell_method(&method, By::Admin);
            let mut settings = Settings::clone(&before);
            settings.method = method;
            self.settings.store(Arc::new(settings));
        }
    }

    /// Tells that the method is another one.
    pub(super) fn tell_method(&self, method: &Method, by: By) {
        let changed = What::UpstreamMethod {
            upstream: Arc::clone(&self.name),
            method: method.name().to_owned(),
            by,
        };
        self.events.tell(changed, by.cause());
    }

    /// Changes one server and tells what is new.
    pub(super) fn change_server(&self, server: &Server, change: Change, by: By, now: Instant) {
        if let Some(weight) = change.weight
            && weight != server.weight()
        {
            server.set_weight(weight);
            let changed = What::ServerWeight {
                place: self.whereabouts(server),
                weight,
                by,
            };
            self.events.tell(changed, by.cause());
        }
        if let Some(mode) = change.mode
            && server.set_mode(mode, now)
        {
            let changed = What::ServerMode {
                place: self.whereabouts(server),
                mode: mode.as_str(),
                by,
            };
            self.events.tell(changed, by.cause());
        }
    }
}

fn configured_here(groups: &[Group], name: &str) -> bool {
    let mut addresses = groups.iter().map(|group| &group.configured.address);
    addresses.any(|address| address.to_string() == name)
}

fn servers_named(groups: &[Group], name: &str) -> Vec<Arc<Server>> {
    let servers = groups.iter().flat_map(|group| &group.servers);
    let named = |is_named: &dyn Fn(&Server) -> bool| -> Vec<Arc<Server>> {
        servers.clone().filter(|s| is_named(s)).cloned().collect()
    };
    let by_endpoint = named(&|server| **server.endpoint_text() == *name);
    if by_endpoint.is_empty() {
        named(&|server| server.instance().as_deref() == Some(name))
    } else {
        by_endpoint
    }
}
