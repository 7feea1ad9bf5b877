//! The command line: names, defaults and help of every setting, still as the text that was given.
//!
//! [`crate::config`] parses the text, so that a wrong value is refused in one place and by both its names.

use clap::{Args, Parser, Subcommand};

/// A music API that runs as one of several instances behind a load balancer.
#[derive(Parser)]
#[command(name = "api", version)]
pub struct Cli {
    /// How it logs.
    #[command(flatten)]
    pub log: LogArguments,
    /// What it does.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program is to do.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the API, after bringing the database up to date
    ///
    /// Example: `api serve --database-url postgres://music@localhost/music --permission open`
    #[command(verbatim_doc_comment)]
    Serve(ServeArguments),
    /// Bring the database up to date and end
    ///
    /// Example: `api migrate --database-url postgres://music@localhost/music`
    #[command(verbatim_doc_comment)]
    Migrate(DatabaseArguments),
    /// Make an account that may use the admin; asks for its name, and twice for its password
    ///
    /// Example: `docker-compose exec api api createsuperuser`, without Docker `stack api createsuperuser`
    ///
    /// Without a terminal: `DJANGO_SUPERUSER_PASSWORD=... api createsuperuser --noinput --username leo`
    #[command(verbatim_doc_comment, name = "createsuperuser")]
    CreateSuperuser(CreateSuperuserArguments),
    /// Give an account another password; asks twice for it, and ends the account's sessions
    ///
    /// Example: `docker-compose exec api api changepassword leo`, without Docker `stack api changepassword leo`
    #[command(verbatim_doc_comment, name = "changepassword")]
    ChangePassword(ChangePasswordArguments),
    /// Make a token for a program, and print it: it cannot be shown again
    ///
    /// Example: `curl -H "Authorization: Token $(api token leo)" localhost:8000/api/music/`
    #[command(verbatim_doc_comment)]
    Token(TokenArguments),
    /// Add music that is made up, in batches that are committed one by one
    ///
    /// Example: `api seed 1000000`
    #[command(verbatim_doc_comment)]
    Seed(SeedArguments),
    /// Print what the API answers, as an `OpenAPI` 3.1 document: that of `/api/schema/`
    ///
    /// Example: `api openapi > music.json`
    #[command(verbatim_doc_comment, name = "openapi")]
    OpenApi(OpenApiArguments),
    /// Ask the instance that listens on the same address whether it is well: exit code 0 or 1
    ///
    /// Example: `api healthcheck --listen 127.0.0.1:8000`
    #[command(verbatim_doc_comment)]
    Healthcheck(ListenArguments),
}

/// Settings of the log, for every command.
#[derive(Args)]
pub struct LogArguments {
    /// What to log, in the syntax of tracing's `EnvFilter`, such as `info` or `api=debug`
    #[arg(
        long = "log",
        env = "RUST_LOG",
        default_value = "info,sqlx::postgres::notice=warn",
        global = true
    )]
    pub filter: String,
    /// `text`, `json` (one object a line), or `auto`: text on a terminal
    #[arg(
        long = "log-format",
        env = "LOG_FORMAT",
        default_value = "auto",
        global = true
    )]
    pub format: String,
}

/// Where the API listens.
#[derive(Args)]
pub struct ListenArguments {
    /// An address such as `0.0.0.0:8000`, or `unix:/path/to.sock`
    #[arg(long, env = "API_LISTEN", default_value = "0.0.0.0:8000")]
    pub listen: String,
}

/// Settings of `api serve`.
#[derive(Args)]
pub struct ServeArguments {
    /// Where it listens.
    #[command(flatten)]
    pub listen: ListenArguments,
    /// Where to show the metrics at `/metrics`, an address like that of `--listen`; by default nowhere
    #[arg(long, env = "API_METRICS_LISTEN")]
    pub metrics_listen: Option<String>,
    /// The name in `X-Instance`; by default the name that Docker gives the container, else the host's
    #[arg(long, env = "INSTANCE_NAME")]
    pub instance_name: Option<String>,
    /// Who may do what: `read-only` (anyone reads, who is signed in writes), `authenticated` (all need to be
    /// signed in) or `open` (anyone does anything)
    #[arg(long, env = "API_PERMISSION", default_value = "read-only")]
    pub permission: String,
    /// Networks whose `X-Forwarded-*` headers are believed, with commas between them
    #[arg(
        long,
        env = "API_TRUSTED_PROXIES",
        default_value = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
    )]
    pub trusted_proxies: String,
    /// Where its rows are.
    #[command(flatten)]
    pub database: DatabaseArguments,
    /// Who is the first to sign in.
    #[command(flatten)]
    pub first_account: FirstAccountArguments,
}

