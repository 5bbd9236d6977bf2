//! The log: one JSON object per line, with nothing personal in it (`docs/contract.md#8-logs`).
//!
//! Each request leaves one entry at every log level: a `RequestEntry`, which has no room for a name, an address, a key
//! or a body. CloudWatch counts these entries by their `outcome` with a metric filter, so they need no metric of their own.
//! Everything else goes through `tracing`. At finer levels, the libraries would log requests and items. `Cargo.toml` compiles
//! all messages below a warning out of the binary.

use std::{
    env,
    io::{self, Write as _},
    panic,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use lambda_http::http::StatusCode;
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use uuid::Uuid;

use crate::{
    api_key::KeyId,
    store::{Fault, Usage},
};

/// Sends log messages to standard output as lines of JSON. Panics are logged too, without their message.
pub fn init() {
    let events = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(io::stdout);
    tracing_subscriber::registry().with(filter()).with(events).init();
    panic::set_hook(Box::new(|panic| {
        // A panic's message may contain a value; its location never does.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// `AWS_LAMBDA_LOG_LEVEL`, or else `RUST_LOG`, as a level or as directives. Without one, or with one that can't be read, every
/// message that was compiled in is logged.
fn filter() -> Targets {
    let asked = ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default();
    let filter = if asked.eq_ignore_ascii_case("fatal") {
        Targets::new().with_default(LevelFilter::ERROR)
    } else {
        Targets::from_str(&asked).unwrap_or_default()
    };
    let filter = match filter.default_level() {
        None => filter.with_default(LevelFilter::TRACE),
        Some(_) => filter,
    };
    // Its errors can quote a payload or a client context.
    filter.with_target("lambda_runtime", LevelFilter::OFF)
}

/// What is known of a request when it ends.
pub(crate) struct RequestLog {
    started: Instant,
    request_id: String,
    api_request_id: Option<String>,
    pub usage: Usage,
    pub tenant_id: Option<Uuid>,
    pub workspace_id: Option<Uuid>,
    pub key_id: Option<KeyId>,
    pub fault: Option<Fault>,
}

/// The entry of a request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestEntry<'a> {
    /// RFC 3339. Without it, Lambda treats the entry as INFO, whatever its level says.
    timestamp: String,
    level: &'static str,
    message: &'static str,
    /// Lambda's id of the invocation.
    request_id: &'a str,
    /// API Gateway's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_request_id: Option<&'a str>,
    status: u16,
    outcome: &'static str,
    duration_ms: f64,
    /// How long the request waited for the database, including retries.
    database_ms: f64,
    database_attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a KeyId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The operation that failed or was in progress when the request ran out of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault_code: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    throttling_reasons: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamodb_request_id: Option<&'a str>,
    /// How long the process took to start, in its first request's entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    init_ms: Option<f64>,
}

impl RequestLog {
    pub fn start(request_id: String, api_request_id: Option<String>) -> Self {
        Self {
            started: Instant::now(),
            request_id,
            api_request_id,
            usage: Usage::default(),
            tenant_id: None,
            workspace_id: None,
            key_id: None,
            fault: None,
        }
    }

    /// Writes the request's entry.
    pub fn finish(self, status: StatusCode, outcome: &'static str) {
        let usage = self.usage.totals();
        let fault = self.fault.as_ref();
        let entry = RequestEntry {
            timestamp: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            level: if status.is_server_error() { "ERROR" } else { "INFO" },
            message: "request",
            request_id: &self.request_id,
            api_request_id: self.api_request_id.as_deref(),
            status: status.as_u16(),
            outcome,
            duration_ms: milliseconds(self.started.elapsed()),
            database_ms: milliseconds(usage.time),
            database_attempts: usage.attempts,
            tenant_id: self.tenant_id,
            workspace_id: self.workspace_id,
            key_id: self.key_id.as_ref(),
            fault: fault.map(|fault| fault.kind.to_string()),
            operation: fault.map(|fault| fault.operation),
            fault_code: fault.and_then(|fault| fault.code.as_deref()),
            throttling_reasons: fault.map_or(&[], |fault| &fault.throttling_reasons),
            dynamodb_request_id: fault.and_then(|fault| fault.request_id.as_deref()),
            init_ms: init_time().map(milliseconds),
        };
        // A struct of numbers and strings, which `serde_json` can always write.
        let mut line = serde_json::to_vec(&entry).expect("an entry is JSON");
        line.push(b'\n');
        // One write, so that lines of concurrent requests don't mix. There is nowhere to report an error.
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Rounded to the microsecond: more digits would only cost bytes.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// In microseconds; 0 once the first request's entry has it.
static INIT_TIME: AtomicU64 = AtomicU64::new(0);

/// Keeps how long the process took to start, for the first request's entry.
pub(crate) fn started_in(time: Duration) {
    INIT_TIME.store(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn init_time() -> Option<Duration> {
    Some(INIT_TIME.swap(0, Ordering::Relaxed))
        .filter(|&micros| micros > 0)
        .map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_milliseconds_rounded_to_the_microsecond() {
        assert_eq!(
            milliseconds(Duration::from_nanos(1_234_567_499)).to_string(),
            "1234.567"
        );
        assert_eq!(milliseconds(Duration::from_nanos(1_500)).to_string(), "0.002");
    }
}
