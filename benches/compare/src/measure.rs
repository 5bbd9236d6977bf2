//! The measurements: which processes, how often, in which order.

use std::{
    fs, io,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    dynamodb::{Authority, DynamoDb},
    lambda::{Function, Program},
};

/// The memory sizes whose share of a CPU is tried out, in MB: the least that Lambda has, and the template's.
pub const MEMORY_SIZES: [u32; 2] = [128, 256];

const COLD_STARTS: usize = 84;
const LIMITED_STARTS: usize = 12;
const LIMITED_REQUESTS: u32 = 10;
const FAULTY_STARTS: usize = 12;
const WARM_BLOCKS: usize = 20;
const REQUESTS_A_BLOCK: u64 = 50;
/// Growth is a few hundredths, if any. To see so little takes many short blocks.
const GROWTH_BLOCKS: usize = 150;
const REQUESTS_A_GROWTH_BLOCK: u64 = 20;
const MANY_CONTACTS: u32 = 1_000_000;

const NAME: &str = "Henrik Larsen";

/// Several measurements of one quantity.
#[derive(Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each measurement, multiplied by a factor.
    pub fn times(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|value| value * factor).collect())
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that this fraction of the measurements doesn't exceed.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss
        )]
        let place = ((sorted.len() - 1) as f64 * part).round() as usize;
        sorted[place]
    }
}

/// What is measured of one program.
#[derive(Clone, Default)]
pub struct Figures {
    /// CPU from exec until the process asks for its first invocation, in ms.
    pub ready_cpu: Sample,
    /// Wall time of the same, with all of a CPU, in ms.
    pub ready_wall: Sample,
    /// CPU of the first request, from being handed out to its 201, in ms.
    pub first_cpu: Sample,
    /// CPU from exec to the first 201, in ms.
    pub cold_cpu: Sample,
    /// The same where DynamoDB's host is looked up by its name.
    pub cold_cpu_by_name: Sample,
    /// CPU of a warm request, in µs.
    pub warm_cpu: Sample,
    /// With the share of a CPU that each of [`MEMORY_SIZES`] buys; empty where there are no cgroups.
    pub limited: [Limited; MEMORY_SIZES.len()],
    /// Peak memory after the warm requests, in MB.
    pub memory: Sample,
    /// DynamoDB calls of a start.
    pub calls_at_start: Sample,
    /// DynamoDB calls a request.
    pub calls: Sample,
    /// Bytes of log a request.
    pub log: Sample,
    /// Size of the executable, in MB.
    pub size: Sample,
}

/// Wall times with a share of a CPU, in ms, from a request's being handed out to its 201.
#[derive(Clone, Default)]
pub struct Limited {
    /// The first request of a process.
    pub first: Sample,
    /// The requests after it.
    pub warm: Sample,
}

/// Warm CPU of a changed situation by that of the usual one, block by block.
pub struct Growth {
    pub stored_contacts: Sample,
    pub long_name: Sample,
}

/// The order of a round: forwards and backwards by turns, each time from another program on. What ran before has left its
/// caches to the next, and a large program leaves less than a small one, so none may always follow the same.
fn order(round: usize, programs: usize) -> impl Iterator<Item = usize> {
    (0..programs).map(move |place| {
        let forwards = (round / programs).is_multiple_of(2);
        let place = if forwards { place } else { programs - 1 - place };
        (place + round) % programs
    })
}

