//! The lines of all children on one screen, each with the coloured name of its instance in front.
//!
//! A thread of its own writes them: a terminal that is held up must not hold up the supervisor.
//! Each child then waits for room in the queue, as it would with a pipe of its own.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Lines that may wait for the terminal.
const QUEUE: usize = 4096;
/// A longer line is shown in pieces.
const LONGEST_LINE: u64 = 64 * 1024;
/// Names are padded to this width, so that the bars stand below one another.
const NAME_WIDTH: usize = 8;
/// The colours in the order of docker-compose: cyan, yellow, green, magenta, blue.
const COLOURS: [u8; 5] = [36, 33, 32, 35, 34];

/// How long a terminal may hold up the end of the stack.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A cheap handle to the screen.
#[derive(Debug, Clone)]
pub struct Logs {
    queue: SyncSender<Item>,
    coloured: bool,
}

/// What waits for the screen.
#[derive(Debug)]
enum Item {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl Logs {
    /// Starts the thread that writes to standard output.
    pub fn start() -> Self {
        let (queue, items) = sync_channel(QUEUE);
        std::thread::spawn(move || write_all(&items));
        let coloured = std::io::stdout().is_terminal();
        Self { queue, coloured }
    }

    /// Waits, but not for ever, until everything that was said is on the screen.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Item::Flush(done)).is_ok() {
            // A terminal that is held up loses the last lines.
            let _ = written.recv_timeout(LAST_LINES);
        }
    }

    /// Tells whether a person is likely to read the lines.
    pub fn on_terminal(&self) -> bool {
        self.coloured
    }

    /// Says something in the stack's own name.
    pub fn say(&self, sentence: &str) {
        let line = prefixed("stack", None, sentence.as_bytes());
        // The supervisor itself never waits for the screen.
        let _ = self.queue.try_send(Item::Line(line));
    }

    /// Writes a line without a name in front, such as the one that scripts wait for.
    pub fn say_plainly(&self, sentence: &str) {
        let line = format!("{sentence}\n").into_bytes();
        let _ = self.queue.try_send(Item::Line(line));
    }

    /// Copies a child's output line by line until it ends.
    pub async fn follow(self, name: String, colour: usize, output: impl AsyncRead + Unpin) {
        let colour = self.coloured.then_some(COLOURS[colour % COLOURS.len()]);
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut piece = (&mut output).take(LONGEST_LINE);
            match piece.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.show(prefixed(&name, colour, trimmed(&line))).await,
            }
        }
    }

    async fn show(&self, line: Vec<u8>) {
        let mut item = Item::Line(line);
        loop {
            match self.queue.try_send(item) {
                Err(TrySendError::Full(back)) => item = back,
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn write_all(items: &Receiver<Item>) {
    let mut stdout = std::io::stdout();
    let mut open = true;
    while let Ok(item) = items.recv() {
        match item {
            // Children must not be held up by a terminal that was closed: their lines are dropped.
            Item::Line(line) => {
                open = open && stdout.write_all(&line).is_ok() && stdout.flush().is_ok();
            }
            Item::Flush(done) => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn prefixed(name: &str, colour: Option<u8>, line: &[u8]) -> Vec<u8> {
    let mut text = match colour {
        Some(colour) => format!("\x1b[{colour}m{name:NAME_WIDTH$} |\x1b[0m "),
        None => format!("{name:NAME_WIDTH$} | "),
    }
    .into_bytes();
    text.extend_from_slice(line);
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_front_as_docker_compose_has_them() {
        assert_eq!(prefixed("api_1", None, b"hello"), b"api_1    | hello\n");
        assert_eq!(
            prefixed("api_1", Some(36), b"hello"),
            b"\x1b[36mapi_1    |\x1b[0m hello\n"
        );
    }

    #[tokio::test]
    async fn every_line_is_shown_and_long_ones_in_pieces() {
        let (queue, items) = sync_channel(QUEUE);
        let logs = Logs {
            queue,
            coloured: false,
        };
        let mut output = b"one\r\ntwo\n".to_vec();
        output.extend(vec![b'x'; 70_000]);
        logs.follow("api_1".to_owned(), 0, output.as_slice()).await;
        let shown: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Line(line) => line,
                Item::Flush(_) => panic!("nobody asked for it"),
            })
            .collect();
        assert_eq!(shown[0], b"api_1    | one\n");
        assert_eq!(shown[1], b"api_1    | two\n");
        assert_eq!(shown.len(), 4);
    }
}
