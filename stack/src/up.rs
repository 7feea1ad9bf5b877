//! `stack up`, from the first check to the last child's end.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::Fault;
use crate::admin_password;
use crate::ask::{Address, get};
use crate::check::{Checked, STATUS_PAGE, check};
use crate::cli::UpOptions;
use crate::control;
use crate::end::End;
use crate::layout::Layout;
use crate::logs::Logs;
use crate::plan::{ADMIN, DATABASE, api_services, browser_url, reachable};
use crate::postgres::{self, Installation};
use crate::process::in_path;
use crate::proxy_config::{Pool, Secure, proxy_toml};
use crate::recipes::Recipes;
use crate::supervisor::Supervisor;

/// How long everything together may take until it is ready.
const UNTIL_READY: Duration = Duration::from_secs(120);
/// How often is tried meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the stack until it is told to end.
pub async fn up(dir: &Path, options: &UpOptions) -> Result<(), Fault> {
    let mut end = End::prepare()?;
    make_folder(dir).await?;
    let layout = Layout::find(dir).await?;
    let lock = layout.lock()?;
    let checked = check(layout, options).await?;
    let logs = Logs::start();
    let outcome = run(&checked, options, &logs, &mut end).await;
    logs.flush();
    drop(lock);
    outcome
}

async fn make_folder(dir: &Path) -> Result<(), Fault> {
    let made = tokio::fs::create_dir_all(dir).await;
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            Fault::new(format!("--dir: {} is not a folder", dir.display()))
        }
        _ => Fault::new(format!("--dir: the folder {}: {error}", dir.display())),
    })
}

async fn run(
    checked: &Checked,
    options: &UpOptions,
    logs: &Logs,
    end: &mut End,
) -> Result<(), Fault> {
    let supervisor = Arc::new(Supervisor::new(
        checked.layout.clone(),
        logs.clone(),
        checked.admin,
        Recipes {
            layout: checked.layout.clone(),
            programs: checked.programs.clone(),
            database: checked.database.clone(),
            setpriv: in_path("setpriv"),
            for_people: logs.on_terminal(),
        },
    ));
    let over = Arc::new(Notify::new());
    let work = async {
        start(checked, options, logs, &supervisor, &over).await?;
        over.notified().await;
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        why = end.begins() => {
            logs.say(&format!("{why}: ending everything"));
            Ok(())
        }
    };
    tokio::select! {
        () = shut_down(&supervisor, logs) => {}
        why = end.begins() => {
            logs.say(&format!("{why} again: killing everything"));
            supervisor.kill_all().await;
            shut_down(&supervisor, logs).await;
        }
    }
    // The next start removes it too, when this one is killed.
    let _ = tokio::fs::remove_file(checked.layout.control_socket()).await;
    outcome
}

async fn shut_down(supervisor: &Supervisor, logs: &Logs) {
    let (say, mut sentences) = mpsc::channel::<String>(64);
    let show = async {
        while let Some(sentence) = sentences.recv().await {
            logs.say(&sentence);
        }
    };
    let work = async move { supervisor.shut_down(&say).await };
    tokio::join!(work, show);
}

async fn start(
    checked: &Checked,
    options: &UpOptions,
    logs: &Logs,
    supervisor: &Arc<Supervisor>,
    over: &Arc<Notify>,
) -> Result<(), Fault> {
    let layout = &checked.layout;
    layout.make_folders().await?;
    if let Some(remark) = layout.remark() {
        logs.say(&remark);
    }
    if options.admin.is_none() && checked.admin != STATUS_PAGE {
        logs.say(&format!(
            "{STATUS_PAGE} is taken, so the proxy's status page is at {}",
            checked.admin
        ));
    }
    admin_password::make(layout, options.admin_password_file.as_deref()).await?;
    let services = api_services(options.weights.len());
    make_socket_folders(layout, &services).await?;
    write_proxy_config(checked, options, &services).await?;
    if let Some(installation) = &checked.installation {
        start_database(checked, installation, logs, supervisor).await?;
    }
    for (service, weight) in services.iter().zip(&options.weights) {
        supervisor.add_api(service, *weight);
    }
    supervisor.add_proxy();
    control::serve(layout, supervisor.clone(), over.clone()).await?;
    timeout(UNTIL_READY, wait_until_ready(options, supervisor))
        .await
        .unwrap_or_else(|_| {
            let seconds = UNTIL_READY.as_secs();
            Err(Fault::new(format!("not ready after {seconds} s")))
        })?;
    let password = layout.admin_password();
    logs.say(&format!(
        "to add music, sign in as {ADMIN}; the password is in {}",
        password.display()
    ));
    let url = browser_url(options.listen);
    logs.say_plainly(&format!("ready: {url}"));
    if options.weights.len() > 1 {
        logs.say_plainly(&things_to_try(&url, &this_stack(layout)));
    }
    Ok(())
}

