//! One row's way to a response: retried for as long as what is in its way can pass.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    time::{Duration, Instant},
};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use crate::{
    table::Contact,
    terminal::{printable, time},
};

/// Requests at once. What the service doesn't take it refuses with 429, and then most of these wait.
pub const CONCURRENCY: usize = 32;
/// Requests at once before the service has taken a row: what every row would meet is found out at the cost of a few.
const CONCURRENCY_AT_FIRST: usize = 4;
/// Longer than API Gateway lets any request take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// A throttled row comes back soon: the rate that the API lets through is to be used up, whatever it is.
const MAX_THROTTLED_BACKOFF: Duration = Duration::from_secs(2);
/// No longer, whatever the service asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// How often a row is sent to a service that never responded to anybody: the URL may be wrong.
const ATTEMPTS_UNANSWERED: u32 = 5;
/// How often a row is sent that the service fails at: a defect that this row meets doesn't pass.
const ATTEMPTS_FAILED: u32 = 5;
/// After so many failures of so many rows, with nothing else in between, it isn't the rows.
const FAILURES_OF_A_ROW: u32 = 3;
const FAILING_ROWS: u32 = 3;
/// A response is a sentence or a contact.
const MAX_BODY: usize = 64 * 1024;

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is a new contact.
    Created,
    /// The contact was there already.
    Existing,
    /// Its address belongs to a contact of another name.
    Conflict(String),
    /// It is no contact.
    Rejected(String),
    /// The import stopped before it was known what became of it.
    NotSent(String),
}

/// What an attempt says about going on.
enum Verdict {
    Done(Outcome),
    /// Something that passes.
    Again {
        trouble: String,
        retry_after: Option<Duration>,
        max_backoff: Duration,
    },
    /// The service failed.
    Failed(String),
    /// Something that every other row would meet as well.
    Stop(String),
}

/// Whether the import goes on.
#[derive(Clone, Default)]
struct Ending {
    /// Why no request is begun any more.
    reason: Option<String>,
    /// Whether requests under way are not waited for any more either.
    is_cut: bool,
}

/// A client of the service, for all rows.
pub struct Sender {
    client: Client,
    url: Url,
    workspace: String,
    authorization: HeaderValue,
    give_up_after: Duration,
    permits: Semaphore,
    /// When the service last took a row, or the import began; and whether it ever did.
    last_good: Cell<Instant>,
    has_taken_a_row: Cell<bool>,
    has_answered: Cell<bool>,
    /// Rows that failed again and again since then.
    failing_rows: Cell<u32>,
    /// What was in the way last, while something is.
    trouble: RefCell<Option<String>>,
    ending: watch::Sender<Ending>,
}

