//! Log lines: one JSON object each, and nothing personal in any of them (contract, section 8).
//!
//! Every request leaves one line, whatever the level; that line is a `RequestLine`, which has no room for a name, an
//! address, a key or a body. All else goes through `tracing`. The libraries beneath would log events, requests and items at
//! their finer levels, so they are held at warnings whatever level is asked for. `Cargo.toml` leaves finer events out of the
//! binary as well, for speed, those of this crate included, of which there are none.
//!
//! The request's line is its metric record too, in CloudWatch's embedded metric format: CloudWatch takes the metrics out of
//! the log, so they cost the request no call and no time. Only the function and the outcome are dimensions; each of their
//! values makes a metric that is paid for, so ids stay plain members.

use std::{
    env,
    io::{self, Write as _},
    panic,
    str::FromStr,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use lambda_http::http::StatusCode;
use lambda_runtime::Context;
use serde::Serialize;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use uuid::Uuid;

use crate::store::{Attempts, Fault};

const OURS: &str = env!("CARGO_CRATE_NAME");

/// Sends this crate's events, and the libraries' warnings, to standard output as JSON lines; panics too, without payload.
pub fn init() {
    let level = level();
    let libraries = level.min(LevelFilter::WARN);
    let filter = Targets::new().with_target(OURS, level).with_default(libraries);
    tracing_subscriber::registry()
        .with(filter)
        .with(
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false),
        )
        .init();
    panic::set_hook(Box::new(|panic| {
        // The payload may quote a value; the place never does.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// `AWS_LAMBDA_LOG_LEVEL`, or `RUST_LOG`, as a level or as directives; INFO if they say nothing of this crate.
fn level() -> LevelFilter {
    let Some(asked) = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    else {
        return LevelFilter::INFO;
    };
    if asked.eq_ignore_ascii_case("fatal") {
        return LevelFilter::ERROR;
    }
    if let Ok(level) = LevelFilter::from_str(&asked) {
        return level;
    }
    let Ok(directives) = Targets::from_str(&asked) else {
        return LevelFilter::INFO;
    };
    [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR]
        .into_iter()
        .find(|level| directives.would_enable(OURS, level))
        .map_or(LevelFilter::INFO, LevelFilter::from_level)
}

/// What is known of a request when it ends.
pub(crate) struct RequestLog {
    started: Instant,
    context: Context,
    api_request_id: Option<String>,
    pub attempts: Attempts,
    /// The database operation that was begun last.
    operation: Option<&'static str>,
    /// When it was begun, if it has not ended.
    operation_started: Option<Instant>,
    /// The time of those that have ended.
    database_time: Duration,
    pub tenant_id: Option<Uuid>,
    pub workspace_id: Option<Uuid>,
    pub fault: Option<Fault>,
}

/// The line of a request, and its metric record (Amazon CloudWatch User Guide, "Specification: Embedded metric format").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestLine<'a> {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    /// Lambda takes a line for INFO, whatever its level says, unless its timestamp is one of RFC 3339.
    timestamp: String,
    level: &'static str,
    message: &'static str,
    function_name: &'a str,
    request_id: &'a str,
    api_request_id: Option<&'a str>,
    status: u16,
    outcome: &'static str,
    /// Always one: their sum by outcome is what alarms watch.
    requests: u32,
    duration_ms: f64,
    /// The time in which the request waited for the database, retries included.
    database_ms: f64,
    database_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_request_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    /// Milliseconds since 1970.
    timestamp: i64,
    cloud_watch_metrics: &'static [Directive],
}

/// Which members of the line are metrics, and by which other members they are kept apart.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 1],
    metrics: &'static [Metric],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Directive {
    const fn new(dimensions: &'static [&'static str], metrics: &'static [Metric]) -> Self {
        Self {
            namespace: "create-contact",
            dimensions: [dimensions],
            metrics,
        }
    }
}

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: "Count" }
}

const fn milliseconds(name: &'static str) -> Metric {
    Metric {
        name,
        unit: "Milliseconds",
    }
}

const REQUESTS: Directive = Directive::new(&["functionName", "outcome"], &[count("requests")]);
const DIRECTIVES: &[Directive] = &[
    REQUESTS,
    Directive::new(
        &["functionName"],
        &[
            milliseconds("durationMs"),
            milliseconds("databaseMs"),
            count("databaseAttempts"),
        ],
    ),
];
/// For a request that was answered without the database: its zeros would make the database look faster than it is.
const DIRECTIVES_WITHOUT_DATABASE: &[Directive] = &[
    REQUESTS,
    Directive::new(&["functionName"], &[milliseconds("durationMs")]),
];

impl RequestLog {
    pub fn start(context: Context, api_request_id: Option<String>) -> Self {
        Self {
            started: Instant::now(),
            context,
            api_request_id,
            attempts: Attempts::default(),
            operation: None,
            operation_started: None,
            database_time: Duration::ZERO,
            tenant_id: None,
            workspace_id: None,
            fault: None,
        }
    }

    /// A database operation begins.
    pub fn begin(&mut self, operation: &'static str) {
        self.operation = Some(operation);
        self.operation_started = Some(Instant::now());
    }

    /// The operation that was begun has ended. One that fails, or is cut short, ends with the request.
    pub fn end(&mut self) {
        if let Some(started) = self.operation_started.take() {
            self.database_time += started.elapsed();
        }
    }

    /// Writes the request's line.
    pub fn finish(mut self, status: StatusCode, outcome: &'static str) {
        self.end();
        let fault = self.fault.as_ref();
        let now = Utc::now();
        let cloud_watch_metrics = if self.operation.is_some() {
            DIRECTIVES
        } else {
            DIRECTIVES_WITHOUT_DATABASE
        };
        let line = RequestLine {
            metadata: Metadata {
                timestamp: now.timestamp_millis(),
                cloud_watch_metrics,
            },
            timestamp: now.to_rfc3339_opts(SecondsFormat::Millis, true),
            level: if status.is_server_error() { "ERROR" } else { "INFO" },
            message: "request",
            function_name: &self.context.env_config.function_name,
            request_id: &self.context.request_id,
            api_request_id: self.api_request_id.as_deref(),
            status: status.as_u16(),
            outcome,
            requests: 1,
            duration_ms: self.started.elapsed().as_secs_f64() * 1000.0,
            database_ms: self.database_time.as_secs_f64() * 1000.0,
            database_attempts: self.attempts.count(),
            tenant_id: self.tenant_id,
            workspace_id: self.workspace_id,
            fault: fault.map(|fault| fault.kind.to_string()),
            operation: self.operation.filter(|_| status.is_server_error()),
            fault_code: fault.and_then(|fault| fault.code.as_deref()),
            aws_request_id: fault.and_then(|fault| fault.aws_request_id.as_deref()),
        };
        if let Ok(mut line) = serde_json::to_vec(&line) {
            line.push(b'\n');
            // One write, so that lines of concurrent requests don't mix. There is nowhere to report a closed output to.
            let _ = io::stdout().lock().write_all(&line);
        }
    }
}
