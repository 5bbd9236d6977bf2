//! What a million contacts cost, from measured CPU and public prices.

use std::fmt::Write as _;

use crate::{measure::Figures, report::Comparison};

/// Public on-demand prices in US dollars, us-east-1, without free tiers and discounts by volume, as of [`PRICES_READ`].
mod price {
    /// API Gateway pricing: HTTP API, a request (metered in steps of 512 KB).
    pub const HTTP_API_REQUEST: f64 = 1.00e-6;
    /// AWS Lambda pricing: a request.
    pub const LAMBDA_REQUEST: f64 = 0.20e-6;
    /// AWS Lambda pricing: a GB-second on arm64.
    pub const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
    /// Amazon DynamoDB pricing, on-demand: a write unit.
    pub const WRITE_UNIT: f64 = 0.625e-6;
    /// Amazon DynamoDB pricing, on-demand: a read unit, which is one strongly consistent read of up to 4 KB.
    pub const READ_UNIT: f64 = 0.125e-6;
    /// `CloudWatch` pricing: a GB of ingested logs.
    pub const LOG_GB: f64 = 0.50;
}
const PRICES_READ: &str = "December 2025";

/// The time that the two DynamoDB calls of a request wait for the network and for DynamoDB, in ms: an assumption, AWS says
/// "single-digit milliseconds" of each.
const WAITING: f64 = 2.0 * 5.0;
/// How many requests meet a cold start: an assumption.
const COLD_STARTS_A_REQUEST: f64 = 0.001;
const MEMORY_SIZES: [u32; 4] = [128, 256, 512, 1024];
/// The memory that buys one CPU (AWS Lambda Developer Guide, "Configure Lambda function memory").
const MEMORY_OF_A_CPU: f64 = 1769.0;

struct Cost {
    warm_milliseconds: f64,
    cold_milliseconds: f64,
    lambda: f64,
}

/// What Lambda charges for a million requests, in dollars. One thread does the work, so more than one CPU doesn't help.
fn lambda(figures: &Figures, memory: u32) -> Cost {
    let share = (f64::from(memory) / MEMORY_OF_A_CPU).min(1.0);
    let warm = WAITING + figures.warm_cpu.median() / 1000.0 / share;
    let cold = WAITING + figures.cold_cpu.median() / share;
    // Billed in whole milliseconds, the initialisation included.
    let billed = warm.ceil() + COLD_STARTS_A_REQUEST * cold.ceil();
    let gb_seconds = billed / 1000.0 * f64::from(memory) / 1024.0;
    Cost {
        warm_milliseconds: warm,
        cold_milliseconds: cold,
        lambda: (price::LAMBDA_REQUEST + gb_seconds * price::LAMBDA_GB_SECOND) * 1e6,
    }
}

/// The table, and what speaks for the memory that the template gives the function.
pub fn table(all: &Comparison, template_memory: u32) -> String {
    let http_api = price::HTTP_API_REQUEST * 1e6;
    let dynamodb = (price::WRITE_UNIT + 2.0 * price::READ_UNIT) * 1e6;
    let logs = |figures: &Figures| figures.log.median() / 1e9 * price::LOG_GB * 1e6;
    let mut table = "\
| memory, MB | warm, ms | cold start, ms | Lambda | HTTP API | DynamoDB | logs | all | typical: warm, ms | cold start, ms | Lambda | logs | all |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for memory in MEMORY_SIZES {
        let [ours, typical] = [&all.ours, &all.typical].map(|figures| {
            let cost = lambda(figures, memory);
            let sum = cost.lambda + http_api + dynamodb + logs(figures);
            (cost, sum)
        });
        let _ = writeln!(
            table,
            "| {memory} | {:.0} | {:.0} | {:.2} | {http_api:.2} | {dynamodb:.3} | {:.2} | **{:.2}** | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} |",
            ours.0.warm_milliseconds,
            ours.0.cold_milliseconds,
            ours.0.lambda,
            logs(&all.ours),
            ours.1,
            typical.0.warm_milliseconds,
            typical.0.cold_milliseconds,
            typical.0.lambda,
            logs(&all.typical),
            typical.1,
        );
    }
    let _ = write!(
        table,
        "
US dollars for a million contacts: us-east-1, arm64, public on-demand prices of {PRICES_READ}, no free tier. Times: the CPU
measured above by the memory's share of a CPU, and {WAITING:.0} ms of waiting for DynamoDB's two answers (assumed); one request in
{:.0} meets a cold start (assumed). DynamoDB: one write unit and two read units. Logs at ${:.2} a GB: {:.0} bytes a request, which are
its metrics too; typical writes {:.0} and has none.
",
        1.0 / COLD_STARTS_A_REQUEST,
        price::LOG_GB,
        all.ours.log.median(),
        all.typical.log.median(),
    );
    let least = lambda(&all.ours, MEMORY_SIZES[0]);
    let chosen = lambda(&all.ours, template_memory);
    let _ = write!(
        table,
        "
The template gives the function {template_memory} MB: against {} MB a million contacts cost {:.2} dollars more, and a cold start
takes {:.0} ms instead of {:.0}, a request {:.0} instead of {:.0}. What comes after that in memory buys less time for more money.
",
        MEMORY_SIZES[0],
        chosen.lambda - least.lambda,
        chosen.cold_milliseconds,
        least.cold_milliseconds,
        chosen.warm_milliseconds,
        least.warm_milliseconds,
    );
    table
}
