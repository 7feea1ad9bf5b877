//! Every route of the API, on one screen.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tower::Layer;
use tower_http::catch_panic::CatchPanicLayer;

use crate::address;
use crate::admin::{again, home, passwords, people, rights, songs};
use crate::auth::login;
use crate::auth::password::Passwords;
use crate::browse::form;
use crate::database::{Database, budget};
use crate::endpoint::{Endpoint, options};
use crate::error::Error;
use crate::health;
use crate::instance::Instance;
use crate::metrics::{self, Metrics};
use crate::music::{self, DETAIL, ITEM, LIST, Reads, SINGERS};
use crate::page::failure;
use crate::permission::Access;
use crate::root::{self, ROOT};
use crate::schema::{self, Document, SCHEMA, docs};
use crate::stamp;
use crate::stop::Stop;

/// What every handler can reach. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    instance: Instance,
    database: Database,
    reads: Reads,
    access: Access,
    stop: Stop,
    passwords: Passwords,
    metrics: Metrics,
    document: Document,
}

impl App {
    /// Puts the parts together.
    #[must_use]
    pub fn new(instance: Instance, database: Database, access: Access, stop: Stop) -> Self {
        Self::with_passwords(instance, database, access, stop, Passwords::default())
    }

    /// Puts the parts together, with a bound of its own for passwords.
    #[must_use]
    pub fn with_passwords(
        instance: Instance,
        database: Database,
        access: Access,
        stop: Stop,
        passwords: Passwords,
    ) -> Self {
        let metrics = Metrics::new(&database);
        let document = Document::new(access.permission);
        Self(Arc::new(Parts {
            instance,
            reads: Reads::new(&database),
            database,
            access,
            stop,
            passwords,
            metrics,
            document,
        }))
    }

    /// Returns who answers.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.0.instance
    }

    /// Returns where the rows are.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// Returns what is being read of music.
    pub(crate) fn reads(&self) -> &Reads {
        &self.0.reads
    }

    /// Returns who may do what.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.0.access
    }

    /// Returns whether the process is to end.
    #[must_use]
    pub fn stop(&self) -> &Stop {
        &self.0.stop
    }

    /// Returns what verifies passwords.
    #[must_use]
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Returns what describes the API.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.0.document
    }

    /// Returns what is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

/// Makes the whole API, ready to be served.
pub fn app(app: App) -> Router {
    let routes = routes(app.clone()).layer(from_fn(on_a_route));
    around(routes, app, Counted::Yes)
}

/// Makes what the listener of the metrics serves; its own requests are not counted.
pub fn for_metrics(app: App) -> Router {
    let routes = Router::new()
        .route("/metrics", get(metrics::show))
        .fallback(|| async { Error::NotFound })
        .with_state(app.clone());
    around(routes, app, Counted::No)
}

/// Whether requests are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
}

/// Puts around the routes what concerns every request. Few layers with much in each: every layer costs a request
/// as much as many of the things that they do.
fn around(routes: Router, app: App, counted: Counted) -> Router {
    // The address is made plain, and the method of a form known, before the routes are looked through: that cannot
    // be a layer of theirs.
    let routes = from_fn_with_state(app.clone(), before_the_routes).layer(routes);
    Router::new()
        .fallback_service(routes)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state((app, counted), outermost))
}

/// Nothing further in can answer without passing here.
async fn outermost(
    State((app, counted)): State<(App, Counted)>,
    request: Request,
    next: Next,
) -> Response {
    let stamped = |request| {
        stamp::stamp(&app, request, |request| {
            failure::for_browsers(&app, request, |request| next.run(request))
        })
    };
    match counted {
        Counted::Yes => metrics::count(&app, request, stamped).await,
        Counted::No => stamped(request).await,
    }
}

async fn before_the_routes(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match address::resolve(&mut request) {
        Some(redirect) => redirect,
        None => form::translate(&app, request, next).await,
    }
}

