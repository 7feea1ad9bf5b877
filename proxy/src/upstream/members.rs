//! The servers of an upstream by configured address: who belongs to it, who has left.
//!
//! A server keeps its state for as long as its upstream, its configured address and its endpoint
//! stay: through look-ups and through reloads.

pub(super) mod by_hand;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::task::AbortOnDropHandle;

use super::discovery;
use super::health::{Mode, State};
use super::server::{Endpoint, Server};
use super::settings::{Address, ServerSettings, Settings};
use super::{Upstream, lock, probe};
use crate::balance::Method;
use crate::events::{By, Place, What};
use by_hand::Change;

/// How long servers that leave stay while none of those that replace them is up.
const REPLACED_WITHIN: Duration = Duration::from_secs(2);
/// Why a server leaves that the file names no longer.
const TAKEN_OUT: &str = "taken out of the file";
/// Why the servers of an upstream leave that no route knows any more.
const CLOSED: &str = "its upstream is no longer in use";

/// How often their replacement is looked for.
const REPLACED_EVERY: Duration = Duration::from_millis(10);

/// The servers of an upstream, now and before.
#[derive(Debug, Default)]
pub(super) struct Members {
    groups: Vec<Group>,
    /// Servers that are no longer part of it and may still have requests in hand.
    leaving: Vec<Arc<Server>>,
    /// Servers that leave as soon as another one is up.
    replaced: Vec<Arc<Server>>,
    /// As the file has it; the one in force may have been changed at run time.
    method: Method,
    closed: bool,
}

/// The servers of one configured address.
#[derive(Debug)]
struct Group {
    /// As the file has it.
    configured: ServerSettings,
    /// Joins with this weight, which may have been changed at run time.
    weight: u32,
    /// Joins in this mode, which may have been changed at run time.
    mode: Mode,
    servers: Vec<Arc<Server>>,
    discovery: Option<AbortOnDropHandle<()>>,
}

impl Members {
    /// The configured addresses, with no server yet.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            groups: settings.servers.iter().cloned().map(Group::new).collect(),
            method: settings.method.clone(),
            ..Self::default()
        }
    }

    fn has_healthy(&self) -> bool {
        let mut servers = self.groups.iter().flat_map(|group| &group.servers);
        servers.any(|server| is_healthy(server))
    }
}

impl Group {
    fn new(configured: ServerSettings) -> Self {
        Self {
            weight: configured.weight,
            mode: Mode::configured(configured.down),
            configured,
            servers: Vec::new(),
            discovery: None,
        }
    }

    /// Takes over what the file has changed and returns that; what it has not changed stays as it
    /// was set at run time.
    fn change(&mut self, configured: ServerSettings) -> Change {
        let change = Change {
            weight: Some(configured.weight).filter(|&weight| weight != self.configured.weight),
            mode: Some(Mode::configured(configured.down))
                .filter(|_| configured.down != self.configured.down),
        };
        self.weight = change.weight.unwrap_or(self.weight);
        self.mode = change.mode.unwrap_or(self.mode);
        self.configured = configured;
        change
    }
}

impl Upstream {
    /// Starts to look for the servers of every address that is not followed yet.
    pub(super) fn follow(self: &Arc<Self>) {
        let resolve = self.settings().resolve;
        for group in &mut lock(&self.members).groups {
            group.discovery.get_or_insert_with(|| {
                let address = group.configured.address.clone();
                let task = discovery::follow(Arc::clone(self), address, resolve);
                AbortOnDropHandle::new(tokio::spawn(task))
            });
        }
    }

    /// Takes new settings of the same upstream, in place: servers that stay keep their state.
    pub fn change(self: &Arc<Self>, mut settings: Settings, now: Instant) {
        let before = self.settings();
        let mut members = lock(&self.members);
        let mut old = std::mem::take(&mut members.groups);
        for configured in settings.servers.iter().cloned() {
            let known = old
                .iter()
                .position(|group| group.configured.address == configured.address);
            let group = match known {
                Some(index) => {
                    let mut group = old.swap_remove(index);
                    let change = group.change(configured);
                    for server in &group.servers {
                        server.set_place(&group.configured);
                        self.change_server(server, change, By::File, now);
                    }
                    group
                }
                None => Group::new(configured),
            };
            members.groups.push(group);
        }
        let gone = old.into_iter().flat_map(|group| group.servers).collect();
        self.see_off(&mut members, gone);
        if settings.resolve != before.resolve {
            for group in &mut members.groups {
                group.discovery = None;
            }
        }
        for server in members.groups.iter().flat_map(|group| &group.servers) {
            server.set_limits(&settings.timeouts, settings.tls.as_ref());
        }
        lock(&self.budget).set_rate(settings.retry.budget);
        if settings.method == members.method {
            settings.method = before.method.clone();
        } else {
            members.method = settings.method.clone();
        }
        if settings.method != before.method {
            self.tell_method(&settings.method, By::File);
        }
        self.settings.store(Arc::new(settings));
        self.publish(&members);
        drop(members);
        self.follow();
    }

