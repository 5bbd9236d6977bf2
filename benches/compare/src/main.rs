//! Measures create-contact beside an empty function and a typical one, and writes the figures into the pages that show them.
//!
//! | command | does |
//! | --- | --- |
//! | (none) | builds the three, runs them side by side, and writes the tables and the picture |
//! | `guard` | instructions and size against `benches/baseline.json`; fails beyond +3% |
//! | `guard --move` | makes what is measured now the baseline |
//! | `search SEED` | looks for the bodies that cost most, for at most four minutes, and writes the guard's list of them |
//! | `try PROGRAM…` | sends a few requests to any build of the function, also under an emulator |

mod dynamodb;
mod guard;
mod http1;
mod lambda;
mod measure;
mod report;
mod work;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, id},
};

use dynamodb::{Authority, DynamoDb};
use guard::Guard;
use lambda::{Function, Program};
use measure::megabytes;
use report::Comparison;

/// The bodies that the search found, in `benches`.
const WORST_BODIES: &str = "worst-bodies.jsonl";
/// The commit that the function is compared with.
const EARLIER: &str = "d227b0e";

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = Workspace::find();
    let directory = env::temp_dir().join(format!("create-contact-{}", id()));
    fs::create_dir(&directory)?;
    let authority = Authority::new(&directory)?;
    let passed = match arguments[..] {
        [] => compare(&workspace, &authority),
        ["guard"] => guard(&workspace, &authority, &directory, false),
        ["guard", "--move"] => guard(&workspace, &authority, &directory, true),
        ["search", seed] => search(seed, &workspace, &authority),
        ["try", ref command @ ..] if !command.is_empty() => try_out(command, &authority),
        _ => Err(io::Error::other(
            "usage: compare [guard [--move] | search SEED | try PROGRAM…]",
        )),
    };
    fs::remove_dir_all(&directory)?;
    Ok(if passed? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(workspace: &Workspace, authority: &Authority) -> io::Result<bool> {
    let floor = workspace.build("benches/Cargo.toml", "floor", "small")?;
    let typical = workspace.build("benches/Cargo.toml", "typical", "release")?;
    let tuned = workspace.tuned()?;
    let earlier = workspace.earlier()?;
    let ours = workspace.build("Cargo.toml", "create-contact", "release")?;
    let arm64 = fs::metadata(workspace.target.join("lambda/create-contact/bootstrap"));
    let figures = measure::compare(&[&floor, &typical, &tuned, &earlier, &ours], authority)?;
    let delay = measure::delay_by_a_database_that_hangs(&ours, authority)?;
    let [floor, typical, tuned, earlier, ours] = <[_; 5]>::try_from(figures).map_err(|_| io::ErrorKind::InvalidData)?;
    let all = Comparison {
        floor,
        typical,
        tuned,
        earlier,
        ours,
    };
    let picture = "performance.svg";
    fs::write(workspace.root.join("benches").join(picture), report::picture(&all))?;
    let table = report::table(&all, arm64.ok().map(|file| megabytes(file.len())), &delay);
    workspace.write(
        "benches/README.md",
        "benchmark",
        &format!("![The first request after a start, CPU times and memory]({picture})\n\n{table}"),
    )?;
    workspace.write("README.md", "figures", &report::headline(&all))?;
    Ok(true)
}

fn guard(workspace: &Workspace, authority: &Authority, directory: &Path, move_it: bool) -> io::Result<bool> {
    let ours = workspace.build_with_symbols()?;
    let guard = Guard {
        executable: &ours,
        authority,
        directory,
    };
    let benches = workspace.root.join("benches");
    let (held, request) = guard.check_baseline(&benches.join("baseline.json"), move_it)?;
    let lists = ["known-bodies.jsonl", WORST_BODIES].map(|list| benches.join(list));
    let work = guard.check_work(&lists, &benches.join("large-events.jsonl"), request)?;
    if move_it {
        workspace.write("benches/README.md", "work", &work.table())?;
    }
    Ok(held && work.held())
}

/// Looks for the bodies that cost most, and writes the list that the guard checks.
fn search(seed: &str, workspace: &Workspace, authority: &Authority) -> io::Result<bool> {
    let seed = seed.parse().map_err(io::Error::other)?;
    let ours = workspace.build("Cargo.toml", "create-contact", "release")?;
    let list = workspace.root.join("benches").join(WORST_BODIES);
    work::search(&ours, authority, seed, &list)?;
    Ok(true)
}

/// Sends five requests, each of which must create a contact with two database calls.
fn try_out(command: &[&str], authority: &Authority) -> io::Result<bool> {
    let database = DynamoDb::start(authority)?;
    let function = Function::start(&Program::new(command, &database, &authority.ca).deployed())?;
    for number in 0..5 {
        let response = function.invoke(lambda::event(number));
        println!("{:?} {response}", function.age());
        if response["statusCode"] != 201 {
            return Ok(false);
        }
    }
    Ok(database.calls() == 10)
}

/// Where things are.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    fn find() -> Self {
        // This package is at benches/compare.
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap_or(Path::new("."))
            .to_owned();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { root, target }
    }

    /// Builds `typical` without AWS-LC's CPU-jitter entropy.
    fn tuned(&self) -> io::Result<PathBuf> {
        let target = self.target.join("tuned");
        let mut cargo = self.cargo(
            "benches/Cargo.toml",
            &["build", "--package", "typical", "--release"],
            &target,
        );
        succeed(cargo.env("AWS_LC_SYS_NO_JITTER_ENTROPY", "1"))?;
        Ok(target.join("release/typical"))
    }

    /// Builds the function as of [`EARLIER`].
    fn earlier(&self) -> io::Result<PathBuf> {
        let sources = self.target.join("earlier");
        if !sources.exists() {
            let mut git = Command::new("git");
            git.arg("-C").arg(&self.root).args(["worktree", "add", "--detach"]);
            succeed(git.arg(&sources).arg(EARLIER))?;
        }
        let target = sources.join("target");
        let manifest = sources.join("Cargo.toml");
        succeed(&mut self.cargo(manifest, &["build", "--release"], &target))?;
        Ok(target.join("release/create-contact"))
    }

    /// Builds a package's executable and returns its path.
    fn build(&self, manifest: &str, package: &str, profile: &str) -> io::Result<PathBuf> {
        let what = ["build", "--package", package, "--profile", profile];
        succeed(&mut self.cargo(manifest, &what, &self.target))?;
        Ok(self.target.join(profile).join(package))
    }

    /// Builds the function with the names of its functions in the executable.
    fn build_with_symbols(&self) -> io::Result<PathBuf> {
        let what = ["rustc", "--release", "--bin", "create-contact"];
        let mut cargo = self.cargo("Cargo.toml", &what, &self.target);
        succeed(cargo.args(["--", "-C", "strip=debuginfo"]))?;
        Ok(self.target.join("release/create-contact"))
    }

    /// Cargo, as it builds what the arguments name.
    fn cargo(&self, manifest: impl AsRef<Path>, what: &[&str], target: &Path) -> Command {
        let mut cargo = Command::new("cargo");
        // What `cargo run` has set for this program would make build scripts run again, and rebuild half of everything.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&*name);
            }
        }
        cargo.args(what).arg("--locked");
        cargo.arg("--manifest-path").arg(self.root.join(manifest));
        cargo.arg("--target-dir").arg(target);
        cargo
    }

    fn write(&self, page: &str, marker: &str, text: &str) -> io::Result<()> {
        report::write_block(&self.root.join(page), marker, text)
    }
}

fn succeed(command: &mut Command) -> io::Result<()> {
    if command.status()?.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{command:?} failed")))
    }
}
