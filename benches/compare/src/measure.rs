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
const MEMORY: [u32; 2] = [128, 256];

const COLD_STARTS: usize = 84;
const LIMITED_STARTS: usize = 12;
const LIMITED_REQUESTS: u32 = 10;
const WARM_BLOCKS: usize = 20;
const REQUESTS_A_BLOCK: u64 = 50;
/// Several measurements of one quantity.
#[derive(Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
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
    /// CPU of the first request, from being handed out to its 201, in ms.
    pub first_cpu: Sample,
    /// CPU from exec to the first 201, in ms.
    pub cold_cpu: Sample,
    /// CPU of a warm request, in µs.
    pub warm_cpu: Sample,
    /// With the share of a CPU that each of [`MEMORY`] buys.
    pub limited: [Limited; MEMORY.len()],
    /// Peak memory after the warm requests, in MB.
    pub memory: Sample,
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
pub fn compare(executables: &[&Path], authority: &Authority) -> io::Result<Vec<Figures>> {
    let databases = executables
        .iter()
        .map(|_| DynamoDb::start(authority))
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

    for round in 0..COLD_STARTS {
        for index in order(round, programs.len()) {
            let function = Function::start(&programs[index])?;
            function.await_ready();
            let ready = milliseconds(function.cpu()?);
            function.create(number());
            let cold = milliseconds(function.cpu()?);
            all[index].ready_cpu.add(ready);
            all[index].first_cpu.add(cold - ready);
            all[index].cold_cpu.add(cold);
        }
    }
    for (size, megabytes) in MEMORY.into_iter().enumerate() {
        for (figures, limited) in all.iter_mut().zip(limited(megabytes, &programs, &mut number)?) {
            figures.limited[size] = limited;
        }
    }

    let functions = programs.iter().map(Function::start).collect::<io::Result<Vec<_>>>()?;
    for function in &functions {
        function.create(number());
    }
    for round in 0..WARM_BLOCKS {
        for index in order(round, functions.len()) {
            all[index].warm_cpu.add(block(&functions[index], &mut number)?);
        }
    }
    for (index, figures) in all.iter_mut().enumerate() {
        figures.memory.add(megabytes(functions[index].peak_memory()?));
        figures.size.add(megabytes(fs::metadata(executables[index])?.len()));
    }
    Ok(all)
}

/// Starts programs with all of a CPU and leaves them, from the first invocation on, the share that this much memory buys: as Lambda does.
fn limited(megabytes: u32, programs: &[Program], number: &mut impl FnMut() -> u64) -> io::Result<Vec<Limited>> {
    let mut all = vec![Limited::default(); programs.len()];
    for round in 0..LIMITED_STARTS {
        for index in order(round, programs.len()) {
            let mut function = Function::start(&programs[index])?;
            function.await_ready();
            function.limit(megabytes)?;
            let mut create = || {
                let handed_out = Instant::now();
                function.create(number());
                milliseconds(handed_out.elapsed())
            };
            all[index].first.add(create());
            let warm = (0..LIMITED_REQUESTS).map(|_| create()).sum::<f64>();
            all[index].warm.add(warm / f64::from(LIMITED_REQUESTS));
        }
    }
    Ok(all)
}

/// How much later a process is ready if its database accepts the connection and never responds, in ms. Each start is paired with one
/// whose database responds.
pub fn delay_by_a_database_that_hangs(executable: &Path, authority: &Authority) -> io::Result<Sample> {
    let database = DynamoDb::start(authority)?;
    let usual = Program::new(&[&executable.display().to_string()], &database, &authority.ca);
    // The kernel accepts.
    let silent = TcpListener::bind(("127.0.0.1", 0))?;
    let hangs = format!("https://{}", silent.local_addr()?);
    let hangs = usual.clone().with("AWS_ENDPOINT_URL_DYNAMODB", &hangs);
    let mut delays = Sample::default();
    for _ in 0..LIMITED_STARTS {
        let [usual, hangs] = [&usual, &hangs].map(|program| -> io::Result<f64> {
            let function = Function::start(program)?;
            Ok(milliseconds(function.await_ready()))
        });
        delays.add(hangs? - usual?);
    }
    Ok(delays)
}

/// The CPU of a request in µs, averaged over a block.
fn block(function: &Function, number: &mut impl FnMut() -> u64) -> io::Result<f64> {
    let before = function.cpu()?;
    for _ in 0..REQUESTS_A_BLOCK {
        function.create(number());
    }
    let cpu = function.cpu()?.saturating_sub(before);
    Ok(cpu.as_secs_f64() * 1e6 / number_to_float(REQUESTS_A_BLOCK))
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
