//! A relay between the API and Postgres, so that a test can take the database away without stopping it.

use std::net::SocketAddr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the relay does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Passes everything on, for connections of this generation.
    Open(u32),
    /// The same, but every answer takes this much longer.
    Slow(Duration),
    /// Accepts connections and passes nothing on: a host that hangs.
    Frozen,
    /// Refuses connections and cuts those there are: a server that is stopped.
    Down,
}

/// A relay to the Postgres of a test.
pub(crate) struct Relay {
    line: watch::Sender<Line>,
    /// What an API must be told in order to go through the relay.
    pub(crate) database: PgConnectOptions,
    /// What goes around the relay.
    pub(crate) direct: PgConnectOptions,
}

impl Relay {
    pub(crate) async fn to(direct: PgConnectOptions) -> Self {
        let target = (direct.get_host().to_owned(), direct.get_port());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, seen) = watch::channel(Line::Open(0));
        tokio::spawn(accept(Some(listener), address, target, seen));
        let database = direct.clone().host("127.0.0.1").port(address.port());
        Self {
            line,
            database,
            direct,
        }
    }

    pub(crate) fn open(&self) {
        self.line.send_replace(Line::Open(0));
    }

    /// Goes silent on the connections there are, and serves new ones: a server that was moved away.
    pub(crate) fn abandon(&self) {
        self.line.send_replace(Line::Open(1));
    }

    /// Has every answer of Postgres take this much longer.
    pub(crate) fn slow_down(&self, by: Duration) {
        self.line.send_replace(Line::Slow(by));
    }

    pub(crate) fn freeze(&self) {
        self.line.send_replace(Line::Frozen);
    }

    pub(crate) fn take_down(&self) {
        self.line.send_replace(Line::Down);
    }
}

async fn accept(
    mut listener: Option<TcpListener>,
    address: SocketAddr,
    target: (String, u16),
    mut line: watch::Receiver<Line>,
) {
    loop {
        let now = *line.borrow_and_update();
        if now == Line::Down {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        let Some(open) = &listener else {
            if line.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = line.changed() => if changed.is_err() { return },
            accepted = open.accept() => {
                tokio::spawn(join(accepted.unwrap().0, target.clone(), line.clone()));
            }
        }
    }
}

/// Passes bytes on both ways until the line is taken down.
async fn join(client: TcpStream, target: (String, u16), mut line: watch::Receiver<Line>) {
    let flow = Flow {
        line: line.clone(),
        generation: match *line.borrow() {
            Line::Open(generation) => generation,
            Line::Slow(_) | Line::Frozen | Line::Down => 0,
        },
    };
    let both = async move {
        let server = TcpStream::connect((target.0.as_str(), target.1))
            .await
            .unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::join!(
            pass(from_client, to_server, flow.clone(), false),
            pass(from_server, to_client, flow, true)
        );
    };
    tokio::select! {
        () = both => {}
        _ = line.wait_for(|line| *line == Line::Down) => {}
    }
}

/// When one connection flows.
#[derive(Clone)]
struct Flow {
    line: watch::Receiver<Line>,
    generation: u32,
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flow: Flow, is_answer: bool) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let open = Line::Open(flow.generation);
        let flows = |line: &Line| *line == open || matches!(line, Line::Slow(_));
        let now = match flow.line.wait_for(flows).await {
            Ok(line) => *line,
            Err(_) => return,
        };
        if let Line::Slow(by) = now
            && is_answer
        {
            tokio::time::sleep(by).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
