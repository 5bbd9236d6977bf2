//! Sends one row, and retries it as long as the error may be transient.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};
use tools::causes;

use crate::{
    table::Contact,
    terminal::{shortened, time},
};

/// The number of concurrent requests. If that is too many, the service responds with 429, and most of them wait.
pub const CONCURRENCY: usize = 32;
/// The number of concurrent requests until the service has accepted a row, so that an error of every row costs only a few.
const CONCURRENCY_AT_FIRST: usize = 4;
/// Longer than API Gateway lets any request take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// A throttled row is retried soon, so that the import uses the whole rate that the API allows.
const MAX_THROTTLED_BACKOFF: Duration = Duration::from_secs(2);
/// The longest pause, whatever the service asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// How many times a row is sent to a service that has not responded yet: the URL may be wrong. And how many times to one that
/// responds with 500: a defect that this row causes is not transient.
const ATTEMPTS: u32 = 5;
/// After this many failures, a row counts as failing. If as many rows are failing, with no other result in between, the rows
/// aren't the cause.
const FAILURES: u32 = 3;
/// The largest response: it is a message or a contact.
const MAX_BODY: usize = 64 * 1024;

/// The result of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The contact is new.
    Created,
    /// The contact existed already.
    Existing,
    /// Its address belongs to a contact with another name.
    Conflict(String),
    /// It isn't a valid contact.
    Rejected(String),
    /// The import stopped before the result was known.
    NotSent(String),
}

/// What an attempt means for the next one.
enum Verdict {
    Done(Outcome),
    /// A transient error, the longest backoff for it, and the pause that the service asks for.
    Again(String, Duration, Duration),
    /// The service failed.
    Failed(String),
    /// An error that every other row would get too.
    Stop(String),
}

/// Whether the import continues.
#[derive(Clone, Default)]
struct Ending {
    /// Why no new request is sent.
    reason: Option<String>,
    /// Whether the import has also stopped waiting for requests in progress.
    is_cut: bool,
}

/// A client of the service, for all rows.
pub struct Sender {
    client: Client,
    url: Url,
    workspace: String,
    give_up_after: Duration,
    permits: Semaphore,
    /// When a row last had a result from the service, or when the import began.
    last_good: Cell<Instant>,
    /// Whether any row has had a result.
    has_taken_a_row: Cell<bool>,
    has_answered: Cell<bool>,
    /// How many rows have failed repeatedly since `last_good`.
    failing_rows: Cell<u32>,
    /// The latest error, as long as there is one.
    trouble: RefCell<Option<String>>,
    ending: watch::Sender<Ending>,
}

impl Sender {
    /// A client with this key.
    pub fn new(url: Url, workspace: String, give_up_after: Duration, key: &str) -> Result<Self, String> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}")).map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization), (CONTENT_TYPE, json)]);
        let mut client = Client::builder()
            .default_headers(headers)
            .timeout(REQUEST_TIMEOUT)
            // The key must not follow a redirect to another server.
            .redirect(Policy::none());
        if url.scheme() == "http" {
            // A proxy would see the key; for https it sees an encrypted tunnel.
            client = client.no_proxy();
        }
        let unusable = |error| format!("The HTTP client can't be created: {}", causes(&error));
        Ok(Self {
            client: client.build().map_err(unusable)?,
            url,
            workspace,
            give_up_after,
            permits: Semaphore::new(CONCURRENCY_AT_FIRST),
            last_good: Cell::new(Instant::now()),
            has_taken_a_row: Cell::new(false),
            has_answered: Cell::new(false),
            failing_rows: Cell::new(0),
            trouble: RefCell::default(),
            ending: watch::Sender::default(),
        })
    }

    /// Sends no new request. Requests in progress may finish.
    pub fn stop(&self, reason: &str) {
        self.ending.send_modify(|ending| {
            ending.reason.get_or_insert_with(|| reason.to_owned());
        });
    }

    /// Stops waiting for requests in progress.
    pub fn cut(&self) {
        self.ending.send_modify(|ending| ending.is_cut = true);
    }

    /// Why the import stopped, if it did.
    pub fn stopped(&self) -> Option<String> {
        self.ending.borrow().reason.clone()
    }

    /// The current error, and the time until it ends the import.
    pub fn trouble(&self) -> Option<(String, Duration)> {
        self.trouble.borrow().clone().map(|trouble| (trouble, self.left()))
    }

    /// The time until a service that accepts no row ends the import.
    fn left(&self) -> Duration {
        self.give_up_after.saturating_sub(self.last_good.get().elapsed())
    }

    /// Sends a row until its result is known.
    pub async fn send(&self, contact: &Contact) -> Outcome {
        let body = contact.body(&self.workspace).to_string();
        let mut ending = self.ending.subscribe();
        let _permit = tokio::select! {
            biased;
            _ = ending.wait_for(|ending| ending.reason.is_some()) => None,
            permit = self.permits.acquire() => permit.ok(),
        };
        let (mut attempts, mut failures) = (0, 0);
        loop {
            if let Some(reason) = self.stopped() {
                return Outcome::NotSent(format!("not sent: {reason}"));
            }
            attempts += 1;
            let verdict = tokio::select! {
                verdict = self.attempt(body.clone()) => verdict,
                _ = ending.wait_for(|ending| ending.is_cut) => {
                    return Outcome::NotSent("sent, but the import stopped before the response arrived: import the row again".to_owned());
                }
            };
            let (trouble, pause) = match verdict {
                Verdict::Done(outcome) => {
                    self.row_was_taken();
                    return outcome;
                }
                Verdict::Stop(reason) => {
                    self.stop(&reason);
                    continue;
                }
                Verdict::Failed(reason) => {
                    failures += 1;
                    self.row_failed(failures, &reason);
                    if failures == ATTEMPTS {
                        return Outcome::Rejected(format!("the service failed (500) {failures} times"));
                    }
                    ("the service fails (500)".to_owned(), backoff(attempts, MAX_BACKOFF))
                }
                Verdict::Again(trouble, longest, retry_after) => (
                    trouble,
                    backoff(attempts, longest).max(retry_after.min(MAX_RETRY_AFTER)),
                ),
            };
            self.give_up_in_time(attempts, &trouble);
            self.trouble.replace(Some(trouble));
            tokio::select! {
                () = sleep(pause.min(self.left())) => {}
                _ = ending.wait_for(|ending| ending.reason.is_some()) => {}
            }
        }
    }

    fn row_was_taken(&self) {
        if !self.has_taken_a_row.replace(true) {
            self.permits.add_permits(CONCURRENCY - CONCURRENCY_AT_FIRST);
        }
        self.last_good.set(Instant::now());
        self.failing_rows.set(0);
        self.trouble.take();
    }

    fn row_failed(&self, failures: u32, reason: &str) {
        if failures == FAILURES {
            self.failing_rows.update(|rows| rows + 1);
            if self.failing_rows.get() == FAILURES {
                self.stop(&format!("the service fails on every row (500): {reason}"));
            }
        }
    }

    fn give_up_in_time(&self, attempts: u32, trouble: &str) {
        if !self.has_answered.get() && attempts >= ATTEMPTS {
            self.stop(&format!("{} doesn't respond: {trouble}", self.url));
        } else if self.left().is_zero() {
            let long = time(self.give_up_after);
            self.stop(&format!(
                "the service has accepted no row for {long} (--give-up-after): {trouble}"
            ));
        }
    }

    async fn attempt(&self, body: String) -> Verdict {
        let verdict = async {
            let response = self.client.post(self.url.clone()).body(body).send().await?;
            let verdict = verdict(response).await?;
            self.has_answered.set(true);
            Ok(verdict)
        };
        verdict.await.unwrap_or_else(|error: reqwest::Error| {
            Verdict::Again(shortened(&causes(&error.without_url())), MAX_BACKOFF, Duration::ZERO)
        })
    }
}

