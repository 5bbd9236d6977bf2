//! What a request asks of the database: how often, for how long, and which operation last.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};

tokio::task_local! {
    static USAGE: Usage;
}

/// A request's use of the database, shared between the request, which reads it when it ends, and the calls that it makes.
///
/// The calls find it through the task they run in. The client has one interceptor for all requests, because an interceptor
/// for each call makes the SDK put its whole configuration together again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage(Arc<Mutex<Totals>>);

/// The totals so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Attempts, retries included.
    pub attempts: u32,
    /// The operation that began last.
    pub operation: Option<&'static str>,
    /// The time spent waiting for the database, retries and pauses included.
    pub time: Duration,
}

impl Usage {
    /// The same work, whose calls are counted here.
    pub fn of<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        USAGE.scope(self.clone(), work)
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        // The totals are valid after every statement that changes them, a panic between two of them included.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation that is under way; its time counts until this is dropped, by a timeout too.
pub(super) struct Timed(Instant);

/// An operation begins.
pub(super) fn begin(operation: &'static str) -> Timed {
    change(|totals| totals.operation = Some(operation));
    Timed(Instant::now())
}

impl Drop for Timed {
    fn drop(&mut self) {
        change(|totals| totals.time += self.0.elapsed());
    }
}

/// Outside a request, as when the process opens its connection, there is nothing to count for.
fn change(change: impl FnOnce(&mut Totals)) {
    let _ = USAGE.try_with(|usage| change(&mut usage.lock()));
}

/// Counts each attempt for the request whose task it is made in.
#[derive(Debug)]
pub(super) struct CountAttempts;

impl Intercept for CountAttempts {
    fn name(&self) -> &'static str {
        "CountAttempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        change(|totals| totals.attempts += 1);
        Ok(())
    }
}
