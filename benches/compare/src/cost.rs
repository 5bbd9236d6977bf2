//! What a million contacts cost, and a month without any: from measured CPU, measured log bytes and public prices.

use std::fmt::Write as _;

use crate::{lambda::MEMORY_OF_A_CPU, measure::Figures, report::Comparison};

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
    /// `CloudWatch` pricing: a GB of ingested logs, vended logs of API Gateway included.
    pub const LOG_GB: f64 = 0.50;
    /// `CloudWatch` pricing: a metric that an alarm watches, a month.
    pub const ALARM_METRIC: f64 = 0.10;
    /// `CloudWatch` pricing: a custom metric, a month.
    pub const CUSTOM_METRIC: f64 = 0.30;
    /// `CloudWatch` pricing: a dashboard beyond the first three of an account, a month.
    pub const DASHBOARD: f64 = 3.00;
}
const PRICES_READ: &str = "December 2025";

/// The time that a process waits for the network and for DynamoDB in each call, in ms: an assumption: AWS says
/// "single-digit milliseconds".
const WAITING: f64 = 5.0;
/// How many requests meet a cold start: an assumption.
const COLD_STARTS_A_REQUEST: f64 = 0.001;
const MEMORY_SIZES: [u32; 4] = [128, 256, 512, 1024];
/// What Lambda itself writes about an invocation by default, and so for `typical` (AWS Lambda Developer
/// Guide, "Log and monitor"): of the usual length.
const PLATFORM_LINES: &str = "\
START RequestId: 8f507cfc-1c3b-4697-b07a-ac58fc914c95 Version: 3
END RequestId: 8f507cfc-1c3b-4697-b07a-ac58fc914c95
REPORT RequestId: 8f507cfc-1c3b-4697-b07a-ac58fc914c95\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 256 MB\t\
Max Memory Used: 20 MB\t
";

/// What the access log holds for a created contact: values of the usual length, those of `.ci/check-template`.
const ACCESS_LOG: [(&str, &str); 8] = [
    ("$context.requestId", "JKJaXmPLvHcESHA="),
    ("$context.httpMethod", "POST"),
    ("$context.routeKey", "ANY /api/contacts"),
    ("$context.status", "201"),
    ("$context.responseLatency", "21"),
    ("$context.integrationLatency", "19"),
    ("$context.error.responseType", "-"),
    ("$context.integrationErrorMessage", "-"),
];

/// The parts of `template.yaml` that cost money.
pub struct Template {
    memory: u32,
    /// The access log's line for a created contact, in bytes.
    access_log_bytes: usize,
    alarm_metrics: usize,
}

impl Template {
    /// Nothing if the template has no memory size or no access log.
    pub fn parse(text: &str) -> Option<Self> {
        let memory = text.lines().find_map(|line| line.trim().strip_prefix("MemorySize:"))?;
        let format = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("{\"requestId\""))?;
        let line = ACCESS_LOG.iter().fold(format.to_owned(), |line, (variable, value)| {
            line.replace(variable, value)
        });
        let metrics = text.matches(" MetricName:").count();
        Some(Self {
            memory: memory.trim().parse().ok()?,
            access_log_bytes: line.len(),
            alarm_metrics: metrics - text.matches("Type: AWS::Logs::MetricFilter").count(),
        })
    }
}

struct Duration {
    warm_milliseconds: f64,
    cold_milliseconds: f64,
    /// What Lambda charges for the time of a million requests, in dollars.
    charge: f64,
}

/// One thread does the work, so more than one CPU doesn't help.
fn duration(figures: &Figures, memory: u32) -> Duration {
    let share = (f64::from(memory) / MEMORY_OF_A_CPU).min(1.0);
    let calls = figures.calls.median();
    let warm = calls * WAITING + figures.warm_cpu.median() / 1000.0 / share;
    // Lambda starts a process with more CPU than its memory buys, and leaves it that share from the first invocation on.
    let start = figures.calls_at_start.median() * WAITING + figures.ready_wall.median();
    let cold = start + calls * WAITING + figures.first_cpu.median() / share;
    // Billed in whole milliseconds, the initialisation included.
    let billed = warm.ceil() + COLD_STARTS_A_REQUEST * cold.ceil();
    let gb_seconds = billed / 1000.0 * f64::from(memory) / 1024.0;
    Duration {
        warm_milliseconds: warm,
        cold_milliseconds: cold,
        charge: gb_seconds * price::LAMBDA_GB_SECOND * 1e6,
    }
}

fn logs(bytes: f64) -> f64 {
    bytes / 1e9 * price::LOG_GB * 1e6
}

