//! `/api-auth/login/` and `/api-auth/logout/`: where a browser begins and ends a session, by plain forms.

use std::time::{Duration, SystemTime};

use axum::extract::{FromRequest, Request, State};
use axum::response::{Html, IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, EXPIRES, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE, VARY,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use utoipa::ToSchema;

use super::login_page::LoginPage;
use super::secret::Secret;
use super::{SignedIn, csrf, next, session, sign_in, store};
use crate::error::{Error, LB_CAUSE};
use crate::negotiate;
use crate::origin;
use crate::page::{self, Frame, Visitor, failure};
use crate::router::App;
use crate::sent::Sent;
use crate::server::Peer;

/// Where one goes who did not say where.
const HOME: &str = "/api/";
const WRONG: &str =
    "Please enter a correct username and password. Note that both fields may be case-sensitive.";

/// The fields of the form. Has no `Debug`, because it holds a password.
#[derive(Default, ToSchema)]
#[schema(as = Login)]
struct Form {
    /// The name of the account.
    #[schema(rename = "username", required = false)]
    name: String,
    /// Its password.
    #[schema(format = Password, required = false)]
    password: String,
    /// A path on this host to go to afterwards.
    #[schema(required = false)]
    next: String,
    /// The value of the cookie `csrftoken`, where `Sec-Fetch-Site` and `Origin` are missing.
    #[schema(rename = "csrfmiddlewaretoken")]
    csrf: Option<String>,
}

impl Form {
    /// Reads a form. Where it does not say where to go afterwards, the address may.
    async fn from_request(request: Request) -> Result<Self, Error> {
        let mut form = Self {
            next: wished(request.uri()),
            ..Self::default()
        };
        let sent = Sent::from_request(request, &()).await?;
        for (field, value) in sent.form().await? {
            match field.as_str() {
                "username" => form.name = value,
                "password" => form.password = value,
                "next" => form.next = value,
                csrf::FIELD => form.csrf = Some(value),
                _ => {}
            }
        }
        Ok(form)
    }
}

/// Returns the `next` of an address.
fn wished(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .filter(|(field, _)| field == "next")
        .last()
        .map(|(_, next)| next.into_owned())
        .unwrap_or_default()
}

/// What of a request's head matters here.
struct Head {
    method: Method,
    headers: HeaderMap,
    peer: Peer,
}

impl Head {
    fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<Peer>().copied();
        Self {
            method: request.method().clone(),
            headers: request.headers().clone(),
            peer: peer.unwrap_or_default(),
        }
    }

    fn is_https(&self, app: &App) -> bool {
        origin::is_https(&self.headers, self.peer, &app.access().trusted_proxies)
    }

    fn refuse_other_sites(&self, app: &App, token: Option<&str>) -> Option<Response> {
        let own = origin::origin(&self.headers, self.peer, &app.access().trusted_proxies);
        let problem = csrf::check(&self.method, &self.headers, own.as_deref(), token).err()?;
        if negotiate::names_json(&self.headers) {
            return Some(uncached(Error::Csrf(problem).into_response()));
        }
        let status = StatusCode::FORBIDDEN;
        let frame = Frame::new(
            app,
            &self.headers,
            "",
            &status.to_string(),
            Visitor::Unknown,
        );
        let problem = format!("CSRF Failed: {problem}");
        let mut refusal = uncached(failure::refusal(frame, status, problem));
        // As in the original: it is kept by nobody anyway.
        refusal.headers_mut().remove(VARY);
        Some(refusal)
    }
}

/// `GET /api-auth/login/`: the form.
#[utoipa::path(get, path = "/api-auth/login/", tag = "session", operation_id = "login_form", summary = "The form to sign in",
    responses((status = 200, description = "The form.", body = String, content_type = "text/html")))]
pub async fn show(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let form = Form {
        next: next::local(&wished(request.uri())).unwrap_or_default(),
        ..Form::default()
    };
    show_form(&app, &Head::of(&request), StatusCode::OK, None, &form)
}

/// `POST /api-auth/login/`: begins a session, or shows the form again with what was wrong.
#[utoipa::path(post, path = "/api-auth/login/", tag = "session", operation_id = "log_in", summary = "Sign in",
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The form again, with what was wrong.", body = String, content_type = "text/html"),
        (status = 302, description = "Signed in: on to `next`.", body = String, content_type = "text/html")))]
pub async fn log_in(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let head = Head::of(&request);
    let mut form = Form::from_request(request).await?;
    form.next = next::local(&form.next).unwrap_or_default();
    if let Some(refusal) = head.refuse_other_sites(&app, form.csrf.as_deref()) {
        return Ok(refusal);
    }
    let address = origin::address(&head.headers, head.peer, &app.access().trusted_proxies);
    let begun = match sign_in(&app, &form.name, &form.password, address).await {
        Ok(Some(who)) => begin(&app, &head, who, &form).await,
        Ok(None) => show_form(&app, &head, StatusCode::OK, Some(WRONG), &form),
        Err(error) => Err(error),
    };
    match begun {
        Err(Error::TooManyTries(wait)) => {
            let problem = format!(
                "Too many wrong passwords. Please try again in {} seconds.",
                wait.as_secs()
            );
            let status = StatusCode::TOO_MANY_REQUESTS;
            let page = show_form(&app, &head, status, Some(&problem), &form)?;
            Ok(to_try_again(page, wait))
        }
        Err(Error::Busy(_)) => {
            let problem = "Too many people sign in just now. Please try again.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let page = show_form(&app, &head, status, Some(problem), &form)?;
            Ok(to_try_again(page, Duration::from_secs(1)))
        }
        Err(error) if failure::is_for_a_browser(&head.headers) => {
            show_again(&app, &head, &form, error).await
        }
        other => other,
    }
}

