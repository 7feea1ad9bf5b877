//! A handle to the task that keeps one instance as it is wanted: running, paused, or down.
//!
//! As with compose's `restart: unless-stopped`, a child that ends by itself is started again, after
//! a pause that grows; one that was stopped or killed by an order stays down.

mod watchman;

use std::time::Instant;

use tokio::sync::{mpsc, watch};

use crate::logs::Logs;
use crate::process::Recipe;
use watchman::Watchman;

/// What an instance can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Run, if it does not.
    Start,
    /// End in order, by force after 15 s.
    Stop,
    /// End at once.
    Kill,
    /// Freeze.
    Pause,
    /// Go on.
    Resume,
}

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its process lives.
    Running,
    /// Its process is frozen.
    Paused,
    /// Its process was asked to end.
    Stopping,
    /// It ended by itself and is started again shortly.
    Restarting,
    /// It has no process and gets none until it is told to start.
    Down,
}

/// An instance as seen from outside.
#[derive(Debug, Clone)]
pub struct Condition {
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// Its process, if it has one.
    pub pid: Option<i32>,
    /// How often it ended by itself.
    pub restarts: u32,
    /// How its last process ended.
    pub last_end: Option<String>,
}

/// A handle to one instance.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The instance's name.
    pub name: String,
    orders: mpsc::Sender<Order>,
    condition: watch::Receiver<Condition>,
}

impl Keeper {
    /// Starts the child and the task that looks after it; the task ends with the last handle.
    pub fn start(recipe: Recipe, logs: Logs) -> Self {
        let name = recipe.name.clone();
        let (orders, received) = mpsc::channel(16);
        let (publish, condition) = watch::channel(Condition {
            state: State::Running,
            since: Instant::now(),
            pid: None,
            restarts: 0,
            last_end: None,
        });
        tokio::spawn(
            Watchman {
                recipe,
                logs,
                orders: received,
                publish,
            }
            .keep(),
        );
        Self {
            name,
            orders,
            condition,
        }
    }

    /// How it is now.
    pub fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    /// Gives an order; [`Keeper::reaches`] tells when it is done.
    pub async fn order(&self, order: Order) {
        // The task ends only with the last handle, and this is one.
        let _ = self.orders.send(order).await;
    }

    /// Waits until it is in one of these states.
    pub async fn reaches(&self, states: &[State]) {
        let mut condition = self.condition.clone();
        let _ = condition.wait_for(|now| states.contains(&now.state)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::Signal;
    use tokio::time::timeout;

    use super::*;

    fn shell(script: &str) -> Keeper {
        let recipe = Recipe {
            name: "child_1".to_owned(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
            hidden: &[],
            user: None,
            stop_signal: Signal::SIGTERM,
            family: None,
            colour: 0,
            setpriv: None,
        };
        Keeper::start(recipe, Logs::start())
    }

    async fn within<T>(wait: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(10), wait).await.unwrap()
    }

    #[tokio::test]
    async fn a_child_that_ends_by_itself_is_started_again() {
        let keeper = shell("exit 3");
        let mut condition = keeper.condition.clone();
        let twice = within(condition.wait_for(|now| now.restarts >= 2))
            .await
            .unwrap()
            .clone();
        assert_eq!(twice.last_end.unwrap(), "exit status: 3");
        keeper.order(Order::Stop).await;
        within(keeper.reaches(&[State::Down])).await;
    }

    #[tokio::test]
    async fn a_killed_child_stays_down_until_it_is_started() {
        let keeper = shell("exec sleep 1000");
        keeper.order(Order::Kill).await;
        within(keeper.reaches(&[State::Down])).await;
        assert_eq!(keeper.condition().restarts, 0);
        keeper.order(Order::Start).await;
        within(keeper.reaches(&[State::Running])).await;
        keeper.order(Order::Stop).await;
        within(keeper.reaches(&[State::Down])).await;
    }

    #[tokio::test]
    async fn a_paused_child_can_be_stopped() {
        let keeper = shell("exec sleep 1000");
        keeper.order(Order::Pause).await;
        within(keeper.reaches(&[State::Paused])).await;
        keeper.order(Order::Stop).await;
        within(keeper.reaches(&[State::Down])).await;
    }
}
