//! The stack on docker-compose, as a project of its own on a port of its own.

use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::Value;
use stack::probe::Authorization;
use stack::probe::scenario::{self, Stage};

use crate::driver::{Call, Driver, Verb, must, psql, root};

/// One project.
pub(crate) struct Compose {
    project: String,
    listen: SocketAddr,
    files: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

impl Compose {
    pub(crate) fn new(listen: SocketAddr) -> Self {
        Self {
            project: format!("e2e{}", std::process::id()),
            listen,
            files: "docker-compose.yml:docker-compose.override.yml",
            variables: &[],
        }
    }

    /// The variant whose API listens on Unix sockets.
    pub(crate) fn on_unix_sockets(listen: SocketAddr) -> Self {
        Self {
            project: format!("e2eunix{}", std::process::id()),
            files: "docker-compose.yml:docker-compose.override.yml:docker-compose.unix.yml",
            ..Self::new(listen)
        }
    }

    /// A project in whose files these variables are put in.
    pub(crate) fn with(
        listen: SocketAddr,
        variables: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            project: format!("e2ewith{}", std::process::id()),
            variables,
            ..Self::new(listen)
        }
    }

    /// The Compose tool with arguments, for this project.
    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(root().join("scripts/compose"));
        self.environment(command.args(arguments));
        command
    }

    /// Has a command mean this project.
    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(root())
            .envs(self.variables.iter().copied())
            .env("COMPOSE_PROJECT_NAME", &self.project)
            .env("COMPOSE_FILE", self.files)
            .env("PORT", self.listen.port().to_string())
    }

    fn containers(&self, service: &str) -> Vec<String> {
        let text = must(&mut self.compose(&["ps", "-q", service]));
        text.split_whitespace().map(str::to_owned).collect()
    }
}

/// Builds the images if there are none; after a change of code `docker-compose build` is the test's caller's.
pub(crate) fn build_images() {
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", "music-stack/api", "music-stack/proxy"]);
    if inspect.output().unwrap().status.success() {
        return;
    }
    must(Command::new(root().join("scripts/base-images")).current_dir(root()));
    let mut build = Command::new(root().join("scripts/compose"));
    must(build.arg("build").current_dir(root()));
}

impl Driver for Compose {
    fn up(&self) {
        must(&mut self.compose(&["up", "-d", "--no-build"]));
    }

    fn down(&self) {
        must(&mut self.compose(&["down"]));
    }

    fn destroy(&self) {
        must(&mut self.compose(&["down", "--volumes", "--timeout", "2"]));
    }

    fn verb(&self, verb: Verb, service: &str) {
        let name = match verb {
            Verb::Stop => "stop",
            Verb::Start => "start",
            Verb::Kill => "kill",
            Verb::Pause => "pause",
            Verb::Resume => "unpause",
            Verb::Restart => "restart",
        };
        must(&mut self.compose(&[name, service]));
    }

    fn scale(&self, service: &str, count: usize) {
        let scale = format!("{service}={count}");
        let up = ["up", "-d", "--no-build", "--no-recreate", "--scale"];
        must(&mut self.compose(&[&up[..], &[&scale]].concat()));
    }

    fn rollout(&self) {
        let mut command = Command::new(root().join("scripts/rollout"));
        must(self.environment(&mut command).arg("--docker"));
    }

    fn sql(&self, statements: &str) -> bool {
        let mut command = self.compose(&["exec", "-T", "db"]);
        command.args(psql(statements));
        command.output().unwrap().status.success()
    }

    fn restore(&self) {
        for service in ["db", "api", "api2", "proxy"] {
            // It fails for what is not paused.
            let _ = self.compose(&["unpause", service]).output();
        }
        self.scale("api", 1);
    }

    fn authorization(&self) -> Authorization {
        let file = root().join("secrets/admin_password");
        let password = must(Command::new("cat").arg(file));
        Authorization::basic("admin", &password).unwrap()
    }

    fn log(&self) -> String {
        must(&mut self.compose(&["logs", "--no-color"]))
    }

    fn births(&self, service: &str) -> Vec<String> {
        let format = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}";
        let containers = self.containers(service);
        let mut command = Command::new("docker");
        command
            .args(["inspect", "--format", format])
            .args(containers);
        must(&mut command).lines().map(str::to_owned).collect()
    }

    fn status(&self) -> Option<Value> {
        // The admin listener is reachable inside the container only, and no program there asks it.
        None
    }

    fn stage(&self) -> Stage {
        Stage::Compose(scenario::compose::Compose {
            project: self.project.clone(),
            listen: self.listen,
            repository: root(),
        })
    }

    fn program(&self, call: &Call<'_>) -> Output {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network", "none"]);
        for (name, value) in call.environment {
            command.args(["--env", &format!("{name}={value}")]);
        }
        if let Some(folder) = call.folder {
            let folder = folder.display();
            command.args(["--volume", &format!("{folder}:{folder}:ro")]);
        }
        command.arg(format!("music-stack/{}", call.program));
        command.args(call.arguments).output().unwrap()
    }
}
