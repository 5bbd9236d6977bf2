//! How a request uses the database: the number of attempts, the time, and the last operation.

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
/// The calls find it in a task-local variable. The client has one interceptor for all requests, because an interceptor for
/// each call would make the SDK rebuild its whole configuration each time.
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
    /// Counts the calls that `work` makes.
    pub fn track<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        USAGE.scope(self.clone(), work)
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        // The totals are valid after every single change, so a panic while the lock is held does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation in progress. Its time is counted until this is dropped, even if a timeout drops it.
pub(super) struct Timed(Instant);

/// Starts timing an operation.
pub(super) fn begin(operation: &'static str) -> Timed {
    update(|totals| totals.operation = Some(operation));
    Timed(Instant::now())
}

impl Drop for Timed {
    fn drop(&mut self) {
        update(|totals| totals.time += self.0.elapsed());
    }
}

/// Does nothing outside a request, for example when the process opens its connection.
fn update(change: impl FnOnce(&mut Totals)) {
    let _ = USAGE.try_with(|usage| change(&mut usage.lock()));
}

/// Counts each attempt for the request in whose task it is made.
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
        update(|totals| totals.attempts += 1);
        Ok(())
    }
}