/// What begins a command to this stack.
fn this_stack(layout: &Layout) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "stack".into());
    if layout.dir.ends_with(".stack") {
        program
    } else {
        format!("{program} --dir {}", layout.dir.display())
    }
}

/// What one does first, in another terminal.
fn things_to_try(url: &str, program: &str) -> String {
    format!(
        "\nThree things to try, in another terminal:\n\
        \x20 curl -si {url}api/music/ | grep -i x-instance\n\
        \x20     Whose turn is it? Ask again.\n\
        \x20 {program} stop api\n\
        \x20     One instance less, and nothing breaks. Back again: {program} start api\n\
        \x20 {program} scale api=3\n\
        \x20     Two names more take turns.\n"
    )
}

/// Makes the folders for the sockets of the API instances, without what a killed stack left there.
async fn make_socket_folders(layout: &Layout, services: &[String]) -> Result<(), Fault> {
    for service in services {
        let folder = layout.socket_folder(service);
        // Usually there is none.
        let _ = tokio::fs::remove_dir_all(&folder).await;
        tokio::fs::create_dir_all(&folder)
            .await
            .map_err(|error| Fault::new(format!("{}: {error}", folder.display())))?;
    }
    Ok(())
}

async fn write_proxy_config(
    checked: &Checked,
    options: &UpOptions,
    services: &[String],
) -> Result<(), Fault> {
    let folders: Vec<_> = services
        .iter()
        .map(|service| checked.layout.socket_folder(service))
        .collect();
    let pools: Vec<_> = folders
        .iter()
        .zip(&options.weights)
        .map(|(sockets, &weight)| Pool { sockets, weight })
        .collect();
    // The proxy looks for relative paths beside its own file.
    let folder = std::path::absolute(&options.tls_folder)
        .map_err(|error| Fault::new(format!("{}: {error}", options.tls_folder.display())))?;
    let secure = options.tls.map(|listen| Secure {
        listen,
        folder: &folder,
    });
    let text = proxy_toml(
        options.listen,
        checked.admin,
        secure,
        &checked.files,
        &pools,
    );
    let path = checked.layout.proxy_config();
    tokio::fs::write(&path, text)
        .await
        .map_err(|error| Fault::new(format!("{}: {error}", path.display())))
}

async fn start_database(
    checked: &Checked,
    installation: &Installation,
    logs: &Logs,
    supervisor: &Supervisor,
) -> Result<(), Fault> {
    let user = postgres::user()?;
    let layout = &checked.layout;
    if !tokio::fs::try_exists(&layout.data).await.unwrap_or(false) {
        logs.say(&format!(
            "making a new database in {}",
            layout.data.display()
        ));
    }
    if let Some(remark) = postgres::prepare(installation, layout, user.as_ref()).await? {
        logs.say(remark);
    }
    supervisor.add_database(installation, user);
    wait_for_service(supervisor, DATABASE).await
}

async fn wait_for_service(supervisor: &Supervisor, name: &str) -> Result<(), Fault> {
    for service in supervisor.services() {
        for keeper in service.instances.iter().filter(|_| service.name == name) {
            supervisor.wait_until_healthy(name, keeper).await?;
        }
    }
    Ok(())
}

/// Waits until all are healthy, and a request has gone through all of them.
async fn wait_until_ready(options: &UpOptions, supervisor: &Supervisor) -> Result<(), Fault> {
    for service in supervisor.services() {
        wait_for_service(supervisor, &service.name).await?;
    }
    let proxy = Address::Tcp(reachable(options.listen));
    loop {
        let answer = get(&proxy, "/api/music/", Duration::from_secs(5)).await;
        // Who may not read is answered, too.
        let is_answer = |status: StatusCode| status.is_success() || status == StatusCode::FORBIDDEN;
        if answer.is_ok_and(|answer| is_answer(answer.status)) {
            return Ok(());
        }
        sleep(LOOK).await;
    }
}
