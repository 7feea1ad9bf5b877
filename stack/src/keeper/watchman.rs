//! Starts a child, obeys orders about it, and starts it again when it ends by itself.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{Condition, Order, State};
use crate::logs::Logs;
use crate::process::{GRACE, Recipe, Running};

/// The pause before the first restart; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A child that ran this long starts with the first pause again.
const SETTLED: Duration = Duration::from_secs(10);

/// How a child ended.
enum End {
    Ordered,
    ByItself(ExitStatus),
    /// Nobody holds a handle any more.
    Abandoned,
}

/// The task of one instance.
pub(super) struct Watchman {
    pub(super) recipe: Recipe,
    pub(super) logs: Logs,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) publish: watch::Sender<Condition>,
}

impl Watchman {
    /// Starts the child, and again whenever that is called for, until nobody holds a handle.
    pub(super) async fn keep(mut self) {
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
