//! The guard that doesn't flake: instructions, counted by valgrind, and the size of the executable.
//!
//! Valgrind's processor has no SHA instructions, so the function computes SHA-256 in software there, which neither x86-64 servers
//! nor Graviton do. The counts leave that out.

use std::{
    collections::HashSet,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Map, Value};

use crate::{
    dynamodb::{Authority, DynamoDb},
    lambda::{Function, Program, event},
    measure::number_to_float,
    work::{self, Work},
};

/// How far a figure may be above its baseline.
const TOLERANCE: f64 = 0.03;
/// A count varies a little between runs, with random keys and the way the network splits messages. Large differences are
/// always upwards, so the lowest of a few runs is stable.
const RUNS: u32 = 3;
const WARM_REQUESTS: u64 = 100;
/// A process gives up opening its connection after 250 ms, and valgrind makes it about fifty times slower. So libfaketime
/// slows its clock a hundredfold. The loader replaces `$LIB` with the machine's library directory.
const SLOW_CLOCK: [(&str, &str); 3] = [
    ("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1"),
    ("FAKETIME", "+0 x0.01"),
    ("FAKETIME_DISABLE_SHM", "1"),
];

/// The figures of one run, without SHA-256.
#[derive(Clone, Copy)]
struct Instructions {
    /// Until the process asks for its first invocation.
    ready: u64,
    first: u64,
    /// Of a warm request.
    request: u64,
    /// What SHA-256 would add to a warm request.
    sha256: u64,
}

pub struct Guard<'a> {
    /// With its symbols.
    pub executable: &'a Path,
    pub authority: &'a Authority,
    pub directory: &'a Path,
}

impl Guard<'_> {
    /// Compares with the baseline, or makes the current figures the baseline. Returns whether none is too high, and the
    /// instructions of a request, with SHA-256.
    pub fn check_baseline(&self, baseline: &Path, move_it: bool) -> io::Result<(bool, u64)> {
        let runs = (0..RUNS).map(|_| self.run()).collect::<io::Result<Vec<_>>>()?;
        let runs: Vec<Instructions> = runs.into_iter().flatten().collect();
        let least = |figure: fn(&Instructions) -> u64| {
            let message =
                "no run with one connection, one read at the start and two calls a request: is libfaketime missing?";
            let least = runs.iter().map(figure).min();
            least.ok_or_else(|| io::Error::other(message))
        };
        let (request, sha256) = (least(|run| run.request)?, least(|run| run.sha256)?);
        println!("SHA-256 in software adds {sha256} to a request; it isn't in these figures:");
        let figures = [
            ("startInstructions", least(|run| run.ready + run.first)?),
            ("firstRequestInstructions", least(|run| run.first)?),
            ("requestInstructions", request),
            ("executableBytes", self.stripped_size()?),
        ];
        let rustc = Command::new("rustc").arg("--version").output()?.stdout;
        let rustc = String::from_utf8_lossy(&rustc).trim().to_owned();
        if move_it {
            let mut recorded: Map<String, Value> = figures
                .map(|(name, figure)| (name.to_owned(), figure.into()))
                .into_iter()
                .collect();
            recorded.insert("rustc".to_owned(), rustc.into());
            let text = serde_json::to_string_pretty(&recorded)?;
            fs::write(baseline, text + "\n")?;
            println!("the baseline is now {figures:?}");
            return Ok((true, request + sha256));
        }
        let recorded: Value = serde_json::from_slice(&fs::read(baseline)?)?;
        if recorded["rustc"] != rustc {
            println!(
                "the baseline is of {}, this is {rustc}: a difference may be the compiler's",
                recorded["rustc"]
            );
        }
        let mut held = true;
        for (name, now) in figures {
            let before = recorded[name].as_u64().ok_or(io::ErrorKind::InvalidData)?;
            let change = number_to_float(now) / number_to_float(before) - 1.0;
            let verdict = if change > TOLERANCE {
                held = false;
                "TOO MUCH"
            } else if change < -TOLERANCE {
                "better: move the baseline, so that it stays so"
            } else {
                "as before"
            };
            println!("{name}: {now}, baseline {before}, {:+.2}%: {verdict}", change * 100.0);
        }
        Ok((held, request + sha256))
    }

    /// Counts the bodies of the lists, and the large events. `request` is what an ordinary request costs.
    pub fn check_work(&self, lists: &[PathBuf], events: &Path, request: u64) -> io::Result<Work> {
        let mut process = Process::start(self)?;
        process.handle(event(0));
        process.count()?;
        let mut count = |event| -> io::Result<u64> {
            process.handle(event);
            let count = process.count()?;
            Ok(count.rest + count.sha256)
        };
        let mut bodies = Vec::new();
        for list in lists {
            for body in work::read(list)? {
                let cost = count(body.event())?;
                bodies.push((body, cost));
            }
        }
        let mut large = Vec::new();
        for (what, [tenth, whole]) in work::large_events(events)? {
            large.push((what, [count(tenth)?, count(whole)?]));
        }
        Ok(Work::new(request, &bodies, large))
    }

    /// Starts a process and creates contacts; `None` if it needed more than one connection or didn't send each call once.
    fn run(&self) -> io::Result<Option<Instructions>> {
        let mut process = Process::start(self)?;
        let ready = process.count()?;
        process.handle(event(0));
        let first = process.count()?;
        for number in 1..=WARM_REQUESTS {
            process.handle(event(number));
        }
        let warm = process.count()?;
        let database = &process.database;
        let calls = (database.connections(), database.reads_at_start(), database.calls());
        Ok((calls == (1, 1, 2 * process.invocations)).then_some(Instructions {
            ready: ready.rest,
            first: first.rest,
            request: warm.rest / WARM_REQUESTS,
            sha256: warm.sha256 / WARM_REQUESTS,
        }))
    }

    fn stripped_size(&self) -> io::Result<u64> {
        let stripped = self.directory.join("stripped");
        let strip = Command::new("strip")
            .arg("-o")
            .args([&stripped, self.executable])
            .status()?;
        if !strip.success() {
            return Err(io::Error::other("strip failed"));
        }
        Ok(fs::metadata(stripped)?.len())
    }
}

