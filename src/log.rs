//! Log lines: one JSON object each, and nothing personal in any of them (contract, section 8).
//!
//! Every request leaves one line, whatever the level; that line is a [`RequestLine`], which has no room for a name, an
//! address, a key or a body. All else goes through `tracing`. The libraries beneath would log events, requests and items at
//! their finer levels, so they are held at warnings whatever level is asked for.

use std::{
    env,
    io::{self, Write as _},
    panic,
    str::FromStr,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use lambda_http::http::StatusCode;
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

/// `AWS_LAMBDA_LOG_LEVEL`, or `RUST_LOG`, as a level or as directives that may name this crate; else INFO.
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
        .map_or(LevelFilter::OFF, LevelFilter::from_level)
}

/// What is known of a request when it ends.
pub(crate) struct RequestLog {
    started: Instant,
    lambda_request_id: String,
    api_request_id: Option<String>,
    pub attempts: Attempts,
    /// The database operation that was begun last.
    pub operation: Option<&'static str>,
    pub tenant_id: Option<Uuid>,
    pub workspace_id: Option<Uuid>,
    pub fault: Option<Fault>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestLine<'a> {
    timestamp: u64,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    api_request_id: Option<&'a str>,
    status: u16,
    outcome: &'static str,
    duration_ms: f64,
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

impl RequestLog {
    pub fn start(lambda_request_id: String, api_request_id: Option<String>) -> Self {
        Self {
            started: Instant::now(),
            lambda_request_id,
            api_request_id,
            attempts: Attempts::default(),
            operation: None,
            tenant_id: None,
            workspace_id: None,
            fault: None,
        }
    }

    /// Writes the request's line.
    pub fn finish(&self, status: StatusCode, outcome: &'static str) {
        let fault = self.fault.as_ref();
        let line = RequestLine {
            timestamp: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            level: if status.is_server_error() { "ERROR" } else { "INFO" },
            message: "request",
            request_id: &self.lambda_request_id,
            api_request_id: self.api_request_id.as_deref(),
            status: status.as_u16(),
            outcome,
            duration_ms: self.started.elapsed().as_secs_f64() * 1000.0,
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