/// Shows the form once more after a failure that is not the person's own: the name is not typed twice.
async fn show_again(app: &App, head: &Head, form: &Form, error: Error) -> Result<Response, Error> {
    let (failed, said) = error.into_response().into_parts();
    let problem = failure::sentences_of(said).await.join(" ");
    let mut page = show_form(app, head, failed.status, Some(&problem), form)?;
    for name in [RETRY_AFTER, LB_CAUSE] {
        if let Some(value) = failed.headers.get(&name) {
            page.headers_mut().insert(name, value.clone());
        }
    }
    Ok(page)
}

async fn begin(app: &App, head: &Head, who: SignedIn, form: &Form) -> Result<Response, Error> {
    let Some(begun) = super::begin(app, &head.headers, head.peer, who).await? else {
        // By now it is another password that is right.
        return show_form(app, head, StatusCode::OK, Some(WRONG), form);
    };
    let target = if form.next.is_empty() {
        HOME
    } else {
        &form.next
    };
    let mut response = redirect(target);
    for cookie in begun.cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `POST /api-auth/logout/`: ends the session.
#[utoipa::path(post, path = "/api-auth/logout/", tag = "session", operation_id = "log_out", summary = "Sign out",
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"),
    responses((status = 302, description = "Signed out: on to `next`.", body = String, content_type = "text/html")))]
pub async fn log_out(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let head = Head::of(&request);
    let form = Form::from_request(request).await?;
    if let Some(refusal) = head.refuse_other_sites(&app, form.csrf.as_deref()) {
        return Ok(refusal);
    }
    if let Some(digest) = session::id(&head.headers).and_then(Secret::digest_of) {
        app.database()
            .work()
            .run(move |connection| Box::pin(store::end_session(connection, digest)))
            .await?;
    }
    let target = next::local(&form.next);
    let mut response = redirect(target.as_deref().unwrap_or(HOME));
    response.headers_mut().append(SET_COOKIE, session::FORGET);
    Ok(response)
}

/// Any other method at the address of the login: what it knows.
#[utoipa::path(options, path = "/api-auth/login/", tag = "session", operation_id = "log_in_options",
    summary = "What this address knows",
    responses((status = 200, description = "See `Allow`.", body = String, content_type = "text/html")))]
pub async fn log_in_only(method: Method) -> Response {
    only("GET, POST, HEAD, OPTIONS", method)
}

/// Any other method at the address of the logout: what it knows.
#[utoipa::path(options, path = "/api-auth/logout/", tag = "session", operation_id = "log_out_options",
    summary = "What this address knows",
    responses((status = 200, description = "See `Allow`.", body = String, content_type = "text/html")))]
pub async fn log_out_only(method: Method) -> Response {
    only("POST, OPTIONS", method)
}

fn only(allow: &'static str, method: Method) -> Response {
    let mut response = match method {
        Method::OPTIONS => Html("").into_response(),
        other => Error::MethodNotAllowed(other).into_response(),
    };
    let allow = HeaderValue::from_static(allow);
    response.headers_mut().insert(ALLOW, allow);
    response
}

fn show_form(
    app: &App,
    head: &Head,
    status: StatusCode,
    problem: Option<&str>,
    form: &Form,
) -> Result<Response, Error> {
    let mut frame = Frame::new(app, &head.headers, "", "Log in", Visitor::Unknown);
    if frame.csrf.is_empty() {
        let new = Secret::random().map_err(Error::NoRandomness)?;
        frame.csrf = new.reveal().to_owned();
    }
    let csrf = frame.csrf.clone();
    let html = LoginPage {
        frame,
        problem,
        name: &form.name,
        next: &form.next,
    };
    let mut response = uncached(page::answer(status, &html));
    let cookie = session::csrf_cookie(&csrf, head.is_https(app), SystemTime::now());
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

fn redirect(target: &str) -> Response {
    let location = HeaderValue::try_from(target).unwrap_or(HeaderValue::from_static(HOME));
    uncached((StatusCode::FOUND, [(LOCATION, location)], Html("")).into_response())
}

fn to_try_again(mut response: Response, wait: Duration) -> Response {
    let seconds = HeaderValue::from(wait.as_secs());
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

/// What is shown to one person is kept by nobody, and shown in no frame of another site.
fn uncached(mut response: Response) -> Response {
    let now = httpdate::fmt_http_date(SystemTime::now());
    let headers = response.headers_mut();
    if let Ok(now) = HeaderValue::try_from(now) {
        headers.insert(EXPIRES, now);
    }
    let set = [
        (
            CACHE_CONTROL,
            "max-age=0, no-cache, no-store, must-revalidate, private",
        ),
        (VARY, "Cookie"),
        (http::header::X_FRAME_OPTIONS, "DENY"),
        (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (http::header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