/// Measures programs side by side: each round starts, or asks, each of them once. The last is the function, which gets what the
/// template sets.
pub fn compare(executables: &[&Path], authority: &Authority, directory: &Path) -> io::Result<Vec<Figures>> {
    let databases = executables
        .iter()
        .map(|_| DynamoDb::start(authority, Duration::ZERO, 0))
        .collect::<io::Result<Vec<_>>>()?;
    let mut programs: Vec<Program> = executables
        .iter()
        .zip(&databases)
        .map(|(path, database)| Program::new(&[&path.display().to_string()], database, &authority.ca))
        .collect();
    let function = programs.pop().map(Program::deployed);
    programs.extend(function);
    let mut all = vec![Figures::default(); programs.len()];
    let mut numbers = 0..;
    let mut number = || numbers.next().unwrap_or_default();

    let mut both_ways = programs.clone();
    both_ways.extend(
        programs
            .iter()
            .zip(&databases)
            .map(|(program, database)| program.by_name(database)),
    );
    for round in 0..COLD_STARTS {
        for index in order(round, both_ways.len()) {
            let function = Function::start(&both_ways[index], None)?;
            let ready_wall = milliseconds(function.await_ready());
            let ready_cpu = milliseconds(function.cpu()?);
            function.create(NAME, number());
            let cpu = milliseconds(function.cpu()?);
            match index.checked_sub(programs.len()) {
                None => {
                    all[index].ready_wall.add(ready_wall);
                    all[index].ready_cpu.add(ready_cpu);
                    all[index].first_cpu.add(cpu - ready_cpu);
                    all[index].cold_cpu.add(cpu);
                }
                Some(index) => all[index].cold_cpu_by_name.add(cpu),
            }
        }
    }
    for (size, megabytes) in MEMORY_SIZES.into_iter().enumerate() {
        match limited(megabytes, &programs, &mut number) {
            Ok(limited) => {
                for (figures, limited) in all.iter_mut().zip(limited) {
                    figures.limited[size] = limited;
                }
            }
            Err(error) => eprintln!("no share of a CPU: {error}"),
        }
    }

    let mut functions = Vec::new();
    for (index, program) in programs.iter().enumerate() {
        let log = fs::File::create(directory.join(format!("{index}.log")))?;
        let before = databases[index].reads_at_start();
        let function = Function::start(program, Some(log))?;
        function.create(NAME, number());
        functions.push(function);
        let reads = databases[index].reads_at_start() - before;
        all[index].calls_at_start.add(number_to_float(reads));
    }
    let calls_before: Vec<u64> = databases.iter().map(DynamoDb::calls).collect();
    for round in 0..WARM_BLOCKS {
        for index in order(round, functions.len()) {
            all[index]
                .warm_cpu
                .add(block(&functions[index], REQUESTS_A_BLOCK, NAME, &mut number)?);
        }
    }
    for (index, figures) in all.iter_mut().enumerate() {
        figures.memory.add(megabytes(functions[index].peak_memory()?));
        let requests = number_to_float(WARM_BLOCKS as u64 * REQUESTS_A_BLOCK);
        figures
            .calls
            .add(number_to_float(databases[index].calls() - calls_before[index]) / requests);
        let log = fs::metadata(directory.join(format!("{index}.log")))?.len();
        figures.log.add(number_to_float(log) / (requests + 1.0));
        figures.size.add(megabytes(fs::metadata(executables[index])?.len()));
    }
    Ok(all)
}

/// Starts programs with all of a CPU and leaves them, from the first invocation on, the share that this much memory buys: as
/// Lambda does.
fn limited(megabytes: u32, programs: &[Program], number: &mut impl FnMut() -> u64) -> io::Result<Vec<Limited>> {
    let mut all = vec![Limited::default(); programs.len()];
    for round in 0..LIMITED_STARTS {
        for index in order(round, programs.len()) {
            let mut function = Function::start(&programs[index], None)?;
            function.await_ready();
            function.limit(megabytes)?;
            let mut create = || {
                let handed_out = Instant::now();
                function.create(NAME, number());
                milliseconds(handed_out.elapsed())
            };
            all[index].first.add(create());
            let warm = (0..LIMITED_REQUESTS).map(|_| create()).sum::<f64>();
            all[index].warm.add(warm / f64::from(LIMITED_REQUESTS));
        }
    }
    Ok(all)
}

/// How much later a process is ready if its database misbehaves, in ms.
#[derive(Default)]
pub struct FaultyStarts {
    pub hangs: Sample,
    pub refuses: Sample,
    pub does_not_resolve: Sample,
}

/// Measures starts with such a database, each paired with one with a database that responds.
pub fn faulty_starts(executable: &Path, authority: &Authority) -> io::Result<FaultyStarts> {
    let database = DynamoDb::start(authority, Duration::ZERO, 0)?;
    let usual = Program::new(&[&executable.display().to_string()], &database, &authority.ca);
    let elsewhere = |url: &str| usual.clone().with("AWS_ENDPOINT_URL_DYNAMODB", url);
    // The kernel accepts the connection, and nothing ever responds.
    let silent = TcpListener::bind(("127.0.0.1", 0))?;
    let hangs = elsewhere(&format!("https://{}", silent.local_addr()?));
    // Nothing listens on a port that has just been released.
    let closed = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let refuses = elsewhere(&format!("https://{closed}"));
    // A reserved name that never has an address (RFC 2606, section 2).
    let does_not_resolve = elsewhere("https://nowhere.invalid");
    let ready = |program: &Program| -> io::Result<f64> {
        let function = Function::start(program, None)?;
        Ok(milliseconds(function.await_ready()))
    };
    let mut starts = FaultyStarts::default();
    for _ in 0..FAULTY_STARTS {
        let usual = ready(&usual)?;
        starts.hangs.add(ready(&hangs)? - usual);
        starts.refuses.add(ready(&refuses)? - usual);
        starts.does_not_resolve.add(ready(&does_not_resolve)? - usual);
    }
    Ok(starts)
}