    /// Lets servers go: at once, or, while no other is up, as soon as one is.
    fn see_off(self: &Arc<Self>, members: &mut Members, gone: Vec<Arc<Server>>) {
        if members.has_healthy() || !gone.iter().any(|server| is_healthy(server)) {
            for server in gone {
                self.leave(members, server, TAKEN_OUT);
            }
            return;
        }
        members.replaced.extend(gone);
        let upstream = Arc::clone(self);
        tokio::spawn(async move {
            let end = Instant::now() + REPLACED_WITHIN;
            while !lock(&upstream.members).has_healthy() && Instant::now() < end {
                tokio::time::sleep(REPLACED_EVERY).await;
            }
            let mut members = lock(&upstream.members);
            for server in std::mem::take(&mut members.replaced) {
                upstream.leave(&mut members, server, TAKEN_OUT);
            }
            upstream.publish(&members);
        });
    }

    /// Ends discovery and health checks; requests that have come to it go on.
    pub fn close(&self) {
        let mut members = lock(&self.members);
        let groups = std::mem::take(&mut members.groups);
        let replaced = std::mem::take(&mut members.replaced);
        let servers = groups.into_iter().flat_map(|group| group.servers);
        // Requests that came to it before may still pick them.
        for server in servers.chain(replaced) {
            server.end_checks();
            let gone = What::ServerGone(self.whereabouts(&server));
            self.events.tell(gone, CLOSED);
        }
        members.closed = true;
    }

    /// Whether one of its servers is up.
    pub fn has_healthy(&self) -> bool {
        lock(&self.members).has_healthy()
    }

    /// Whether it is no longer in use.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.members).closed
    }

    /// Servers that have left and that somebody still has to do with.
    pub fn leaving(&self) -> Vec<Arc<Server>> {
        let leaving = &mut lock(&self.members).leaving;
        leaving.retain(|server| Arc::strong_count(server) > 1);
        leaving.clone()
    }

    /// Configured addresses that stand for no server at the moment.
    pub fn unresolved(&self) -> Vec<String> {
        let members = lock(&self.members);
        let groups = members.groups.iter();
        groups
            .filter(|group| group.servers.is_empty())
            .map(|group| group.configured.address.to_string())
            .collect()
    }

    /// Takes in what a look-up of one configured address found.
    pub(super) fn found(
        self: &Arc<Self>,
        address: &Address,
        endpoints: Vec<Endpoint>,
        now: Instant,
    ) {
        let mut members = lock(&self.members);
        let mut groups = members.groups.iter_mut();
        let Some(group) = groups.find(|group| group.configured.address == *address) else {
            return;
        };
        let known = group.servers.iter().map(|server| server.endpoint());
        if known.eq(endpoints.iter()) {
            return;
        }
        let (kept, gone): (Vec<_>, Vec<_>) = group
            .servers
            .drain(..)
            .partition(|server| endpoints.contains(server.endpoint()));
        group.servers = endpoints
            .into_iter()
            .filter_map(|endpoint| {
                let same = kept.iter().find(|server| *server.endpoint() == endpoint);
                same.cloned().or_else(|| self.join(group, endpoint, now))
            })
            .collect();
        for server in gone {
            self.leave(&mut members, server, discovery::why_gone(address));
        }
        self.publish(&members);
    }

    fn join(
        self: &Arc<Self>,
        group: &Group,
        endpoint: Endpoint,
        now: Instant,
    ) -> Option<Arc<Server>> {
        let settings = &group.configured;
        match Server::new(settings, endpoint, &self.settings().timeouts, now) {
            Ok(server) => {
                let server = Arc::new(server.waited_for_in(Arc::clone(&self.queue)));
                let settings = self.settings();
                if settings.tls.is_some() {
                    server.set_limits(&settings.timeouts, settings.tls.as_ref());
                }
                server.set_weight(group.weight);
                server.set_mode(group.mode, now);
                let found = What::ServerFound(self.whereabouts(&server));
                let cause = discovery::why_found(&group.configured.address);
                self.events.tell(found, cause);
                tokio::spawn(probe::rounds(Arc::clone(self), Arc::clone(&server)));
                Some(server)
            }
            Err(error) => {
                tracing::warn!(upstream = %self.name, server = %settings.address, %error, "server not usable");
                None
            }
        }
    }

    fn leave(&self, members: &mut Members, server: Arc<Server>, cause: &'static str) {
        server.retire();
        let gone = What::ServerGone(self.whereabouts(&server));
        self.events.tell(gone, cause);
        members.leaving.push(server);
    }

    /// Lets picks see the servers as they are now.
    fn publish(&self, members: &Members) {
        let servers = members.groups.iter().flat_map(|group| &group.servers);
        let servers = servers.chain(&members.replaced);
        self.servers.store(Arc::new(servers.cloned().collect()));
        self.queue.wake();
        self.queue.wake();
    }

    /// Names a server in an event.
    pub(super) fn whereabouts(&self, server: &Server) -> Place {
        Place {
            upstream: Arc::clone(&self.name),
            server: server.address().to_owned(),
            endpoint: Arc::clone(server.endpoint_text()),
        }
    }
}

fn is_healthy(server: &Server) -> bool {
    server.with_health(|health| health.state()) == State::Up
}

#[cfg(test)]
mod tests;
