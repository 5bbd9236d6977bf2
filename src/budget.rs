//! How long a request may take, and how long each part of it may take. All times of the service are defined here.
//!
//! The contract gives a request 8 seconds and the invocation's own deadline, whichever comes first.
//!
//! | what | time | why |
//! | --- | --- | --- |
//! | opening the connection, when the process starts | 250 ms | a handshake inside a region takes milliseconds; a start must not wait for a database that hangs |
//! | request | 6 s | leaves two of the contract's eight seconds for the event and the response, with a small share of a CPU |
//! | request, before a deadline | 4/5 of what is left | a deadline of 2 s leaves 0.4 s to send the 503 before Lambda kills the process |
//! | attempt | 1.5 s | DynamoDB responds in milliseconds, so after 1.5 s a response won't come; three such attempts fit into the request |
//! | connect | 1 s | a handshake inside a region takes milliseconds, and counts towards its attempt |
//! | operation | none of its own | the request's time ends it |
//! | backoff | 50 ms, doubled each time, with full jitter, 1 s at most | a burst's throttled writes spread out, and three retries fit |
//! | attempts | 4 | the fourth begins at most 4.85 s into a request whose database hangs, and is cut short by the request's time. Keys that a batch read leaves out take further calls, four in all |
//!
//! The template gives the function 10 seconds, so its deadline never shortens the 6 seconds of a request.

use std::time::{Duration, SystemTime};

pub(crate) const OPEN_CONNECTION: Duration = Duration::from_millis(250);
pub(crate) const REQUEST: Duration = Duration::from_secs(6);
pub(crate) const ATTEMPT: Duration = Duration::from_millis(1_500);
pub(crate) const CONNECT: Duration = Duration::from_secs(1);
pub(crate) const ATTEMPTS: u32 = 4;
pub(crate) const INITIAL_BACKOFF: Duration = Duration::from_millis(50);
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// The time for a request that begins `now` and whose invocation ends at `deadline`.
///
/// A deadline that has passed on arrival is ignored: `cargo lambda watch` sends one in 1970.
pub(crate) fn for_request(deadline: SystemTime, now: SystemTime) -> Duration {
    match deadline.duration_since(now) {
        Ok(left) if !left.is_zero() => REQUEST.min(left * 4 / 5),
        _ => REQUEST,
    }
}

/// The pause before the retry that follows `attempts` attempts: exponential, with full jitter.
pub(crate) fn backoff(attempts: u32) -> Duration {
    let longest = INITIAL_BACKOFF
        .saturating_mul(1 << (attempts - 1).min(16))
        .min(MAX_BACKOFF);
    longest.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_before_its_deadline_and_after_six_seconds_at_most() {
        let now = SystemTime::now();
        let budget = |millis| for_request(now + Duration::from_millis(millis), now);
        assert_eq!(budget(10_000), REQUEST);
        assert_eq!(budget(900_000), REQUEST);
        assert_eq!(budget(2_000), Duration::from_millis(1_600));
        assert_eq!(budget(100), Duration::from_millis(80));
    }

    #[test]
    fn a_deadline_that_is_past_on_arrival_counts_as_none() {
        let now = SystemTime::now();
        assert_eq!(for_request(SystemTime::UNIX_EPOCH, now), REQUEST);
        assert_eq!(for_request(now, now), REQUEST);
    }

    #[test]
    fn a_backoff_is_random_up_to_a_doubling_bound() {
        for attempts in 1..40 {
            let bound = Duration::from_millis(50 << (attempts - 1).min(5)).min(MAX_BACKOFF);
            let longest = (0..1_000).map(|_| backoff(attempts)).max().unwrap();
            // The chance that all of a thousand are in the lower three quarters is 1 in 10^124.
            assert!(bound * 3 / 4 < longest && longest <= bound, "{attempts}: {longest:?}");
        }
    }
}