/// Instructions between two points in time.
#[derive(Default)]
struct Count {
    /// Without SHA-256.
    rest: u64,
    sha256: u64,
}

/// A process under valgrind.
struct Process {
    function: Function,
    database: DynamoDb,
    /// Where the counts go; the number of each is added to the name.
    counts: String,
    counted: u32,
    invocations: u64,
}

impl Process {
    fn start(guard: &Guard) -> io::Result<Self> {
        let database = DynamoDb::start(guard.authority)?;
        let counts = guard.directory.join("callgrind").display().to_string();
        let output = format!("--callgrind-out-file={counts}");
        let executable = guard.executable.display().to_string();
        let command = ["valgrind", "--quiet", "--tool=callgrind", &output, &executable];
        let path = env::var("PATH").unwrap_or_default();
        let program = Program::new(&command, &database, &guard.authority.ca).with("PATH", &path);
        let mut program = program.deployed();
        for (name, value) in SLOW_CLOCK {
            program = program.with(name, value);
        }
        Ok(Self {
            function: Function::start(&program)?,
            database,
            counts,
            counted: 0,
            invocations: 0,
        })
    }

    fn handle(&mut self, event: String) {
        self.function.invoke(event);
        self.invocations += 1;
    }

    /// What the process has executed since it was counted last.
    fn count(&mut self) -> io::Result<Count> {
        self.function.await_polls(self.invocations + 1);
        let process = format!("--pid={}", self.function.id());
        let written = Command::new("vgdb")
            .args([&process, "dump"])
            .stderr(Stdio::null())
            .status()?;
        if !written.success() {
            return Err(io::Error::other("valgrind doesn't write its counts"));
        }
        self.counted += 1;
        let file = format!("{}.{}", self.counts, self.counted);
        let count = sum(&fs::read_to_string(&file)?);
        fs::remove_file(file)?;
        count.ok_or_else(|| io::Error::other("valgrind counted nothing"))
    }
}

/// Adds up what each function has cost by itself (Callgrind's manual, "Callgrind Format Specification").
fn sum(counts: &str) -> Option<Count> {
    let mut count = Count::default();
    let mut sha256 = HashSet::new();
    let mut in_sha256 = false;
    let mut lines = counts.lines().skip_while(|line| !line.contains("fn="));
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
            // `(7) name` the first time, then `(7)`.
            let (id, name) = function.split_once(')')?;
            if name.contains("sha256") {
                sha256.insert(id);
            }
            if line.starts_with('f') {
                in_sha256 = sha256.contains(id);
            }
        } else if line.starts_with("calls=") {
            // What the called function cost is counted there.
            lines.next();
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let (_, cost) = line.rsplit_once(' ')?;
            let part = if in_sha256 { &mut count.sha256 } else { &mut count.rest };
            *part += cost.parse::<u64>().ok()?;
        }
    }
    (count.rest > 0).then_some(count)
}
