//! All recorded requests, in order, against a running API whose database stands as the original's did.

use axum::body::{Body, Bytes};
use futures_util::stream;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use crate::relay::Relay;
use crate::support::{Api, Setup};
use crate::transcript::{self, Action, Conversation, Seen};
use api::permission::Permission;

#[sqlx::test(migrations = "../migrations")]
async fn every_recorded_request_is_answered_as_it_was(
    pool: PgPoolOptions,
    database: PgConnectOptions,
) {
    let relay = Relay::to(database).await;
    let pool = pool.connect_with(relay.direct.clone()).await.unwrap();
    let setup = Setup {
        permission: Permission::Authenticated,
        ..Setup::default()
    };
    let api = Api::start_with(&relay.database, setup).await;
    let mut conversation = Conversation::default();
    for case in transcript::cases() {
        let Some(expected) = &case.by_api else {
            continue;
        };
        for action in &case.actions {
            act(action, &relay, &pool).await;
        }
        let (head, body) = conversation.request(&case).into_parts();
        let body = Bytes::from(body);
        let body = if case.is_chunked {
            Body::from_stream(stream::iter([Ok::<_, std::io::Error>(body)]))
        } else {
            Body::from(body)
        };
        let request = http::Request::from_parts(head, body);
        match api.connect().await.try_send(request).await {
            Err(error) => conversation.no_answer(&case, &error),
            Ok(answer) => {
                let seen = Seen {
                    status: answer.status.as_u16(),
                    headers: &answer.headers,
                    body: &answer.body,
                };
                conversation.judge(&case, expected, &seen);
            }
        }
    }
    conversation.end(240);
}

async fn act(action: &Action, relay: &Relay, pool: &PgPool) {
    match action {
        Action::Sql(statements) => {
            let statements = AssertSqlSafe(statements.clone());
            sqlx::raw_sql(statements).execute(pool).await.unwrap();
        }
        Action::Refused(statement) => {
            let done = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
            assert!(done.execute(pool).await.is_err(), "{statement}");
        }
        Action::DatabaseDown => relay.take_down(),
        Action::DatabaseUp => relay.open(),
        Action::Kill(instance) | Action::Start(instance) => {
            panic!("{instance}: only behind the proxy there are two")
        }
    }
}
