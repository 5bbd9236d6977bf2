//! One row's way to an answer: sent again for as long as what is in its way can pass.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    time::Duration,
};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use crate::{options::Destination, table::Contact};

/// Longer than API Gateway lets any request take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// How often a row is sent to a service that never answered anybody: the URL may be wrong.
const ATTEMPTS_UNANSWERED: u32 = 5;
/// How often a row is sent that the service fails at: a defect that this row meets doesn't pass.
const ATTEMPTS_FAILED: u32 = 5;

/// What became of a row.
pub enum Outcome {
    /// It is a new contact.
    Created,
    /// The contact was there already.
    Existing,
    /// Its address belongs to a contact of another name.
    Conflict(String),
    /// It is no contact.
    Rejected(String),
    /// The import stopped before there was an answer.
    NotSent(String),
}

/// What an attempt says about going on.
enum Verdict {
    Done(Outcome),
    /// Something that passes.
    Again {
        trouble: String,
        retry_after: Option<Duration>,
    },
    /// The service failed.
    Failed,
    /// Something that every other row would meet as well.
    Stop(String),
}

/// A client of the service, for all rows.
pub struct Sender {
    client: Client,
    url: Url,
    workspace: String,
    authorization: HeaderValue,
    /// Whether the service has ever answered.
    answered: Cell<bool>,
    /// What was in the way last, while something is.
    trouble: RefCell<Option<String>>,
    /// Why the import stops, once it does.
    stopped: watch::Sender<Option<String>>,
}

impl Sender {
    /// A client with this key.
    pub fn new(destination: &Destination, key: &str) -> Result<Self, String> {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(REQUEST_TIMEOUT)
            // A key goes to the place that it was given for, and to no other.
            .redirect(Policy::none())
            .build()
            .map_err(|error| format!("There is no HTTP client: {}", causes(&error)))?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}")).map_err(|error| error.to_string())?;
        authorization.set_sensitive(true);
        Ok(Self {
            client,
            url: destination.url.clone(),
            workspace: destination.workspace.clone(),
            authorization,
            answered: Cell::new(false),
            trouble: RefCell::default(),
            stopped: watch::Sender::new(None),
        })
    }

    /// Lets requests that are under way end, and begins no other.
    pub fn stop(&self, reason: &str) {
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            stopped.get_or_insert_with(|| reason.to_owned());
            first
        });
    }

    /// Why the import stopped, if it did.
    pub fn stopped(&self) -> Option<String> {
        self.stopped.borrow().clone()
    }

    /// What is in the way just now.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Sends a row until what became of it is known.
    pub async fn send(&self, contact: &Contact) -> Outcome {
        let body = contact.body(&self.workspace).to_string();
        let (mut attempts, mut failures) = (0, 0);
        let mut stopped = self.stopped.subscribe();
        loop {
            if let Some(reason) = self.stopped() {
                return Outcome::NotSent(format!("not sent: {reason}"));
            }
            attempts += 1;
            let (trouble, retry_after) = match self.attempt(body.clone()).await {
                Verdict::Done(outcome) => {
                    self.trouble.take();
                    return outcome;
                }
                Verdict::Stop(reason) => {
                    self.stop(&reason);
                    continue;
                }
                Verdict::Failed => {
                    failures += 1;
                    if failures == ATTEMPTS_FAILED {
                        return Outcome::Rejected(format!("the service failed (500) {failures} times"));
                    }
                    ("the service fails (500)".to_owned(), None)
                }
                Verdict::Again { trouble, retry_after } => (trouble, retry_after),
            };
            if !self.answered.get() && attempts >= ATTEMPTS_UNANSWERED {
                self.stop(&format!("{} doesn't answer: {trouble}", self.url));
            }
            self.trouble.replace(Some(trouble));
            tokio::select! {
                () = sleep(backoff(attempts).max(retry_after.unwrap_or_default())) => {}
                _ = stopped.wait_for(Option::is_some) => {}
            }
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
        };
        match request.send().await {
            Ok(response) => verdict(response).await.map_or_else(again, |verdict| {
                self.answered.set(true);
                verdict
            }),
            Err(error) => again(error),
        }
    }
}

async fn verdict(response: Response) -> reqwest::Result<Verdict> {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let body = response.bytes().await?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let sentence = |member: &str| body[member].as_str().map(str::to_owned);
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
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Verdict::Done(Outcome::Rejected(reason())),
        StatusCode::CONFLICT => Verdict::Done(Outcome::Conflict(reason())),
        StatusCode::INTERNAL_SERVER_ERROR => Verdict::Failed,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Verdict::Again {
            trouble: format!("the service answers {status}"),
            retry_after,
        },
        status if status.is_server_error() => Verdict::Again {
            trouble: format!("the service answers {status}"),
            retry_after,
        },
        // 401, 403, 404 and whatever else says that the key, the workspace or the URL is not the right one.
        _ => Verdict::Stop(format!("the service answered {}: {}", status.as_u16(), reason())),
    })
}

/// Half of it for certain and half by chance, so that rows that failed together don't come back together.
fn backoff(attempts: u32) -> Duration {
    let longest = FIRST_BACKOFF
        .saturating_mul(1 << (attempts - 1).min(10))
        .min(MAX_BACKOFF);
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
    texts.join(": ")
}