/// The tables, and the reasons for the template's memory size.
pub fn table(all: &Comparison, template: &Template) -> String {
    let programs = [&all.ours, &all.typical];
    let durations = programs.map(|figures| duration(figures, template.memory));
    let own_bytes = programs.map(|figures| figures.log.median());
    // These are small enough to be exact as floats.
    #[allow(clippy::cast_precision_loss)]
    let [platform_bytes, access_bytes] = [PLATFORM_LINES.len(), template.access_log_bytes].map(|bytes| bytes as f64);
    let same = |dollars: f64| [dollars; 2];
    let rows = [
        (
            "API Gateway: one request to an HTTP API".to_owned(),
            same(price::HTTP_API_REQUEST * 1e6),
        ),
        ("DynamoDB: one write unit".to_owned(), same(price::WRITE_UNIT * 1e6)),
        (
            "DynamoDB: two strongly consistent reads".to_owned(),
            same(2.0 * price::READ_UNIT * 1e6),
        ),
        ("Lambda: one request".to_owned(), same(price::LAMBDA_REQUEST * 1e6)),
        (
            format!(
                "Lambda: {} MB for {:.0} ms (typical {:.0} ms), arm64",
                template.memory, durations[0].warm_milliseconds, durations[1].warm_milliseconds
            ),
            [durations[0].charge, durations[1].charge],
        ),
        (
            format!(
                "logs: the function's own, {:.0} bytes (typical {:.0})",
                own_bytes[0], own_bytes[1]
            ),
            own_bytes.map(logs),
        ),
        (
            format!("logs: Lambda's START, END and REPORT, none (typical {platform_bytes:.0} bytes)"),
            [0.0, logs(platform_bytes)],
        ),
        (
            format!("logs: the access log, {access_bytes:.0} bytes"),
            same(logs(access_bytes)),
        ),
    ];
    let mut table = "\
| a million contacts | create-contact, $ | typical, $ |
| --- | --- | --- |
"
    .to_owned();
    for (what, [ours, typical]) in &rows {
        let _ = writeln!(table, "| {what} | {ours:.3} | {typical:.3} |");
    }
    let [ours, typical] = [0, 1].map(|program| rows.iter().map(|(_, dollars)| dollars[program]).sum::<f64>());
    let _ = writeln!(table, "| **all** | **{ours:.2}** | **{typical:.2}** |");
    table + &fixed_costs(template) + &assumptions() + &memory_sizes(all, template)
}

fn fixed_costs(template: &Template) -> String {
    // Few enough metrics that no float loses any.
    #[allow(clippy::cast_precision_loss)]
    let alarms = template.alarm_metrics as f64 * price::ALARM_METRIC;
    format!(
        "
| a month, whatever the traffic | price, $ | here, $ |
| --- | --- | --- |
| alarms on {} metrics | {:.2} each | {alarms:.2} |
| one metric for each outcome that occurs | {:.2} each, for the hours with data | up to {:.2} |
| the dashboard | {:.2}, the first three of an account free | 0 to {:.2} |
| storage and point-in-time recovery | 0.25 and 0.20 a GB; a million contacts are about 0.5 GB | by use |
| logs kept | 0.03 a GB, compressed | by use |
| encryption with the AWS managed key, CodeDeploy, SNS by e-mail, the stream unless read | | 0, or cents |
",
        template.alarm_metrics,
        price::ALARM_METRIC,
        price::CUSTOM_METRIC,
        14.0 * price::CUSTOM_METRIC,
        price::DASHBOARD,
        price::DASHBOARD,
    )
}

fn assumptions() -> String {
    format!(
        "
US dollars, us-east-1, public on-demand prices of {PRICES_READ} (the services' pricing pages), no free tier. Times: the CPU time that
[the benchmark](../../benches/README.md) measured, divided by the memory's share of a CPU, plus {WAITING:.0} ms of waiting for each
response of DynamoDB (assumed). A cold start is the process's start, with a full CPU, and its first request. The time
that Lambda needs to set up the environment isn't included: it can't be measured here. One request in {:.0} meets a cold start (assumed). Logs cost {:.2} a GB. A retry that gets `200` costs the same; a
refused request costs no write unit.
",
        1.0 / COLD_STARTS_A_REQUEST,
        price::LOG_GB,
    )
}

fn memory_sizes(all: &Comparison, template: &Template) -> String {
    let mut table = "
| memory, MB | warm, ms | cold start, ms | duration charge, $ | typical: warm, ms | cold start, ms | duration charge, $ |
| --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for memory in MEMORY_SIZES {
        let [ours, typical] = [&all.ours, &all.typical].map(|figures| duration(figures, memory));
        let _ = writeln!(
            table,
            "| {memory} | {:.0} | {:.0} | {:.3} | {:.0} | {:.0} | {:.3} |",
            ours.warm_milliseconds,
            ours.cold_milliseconds,
            ours.charge,
            typical.warm_milliseconds,
            typical.cold_milliseconds,
            typical.charge,
        );
    }
    let least = duration(&all.ours, MEMORY_SIZES[0]);
    let chosen = duration(&all.ours, template.memory);
    let _ = write!(
        table,
        "
The template gives the function {} MB. Compared with {} MB, a million contacts cost {:.2} dollars more, and a cold start takes {:.0} ms
instead of {:.0}, a request {:.0} instead of {:.0}. More memory is faster and costs more.
",
        template.memory,
        MEMORY_SIZES[0],
        chosen.charge - least.charge,
        chosen.cold_milliseconds,
        least.cold_milliseconds,
        chosen.warm_milliseconds,
        least.warm_milliseconds,
    );
    table
}
