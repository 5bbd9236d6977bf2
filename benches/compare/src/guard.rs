//! The guard that doesn't flake: instructions, counted by valgrind, and the size of the executable, against a baseline.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Map, Value};

use crate::{
    dynamodb::{Authority, DynamoDb},
    lambda::{Function, Program, event},
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

/// Compares with the baseline, or makes the current figures the baseline. Returns whether none is too high.
pub fn check(
    executable: &Path,
    authority: &Authority,
    directory: &Path,
    baseline: &Path,
    move_it: bool,
) -> io::Result<bool> {
    let least = |requests| -> io::Result<u64> {
        let counts = (0..RUNS)
            .map(|_| instructions(executable, authority, directory, requests))
            .collect::<io::Result<Vec<_>>>()?;
        counts.into_iter().flatten().min().ok_or_else(|| {
            io::Error::other(
                "no run with one connection, one read at the start and two calls a request: is libfaketime missing?",
            )
        })
    };
    let ready = least(0)?;
    let start = least(1)?;
    let all = least(1 + WARM_REQUESTS)?;
    let figures = [
        ("startInstructions", start),
        ("firstRequestInstructions", start - ready),
        ("requestInstructions", (all - start) / WARM_REQUESTS),
        ("executableBytes", fs::metadata(executable)?.len()),
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
        return Ok(true);
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
        let change = crate::measure::number_to_float(now) / crate::measure::number_to_float(before) - 1.0;
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
    Ok(held)
}

/// The instructions of a process that starts and handles this many requests; `None` if it needed more than one connection
/// or didn't send each call once.
fn instructions(executable: &Path, authority: &Authority, directory: &Path, requests: u64) -> io::Result<Option<u64>> {
    let database = DynamoDb::start(authority, Duration::ZERO, 0)?;
    let counts: PathBuf = directory.join("callgrind");
    let output = format!("--callgrind-out-file={}", counts.display());
    let executable = executable.display().to_string();
    let command = ["valgrind", "--quiet", "--tool=callgrind", &output, &executable];
    let program = Program::new(&command, &database, &authority.ca).with("PATH", &env::var("PATH").unwrap_or_default());
    let program = SLOW_CLOCK
        .iter()
        .fold(program, |program, (name, value)| program.with(name, value));
    let function = Function::start(&program, None)?;
    for number in 0..requests {
        function.invoke(event("Henrik Larsen", number));
    }
    function.await_polls(requests + 1);
    function.terminate()?;
    if database.connections() != 1 || database.reads_at_start() != 1 || database.calls() != 2 * requests {
        return Ok(None);
    }
    let counts = fs::read_to_string(counts)?;
    let total = counts
        .lines()
        .find_map(|line| {
            line.strip_prefix("totals:")
                .or(line.strip_prefix("summary:"))?
                .trim()
                .parse()
                .ok()
        })
        .ok_or_else(|| io::Error::other("valgrind counted nothing"))?;
    Ok(Some(total))
}
