//! All instances of the stack, and what can be done with them while it runs.
//!
//! The verbs come from `control`, each as a task of its own; each ends when what it says is done.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::User;
use tokio::sync::mpsc;

use crate::Fault;
use crate::cli::Scale;
use crate::keeper::{Keeper, Order, State};
use crate::layout::Layout;
use crate::logs::Logs;
use crate::plan::{DATABASE, PROXY, database_environment};
use crate::postgres::Installation;
use crate::process::Recipe;
use crate::recipes::Recipes;

mod readiness;

/// Where a verb's sentences go.
pub type Say = mpsc::Sender<String>;

/// Everything that runs.
pub struct Supervisor {
    layout: Layout,
    logs: Logs,
    admin: SocketAddr,
    recipes: Recipes,
    /// Held for a few statements, never across a wait.
    services: Mutex<Vec<Service>>,
    /// One change of the number of instances at a time, and none while the stack ends.
    resizing: tokio::sync::Mutex<()>,
}

/// One service and its instances.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The weight of each instance, for an API.
    pub weight: Option<u32>,
    /// Its instances, the first first.
    pub instances: Vec<Keeper>,
}

impl Supervisor {
    /// Makes a supervisor that does not run anything yet.
    pub fn new(layout: Layout, logs: Logs, admin: SocketAddr, recipes: Recipes) -> Self {
        Self {
            layout,
            logs,
            admin,
            recipes,
            services: Mutex::default(),
            resizing: tokio::sync::Mutex::default(),
        }
    }

    /// Starts the database.
    pub fn add_database(&self, installation: &Installation, user: Option<User>) {
        let recipe = self.recipes.database(installation, user);
        self.add_service(DATABASE, None, vec![self.keep(recipe)]);
    }

    /// Starts the proxy.
    pub fn add_proxy(&self) {
        self.add_service(PROXY, None, vec![self.keep(self.recipes.proxy())]);
    }

    /// Starts the first instance of an API service.
    pub fn add_api(&self, service: &str, weight: u32) {
        let first = self.keep_api(service, 1);
        self.add_service(service, Some(weight), vec![first]);
    }

    /// The services as they are now.
    pub fn services(&self) -> Vec<Service> {
        self.locked().clone()
    }

    /// Where the proxy's status is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The variables by which the API's program finds the database.
    pub fn database_variables(&self) -> Vec<(&'static str, String)> {
        database_environment(&self.recipes.database, &self.layout)
    }

    /// The socket of an API instance.
    pub fn api_socket(&self, service: &str, number: usize) -> PathBuf {
        self.layout.api_socket(service, number)
    }

    /// Stops, kills or pauses a service or an instance.
    pub async fn end(&self, order: Order, target: &str, say: &Say) -> Result<(), Fault> {
        let (aim, done) = match order {
            Order::Kill => (State::Down, "killed"),
            Order::Pause => (State::Paused, "paused"),
            _ => (State::Down, "stopped"),
        };
        let found = self.find(target)?;
        for (_, keeper) in &found {
            if order == Order::Pause && keeper.condition().state != State::Running {
                return Err(Fault::new(format!("{} is not running", keeper.name)));
            }
        }
        for (_, keeper) in &found {
            keeper.order(order).await;
        }
        for (_, keeper) in &found {
            keeper.reaches(&[aim, State::Down]).await;
            tell(say, format!("{} {done}", keeper.name));
        }
        Ok(())
    }

    /// Starts or resumes a service or an instance, and waits until it is healthy.
    pub async fn begin(&self, order: Order, target: &str, say: &Say) -> Result<(), Fault> {
        let (from, done) = match order {
            Order::Resume => (State::Paused, "resumed"),
            _ => (State::Down, "started"),
        };
        let found = self.find(target)?;
        for (_, keeper) in &found {
            if order == Order::Resume && keeper.condition().state != from {
                return Err(Fault::new(format!("{} is not paused", keeper.name)));
            }
        }
        for (_, keeper) in &found {
            keeper.order(order).await;
        }
        for (service, keeper) in &found {
            keeper.reaches(&[State::Running]).await;
            self.wait_until_healthy(service, keeper).await?;
            tell(say, format!("{} {done}, and healthy", keeper.name));
        }
        Ok(())
    }

    /// Changes the number of instances of API services.
    pub async fn scale(&self, scales: &[Scale], say: &Say) -> Result<(), Fault> {
        let _one_at_a_time = self.resizing.lock().await;
        for scale in scales {
            let service = self.service(&scale.service)?;
            if service.weight.is_none() {
                return Err(Fault::new(format!("{} cannot be scaled", service.name)));
            }
            self.grow(&service, scale.count, say).await?;
            self.shrink(&service, scale.count, say).await;
            tell(say, format!("{}: {}", service.name, instances(scale.count)));
        }
        Ok(())
    }

