//! What the module promises, on a real Postgres.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::timeout;

use super::*;
use crate::config::DatabaseConfig;
use crate::database::budget::{Budget, share_one};
use crate::instance::{Instance, InstanceName};

/// Nothing here takes longer, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

/// Statements to share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Probe {
    /// The number in the table.
    Number,
    /// How many statements were counted before this one, which takes a while.
    Slow,
    /// A division by zero, after a while.
    Wrong,
}

impl Read for Probe {
    type Answer = i64;

    fn query(self, connection: &mut PgConnection) -> BoxFuture<'_, sqlx::Result<i64>> {
        let statement = match self {
            Self::Number => "select number from probe",
            Self::Slow => "select nextval('counted') from pg_sleep(0.5)",
            Self::Wrong => "select 1 / (length(pg_sleep(0.5)::text))::bigint",
        };
        Box::pin(sqlx::query_scalar(statement).fetch_one(connection))
    }
}

async fn shared(connect: PgConnectOptions, connections: u32) -> Shared<Probe> {
    shared_with(connect, connections, LONG).await
}

async fn shared_with(
    connect: PgConnectOptions,
    connections: u32,
    patience: Duration,
) -> Shared<Probe> {
    for statement in [
        "create table probe as select 0::bigint as number",
        "create sequence counted",
    ] {
        let mut connection = connection(&connect).await;
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let config = DatabaseConfig {
        connect,
        wait: Duration::ZERO,
        connections,
    };
    let instance = Instance::named(InstanceName::parse("api_1")).await;
    Shared::with_patience(Database::open(&config, &instance), patience)
}

async fn connection(connect: &PgConnectOptions) -> PgConnection {
    use sqlx::Connection;
    PgConnection::connect_with(connect).await.unwrap()
}

impl<R: Read> Shared<R> {
    /// How many wait for the next query of this read; `None`: no query is under way.
    fn gathering(&self, read: &R) -> Option<usize> {
        self.lock().get(read).map(Vec::len)
    }

    async fn until(&self, read: &R, gathering: Option<usize>) {
        let as_expected = async {
            while self.gathering(read) != gathering {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, as_expected).await.unwrap();
    }
}

fn ask(
    shared: &Shared<Probe>,
    probe: &Probe,
) -> tokio::task::JoinHandle<std::result::Result<i64, Fault>> {
    let (shared, probe) = (shared.clone(), probe.clone());
    tokio::spawn(async move { shared.read(probe).await })
}

/// Begins a query and has so many gather behind it.
async fn crowd(
    shared: &Shared<Probe>,
    probe: &Probe,
    size: usize,
) -> Vec<tokio::task::JoinHandle<std::result::Result<i64, Fault>>> {
    let mut all = vec![ask(shared, probe)];
    shared.until(probe, Some(0)).await;
    for count in 1..=size {
        all.push(ask(shared, probe));
        shared.until(probe, Some(count)).await;
    }
    all
}

#[sqlx::test(migrations = false)]
async fn those_who_gather_have_one_query_and_not_the_one_before(
    _: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let shared = shared(connect, 2).await;
    let mut all = crowd(&shared, &Probe::Slow, 5).await;
    assert_eq!(all.remove(0).await.unwrap().unwrap(), 1);
    for one in all {
        assert_eq!(one.await.unwrap().unwrap(), 2);
    }
    shared.until(&Probe::Slow, None).await;
    assert_eq!(shared.0.database.meters().shared.get(), 4);
    // Nothing was kept.
    assert_eq!(shared.read(Probe::Slow).await.unwrap(), 3);
    assert_eq!(shared.gathering(&Probe::Slow), None);
}

#[sqlx::test(migrations = false)]
async fn whoever_leaves_takes_nobody_along(_: PgPoolOptions, connect: PgConnectOptions) {
    let shared = shared(connect, 2).await;
    let mut all = crowd(&shared, &Probe::Slow, 3).await;
    // The one whose query is under way, and one of those who gather.
    for at in [0, 0] {
        let one = all.remove(at);
        one.abort();
        assert!(one.await.unwrap_err().is_cancelled());
    }
    for one in all {
        timeout(LONG, one).await.unwrap().unwrap().unwrap();
    }
    shared.until(&Probe::Slow, None).await;
    // With all of them gone, nothing is left either.
    for one in crowd(&shared, &Probe::Slow, 3).await {
        one.abort();
    }
    shared.until(&Probe::Slow, None).await;
}

#[sqlx::test(migrations = false)]
async fn those_who_have_left_need_no_room(_: PgPoolOptions, connect: PgConnectOptions) {
    let shared = shared(connect, 1).await;
    let first = ask(&shared, &Probe::Slow);
    shared.until(&Probe::Slow, Some(0)).await;
    for _ in 0..1000 {
        let left = timeout(Duration::ZERO, shared.read(Probe::Slow)).await;
        assert!(left.is_err() || shared.gathering(&Probe::Slow).is_none());
    }
    assert!(shared.gathering(&Probe::Slow).is_none_or(|some| some <= 8));
    first.await.unwrap().unwrap();
}

#[sqlx::test(migrations = false)]
async fn an_error_is_that_of_those_who_waited_for_it(_: PgPoolOptions, connect: PgConnectOptions) {
    let shared = shared(connect, 2).await;
    let all = crowd(&shared, &Probe::Wrong, 3).await;
    let mut causes = Vec::new();
    for one in all {
        match one.await.unwrap().unwrap_err() {
            Fault::Broken(cause) => causes.push(cause),
            other => panic!("{other}"),
        }
    }
    assert!(!Arc::ptr_eq(&causes[0], &causes[1]), "a query of its own");
    assert!(Arc::ptr_eq(&causes[1], &causes[2]) && Arc::ptr_eq(&causes[2], &causes[3]));
    shared.until(&Probe::Wrong, None).await;
    assert_eq!(shared.read(Probe::Slow).await.unwrap(), 1);
}

#[sqlx::test(migrations = false)]
async fn each_waits_no_longer_than_its_own_budget(_: PgPoolOptions, connect: PgConnectOptions) {
    let shared = shared(connect, 2).await;
    let others = crowd(&shared, &Probe::Slow, 1).await;
    let hurried = share_one(async {
        let left = Duration::from_millis(50);
        Budget::of_this_request().spend(crate::database::budget::BUDGET - left);
        shared.read(Probe::Slow).await
    });
    assert!(matches!(hurried.await, Err(Fault::Unanswered)));
    assert!(!others[1].is_finished(), "it waited for the answer");
    for one in others {
        one.await.unwrap().unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn a_query_that_takes_its_time_holds_up_nobody(_: PgPoolOptions, connect: PgConnectOptions) {
    let shared = shared_with(connect, 2, Duration::from_millis(100)).await;
    let slow = ask(&shared, &Probe::Slow);
    shared.until(&Probe::Slow, Some(0)).await;
    shared.until(&Probe::Slow, None).await;
    assert!(!slow.is_finished(), "it has lost its turn, not its answer");
    let next = ask(&shared, &Probe::Slow);
    shared.until(&Probe::Slow, Some(0)).await;
    let both = [slow.await.unwrap().unwrap(), next.await.unwrap().unwrap()];
    assert!(both == [1, 2] || both == [2, 1], "{both:?}");
}

#[sqlx::test(migrations = false)]
async fn who_finds_no_place_is_refused(_: PgPoolOptions, connect: PgConnectOptions) {
    let shared = shared(connect, 1).await;
    let places = super::super::WAITING_PER_CONNECTION;
    let all = crowd(&shared, &Probe::Slow, places).await;
    assert!(matches!(shared.read(Probe::Slow).await, Err(Fault::Full)));
    for one in all {
        one.await.unwrap().unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn a_read_after_an_acknowledged_write_sees_it(_: PgPoolOptions, connect: PgConnectOptions) {
    const ROUNDS: i64 = 300;
    let shared = shared(connect.clone(), 3).await;
    let acknowledged = Arc::new(AtomicI64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let (mut connection, acknowledged) =
            (connection(&connect).await, Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let written: i64 =
                    sqlx::query_scalar("update probe set number = number + 1 returning number")
                        .fetch_one(&mut connection)
                        .await
                        .unwrap();
                acknowledged.fetch_max(written, Ordering::SeqCst);
            }
        }));
    }
    for _ in 0..24 {
        let (shared, acknowledged) = (shared.clone(), Arc::clone(&acknowledged));
        tasks.push(tokio::spawn(async move {
            let mut least = 0;
            while least < 2 * ROUNDS {
                least = acknowledged.load(Ordering::SeqCst);
                let read = shared.read(Probe::Number).await.unwrap();
                assert!(read >= least, "{read} was read after {least} was written");
            }
        }));
    }
    for task in tasks {
        timeout(LONG, task).await.unwrap().unwrap();
    }
    shared.until(&Probe::Number, None).await;
    assert!(
        shared.0.database.meters().shared.get() > 0,
        "none was shared"
    );
}