/// Notes the route, and has what finds out who asks and what answers take from one budget of database time.
async fn on_a_route(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    budget::share_one(metrics::note_route(path, request, next)).await
}

fn routes(app: App) -> Router {
    let at =
        |endpoint: &'static Endpoint, methods: MethodRouter<App>| endpoint.guards(methods, &app);
    let list = get(music::list)
        .post(music::create)
        .options(music::describe_list);
    let item = get(music::read)
        .put(music::replace)
        .patch(music::change)
        .delete(music::delete);
    Router::new()
        .route("/api/", at(&ROOT, get(root::show).options(options)))
        .route("/api/music/", at(&LIST, list))
        .route(
            "/api/music/all_singer/",
            at(&SINGERS, get(music::singers).options(options)),
        )
        .route(
            "/api/music/{id}/",
            at(&ITEM, item.options(music::describe_item)),
        )
        .route(
            "/api/music/{id}/detail/",
            at(&DETAIL, get(music::detail).options(options)),
        )
        .route(
            "/api/schema/",
            at(&SCHEMA, get(schema::show).options(options)),
        )
        .route(
            "/api/docs/",
            get(docs::show)
                .options(docs::options)
                .fallback(docs::refuse),
        )
        .route(
            "/api/docs/{file}",
            get(docs::asset)
                .options(docs::asset_options)
                .fallback(docs::refuse),
        )
        .route(
            "/api-auth/login/",
            get(login::show)
                .post(login::log_in)
                .fallback(login::log_in_only),
        )
        .route(
            "/api-auth/logout/",
            post(login::log_out).fallback(login::log_out_only),
        )
        .merge(admin_routes(&app))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(|| async { Error::NotFound })
        .method_not_allowed_fallback(|method| async { Error::MethodNotAllowed(method) })
        .with_state(app)
}

/// The pages of the staff. Each form leads to the address that shows it.
fn admin_routes(app: &App) -> Router<App> {
    let keep = from_fn_with_state(app.clone(), again::keep_what_was_typed);
    Router::new()
        .route("/admin/", get(home::show))
        .route(
            "/admin/password/",
            get(passwords::own_form).post(passwords::change_own),
        )
        .route("/admin/music/", get(songs::list))
        .route("/admin/music/add/", get(songs::blank).post(songs::add))
        .route(
            "/admin/music/delete/",
            get(songs::ask_to_delete).post(songs::delete),
        )
        .route("/admin/music/{id}/", get(songs::form).post(songs::change))
        .route("/admin/users/", get(people::list))
        .route("/admin/users/add/", get(people::blank).post(people::add))
        .route("/admin/users/{id}/", get(rights::form).post(rights::change))
        .route(
            "/admin/users/{id}/password/",
            get(passwords::form).post(passwords::set),
        )
        .layer(keep)
        .route(
            "/admin/login/",
            get(login::show)
                .post(login::log_in)
                .fallback(login::log_in_only),
        )
}

/// The panic itself was printed by the time it is caught.
fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Error::Panicked.into_response()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::DatabaseConfig;
    use crate::instance::InstanceName;
    use crate::permission::{Permission, TrustedProxies};
    use axum::body::Body;
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    pub(crate) async fn app_without_database() -> App {
        let config = DatabaseConfig {
            connect: sqlx::postgres::PgConnectOptions::new_without_pgpass(),
            wait: std::time::Duration::ZERO,
            connections: 1,
        };
        let access = Access {
            permission: Permission::Open,
            trusted_proxies: TrustedProxies::default(),
        };
        let instance = Instance::named(InstanceName::parse("api_1")).await;
        let database = Database::open(&config, &instance);
        App::new(instance, database, access, Stop::pair().1)
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_like_any_other() {
        async fn bug() {
            panic!("a bug, made for this test")
        }
        let routes = Router::new().route("/", get(bug));
        let app = around(routes, app_without_database().await, Counted::Yes);
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[stamp::INSTANCE], "api_1");
        assert!(response.headers().contains_key(stamp::REQUEST_ID));
    }
}