    async fn grow(&self, service: &Service, count: usize, say: &Say) -> Result<(), Fault> {
        let mut added = Vec::new();
        for number in service.instances.len() + 1..=count {
            let keeper = self.keep_api(&service.name, number);
            self.change(&service.name, |all| all.push(keeper.clone()));
            added.push(keeper);
        }
        for keeper in added {
            self.wait_until_healthy(&service.name, &keeper).await?;
            tell(say, format!("{} started, and healthy", keeper.name));
        }
        Ok(())
    }

    async fn shrink(&self, service: &Service, count: usize, say: &Say) {
        let surplus: Vec<_> = service.instances.iter().enumerate().skip(count).collect();
        for (_, keeper) in &surplus {
            keeper.order(Order::Stop).await;
        }
        for (index, keeper) in surplus {
            keeper.reaches(&[State::Down]).await;
            // The proxy takes a socket that is gone for a server that is gone.
            let _ = tokio::fs::remove_file(self.api_socket(&service.name, index + 1)).await;
            tell(say, format!("{} stopped", keeper.name));
        }
        self.change(&service.name, |all| all.truncate(count));
    }

    /// Ends everything in the order in which nothing is lost: proxy, APIs, database.
    pub async fn shut_down(&self, say: &Say) {
        let _no_more_changes = self.resizing.lock().await;
        let services = self.services();
        let rank = |service: &Service| match service.name.as_str() {
            PROXY => 0,
            DATABASE => 2,
            _ => 1,
        };
        for turn in 0..=2 {
            let group = services.iter().filter(|service| rank(service) == turn);
            let mut keepers: Vec<_> = group.flat_map(|service| &service.instances).collect();
            keepers.retain(|keeper| keeper.condition().state != State::Down);
            for keeper in &keepers {
                keeper.order(Order::Stop).await;
            }
            for keeper in keepers {
                keeper.reaches(&[State::Down]).await;
                tell(say, format!("{} stopped", keeper.name));
            }
        }
    }

    /// Ends everything at once.
    pub async fn kill_all(&self) {
        for service in self.services() {
            for keeper in service.instances {
                keeper.order(Order::Kill).await;
            }
        }
    }

    fn keep_api(&self, service: &str, number: usize) -> Keeper {
        let colour = 2 + self.locked().len();
        self.keep(self.recipes.api(service, number, colour))
    }

    fn keep(&self, recipe: Recipe) -> Keeper {
        Keeper::start(recipe, self.logs.clone())
    }

    fn add_service(&self, name: &str, weight: Option<u32>, instances: Vec<Keeper>) {
        self.locked().push(Service {
            name: name.to_owned(),
            weight,
            instances,
        });
    }

    fn change(&self, service: &str, change: impl FnOnce(&mut Vec<Keeper>)) {
        let mut services = self.locked();
        if let Some(found) = services.iter_mut().find(|one| one.name == service) {
            change(&mut found.instances);
        }
    }

    fn service(&self, name: &str) -> Result<Service, Fault> {
        let services = self.services();
        let found = services.iter().find(|service| service.name == name);
        found.cloned().ok_or_else(|| unknown(name, &services))
    }

    /// Finds the instances that a name means, each with its service.
    fn find(&self, target: &str) -> Result<Vec<(String, Keeper)>, Fault> {
        let services = self.services();
        let found: Vec<_> = services
            .iter()
            .flat_map(|service| service.instances.iter().map(move |one| (service, one)))
            .filter(|(service, one)| service.name == target || one.name == target)
            .map(|(service, one)| (service.name.clone(), one.clone()))
            .collect();
        if found.is_empty() {
            return Err(unknown(target, &services));
        }
        Ok(found)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Service>> {
        // No statement under this lock can leave the list half changed.
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn instances(count: usize) -> String {
    match count {
        1 => "1 instance".to_owned(),
        _ => format!("{count} instances"),
    }
}

fn unknown(target: &str, services: &[Service]) -> Fault {
    let names: Vec<_> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    Fault::new(format!(
        "there is no `{target}`; there are the services {}, and their instances such as {}",
        names.join(", "),
        services
            .iter()
            .flat_map(|service| &service.instances)
            .next()
            .map_or("api_1", |keeper| keeper.name.as_str())
    ))
}

fn tell(say: &Say, sentence: String) {
    // Whoever asked may have gone, or read no more; the work goes on.
    let _ = say.try_send(sentence);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_is_not_several() {
        assert_eq!(instances(1), "1 instance");
        assert_eq!(instances(3), "3 instances");
    }
}