/// The account that is made at the start if there is none at all.
#[derive(Args)]
pub struct FirstAccountArguments {
    /// Make this account, which may use the admin, if there is no account at all
    #[arg(long, env = "ADMIN_USERNAME")]
    pub admin_username: Option<String>,
    /// Its password
    #[arg(long, env = "ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,
    /// A file that holds its password
    #[arg(long, env = "ADMIN_PASSWORD_FILE")]
    pub admin_password_file: Option<String>,
}

/// Settings of `api openapi`.
#[derive(Args)]
pub struct OpenApiArguments {
    /// The permission of the API that is described: `read-only`, `authenticated` or `open`
    #[arg(long, env = "API_PERMISSION", default_value = "read-only")]
    pub permission: String,
}

/// Settings of `api createsuperuser`.
#[derive(Args)]
pub struct CreateSuperuserArguments {
    /// The name of the account; asked for if it is missing
    #[arg(long, env = "DJANGO_SUPERUSER_USERNAME")]
    pub username: Option<String>,
    /// Ask nothing: the name and the password come from `DJANGO_SUPERUSER_USERNAME` and `DJANGO_SUPERUSER_PASSWORD`
    #[arg(long, visible_alias = "no-input")]
    pub noinput: bool,
    /// The password, for `--noinput`
    #[arg(long, env = "DJANGO_SUPERUSER_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Accepted and not stored
    #[arg(long, env = "DJANGO_SUPERUSER_EMAIL", hide = true)]
    pub email: Option<String>,
    /// Where the accounts are.
    #[command(flatten)]
    pub database: DatabaseArguments,
}

/// Settings of `api changepassword`.
#[derive(Args)]
pub struct ChangePasswordArguments {
    /// The name of the account
    pub username: String,
    /// Ask nothing: the password comes from `API_NEW_PASSWORD`
    #[arg(long, visible_alias = "no-input")]
    pub noinput: bool,
    /// The new password, for `--noinput`
    #[arg(long, env = "API_NEW_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Where the accounts are.
    #[command(flatten)]
    pub database: DatabaseArguments,
}

/// Settings of `api token`.
#[derive(Args)]
pub struct TokenArguments {
    /// The name of the account
    pub username: String,
    /// Take all tokens of the account away instead
    #[arg(long)]
    pub revoke: bool,
    /// Where the accounts are.
    #[command(flatten)]
    pub database: DatabaseArguments,
}

/// Settings of `api seed`.
#[derive(Args)]
pub struct SeedArguments {
    /// How many
    #[arg(default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub count: u64,
    /// Where the music goes.
    #[command(flatten)]
    pub database: DatabaseArguments,
}

/// Which Postgres to use: a URL, or the variables that libpq knows.
#[derive(Args)]
pub struct DatabaseArguments {
    /// `postgres://user:password@host:5432/database`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A file that holds the URL
    #[arg(long, env = "DATABASE_URL_FILE")]
    pub database_url_file: Option<String>,
    /// Host, or the folder of a Unix socket, if there is no URL
    #[arg(long, env = "PGHOST")]
    pub pg_host: Option<String>,
    /// Port, if there is no URL (5432)
    #[arg(long, env = "PGPORT")]
    pub pg_port: Option<String>,
    /// User, if there is no URL; there is no default
    #[arg(long, env = "PGUSER")]
    pub pg_user: Option<String>,
    /// Database, if there is no URL (the user's name)
    #[arg(long, env = "PGDATABASE")]
    pub pg_database: Option<String>,
    /// Password, if there is no URL
    #[arg(long, env = "PGPASSWORD", hide_env_values = true)]
    pub pg_password: Option<String>,
    /// A file that holds the password
    #[arg(long, env = "PGPASSWORD_FILE")]
    pub pg_password_file: Option<String>,
    /// How long to wait at the start for a Postgres that is not there yet, such as `60s` or `500ms`
    #[arg(long, env = "API_DATABASE_WAIT", default_value = "60s")]
    pub database_wait: String,
    /// How many connections to hold at most
    #[arg(long, env = "API_DATABASE_CONNECTIONS", default_value = "8")]
    pub database_connections: String,
}
