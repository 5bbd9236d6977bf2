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
    task::JoinHandle,
};

/// A running process of the function; it is killed when this is dropped.
pub struct Function {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
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
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(keep(stdout, Arc::clone(&lines), on_line.clone())));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(keep(stderr, Arc::clone(&lines), on_line)));
        }
        Ok(Self { child, lines, readers })
    }

    /// The process's id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    ///
    /// It can't be waited for.
    pub async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the process and gives all that it wrote, line by line, standard output and error mixed.
    ///
    /// # Panics
    ///
    /// A reader of the output panicked.
    pub async fn stop(mut self) -> Vec<String> {
        // It may have ended by itself.
        let _ = self.child.kill().await;
        for reader in self.readers.drain(..) {
            reader.await.expect("a reader of the output");
        }
        std::mem::take(&mut self.lines.lock().expect("no holder panics"))
    }
}

async fn keep(output: impl AsyncRead + Unpin, lines: Arc<Mutex<Vec<String>>>, on_line: impl Fn(&str)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while matches!(output.read_until(b'\n', &mut line).await, Ok(1..)) {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        on_line(&text);
        lines.lock().expect("no holder panics").push(text);
        line.clear();
    }
}
