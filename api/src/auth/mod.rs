//! Who sends a request: a session's cookie, HTTP Basic or a token, tried in the order of the original.
//!
//! - [`credentials`] reads the headers, [`csrf`] judges where an unsafe request comes from: both pure
//! - [`password`] hashes and verifies, off the async threads and bounded; `verified` remembers for a while
//! - [`secret`] makes session ids and tokens; the database holds only their digests
//! - [`session`] is the cookie; [`login`] the form that begins and ends a session, [`next`] where it leads
//! - `roster` is what the admin sees and changes of accounts, `rights` what they may do
//! - [`tries`] limits wrong passwords; `store` is all the SQL; [`first`] makes the first account
//!
//! No crate for sessions: those that there are keep a bag of values under an id that they store as it is, decide
//! `Secure` once for all requests, and answer 500 when their store fails. A session here is one row that names an
//! account, its id is stored hashed, and a database that is away is a 503 like everywhere else.

pub mod accounts;
pub mod credentials;
pub mod csrf;
pub mod first;
pub mod login;
mod login_page;
pub mod next;
pub mod password;
pub mod purge;
pub(crate) mod rights;
pub(crate) mod roster;
pub mod secret;
pub mod session;
mod store;
pub mod tries;
mod verified;

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method};

use crate::error::Error;
use crate::origin;
use crate::router::App;
use crate::server::Peer;
use credentials::Credentials;
use password::Outcome;
use secret::Secret;
pub use store::Account;

/// Who sends a request, as far as its credentials tell.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The account; `None`: nobody is signed in.
    pub account: Option<Account>,
    /// The cookie names a session that there is not, so the client should forget it.
    pub stale_cookie: bool,
}

impl Caller {
    /// Tells whether the caller is known.
    #[must_use]
    pub fn is_signed_in(&self) -> bool {
        self.account.is_some()
    }
}

/// Finds out who sends a request. No credentials are no error, wrong ones are.
pub async fn authenticate(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Caller, Error> {
    let mut caller = Caller::default();
    if let Some(id) = session::id(headers) {
        caller.account = signed_in(app, id).await?;
        if caller.is_signed_in() {
            let own = origin::origin(headers, peer, &app.access().trusted_proxies);
            csrf::check(method, headers, own.as_deref(), None).map_err(Error::Csrf)?;
            return Ok(caller);
        }
        caller.stale_cookie = true;
    }
    caller.account = match credentials::read(headers).map_err(Error::BadCredentials)? {
        Credentials::None => None,
        Credentials::Basic { name, password } => {
            let address = origin::address(headers, peer, &app.access().trusted_proxies);
            let who = sign_in(app, &name, &password, address).await?;
            let who = who.ok_or(Error::BadCredentials(credentials::WRONG_PASSWORD))?;
            Some(who.account)
        }
        Credentials::Token(token) => Some(by_token(app, &token).await?),
    };
    Ok(caller)
}

/// Somebody whose password was right, and the hash that it was held against. Has no `Debug`: it holds that hash.
pub(crate) struct SignedIn {
    pub(crate) account: Account,
    hash: String,
}

impl SignedIn {
    /// Somebody who has just been given the password of this hash.
    pub(crate) fn anew(account: Account, hash: String) -> Self {
        Self { account, hash }
    }
}

/// A session that has begun.
pub(crate) struct Begun {
    pub(crate) id: Secret,
    pub(crate) cookies: [HeaderValue; 2],
}

/// Begins a session, in place of the one that the browser had; `None` if the password was changed since it was looked
/// at, or the account switched off.
pub(crate) async fn begin(
    app: &App,
    headers: &HeaderMap,
    peer: Peer,
    who: SignedIn,
) -> Result<Option<Begun>, Error> {
    let id = Secret::random().map_err(Error::NoRandomness)?;
    let csrf = Secret::random().map_err(Error::NoRandomness)?;
    let (new, old) = (id.digest(), session::id(headers));
    let old = old.and_then(Secret::digest_of);
    let SignedIn { account, hash } = who;
    let mut work = app.database().work();
    let begun = work.run(move |connection| {
        Box::pin(async move { store::begin_session(connection, account.id, &hash, new, old).await })
    });
    if !begun.await? {
        return Ok(None);
    }
    let https = origin::is_https(headers, peer, &app.access().trusted_proxies);
    let now = SystemTime::now();
    let cookies = [
        session::csrf_cookie(csrf.reveal(), https, now),
        session::cookie(&id, https, now),
    ];
    Ok(Some(Begun { id, cookies }))
}

/// Returns who is signed in by the cookie of a session, if anybody is.
pub(crate) async fn by_cookie(app: &App, headers: &HeaderMap) -> Result<Option<Account>, Error> {
    match session::id(headers) {
        Some(id) => signed_in(app, id).await,
        None => Ok(None),
    }
}

async fn signed_in(app: &App, id: &str) -> Result<Option<Account>, Error> {
    let Some(digest) = Secret::digest_of(id) else {
        return Ok(None);
    };
    let mut work = app.database().work();
    Ok(work
        .run(move |connection| Box::pin(store::by_session(connection, digest)))
        .await?)
}

async fn by_token(app: &App, token: &str) -> Result<Account, Error> {
    let digest = Secret::digest_of(token).ok_or(Error::BadCredentials(credentials::WRONG_TOKEN))?;
    let mut work = app.database().work();
    let account = work
        .run(move |connection| Box::pin(store::by_token(connection, digest)))
        .await?
        .ok_or(Error::BadCredentials(credentials::WRONG_TOKEN))?;
    if account.is_active {
        Ok(account)
    } else {
        Err(Error::BadCredentials(credentials::INACTIVE))
    }
}

/// Verifies a name and a password; `None` if they are not right, `Err` if they cannot be tried now.
///
/// What a name costs does not tell whether there is such an account: an unknown one is hashed for, too.
pub(crate) async fn sign_in(
    app: &App,
    name: &str,
    password: &str,
    address: Option<std::net::IpAddr>,
) -> Result<Option<SignedIn>, Error> {
    let keys = tries::keys(name, address);
    // What can be the name of no account is looked up as one that there is not, and costs as much.
    let wanted = accounts::check_name(name).map_or_else(|_| String::new(), |()| name.to_owned());
    let (found, failures) = app
        .database()
        .work()
        .run(move |connection| Box::pin(store::by_name(connection, wanted, keys)))
        .await?;
    let hash = found.as_ref().map(|(_, hash)| hash.as_str());
    // Others who try from the same address do not lock out a client whose password was right before.
    let known = hash.is_some_and(|hash| app.passwords().knows(name, password, hash));
    if let Some(wait) = tries::wait(failures).filter(|_| !known) {
        app.metrics().login_refused("throttled");
        return Err(Error::TooManyTries(wait));
    }
    let verified = app.passwords().verify(name, password, hash).await;
    let outcome = verified.inspect_err(|_| app.metrics().login_refused("busy"))?;
    match (outcome, found) {
        (Outcome::Right, Some((account, hash))) if account.is_active => {
            Ok(Some(SignedIn { account, hash }))
        }
        _ => {
            app.metrics().login_refused("wrong");
            app.database()
                .work()
                .run(move |connection| Box::pin(store::count_failure(connection, keys)))
                .await?;
            Ok(None)
        }
    }
}
