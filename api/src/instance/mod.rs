//! What this instance is called: the name in `X-Instance` and in the log.
//!
//! `INSTANCE_NAME` if set; else the name that `docker-compose` shows for the container, which Docker's own
//! DNS knows; else the host's name. So `--scale api=3` shows three names with no further setting.

mod container;
mod docker;

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

/// A name that may stand in a header: 1 to 64 of letters, digits, `.`, `_`, `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceName(String);

impl InstanceName {
    /// Takes `text` over if it is a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }
}

/// This instance: its name, ready for a header and for the log.
#[derive(Clone, Debug)]
pub struct Instance {
    name: Arc<str>,
    header: HeaderValue,
}

impl Instance {
    /// Takes the name that was set, or finds one.
    pub async fn named(set: Option<InstanceName>) -> Self {
        let InstanceName(name) = match set {
            Some(name) => name,
            None => match docker::name_of_this_container().await {
                Some(name) => name,
                None => host_name(),
            },
        };
        let header = HeaderValue::from_str(&name)
            .expect("a name holds only letters, digits and . _ -, all of which a header may hold");
        Self {
            name: name.into(),
            header,
        }
    }

    /// Returns the name as a header's value.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

fn host_name() -> InstanceName {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    InstanceName::parse(&name).unwrap_or_else(|| InstanceName("api".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["api_1", "api-2", "a", "A.b"] {
            assert_eq!(
                InstanceName::parse(name),
                Some(InstanceName(name.to_owned()))
            );
        }
        for name in ["", "a b", "a\n", "é", &"x".repeat(65)] {
            assert_eq!(InstanceName::parse(name), None, "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_is_set_wins() {
        let instance = Instance::named(InstanceName::parse("api2_1")).await;
        assert_eq!(instance.to_string(), "api2_1");
        assert_eq!(instance.header(), "api2_1");
    }

    #[test]
    fn the_host_has_a_name() {
        assert!(InstanceName::parse(&host_name().0).is_some());
    }
}
