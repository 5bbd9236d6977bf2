//! The function's process: configuration, client, connection, and the handler for Lambda's runtime library.

use std::{panic::AssertUnwindSafe, process::ExitCode, sync::Arc, time::Instant};

use futures_util::FutureExt as _;
use lambda_runtime::{Runtime, service_fn};

use crate::{config::Config, handler, log, store::Store};

/// The function's process. It ends only if it can't start, or if Lambda's Runtime API fails.
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
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(executor) => executor.block_on(serve(Store::new(config), started)),
        Err(error) => tracing::error!(%error, "the function can't start"),
    }
    ExitCode::FAILURE
}

async fn serve(store: Store, started: Instant) {
    // The process starts even if the connection can't be opened, and even if opening it panics.
    let _ = AssertUnwindSafe(store.open_connection()).catch_unwind().await;
    log::started_in(started.elapsed());
    let store = Arc::new(store);
    let runtime = Runtime::new(service_fn(move |invocation| {
        let store = Arc::clone(&store);
        async move { handler::handle(&store, invocation).await }
    }));
    // The error isn't logged: it can quote a client context, which may contain anything.
    let _ = runtime.run_concurrent().await;
    tracing::error!("Lambda's Runtime API failed: the process ends");
}