async fn verdict(mut response: Response) -> reqwest::Result<Verdict> {
    let status = response.status();
    let seconds = |value: &HeaderValue| value.to_str().ok()?.parse().ok();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
    let retry_after = retry_after.map_or(Duration::ZERO, Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await?
        && body.len() <= MAX_BODY
    {
        body.extend_from_slice(&chunk);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let message = |member: &str| body[member].as_str().map(shortened).filter(|text| !text.is_empty());
    let reason = ["error", "message"].into_iter().find_map(message);
    let reason = reason.unwrap_or_else(|| status.to_string());
    let said = format!("the service says: {reason}");
    let again = |longest| Verdict::Again(format!("the service responds with {status}"), longest, retry_after);
    Ok(match status {
        // Many web servers respond to any request with 200.
        StatusCode::OK | StatusCode::CREATED if body.get("resolutionStatus").is_none() => Verdict::Stop(format!(
            "this isn't the contacts service: it responded with {status}, but without a contact"
        )),
        StatusCode::CREATED => Verdict::Done(Outcome::Created),
        StatusCode::OK => Verdict::Done(Outcome::Existing),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Verdict::Done(Outcome::Rejected(said)),
        StatusCode::CONFLICT => Verdict::Done(Outcome::Conflict(said)),
        StatusCode::INTERNAL_SERVER_ERROR => Verdict::Failed(reason),
        StatusCode::TOO_MANY_REQUESTS => again(MAX_THROTTLED_BACKOFF),
        status if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() => again(MAX_BACKOFF),
        // 401, 403, 404 and every other status that means a wrong key, workspace or URL.
        _ => Verdict::Stop(format!("the service responded with {}: {}", status.as_u16(), reason)),
    })
}

/// One half is fixed and the other half random, so that rows that failed together aren't retried together.
fn backoff(attempts: u32, longest: Duration) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << (attempts - 1).min(10)).min(longest);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_is_between_half_of_a_bound_and_the_bound_which_doubles() {
        for attempts in 1..40 {
            for longest in [MAX_BACKOFF, MAX_THROTTLED_BACKOFF] {
                let bound = Duration::from_millis(200 << (attempts - 1).min(7)).min(longest);
                let backoffs: Vec<Duration> = (0..1_000).map(|_| backoff(attempts, longest)).collect();
                assert!(
                    backoffs.iter().all(|backoff| (bound / 2..=bound).contains(backoff)),
                    "{attempts}"
                );
                // The chance that all of a thousand are in one of the halves between is 1 in 10^301.
                let middle = bound * 3 / 4;
                assert!(backoffs.iter().any(|&backoff| backoff < middle), "{attempts}");
                assert!(backoffs.iter().any(|&backoff| backoff > middle), "{attempts}");
            }
        }
    }
}
