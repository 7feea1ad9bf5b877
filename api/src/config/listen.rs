//! Where the API listens: a TCP address or a Unix socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::WrongSetting;

/// An address to listen on, as `API_LISTEN` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `0.0.0.0:8000`, `[::]:8000`.
    Tcp(SocketAddr),
    /// `unix:/path/to.sock`.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = WrongSetting;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |problem: String| WrongSetting::new("API_LISTEN (--listen)", problem);
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            // What the kernel can hold of a socket's path, its closing zero included.
            let fits = path.as_os_str().len() < 108;
            return if path.is_absolute() && fits {
                Ok(Self::Unix(path))
            } else {
                Err(refused(
                    "a Unix socket needs an absolute path of at most 107 bytes".into(),
                ))
            };
        }

        text.parse().map(Self::Tcp).map_err(|_| {
            refused(format!(
                "must be ADDRESS:PORT, such as 0.0.0.0:8000, or unix:/PATH, not {text:?}"
            ))
        })
    }
}
