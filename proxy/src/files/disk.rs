//! Where calls that may wait for the disk run: never on a thread that serves connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many calls of one root run at a time; the others wait for their turn.
const AT_A_TIME: usize = 64;

/// How long a call may wait and run; a disk that is silent for longer is taken for broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// The turns of one root's disk calls.
///
/// Without them a hung disk would fill the runtime's thread pool and the queue before it, which
/// has no bound. A call keeps its turn until it returns, also when nobody waits for it any more.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            patience: PATIENCE,
        }
    }
}

impl Disk {
    /// Runs one blocking call; fails as it does, or with `TimedOut`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let done = timeout(self.patience, async {
            let turn = Arc::clone(&self.turns).acquire_owned().await;
            let turn = turn.map_err(io::Error::other)?;
            spawn_blocking(move || {
                let _turn = turn;
                call()
            })
            .await
            .map_err(io::Error::other)?
        });
        done.await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::{AT_A_TIME, Disk};

    #[tokio::test]
    async fn a_hung_disk_takes_a_bounded_number_of_threads_and_an_end() {
        let mut disk = Disk::default();
        let hung: Vec<mpsc::Sender<()>> = (0..AT_A_TIME)
            .map(|_| {
                let (release, wait) = mpsc::channel::<()>();
                let disk = disk.clone();
                let call = async move {
                    disk.run(move || wait.recv().map_err(io::Error::other))
                        .await
                };
                tokio::spawn(call);
                release
            })
            .collect();
        while disk.turns.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        disk.patience = Duration::from_millis(50);
        let late = disk.run(|| Ok(())).await;
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(hung);
        disk.patience = Duration::from_secs(10);
        assert!(disk.run(|| Ok(())).await.is_ok());
    }
}
