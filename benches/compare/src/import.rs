//! An import into the local run: how fast it is, and which process spends the CPU time.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::measure::number_to_float;

/// The key and the first workspace that the local run prints.
const KEY: &str = "sf_test_v1_LocalDemoKeyLocalDemoKey";
const WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000001";
pub const ROWS: u32 = 100_000;

/// An import of [`ROWS`] rows.
pub struct Import {
    pub time: Duration,
    /// The processes, and the CPU time of each in seconds.
    pub processes: [(&'static str, f64); 3],
}

impl Import {
    pub fn rows_a_second(&self) -> f64 {
        number_to_float(ROWS.into()) / self.time.as_secs_f64()
    }
}

/// Ends the local run, and with it the function.
struct LocalRun(Child);

impl Drop for LocalRun {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Imports [`ROWS`] rows, each a contact of its own.
pub fn measure(local: &Path, import: &Path, directory: &Path) -> io::Result<Import> {
    let file = directory.join("contacts.csv");
    let mut rows = BufWriter::new(fs::File::create(&file)?);
    writeln!(rows, "First Name,Last Name,Email")?;
    for row in 0..ROWS {
        writeln!(rows, "Ada,Lovelace,ada{row}@acme{}.de", row % 1000)?;
    }
    rows.into_inner()?;

    let local = Command::new(local)
        .args(["--port", "0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut local = LocalRun(local);
    let mut lines = BufReader::new(local.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).lines();
    let mut next = || lines.next().unwrap_or(Err(io::ErrorKind::UnexpectedEof.into()));
    let url = loop {
        if let Some((_, url)) = next()?.split_once("listens on ") {
            break url.to_owned();
        }
    };
    // It prints a line for each request, which must be read.
    std::thread::spawn(move || lines.for_each(drop));
    let children = format!("/proc/{0}/task/{0}/children", local.0.id());
    let function = fs::read_to_string(children)?;

    let spent = || {
        let local_run = cpu(&local.0.id().to_string(), OWN)?;
        Ok::<_, io::Error>([cpu("self", CHILDREN)?, cpu(function.trim(), OWN)?, local_run])
    };
    let before = spent()?;
    let started = Instant::now();
    let status = Command::new(import)
        .arg(&file)
        .args(["--url", &url, "--workspace", WORKSPACE])
        .env("CONTACTS_API_KEY", KEY)
        .status()?;
    let time = started.elapsed();
    if !status.success() {
        return Err(io::Error::other("the import failed"));
    }
    let after = spent()?;
    let names = [
        "import",
        "the function",
        "the embedded DynamoDB and the stand-in for API Gateway",
    ];
    let processes = std::array::from_fn(|process| (names[process], after[process] - before[process]));
    Ok(Import { time, processes })
}

/// Where `/proc/PID/stat` has a process's CPU time, in user and in system mode, counted from the state on (proc(5)).
const OWN: usize = 11;
/// The same for the children that it has waited for.
const CHILDREN: usize = 13;

/// CPU time in seconds, which the kernel counts in hundredths.
fn cpu(process: &str, field: usize) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = stat.rsplit_once(") ").and_then(|(_, fields)| {
        let mut fields = fields.split(' ').skip(field).map(str::parse::<u64>);
        Some(fields.next()?.ok()? + fields.next()?.ok()?)
    });
    Ok(number_to_float(ticks.ok_or(io::ErrorKind::InvalidData)?) / 100.0)
}
