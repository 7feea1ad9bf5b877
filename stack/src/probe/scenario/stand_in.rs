//! A server that stands in for the API and misbehaves when it is told to.
//!
//! It keeps songs in memory, on one shelf for all stand-ins as the instances have one database, and
//! honours idempotency keys as the API does, so that a probe can judge writes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::Fault;

/// How it treats requests, health checks aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// As it should.
    Well,
    /// It answers 502 and does nothing.
    Failing,
    /// It takes this much longer.
    Slow(Duration),
}

/// The songs of all stand-ins.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    songs: BTreeMap<i64, Value>,
    keys: HashMap<String, i64>,
    last: i64,
}

/// A running server.
#[derive(Debug)]
pub(super) struct StandIn {
    /// Where it listens.
    pub(super) address: SocketAddr,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    name: HeaderValue,
    mood: Mutex<Mood>,
    failed: AtomicUsize,
    shelf: Arc<Mutex<Shelf>>,
    service: Option<Service>,
}

/// A fixed service time, for so many requests at a time.
#[derive(Debug)]
struct Service {
    slots: Semaphore,
    time: Duration,
    served: AtomicU64,
    spent_micros: AtomicU64,
}

impl Service {
    /// Keeps a request for the service time, once a slot is free.
    async fn serve(&self) {
        // It is never closed.
        let _slot = self.slots.acquire().await;
        let begin = Instant::now();
        sleep(self.time).await;
        let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.served.fetch_add(1, Ordering::Relaxed);
        self.spent_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How long a request has really taken so far, in the mean: timers and busy processors add to it.
    fn mean(&self) -> Duration {
        let served = self.served.load(Ordering::Relaxed);
        let spent = self.spent_micros.load(Ordering::Relaxed);
        spent
            .checked_div(served)
            .map_or(self.time, Duration::from_micros)
    }
}

impl StandIn {
    /// Starts one on a free port; `service`: how many requests at a time, and how long each takes.
    pub(super) async fn start(
        name: &'static str,
        shelf: &Arc<Mutex<Shelf>>,
        service: Option<(usize, Duration)>,
    ) -> Result<Self, Fault> {
        let failed = |error: std::io::Error| Fault::new(format!("a stand-in: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let inner = Arc::new(Inner {
            name: HeaderValue::from_static(name),
            mood: Mutex::new(Mood::Well),
            failed: AtomicUsize::new(0),
            shelf: Arc::clone(shelf),
            service: service.map(|(slots, time)| Service {
                slots: Semaphore::new(slots),
                time,
                served: AtomicU64::new(0),
                spent_micros: AtomicU64::new(0),
            }),
        });
        let router = router(Arc::clone(&inner));
        let serving = tokio::spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            inner,
            serving,
        })
    }

    /// Changes how it treats requests from now on.
    pub(super) fn set(&self, mood: Mood) {
        *locked(&self.inner.mood) = mood;
    }

    /// How long a request has held a slot so far, in the mean; zero without a service time.
    pub(super) fn service_time(&self) -> Duration {
        self.inner
            .service
            .as_ref()
            .map(Service::mean)
            .unwrap_or_default()
    }

    /// How many requests it has answered with 502 so far.
    pub(super) fn failed(&self) -> usize {
        self.inner.failed.load(Ordering::Relaxed)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// No statement under these locks can leave anything half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/api/music/", get(list).post(add))
        .route("/api/music/{id}/", get(one).delete(remove))
        .layer(from_fn_with_state(Arc::clone(&inner), behave))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(inner)
}

/// Does to each request what the mood demands, and signs the answer.
async fn behave(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    let mood = *locked(&inner.mood);
    if let Mood::Slow(time) = mood {
        sleep(time).await;
    }
    if let Some(service) = &inner.service {
        service.serve().await;
    }
    let mut answer = if mood == Mood::Failing {
        inner.failed.fetch_add(1, Ordering::Relaxed);
        StatusCode::BAD_GATEWAY.into_response()
    } else {
        next.run(request).await
    };
    answer
        .headers_mut()
        .insert("x-instance", inner.name.clone());
    answer
}

async fn list(State(inner): State<Arc<Inner>>) -> Json<Vec<Value>> {
    Json(locked(&inner.shelf).songs.values().cloned().collect())
}

async fn one(State(inner): State<Arc<Inner>>, Path(id): Path<i64>) -> Response {
    match locked(&inner.shelf).songs.get(&id) {
        Some(song) => Json(song).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn add(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Json(mut song): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let key = headers.get("idempotency-key");
    let key = key.and_then(|key| key.to_str().ok()).map(str::to_owned);
    let mut shelf = locked(&inner.shelf);
    let known = key.as_ref().and_then(|key| shelf.keys.get(key)).copied();
    let answer = match known.and_then(|id| shelf.songs.get(&id)) {
        Some(song) => song.clone(),
        None => {
            shelf.last += 1;
            let id = shelf.last;
            song["id"] = json!(id);
            shelf.songs.insert(id, song.clone());
            shelf.keys.extend(key.map(|key| (key, id)));
            song
        }
    };
    (StatusCode::CREATED, Json(answer))
}

async fn remove(State(inner): State<Arc<Inner>>, Path(id): Path<i64>) -> StatusCode {
    // A repeated removal is none the worse for it.
    locked(&inner.shelf).songs.remove(&id);
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;
    use crate::ask::{Address, Answer, ask, request};

    async fn post(stand_in: &StandIn, key: Option<&'static str>) -> Answer {
        let address = Address::Tcp(stand_in.address);
        let body = Bytes::from_static(br#"{"song":"a","singer":"b"}"#);
        let mut request = request(Method::POST, &address, "/api/music/", body).unwrap();
        if let Some(key) = key {
            let key = HeaderValue::from_static(key);
            request.headers_mut().insert("idempotency-key", key);
        }
        let answer = ask(&address, request, Duration::from_secs(10)).await;
        answer.unwrap()
    }

    #[tokio::test]
    async fn a_key_adds_one_song_however_often_it_comes() {
        let shelf = Arc::default();
        let one = StandIn::start("api_1", &shelf, None).await.unwrap();
        let two = StandIn::start("api2_1", &shelf, None).await.unwrap();
        let first = post(&one, Some("k")).await;
        assert_eq!(first.status, StatusCode::CREATED);
        assert_eq!(post(&two, Some("k")).await.body, first.body);
        assert_ne!(post(&two, None).await.body, first.body);
        assert_eq!(locked(&shelf).songs.len(), 2);
    }

    #[tokio::test]
    async fn a_failing_one_does_nothing_and_says_who_it_is() {
        let shelf = Arc::default();
        let one = StandIn::start("api_1", &shelf, None).await.unwrap();
        one.set(Mood::Failing);
        let answer = post(&one, None).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
        assert_eq!(answer.instance(), "api_1");
        assert!(locked(&shelf).songs.is_empty());
        assert_eq!(one.failed(), 1);
    }
}
