//! What `stack up` makes sure of before anything is started, so that a wrong setting is told in one sentence.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::Fault;
use crate::cli::UpOptions;
use crate::layout::Layout;
use crate::plan::{Database, Programs, static_folder};
use crate::postgres::{self, Installation};

/// Where the status page is unless another address is asked for.
pub(crate) const STATUS_PAGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// Everything that is known to be there.
pub(crate) struct Checked {
    /// Where things lie.
    pub(crate) layout: Layout,
    /// Where the proxy's status page is to be.
    pub(crate) admin: SocketAddr,
    /// What is started.
    pub(crate) programs: Programs,
    /// The folder of static files.
    pub(crate) files: PathBuf,
    /// How the API finds its database.
    pub(crate) database: Database,
    /// The Postgres to start; `None` where somebody else runs one.
    pub(crate) installation: Option<Installation>,
}

/// Checks what the command line says, and finds what it leaves open.
pub(crate) async fn check(layout: Layout, options: &UpOptions) -> Result<Checked, Fault> {
    check_free("--listen", options.listen)?;
    let admin = match options.admin {
        Some(admin) => admin,
        None => free_admin(options.listen, STATUS_PAGE)
            .map_err(|error| Fault::new(format!("--admin: {error}")))?,
    };
    check_addresses(options.listen, admin)?;
    check_free("--admin", admin)?;
    if let Some(address) = options.tls {
        check_free("--tls", address)?;
        check_pair(&options.tls_folder)?;
    }
    let programs = Programs::find()?;
    let files = static_folder(options.static_folder.as_deref())?;
    let (database, installation) = match &options.database_url {
        Some(url) => (external(url)?, None),
        None => (Database::Own, Some(postgres::find(&layout).await?)),
    };
    Ok(Checked {
        layout,
        admin,
        programs,
        files,
        database,
        installation,
    })
}

/// Looks whether certificate and key are there; the proxy tells whether they fit.
fn check_pair(folder: &Path) -> Result<(), Fault> {
    for name in ["tls.crt", "tls.key"] {
        let file = folder.join(name);
        if !file.is_file() {
            return Err(Fault::new(format!(
                "--tls: there is no {}; scripts/certificate makes one, or --tls-folder names another folder",
                file.display()
            )));
        }
    }
    Ok(())
}

/// Checks what can be told of the two addresses without trying them.
fn check_addresses(listen: SocketAddr, admin: SocketAddr) -> Result<(), Fault> {
    for (what, address) in [("--listen", listen), ("--admin", admin)] {
        if address.port() == 0 {
            return Err(Fault::new(format!(
                "{what} {address}: expected a port from 1 to 65535"
            )));
        }
    }
    if !admin.ip().is_loopback() {
        return Err(Fault::new(format!(
            "--admin {admin}: the status page is for this machine alone; expected a loopback address such as 127.0.0.1:9090"
        )));
    }
    if meet(listen, admin) {
        return Err(Fault::new(format!(
            "--admin {admin} and --listen {listen} meet; expected an address of its own for each"
        )));
    }
    Ok(())
}

fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    same_ip && one.port() == other.port()
}

/// Returns the usual address, or one with a free port if somebody else has it: nobody asked for this one.
fn free_admin(listen: SocketAddr, usual: SocketAddr) -> io::Result<SocketAddr> {
    if !meet(listen, usual) && TcpListener::bind(usual).is_ok() {
        return Ok(usual);
    }
    TcpListener::bind((usual.ip(), 0))?.local_addr()
}

fn check_free(what: &str, address: SocketAddr) -> Result<(), Fault> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(Fault::new(format!(
            "{address} is in use by another program; {what} chooses another address"
        ))),
        Err(error) => Err(Fault::new(format!("{what} {address}: {error}"))),
    }
}

/// Takes a URL over; it is not shown, because it may hold a password.
fn external(url: &str) -> Result<Database, Fault> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(Database::Url(url.to_owned()))
    } else {
        Err(Fault::new("--database-url: must begin with postgres://"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, admin: &str) -> Result<(), String> {
        check_addresses(listen.parse().unwrap(), admin.parse().unwrap())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn each_listener_has_an_address_of_its_own() {
        for (listen, admin) in [
            ("127.0.0.1:8080", "127.0.0.1:9090"),
            ("0.0.0.0:8080", "127.0.0.1:9090"),
            ("127.0.0.1:8080", "127.0.0.2:8080"),
            ("[::1]:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(check(listen, admin), Ok(()), "{listen} {admin}");
        }
        for (listen, admin) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "127.0.0.1:8080"),
        ] {
            let fault = check(listen, admin).unwrap_err();
            assert!(fault.contains("meet"), "{listen} {admin}: {fault}");
        }
    }

    #[test]
    fn the_status_page_moves_where_its_usual_port_is_taken() {
        let somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = somebody.local_addr().unwrap();
        let listen = "127.0.0.1:1".parse().unwrap();
        let moved = free_admin(listen, taken).unwrap();
        assert!(moved != taken && moved.ip() == taken.ip() && moved.port() > 0);
        drop(somebody);
        let beside = free_admin(taken, taken).unwrap();
        assert_ne!(beside, taken, "the proxy itself listens there");
    }

    #[test]
    fn the_status_page_is_not_for_others_and_a_port_is_named() {
        for (listen, admin, names) in [
            ("127.0.0.1:8080", "0.0.0.0:9090", "--admin 0.0.0.0:9090: "),
            ("127.0.0.1:8080", "10.0.0.1:9090", "--admin 10.0.0.1:9090: "),
            ("127.0.0.1:8080", "127.0.0.1:0", "--admin 127.0.0.1:0: "),
            ("127.0.0.1:0", "127.0.0.1:9090", "--listen 127.0.0.1:0: "),
        ] {
            let fault = check(listen, admin).unwrap_err();
            assert!(fault.starts_with(names), "{fault}");
        }
    }

    #[test]
    fn the_url_of_a_database_is_checked_and_never_shown() {
        assert!(external("postgresql://music@localhost/music").is_ok());
        let Err(fault) = external("mysql://music:secret@localhost/music") else {
            panic!("mysql is none");
        };
        assert!(fault.to_string().starts_with("--database-url: "));
        assert!(!fault.to_string().contains("secret"));
    }
}
