//! The task that keeps one instance as it is wanted: running, paused, or down.
//!
//! As with compose's `restart: unless-stopped`, a child that ends by itself is started again, after
//! a pause that grows; one that was stopped or killed by an order stays down.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::logs::Logs;
use crate::process::{GRACE, Recipe, Running};

/// The pause before the first restart; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A child that ran this long starts with the first pause again.
const SETTLED: Duration = Duration::from_secs(10);

/// What an instance can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Run, if it does not.
    Start,
    /// End in order, by force after [`GRACE`].
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

/// How a child ended.
enum End {
    Ordered,
    ByItself(ExitStatus),
    /// Nobody holds a handle any more.
    Abandoned,
}

struct Watchman {
    recipe: Recipe,
    logs: Logs,
    orders: mpsc::Receiver<Order>,
    publish: watch::Sender<Condition>,
}

impl Watchman {
    async fn keep(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let end = match self.recipe.start(&self.logs) {
                Ok(mut child) => self.attend(&mut child).await,
                Err(fault) => {
                    self.logs.say(&fault.to_string());
                    self.ended(State::Down, fault.to_string());
                    End::Ordered
                }
            };
            let again = match end {
                End::Abandoned => return,
                End::Ordered => self.wait_for_start().await,
                End::ByItself(status) => {
                    if begun.elapsed() >= SETTLED {
                        pause = FIRST_PAUSE;
                    }
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    self.wait_for_restart(status, wait).await
                }
            };
            if !again {
                return;
            }
        }
    }

    /// Looks after a living child until it has ended.
    async fn attend(&mut self, child: &mut Running) -> End {
        self.now(State::Running, Some(child.pid()));
        loop {
            let order = tokio::select! {
                status = child.ended() => return match status {
                    Ok(status) => End::ByItself(status),
                    Err(_) => End::Ordered,
                },
                order = self.orders.recv() => order,
            };
            match order {
                None => {
                    child.signal_family(Signal::SIGKILL).await;
                    return End::Abandoned;
                }
                Some(Order::Start) => {}
                Some(Order::Pause) => {
                    child.signal_family(Signal::SIGSTOP).await;
                    self.now(State::Paused, Some(child.pid()));
                }
                Some(Order::Resume) => {
                    child.signal_family(Signal::SIGCONT).await;
                    self.now(State::Running, Some(child.pid()));
                }
                Some(Order::Kill) => {
                    child.signal_family(Signal::SIGKILL).await;
                    let status = child.ended().await;
                    self.ended(State::Down, describe(status));
                    return End::Ordered;
                }
                Some(Order::Stop) => {
                    self.now(State::Stopping, Some(child.pid()));
                    let status = self.stop(child).await;
                    self.ended(State::Down, describe(status));
                    return End::Ordered;
                }
            }
        }
    }

    async fn stop(&mut self, child: &mut Running) -> std::io::Result<ExitStatus> {
        child.signal(self.recipe.stop_signal);
        // A frozen process acts on the signal only once it goes on.
        child.signal_family(Signal::SIGCONT).await;
        let ended = async {
            loop {
                tokio::select! {
                    status = child.ended() => return status,
                    Some(order) = self.orders.recv() => if order == Order::Kill {
                        child.signal_family(Signal::SIGKILL).await;
                    },
                }
            }
        };
        if let Ok(status) = timeout(GRACE, ended).await {
            return status;
        }
        self.logs.say(&format!(
            "{} did not end within {} s; killing it",
            self.recipe.name,
            GRACE.as_secs()
        ));
        child.signal_family(Signal::SIGKILL).await;
        child.ended().await
    }

    /// Waits, down, for the order to start; false when nobody can give it any more.
    async fn wait_for_start(&mut self) -> bool {
        while let Some(order) = self.orders.recv().await {
            if order == Order::Start {
                return true;
            }
        }
        false
    }

    /// Waits before a restart, open to orders; false when nobody holds a handle any more.
    async fn wait_for_restart(&mut self, status: ExitStatus, pause: Duration) -> bool {
        let how = describe(Ok(status));
        self.logs.say(&format!(
            "{} ended by itself ({how}); starting it again in {} ms",
            self.recipe.name,
            pause.as_millis()
        ));
        self.publish
            .send_modify(|condition| condition.restarts += 1);
        self.ended(State::Restarting, how);
        let over = sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                order = self.orders.recv() => match order {
                    None => return false,
                    Some(Order::Start) => return true,
                    Some(Order::Pause | Order::Resume) => {}
                    Some(Order::Stop | Order::Kill) => {
                        self.now(State::Down, None);
                        return self.wait_for_start().await;
                    }
                },
            }
        }
    }

    fn now(&self, state: State, pid: Option<i32>) {
        self.publish.send_modify(|condition| {
            condition.state = state;
            condition.since = Instant::now();
            condition.pid = pid;
        });
    }

    fn ended(&self, state: State, how: String) {
        self.publish
            .send_modify(|condition| condition.last_end = Some(how));
        self.now(state, None);
    }
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
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
