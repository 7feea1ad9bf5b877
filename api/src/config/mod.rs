//! The settings, parsed once into types that cannot be wrong, before anything is bound or connected.
//!
//! Every refusal names the setting as a variable and as a flag, and never shows a secret.

mod database;
mod first;
mod listen;
mod secret;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cli::ServeArguments;
use crate::instance::InstanceName;
use crate::permission::{Access, Permission, TrustedProxies};

pub use database::DatabaseConfig;
pub use first::FirstAccount;
pub use listen::Listen;

/// A setting that cannot be used, in one sentence that names it.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct WrongSetting {
    /// The variable and the flag, such as `API_LISTEN (--listen)`.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl WrongSetting {
    fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }
}

/// Everything that `api serve` was told.
pub struct ServeConfig {
    /// Where to listen.
    pub listen: Listen,
    /// Where to show the metrics; `None`: nowhere.
    pub metrics_listen: Option<Listen>,
    /// The name to answer with; `None`: find it out.
    pub instance_name: Option<InstanceName>,
    /// Who may do what, and whose word is taken for who asks.
    pub access: Access,
    /// Where the rows are.
    pub database: DatabaseConfig,
    /// Whom to make the first account for, if there is none yet.
    pub first_account: Option<FirstAccount>,
}

impl ServeConfig {
    /// Parses what the command line gave.
    pub fn parse(arguments: &ServeArguments) -> Result<Self, WrongSetting> {
        Ok(Self {
            listen: arguments.listen.listen.parse()?,
            metrics_listen: metrics_listen(arguments.metrics_listen.as_deref())?,
            instance_name: instance_name(arguments.instance_name.as_deref())?,
            access: Access {
                permission: permission(&arguments.permission)?,
                trusted_proxies: trusted_proxies(&arguments.trusted_proxies)?,
            },
            database: DatabaseConfig::parse(&arguments.database)?,
            first_account: FirstAccount::parse(&arguments.first_account)?,
        })
    }
}

/// Treats an empty variable as one that is not set, as compose files often produce it.
fn set(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

fn metrics_listen(value: Option<&str>) -> Result<Option<Listen>, WrongSetting> {
    let parsed = set(value).map(str::parse::<Listen>).transpose();
    parsed.map_err(|wrong| WrongSetting {
        setting: "API_METRICS_LISTEN (--metrics-listen)",
        ..wrong
    })
}

fn instance_name(value: Option<&str>) -> Result<Option<InstanceName>, WrongSetting> {
    set(value)
        .map(|name| {
            InstanceName::parse(name).ok_or_else(|| {
                WrongSetting::new(
                    "INSTANCE_NAME (--instance-name)",
                    "must be 1 to 64 letters, digits or any of . _ -",
                )
            })
        })
        .transpose()
}

pub(crate) fn permission(value: &str) -> Result<Permission, WrongSetting> {
    match value {
        "open" => Ok(Permission::Open),
        "read-only" => Ok(Permission::ReadOnly),
        "authenticated" => Ok(Permission::Authenticated),
        other => Err(WrongSetting::new(
            "API_PERMISSION (--permission)",
            format!("must be read-only, authenticated or open, not {other:?}"),
        )),
    }
}

fn trusted_proxies(value: &str) -> Result<TrustedProxies, WrongSetting> {
    let refused = |part: &str| {
        WrongSetting::new(
            "API_TRUSTED_PROXIES (--trusted-proxies)",
            format!("must be networks such as 10.0.0.0/8 with commas between them, not {part:?}"),
        )
    };
    let networks = value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let network = part
                .parse::<IpNet>()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| refused(part))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(TrustedProxies::new(networks))
}
