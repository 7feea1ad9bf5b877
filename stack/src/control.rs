//! The Unix socket by which another terminal reaches the running stack.
//!
//! One line of JSON each way per message: the client sends a [`Verb`], the stack answers with
//! sentences as things happen, and last with `done` or `failed`.

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc};

use crate::Fault;
use crate::cli::Scale;
use crate::keeper::Order;
use crate::layout::Layout;
use crate::rollout::rollout;
use crate::supervisor::Supervisor;

mod status;

/// What the running stack can be asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// Show every instance.
    Status {
        /// As JSON.
        json: bool,
    },
    /// End in order.
    Stop {
        /// A service or an instance.
        target: String,
    },
    /// Run again.
    Start {
        /// A service or an instance.
        target: String,
    },
    /// End at once.
    Kill {
        /// A service or an instance.
        target: String,
    },
    /// Freeze.
    Pause {
        /// A service or an instance.
        target: String,
    },
    /// Go on.
    Resume {
        /// A service or an instance.
        target: String,
    },
    /// Change the number of instances.
    Scale {
        /// The services with their numbers.
        scales: Vec<Scale>,
    },
    /// Replace every API instance in turn.
    Rollout,
    /// End the stack.
    Down,
    /// Tell the variables by which the API's program finds the database, as a JSON object.
    ///
    /// They may hold a password: the socket is for its owner alone.
    DatabaseVariables,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Say(String),
    Done,
    Failed(String),
}

/// Listens for other terminals; `over` is told when one of them has ended the stack.
pub async fn serve(
    layout: &Layout,
    supervisor: Arc<Supervisor>,
    over: Arc<Notify>,
) -> Result<(), Fault> {
    let path = layout.control_socket();
    let failed = |error: std::io::Error| Fault::new(format!("{}: {error}", path.display()));
    // We hold the lock, so a socket that is there belongs to a stack that was killed.
    let _ = tokio::fs::remove_file(&path).await;
    let listener = UnixListener::bind(&path).map_err(failed)?;
    tokio::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
        .await
        .map_err(failed)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(attend(stream, supervisor.clone(), over.clone()));
        }
    });
    Ok(())
}

/// Serves one terminal; a fault of the connection concerns only whoever sits there.
async fn attend(mut stream: UnixStream, supervisor: Arc<Supervisor>, over: Arc<Notify>) {
    let (input, mut output) = stream.split();
    let mut line = String::new();
    if BufReader::new(input).read_line(&mut line).await.is_err() {
        return;
    }
    let verb = match serde_json::from_str::<Verb>(&line) {
        Ok(verb) => verb,
        Err(error) => {
            send(&mut output, &Message::Failed(error.to_string())).await;
            return;
        }
    };
    let ends = verb == Verb::Down;
    let (say, mut sentences) = mpsc::channel::<String>(64);
    // On a task of its own: it is carried through even when the terminal goes away.
    let work = tokio::spawn(async move { act(&supervisor, verb, &say).await });
    while let Some(sentence) = sentences.recv().await {
        send(&mut output, &Message::Say(sentence)).await;
    }
    let last = match work.await {
        Ok(Ok(())) => Message::Done,
        Ok(Err(fault)) => Message::Failed(fault.to_string()),
        Err(error) => Message::Failed(error.to_string()),
    };
    send(&mut output, &last).await;
    if ends {
        over.notify_one();
        // The terminal waits until the process, and with it the lock, is gone.
        std::future::pending::<()>().await;
    }
}

async fn act(supervisor: &Supervisor, verb: Verb, say: &mpsc::Sender<String>) -> Result<(), Fault> {
    match verb {
        Verb::Status { json } => {
            // The terminal may have gone.
            let _ = say.send(status::show(supervisor, json).await).await;
            Ok(())
        }
        Verb::Stop { target } => supervisor.end(Order::Stop, &target, say).await,
        Verb::Kill { target } => supervisor.end(Order::Kill, &target, say).await,
        Verb::Pause { target } => supervisor.end(Order::Pause, &target, say).await,
        Verb::Start { target } => supervisor.begin(Order::Start, &target, say).await,
        Verb::Resume { target } => supervisor.begin(Order::Resume, &target, say).await,
        Verb::Scale { scales } => supervisor.scale(&scales, say).await,
        Verb::Rollout => rollout(supervisor, say).await,
        Verb::Down => {
            supervisor.shut_down(say).await;
            Ok(())
        }
        Verb::DatabaseVariables => {
            let variables: HashMap<_, _> = supervisor.database_variables().into_iter().collect();
            let text =
                serde_json::to_string(&variables).map_err(|error| Fault::new(error.to_string()))?;
            // The terminal may have gone.
            let _ = say.send(text).await;
            Ok(())
        }
    }
}

async fn send(output: &mut (impl AsyncWriteExt + Unpin), message: &Message) {
    if let Ok(mut line) = serde_json::to_vec(message) {
        line.push(b'\n');
        // The terminal may have gone.
        let _ = output.write_all(&line).await;
    }
}

/// Sends a verb to the stack that runs in `dir`, and shows what it says until it is done.
pub async fn request(dir: &Path, verb: &Verb) -> Result<(), Fault> {
    converse(dir, verb, show).await
}

/// Sends a verb to the stack that runs in `dir`, and passes on what it says until it is done.
pub async fn converse(dir: &Path, verb: &Verb, mut hear: impl FnMut(&str)) -> Result<(), Fault> {
    let none = || Fault::new(format!("no stack is running in {}", dir.display()));
    let layout = Layout::find(dir).await.map_err(|_| none())?;
    let connected = UnixStream::connect(layout.control_socket()).await;
    let mut stream = connected.map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => Fault::new(format!(
            "the stack in {} belongs to another user",
            dir.display()
        )),
        _ => none(),
    })?;
    let (input, mut output) = stream.split();
    let lost = |error: std::io::Error| Fault::new(format!("the running stack: {error}"));
    let mut line = serde_json::to_vec(verb).map_err(|error| Fault::new(error.to_string()))?;
    line.push(b'\n');
    output.write_all(&line).await.map_err(lost)?;
    let mut lines = BufReader::new(input).lines();
    let mut done = false;
    while let Some(line) = lines.next_line().await.map_err(lost)? {
        match serde_json::from_str(&line) {
            Ok(Message::Say(sentence)) => hear(&sentence),
            Ok(Message::Done) => done = true,
            Ok(Message::Failed(sentence)) => return Err(Fault(sentence)),
            Err(error) => return Err(Fault::new(format!("the running stack: {error}"))),
        }
    }
    if done {
        Ok(())
    } else {
        Err(Fault::new(
            "the stack ended before it had done what was asked",
        ))
    }
}

fn show(sentence: &str) {
    // A reader such as `head` may have read enough.
    let _ = writeln!(std::io::stdout(), "{sentence}");
}