impl Sender {
    /// A client with this key.
    pub fn new(url: Url, workspace: String, give_up_after: Duration, key: &str) -> Result<Self, String> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            // A key goes to the place that it was given for, and to no other.
            .redirect(Policy::none());
        if url.scheme() == "http" {
            // A proxy would see the key; for https it sees an encrypted tunnel.
            client = client.no_proxy();
        }
        let client = client
            .build()
            .map_err(|error| format!("There is no HTTP client: {}", causes(&error)))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}")).map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        Ok(Self {
            client,
            url,
            workspace,
            authorization,
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

    /// Lets requests that are under way end, and begins no other.
    pub fn stop(&self, reason: &str) {
        self.ending.send_if_modified(|ending| {
            let is_first = ending.reason.is_none();
            ending.reason.get_or_insert_with(|| reason.to_owned());
            is_first
        });
    }

    /// Waits for nothing any more.
    pub fn cut(&self) {
        self.ending.send_modify(|ending| ending.is_cut = true);
    }

    /// Why the import stopped, if it did.
    pub fn stopped(&self) -> Option<String> {
        self.ending.borrow().reason.clone()
    }

    /// What is in the way just now, and when it ends the import.
    pub fn trouble(&self) -> Option<String> {
        let left = self.give_up_after.saturating_sub(self.last_good.get().elapsed());
        let trouble = self.trouble.borrow();
        trouble
            .as_ref()
            .map(|trouble| format!("retrying, gives up in {}: {trouble}", time(left)))
    }

    /// Sends a row until it is known what became of it.
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
                    return Outcome::NotSent("sent, but its response was not waited for: import the row again".to_owned());
                }
            };
            let (trouble, retry_after, max_backoff) = match verdict {
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
                    if failures == ATTEMPTS_FAILED {
                        return Outcome::Rejected(format!("the service failed (500) {failures} times"));
                    }
                    ("the service fails (500)".to_owned(), None, MAX_BACKOFF)
                }
                Verdict::Again {
                    trouble,
                    retry_after,
                    max_backoff,
                } => (trouble, retry_after, max_backoff),
            };
            self.give_up_in_time(attempts, &trouble);
            self.trouble.replace(Some(trouble));
            let left = self.give_up_after.saturating_sub(self.last_good.get().elapsed());
            let pause = backoff(attempts, max_backoff).max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER));
            tokio::select! {
                () = sleep(pause.min(left)) => {}
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
        if failures == FAILURES_OF_A_ROW {
            self.failing_rows.set(self.failing_rows.get() + 1);
            if self.failing_rows.get() == FAILING_ROWS {
                self.stop(&format!("the service fails at every row (500): {reason}"));
            }
        }
    }

    fn give_up_in_time(&self, attempts: u32, trouble: &str) {
        if !self.has_answered.get() && attempts >= ATTEMPTS_UNANSWERED {
            self.stop(&format!("{} doesn't respond: {trouble}", self.url));
        } else if self.last_good.get().elapsed() >= self.give_up_after {
            let long = time(self.give_up_after);
            self.stop(&format!(
                "the service has taken no row for {long} (--give-up-after): {trouble}"
            ));
        }
    }

    async fn attempt(&self, body: String) -> Verdict {
        let request = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        let again = |error: reqwest::Error| Verdict::Again {
            trouble: causes(&error.without_url()),
            retry_after: None,
            max_backoff: MAX_BACKOFF,
        };
        match request.send().await {
            Ok(response) => verdict(response).await.map_or_else(again, |verdict| {
                self.has_answered.set(true);
                verdict
            }),
            Err(error) => again(error),
        }
    }
}

async fn verdict(mut response: Response) -> reqwest::Result<Verdict> {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            break;
        }
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let sentence = |member: &str| body[member].as_str().map(printable).filter(|text| !text.is_empty());
    let reason = || {
        sentence("error")
            .or_else(|| sentence("message"))
            .unwrap_or_else(|| status.to_string())
    };
    Ok(match status {
        // Many a web server answers 200 to anything.
        StatusCode::OK | StatusCode::CREATED if body.get("resolutionStatus").is_none() => Verdict::Stop(format!(
            "this is another service: it answered {status} without a contact"
        )),
        StatusCode::CREATED => Verdict::Done(Outcome::Created),
        StatusCode::OK => Verdict::Done(Outcome::Existing),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
            Verdict::Done(Outcome::Rejected(format!("the service says: {}", reason())))
        }
        StatusCode::CONFLICT => Verdict::Done(Outcome::Conflict(format!("the service says: {}", reason()))),
        StatusCode::INTERNAL_SERVER_ERROR => Verdict::Failed(reason()),
        StatusCode::TOO_MANY_REQUESTS => Verdict::Again {
            trouble: format!("the service answers {status}"),
            retry_after,
            max_backoff: MAX_THROTTLED_BACKOFF,
        },
        status if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() => Verdict::Again {
            trouble: format!("the service answers {status}"),
            retry_after,
            max_backoff: MAX_BACKOFF,
        },
        // 401, 403, 404 and whatever else says that the key, the workspace or the URL is not the right one.
        _ => Verdict::Stop(format!("the service answered {}: {}", status.as_u16(), reason())),
    })
}

/// Half of it for certain and half by chance, so that rows that failed together don't come back together.
fn backoff(attempts: u32, longest: Duration) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << (attempts - 1).min(10)).min(longest);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// An error with its causes: the last of them is the one that helps.
fn causes(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    printable(&texts.join(": "))
}
