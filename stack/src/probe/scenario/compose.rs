//! A stack in containers: a docker-compose project of its own, or one that runs already.
//!
//! Instances are struck by `docker` itself: it is quicker than the Compose tool, whose own start
//! would blur the moment of the event.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::native::free_address;
use super::stage::{Deed, Stage, eventually, output};
use crate::Fault;
use crate::ask::{Address, get};
use crate::plan::ADMIN;

/// The port of an API in its container.
const API_PORT: u16 = 8000;
/// How long a project may take until it is ready.
const UNTIL_READY: Duration = Duration::from_secs(120);

/// A project.
#[derive(Debug, Clone)]
pub struct Compose {
    /// Its name.
    pub project: String,
    /// Where its proxy listens on this machine.
    pub listen: SocketAddr,
    /// The folder of the compose files.
    pub repository: PathBuf,
}

impl Compose {
    /// Starts a project of its own, of images that are there.
    pub async fn start() -> Result<Self, Fault> {
        let repository = repository()?;
        run("docker", &["info"]).await?;
        let images = ["image", "inspect", "music-stack/api", "music-stack/proxy"];
        run("docker", &images)
            .await
            .map_err(|_| Fault::new("the images are not built: scripts/compose build"))?;
        let compose = Self {
            project: format!("probe{}", std::process::id()),
            listen: free_address()?,
            repository,
        };
        compose.compose(&["up", "-d", "--no-build"]).await?;
        let address = Address::Tcp(compose.listen);
        eventually(UNTIL_READY, "the containers serve", async || {
            let answer = get(&address, "/api/music/", Duration::from_secs(5)).await;
            answer.is_ok_and(|answer| answer.status.is_success())
        })
        .await?;
        let stage = Stage::Compose(compose.clone());
        for instance in ["api_1", "api2_1"] {
            stage.answers(instance, UNTIL_READY).await?;
        }
        Ok(compose)
    }

    /// Removes the project and its data.
    pub async fn end(&self) -> Result<(), Fault> {
        let down = ["down", "--volumes", "--timeout", "2"];
        self.compose(&down).await.map(drop)
    }

    /// A new token of the administrator.
    pub async fn token(&self) -> Result<String, Fault> {
        let ids = self.containers("api").await?;
        let id = ids
            .first()
            .ok_or_else(|| Fault::new("there is no container of api"))?;
        run("docker", &["exec", id, "api", "token", ADMIN]).await
    }

    /// Does something to every container of a service.
    pub async fn act(&self, deed: Deed, service: &str) -> Result<(), Fault> {
        for id in self.containers(service).await? {
            match deed {
                Deed::Kill => run("docker", &["kill", &id]).await?,
                Deed::Stop => run("docker", &["stop", &id]).await?,
                Deed::Start => run("docker", &["start", &id]).await?,
                Deed::Pause => run("docker", &["pause", &id]).await?,
                Deed::Resume => run("docker", &["unpause", &id]).await?,
                Deed::Cut => {
                    let network = self.network(&id).await?;
                    run("docker", &["network", "disconnect", &network, &id]).await?
                }
                Deed::Join => {
                    let network = format!("{}_default", self.project);
                    let alias = ["network", "connect", "--alias", service, &network, &id];
                    run("docker", &alias).await?
                }
            };
        }
        Ok(())
    }

    /// Sets the number of a service's containers.
    pub async fn scale(&self, service: &str, count: usize) -> Result<(), Fault> {
        let scale = format!("{service}={count}");
        let up = ["up", "-d", "--no-build", "--no-recreate", "--scale", &scale];
        self.compose(&up).await.map(drop)
    }

    /// Replaces the containers of a service.
    pub async fn recreate(&self, service: &str) -> Result<(), Fault> {
        let up = ["up", "-d", "--no-build", "--no-deps", "--force-recreate"];
        self.compose(&[&up[..], &[service]].concat())
            .await
            .map(drop)
    }

    /// Where an API listens in its network, if it has one.
    pub async fn address(&self, service: &str, number: usize) -> Option<Address> {
        let ids = self.numbered(service, number).await.ok()?;
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
        let inspect = ["inspect", "--format", format, ids.first()?];
        let text = run("docker", &inspect).await.ok()?;
        let ip: IpAddr = text.split_whitespace().next()?.parse().ok()?;
        Some(Address::Tcp(SocketAddr::new(ip, API_PORT)))
    }

    async fn network(&self, id: &str) -> Result<String, Fault> {
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        let text = run("docker", &["inspect", "--format", format, id]).await?;
        let name = text.split_whitespace().next().map(str::to_owned);
        name.ok_or_else(|| Fault::new(format!("the container {id} has no network")))
    }

    async fn containers(&self, service: &str) -> Result<Vec<String>, Fault> {
        self.listed(&[format!("label=com.docker.compose.service={service}")])
            .await
    }

    async fn numbered(&self, service: &str, number: usize) -> Result<Vec<String>, Fault> {
        self.listed(&[
            format!("label=com.docker.compose.service={service}"),
            format!("label=com.docker.compose.container-number={number}"),
        ])
        .await
    }

    async fn listed(&self, filters: &[String]) -> Result<Vec<String>, Fault> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let mut arguments = vec!["ps", "--all", "--quiet", "--filter", &project];
        for filter in filters {
            arguments.extend(["--filter", filter]);
        }
        let text = run("docker", &arguments).await?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    async fn compose(&self, arguments: &[&str]) -> Result<String, Fault> {
        let mut command = Command::new(self.repository.join("scripts/compose"));
        command
            .args(["-p", &self.project])
            .args(arguments)
            .env("PORT", self.listen.port().to_string());
        output(command).await
    }
}

async fn run(program: &str, arguments: &[&str]) -> Result<String, Fault> {
    let mut command = Command::new(program);
    command.args(arguments);
    output(command).await
}

/// Finds the folder of the compose files, around this program or the working folder.
fn repository() -> Result<PathBuf, Fault> {
    let executable = std::env::current_exe().unwrap_or_default();
    let working = std::env::current_dir().unwrap_or_default();
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    executable
        .ancestors()
        .chain([working.as_path()])
        .chain(built_from)
        .find(|folder| folder.join("docker-compose.yml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| Fault::new("docker-compose.yml was not found"))
}
