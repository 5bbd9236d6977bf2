//! The function's process, started as Lambda starts it: with its environment and nothing else.

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{oneshot, watch},
    task::JoinHandle,
};

type Lines = Arc<Mutex<Vec<String>>>;

/// A running process of the function; it is killed when this is dropped.
pub struct Function {
    id: Option<u32>,
    /// Dropping it kills the process.
    kill: Option<oneshot::Sender<()>>,
    end: End,
    readers: Vec<JoinHandle<()>>,
}

/// Tells when a process ends, and what it wrote until then.
#[derive(Clone)]
pub struct End {
    status: watch::Receiver<Option<Ended>>,
    lines: Lines,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    status: ExitStatus,
    /// Whether the harness killed it.
    is_killed: bool,
}

impl End {
    /// Waits for the process to end.
    ///
    /// # Panics
    ///
    /// The process can't be waited for.
    pub async fn status(&mut self) -> ExitStatus {
        self.ended().await.status
    }

    /// Waits for the process to end by itself: forever, if the harness kills it.
    pub(crate) async fn by_itself(&mut self) {
        if self.ended().await.is_killed {
            std::future::pending::<()>().await;
        }
    }

    async fn ended(&mut self) -> Ended {
        let ended = self
            .status
            .wait_for(Option::is_some)
            .await
            .expect("its process is waited for");
        ended.expect("there is one")
    }

    /// What the process has written, line by line, standard output and error mixed.
    ///
    /// # Panics
    ///
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no holder panics").clone()
    }
}

impl Function {
    /// Starts a program with exactly this environment, and keeps each line that it writes; `on_line` sees them as they come.
    ///
    /// # Errors
    ///
    /// The program can't be started.
    pub fn start(
        program: &Path,
        environment: &[(String, String)],
        on_line: impl Fn(&str) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let mut child = Command::new(program)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = Lines::default();
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(keep(stdout, Arc::clone(&lines), on_line.clone())));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(keep(stderr, Arc::clone(&lines), on_line)));
        }
        let (kill, killed) = oneshot::channel();
        let (ended, status) = watch::channel(None);
        let id = child.id();
        tokio::spawn(wait(child, killed, ended));
        Ok(Self {
            id,
            kill: Some(kill),
            end: End { status, lines },
            readers,
        })
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.id
    }

    /// Tells when the process ends.
    #[must_use]
    pub fn end(&self) -> End {
        self.end.clone()
    }

    /// Ends the process and returns all that it wrote, line by line, standard output and error mixed.
    ///
    /// # Panics
    ///
    /// A reader of the output panicked.
    pub async fn stop(mut self) -> Vec<String> {
        drop(self.kill.take());
        self.end.status().await;
        for reader in self.readers.drain(..) {
            reader.await.expect("a reader of the output");
        }
        self.end.lines()
    }
}

/// Waits for a process to end, by itself or because it is killed.
async fn wait(mut child: Child, killed: oneshot::Receiver<()>, ended: watch::Sender<Option<Ended>>) {
    let is_killed = tokio::select! {
        _ = child.wait() => false,
        // It may have ended by itself.
        _ = killed => {
            drop(child.kill().await);
            true
        }
    };
    if let Ok(status) = child.wait().await {
        ended.send_replace(Some(Ended { status, is_killed }));
    }
}

async fn keep(output: impl AsyncRead + Unpin, lines: Lines, on_line: impl Fn(&str)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(output.read_until(b'\n', &mut line).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        on_line(&text);
        lines.lock().expect("no holder panics").push(text);
        line.clear();
    }
}
