//! What the proxy serves by, as one value: routes, limits towards clients, upstreams.
//!
//! Requests take the value once and keep it; [`crate::reload`] puts another one in its place in
//! one step. An upstream that stays is the same one in both, with all its state.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::clients::Clients;
use crate::config::{self, Config};
use crate::events::Events;
use crate::figures::RouteFigures;
use crate::files;
use crate::gateway::{Route, Target};
use crate::rate_limit::{self, Limit, Rate};
use crate::route::{Matcher, Table};
use crate::upstream::Upstream;

/// What the proxy serves by.
#[derive(Debug)]
pub struct Live {
    /// The routes.
    pub routes: Table<Route>,
    /// What is counted of requests that take no route.
    pub unrouted: Arc<RouteFigures>,
    /// What is counted of each route.
    pub counted: Vec<Arc<RouteFigures>>,
    /// Limits towards clients.
    pub clients: Clients,
    /// The file with the token for changes through the admin listener.
    pub admin_token_file: Option<PathBuf>,
    /// The port over TLS to which clients of the plain ones are sent, if they are.
    pub redirect: Option<u16>,
    /// All upstreams, in the order of the file.
    pub upstreams: Vec<Arc<Upstream>>,
}

/// The value that is in force, for all who need it.
pub type InForce = Arc<ArcSwap<Live>>;

/// A folder of files could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve files from {}: {cause}", folder.display())]
pub struct NoFolder {
    folder: PathBuf,
    cause: io::Error,
}

impl Live {
    /// Makes the value of a configuration. Upstreams that were there `before` are taken over as
    /// they are; nothing is started and nothing changed yet.
    pub fn of(
        config: &Config,
        before: Option<&Self>,
        events: &Arc<Events>,
        now: Instant,
    ) -> Result<Self, NoFolder> {
        let settings = config.upstreams.iter();
        let upstreams: Vec<_> = settings
            .map(|settings| {
                let same = before.and_then(|before| before.upstream(&settings.name));
                let new = || Arc::new(Upstream::new(settings.clone(), Arc::clone(events), now));
                same.map_or_else(new, Arc::clone)
            })
            .collect();
        let targets = targets(config, &upstreams)?;
        let routes: Vec<_> = targets
            .into_iter()
            .map(|(matcher, target, rate)| {
                let label = matcher.to_string();
                let same = before.and_then(|before| before.counts_of(&label));
                let stand = || before.and_then(|before| before.clients_of(&label));
                let fresh = || Arc::new(rate_limit::Table::new(now));
                let route = Route {
                    target: Arc::new(target),
                    limit: rate.map(|rate| Limit {
                        rate,
                        clients: stand().unwrap_or_else(fresh),
                    }),
                    figures: same.unwrap_or_else(|| RouteFigures::new(&label)),
                };
                (matcher, route)
            })
            .collect();
        let unrouted = before.map(|before| Arc::clone(&before.unrouted));
        Ok(Self {
            unrouted: unrouted.unwrap_or_else(|| RouteFigures::new("")),
            counted: routes
                .iter()
                .map(|(_, route)| Arc::clone(&route.figures))
                .collect(),
            routes: Table::new(routes),
            clients: config.clients.clone(),
            admin_token_file: config.admin_token_file.clone(),
            redirect: config
                .tls
                .as_ref()
                .filter(|tls| tls.redirect)
                .map(|tls| tls.listen.port()),
            upstreams,
        })
    }

    /// What is counted of every route, and of requests that take none.
    pub fn figures(&self) -> impl Iterator<Item = &RouteFigures> {
        self.counted
            .iter()
            .chain([&self.unrouted])
            .map(|figures| &**figures)
    }

    fn counts_of(&self, label: &str) -> Option<Arc<RouteFigures>> {
        let mut counted = self.counted.iter();
        counted.find(|figures| **figures.label() == *label).cloned()
    }

    /// Where the clients of a limited route stand.
    fn clients_of(&self, label: &str) -> Option<Arc<rate_limit::Table>> {
        let mut routes = self.routes.iter();
        let route = routes.find(|route| **route.figures.label() == *label)?;
        Some(Arc::clone(&route.limit.as_ref()?.clients))
    }

    /// Returns the upstream with this name.
    pub fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        self.upstreams
            .iter()
            .find(|upstream| **upstream.name() == *name)
    }
}

fn targets(
    config: &Config,
    upstreams: &[Arc<Upstream>],
) -> Result<Vec<(Matcher, Target, Option<Rate>)>, NoFolder> {
    let mut routes = Vec::new();
    for route in &config.routes {
        let target = match &route.target {
            config::Target::Files { root, rules } => {
                let opened = files::Root::open(root, rules.clone()).map_err(|cause| NoFolder {
                    folder: root.clone(),
                    cause,
                })?;
                Target::Files(opened)
            }
            config::Target::Upstream {
                name,
                max_body,
                idempotency,
                websocket,
                compress,
            } => {
                // The configuration has been checked: the name is there.
                let Some(upstream) = upstreams.iter().find(|u| u.name() == name) else {
                    continue;
                };
                Target::Upstream {
                    upstream: Arc::clone(upstream),
                    max_body: *max_body,
                    idempotency: *idempotency,
                    websocket: *websocket,
                    compress: *compress,
                }
            }
        };
        routes.push((route.matcher.clone(), target, route.rate_limit));
    }
    Ok(routes)
}
