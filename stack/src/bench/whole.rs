//! Our whole stack, as it is shipped: the proxy and API instances on Unix sockets, before one Postgres.

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use super::postgres::Postgres;
use super::running::{Core, Launch, Running, free_address};
use crate::Fault;
use crate::ask::{Address, get};
use crate::plan::{FOREIGN, Programs, instance_name, static_folder};
use crate::proxy_config::{Pool, proxy_toml};
use crate::recipes::proxy_memory;

/// A stack at work.
#[derive(Debug)]
pub(super) struct Whole {
    /// Where its proxy listens.
    pub(super) listen: SocketAddr,
    /// The proxy.
    pub(super) proxy: Running,
    /// The API instances.
    pub(super) apis: Vec<Running>,
}

impl Whole {
    /// Makes a database with so many songs.
    pub(super) async fn prepare(
        postgres: &Postgres,
        database: &str,
        songs: u32,
    ) -> Result<(), Fault> {
        postgres.create(database).await?;
        let mut migrate = Command::new(Programs::find()?.api);
        for name in FOREIGN {
            migrate.env_remove(name);
        }
        migrate.arg("migrate").envs(postgres.environment(database));
        let output = migrate.output().await;
        let output = output.map_err(|error| Fault::new(format!("api migrate: {error}")))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Fault::new(format!("api migrate: {}", errors.trim())));
        }
        postgres.fill(database, songs).await
    }

    /// Starts so many instances and the proxy in front of them, and waits until they answer.
    pub(super) async fn start(
        postgres: &Postgres,
        database: &str,
        folder: &Path,
        instances: usize,
    ) -> Result<Self, Fault> {
        let programs = Programs::find()?;
        let sockets = folder.join(database);
        let failed = |error| Fault::new(format!("{}: {error}", sockets.display()));
        tokio::fs::create_dir_all(&sockets).await.map_err(failed)?;
        let mut apis = Vec::new();
        for number in 1..=instances {
            let socket = sockets.join(format!("{number}.sock"));
            let name = instance_name(database, number);
            let mut launch = Launch::new(&name, programs.api.clone(), folder).args(["serve"]);
            launch.core = Core::Any;
            launch.environment = postgres.environment(database);
            launch.environment.extend([
                ("INSTANCE_NAME", name),
                ("API_LISTEN", format!("unix:{}", socket.display())),
                ("API_PERMISSION", "open".to_owned()),
            ]);
            let mut running = launch.start()?;
            let address = Address::Unix(socket);
            running
                .until("get ready", async || answers(&address, "/readyz").await)
                .await?;
            apis.push(running);
        }
        let (listen, admin) = (free_address()?, free_address()?);
        let pool = Pool {
            sockets: &sockets,
            weight: 1,
        };
        let text = proxy_toml(listen, admin, None, &static_folder(None)?, &[pool]);
        let file = folder.join(format!("{database}.toml"));
        tokio::fs::write(&file, text).await.map_err(failed)?;
        let mut launch = Launch::new(&format!("{database}-proxy"), programs.proxy, folder)
            .args(["serve", "--config"])
            .args([file]);
        launch.core = Core::Any;
        launch.environment = vec![proxy_memory()];
        let mut proxy = launch.start()?;
        let address = Address::Tcp(listen);
        proxy
            .until("get ready", async || answers(&address, "/api/").await)
            .await?;
        Ok(Self {
            listen,
            proxy,
            apis,
        })
    }

    /// The numbers of its processes, and of the database that works for it.
    pub(super) fn processes(&self, postgres: &Postgres) -> Vec<i32> {
        let mut pids: Vec<_> = self.apis.iter().map(Running::pid).collect();
        pids.extend([self.proxy.pid(), postgres.pid()]);
        pids
    }

    /// Ends it in order.
    pub(super) async fn end(self) {
        self.proxy.end().await;
        for api in self.apis {
            api.end().await;
        }
    }
}

/// Tells whether something answers a request with success.
pub(super) async fn answers(address: &Address, path: &str) -> bool {
    let answer = get(address, path, std::time::Duration::from_secs(2)).await;
    answer.is_ok_and(|answer| answer.status.is_success())
}
