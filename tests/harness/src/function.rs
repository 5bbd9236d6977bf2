//! The function's process, started as Lambda starts it: with its environment and nothing else.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, pipe},
    path::Path,
    process::{ExitStatus, Stdio},
    thread::{self, JoinHandle},
};

use tokio::process::{Child, Command};

/// A running process of the function. It ends when this is dropped. If a test fails, what the process wrote is printed.
pub struct Function {
    child: Child,
    reader: Option<JoinHandle<Vec<String>>>,
}

impl Drop for Function {
    fn drop(&mut self) {
        let lines = self.end();
        if thread::panicking() {
            println!("{}", lines.join("\n"));
        }
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
        on_line: impl Fn(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        let child = Command::new(program)
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        let reader = thread::spawn(move || {
            let lines = BufReader::new(reader).split(b'\n').map_while(Result::ok);
            lines
                .map(|line| String::from_utf8_lossy(&line).into_owned())
                .inspect(|line| on_line(line))
                .collect()
        });
        Ok(Self {
            child,
            reader: Some(reader),
        })
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The most memory that the process has used, in kB, as Linux reports it.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Waits for the process to end by itself.
    ///
    /// # Errors
    ///
    /// The process can't be waited for.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the process and returns all that it wrote, line by line, standard output and error mixed.
    #[must_use]
    pub fn stop(mut self) -> Vec<String> {
        self.end()
    }

    fn end(&mut self) -> Vec<String> {
        // It may have ended by itself.
        let _ = self.child.start_kill();
        let lines = self.reader.take().map(JoinHandle::join);
        lines.and_then(Result::ok).unwrap_or_default()
    }
}
