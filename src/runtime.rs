//! The function's process: configuration, client, and the loop that asks Lambda for invocations.
//!
//! This loop is used instead of that of `lambda_runtime` 1.5, which has two problems:
//!
//! - It parses each invocation's client context and Cognito identity before any handler or layer sees the invocation. This
//!   service never reads them. If one can't be parsed, its text goes to the log and the process ends (with
//!   `AWS_LAMBDA_MAX_CONCURRENCY`, one worker ends each time).
//! - If the Runtime API is gone, its workers ask again without a pause.
//!
//! The loop needs three calls of the protocol (AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes").

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{
    FutureExt as _,
    future::{Either, join_all, select},
};
use http_body_util::BodyExt as _;
use lambda_http::http::{HeaderMap, Uri};
use lambda_runtime::Diagnostic;
use lambda_runtime_api_client::{PooledClient, body::Body, build_request};
use tokio::sync::SetOnce;

use crate::{budget, config::Config, event::Invocation, http, log, store::Store};

/// The function's process. It ends only if it can't start, or if Lambda hands out no more invocations.
///
/// One thread is enough for a function that waits for the network. With `AWS_LAMBDA_MAX_CONCURRENCY` it serves that many
/// invocations at once.
#[must_use]
pub fn run() -> ExitCode {
    let started = Instant::now();
    log::init();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, "the function can't start");
            return ExitCode::FAILURE;
        }
    };
    let executor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Host names are looked up on threads. If the resolver hangs, their number must not grow without limit.
        .max_blocking_threads(budget::NAME_LOOKUPS)
        .build();
    let executor = match executor {
        Ok(executor) => executor,
        Err(error) => {
            tracing::error!(%error, "the function can't start");
            return ExitCode::FAILURE;
        }
    };
    let lambda = Lambda::new(&config);
    let concurrency = config.concurrency;
    let store = Store::new(config);
    executor.block_on(async {
        // The process starts even if the connection can't be opened, and even if opening it panics.
        let _ = AssertUnwindSafe(store.open_connection()).catch_unwind().await;
        log::started_in(started.elapsed());
        join_all((0..concurrency).map(|_| lambda.serve(&store))).await;
    });
    // This doesn't wait for a name look-up that hangs.
    executor.shutdown_background();
    ExitCode::FAILURE
}

/// Lambda's Runtime API.
struct Lambda {
    client: PooledClient,
    /// Set when Lambda hands out no more invocations.
    gone: SetOnce<()>,
}

impl Lambda {
    fn new(config: &Config) -> Self {
        Self {
            client: PooledClient::builder()
                .with_endpoint(config.runtime_api.clone())
                .with_pool_size(config.concurrency)
                .build(),
            gone: SetOnce::new(),
        }
    }

    /// Serves invocations one after another, until Lambda is gone.
    async fn serve(&self, store: &Store) {
        while let Some(invocation) = self.next_or_gone().await {
            let request_id = invocation.request_id.clone();
            // `http` turns a panic of the request's work into a 500. This catches any other panic.
            let handled = AssertUnwindSafe(http::handle(store, invocation)).catch_unwind().await;
            let panicked = |_| {
                Err(Diagnostic {
                    error_type: "Panic".to_owned(),
                    error_message: "the function panicked".to_owned(),
                })
            };
            match handled.map_or_else(panicked, |result| result.map_err(Diagnostic::from)) {
                Ok(response) => self.post(&request_id, "response", None, response).await,
                Err(error) => {
                    // Two strings, which `serde_json` can always write.
                    let body = serde_json::to_vec(&error).expect("a diagnostic is JSON");
                    self.post(&request_id, "error", Some(&error.error_type), body).await;
                }
            }
        }
    }

    /// Waits for an invocation, unless Lambda is gone. Once a worker has found that out, the others ask for no more either, and the
    /// process ends with the last response.
    async fn next_or_gone(&self) -> Option<Invocation> {
        match select(pin!(self.gone.wait()), pin!(self.next_or_give_up())).await {
            Either::Left(_) => None,
            Either::Right((invocation, _)) => invocation,
        }
    }

    /// Waits for an invocation. After a few failures in a row it gives up: then only Lambda can help, by replacing the
    /// process.
    async fn next_or_give_up(&self) -> Option<Invocation> {
        for pause in budget::RUNTIME_API_PAUSES {
            if let Some(invocation) = self.next().await {
                return Some(invocation);
            }
            tokio::time::sleep(pause).await;
        }
        let last = self.next().await;
        if last.is_none() && self.gone.set(()).is_ok() {
            tracing::error!("Lambda hands out no more invocations: the process ends");
        }
        last
    }

    /// Asks for an invocation, once.
    async fn next(&self) -> Option<Invocation> {
        let request = build_request()
            .uri(Uri::from_static("/2018-06-01/runtime/invocation/next"))
            .body(Body::empty())
            .ok()?;
        let (parts, body) = self.client.call(request).await.ok()?.into_parts();
        if !parts.status.is_success() {
            return None;
        }
        let payload = body.collect().await.ok()?.to_bytes();
        let header = |name| header(&parts.headers, name);
        Some(Invocation {
            request_id: header("lambda-runtime-aws-request-id")?.to_owned(),
            deadline: header("lambda-runtime-deadline-ms")
                .and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis.parse().ok()?)))
                // A deadline that has passed is ignored, so 1970 means none.
                .unwrap_or(SystemTime::UNIX_EPOCH),
            payload: payload.into(),
        })
    }

    /// Sends an invocation's response or error to Lambda.
    async fn post(&self, request_id: &str, outcome: &str, error_type: Option<&str>, body: Vec<u8>) {
        let mut request = build_request()
            .method("POST")
            .uri(format!("/2018-06-01/runtime/invocation/{request_id}/{outcome}"))
            .header("content-type", "application/json");
        if let Some(error_type) = error_type {
            request = request.header("lambda-runtime-function-error-type", error_type);
        }
        let status = match request.body(Body::from(body)) {
            Ok(request) => self.client.call(request).await.map(|response| response.status()).ok(),
            Err(_) => None,
        };
        // Lambda may have ended the invocation in the meantime. It then tells the caller, and this worker goes on.
        if !status.is_some_and(|status| status.is_success()) {
            let status = status.map(|status| status.as_u16());
            tracing::warn!(requestId = request_id, status, "Lambda didn't take the response");
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
