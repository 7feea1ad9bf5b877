//! Sends each request at its moment and collects what became of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval_at, sleep_until};

use super::Settings;
use super::client::Client;
use super::outcome::{Sample, Sent, judge};
use super::songs::Songs;
use super::table::Second;

/// Samples on their way to the collector.
const QUEUE: usize = 1024;

/// Sends until `stopped`, waits for what is under way, and returns a sample for every request.
pub(super) async fn load(
    settings: &Settings,
    client: &Client,
    path: &str,
    songs: &Songs,
    mut stopped: oneshot::Receiver<()>,
    mut show: impl FnMut(&Second),
) -> Vec<Sample> {
    let (finished, mut samples) = mpsc::channel(QUEUE);
    let path: Arc<str> = path.into();
    let begin = Instant::now();
    let mut sender = Some(finished);
    let mut number = 0;
    let mut all = Vec::new();
    let mut second = Second::default();
    let mut ticks = interval_at(begin + Duration::from_secs(1), Duration::from_secs(1));
    loop {
        let due = begin + Duration::from_secs_f64(f64_of(number) / settings.rate);
        tokio::select! {
            biased;
            _ = &mut stopped, if sender.is_some() => sender = None,
            sample = samples.recv() => match sample {
                Some(sample) => {
                    second.add(&sample, settings.slow);
                    all.push(sample);
                }
                // Everything that was sent has ended.
                None => break,
            },
            _ = ticks.tick() => {
                show(&second);
                second = second.next();
            }
            () = sleep_until(due), if sender.is_some() => {
                if let Some(sender) = sender.clone() {
                    let sent = what(number, settings.post);
                    second.sent += 1;
                    tokio::spawn(one(client.clone(), sent, path.clone(), songs.name(sent), due, sender));
                    number += 1;
                }
            }
        }
    }
    if !second.is_empty() {
        show(&second);
    }
    all
}

async fn one(
    client: Client,
    sent: Sent,
    path: Arc<str>,
    song: Bytes,
    due: Instant,
    finished: mpsc::Sender<Sample>,
) {
    let ended = match sent {
        Sent::Get => client.send(Method::GET, &path, Bytes::new()).await,
        Sent::Post(_) => client.send(Method::POST, "/api/music/", song).await,
    };
    let sample = Sample {
        sent,
        outcome: judge(sent, &ended.reply),
        due: due.into_std(),
        latency: due.elapsed(),
        instance: ended.instance,
    };
    // The collector waits for every sender.
    let _ = finished.send(sample).await;
}

/// Spreads the writes evenly: of each N requests, `post` × N are writes.
fn what(number: u64, post: f64) -> Sent {
    let before = (f64_of(number) * post).floor();
    let after = (f64_of(number + 1) * post).floor();
    if after > before {
        Sent::Post(number)
    } else {
        Sent::Get
    }
}

/// A request's number as a factor: exact far beyond any probe's length.
#[expect(clippy::cast_precision_loss, reason = "numbers stay far below 2^52")]
fn f64_of(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_spread_evenly() {
        for (post, expected) in [(0.0, 0), (0.3, 3), (0.5, 5), (1.0, 10)] {
            for start in [0, 10, 1000] {
                let writes = (start..start + 10)
                    .filter(|&number| what(number, post) != Sent::Get)
                    .count();
                assert_eq!(writes, expected, "{post} from {start}");
            }
        }
    }
}