/// Measures whether a request costs more if more is stored, or with the longest name.
pub fn growth(executable: &Path, authority: &Authority) -> io::Result<Growth> {
    let command = executable.display().to_string();
    let few = DynamoDb::start(authority, Duration::ZERO, 100)?;
    let many = DynamoDb::start(authority, Duration::ZERO, MANY_CONTACTS)?;
    let usual = Function::start(&Program::new(&[&command], &few, &authority.ca), None)?;
    let full = Function::start(&Program::new(&[&command], &many, &authority.ca), None)?;
    let long = Function::start(&Program::new(&[&command], &few, &authority.ca), None)?;
    let long_name = format!("{}k Larsen", "Henri ".repeat(32));
    assert_eq!(long_name.len(), 200);
    let mut growth = Growth {
        stored_contacts: Sample::default(),
        long_name: Sample::default(),
    };
    // Numbers that neither run has used.
    let mut numbers = u64::from(u32::MAX)..;
    let mut number = || numbers.next().unwrap_or_default();
    for function in [&usual, &full, &long] {
        block(function, REQUESTS_A_BLOCK, NAME, &mut number)?;
    }
    let situations = [(&usual, NAME), (&full, NAME), (&long, long_name.as_str())];
    for round in 0..GROWTH_BLOCKS {
        let mut cpu = [0.0; 3];
        for index in order(round, situations.len()) {
            let (function, name) = situations[index];
            cpu[index] = block(function, REQUESTS_A_GROWTH_BLOCK, name, &mut number)?;
        }
        growth.stored_contacts.add(cpu[1] / cpu[0]);
        growth.long_name.add(cpu[2] / cpu[0]);
    }
    Ok(growth)
}

/// The CPU of a request in µs, averaged over a block.
fn block(function: &Function, requests: u64, name: &str, number: &mut impl FnMut() -> u64) -> io::Result<f64> {
    let before = function.cpu()?;
    for _ in 0..requests {
        function.create(name, number());
    }
    let cpu = function.cpu()?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / number_to_float(requests))
}

/// How one process handles many invocations at once.
pub struct Load {
    pub concurrency: usize,
    pub requests_a_second: f64,
    /// Latencies in ms.
    pub latency: Sample,
    /// CPU of a request, in µs.
    pub cpu: f64,
}

/// The time that DynamoDB takes for a call under load.
pub const LATENCY: Duration = Duration::from_millis(5);
const LOAD_TIME: Duration = Duration::from_secs(3);

/// Invokes one process from as many threads as it takes invocations at once.
pub fn load(executable: &Path, authority: &Authority, concurrency: usize) -> io::Result<Load> {
    let database = DynamoDb::start(authority, LATENCY, 0)?;
    let program = Program::new(&[&executable.display().to_string()], &database, &authority.ca)
        .with("AWS_LAMBDA_MAX_CONCURRENCY", &concurrency.to_string());
    let function = Function::start(&program, None)?;
    function.create(NAME, 0);
    let before = function.cpu()?;
    let started = Instant::now();
    let function = &function;
    let latencies = std::thread::scope(|scope| {
        let callers: Vec<_> = (1..=concurrency as u64)
            .map(|caller| {
                scope.spawn(move || {
                    let mut latencies = Vec::new();
                    while started.elapsed() < LOAD_TIME {
                        let number = caller * 1_000_000 + latencies.len() as u64;
                        let sent = Instant::now();
                        function.create(NAME, number);
                        latencies.push(milliseconds(sent.elapsed()));
                    }
                    latencies
                })
            })
            .collect();
        callers
            .into_iter()
            .flat_map(|caller| caller.join().expect("a caller"))
            .collect::<Vec<_>>()
    });
    let time = started.elapsed();
    let requests = number_to_float(latencies.len() as u64);
    Ok(Load {
        concurrency,
        requests_a_second: requests / time.as_secs_f64(),
        latency: Sample(latencies),
        cpu: function.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / requests,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

pub fn megabytes(bytes: u64) -> f64 {
    number_to_float(bytes) / 1e6
}

/// No number here is anywhere near 2⁵³, up to which a float is exact.
#[allow(clippy::cast_precision_loss)]
pub fn number_to_float(number: u64) -> f64 {
    number as f64
}
