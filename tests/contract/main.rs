//! The contract, sentence by sentence, against the real binary behind a Runtime API and a real DynamoDB engine.
//!
//! Each test has a service with tables of its own, so the tests run in parallel. What the tests share is in the
//! `harness` crate. The faults of the database have their own test target, `tests/faults`.

mod body;
mod events;
mod fixtures;
mod hostile;
mod keys;
mod logs;
mod order;
mod properties;
mod same_contact;
mod start;
mod tables;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use harness::service::{Response, Service};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_create-contact");

async fn service() -> Service {
    Service::start(BINARY).await
}

/// Asserts a failure's status, and that its message has these words in this order.
#[track_caller]
fn assert_refused(response: &Response, status: u16, words: &[&str]) {
    assert_eq!(response.status, status, "{response:?}");
    let mut rest = response.error();
    for word in words {
        let after = rest.split_once(word).map(|(_, after)| after);
        rest = after.unwrap_or_else(|| panic!("no {word:?} in its place: {response:?}"));
    }
}

/// The event of a request whose body arrives as base64.
fn base64_event(service: &Service, body: impl AsRef<[u8]>) -> Value {
    let mut event = service.request("", "").event();
    event["body"] = json!(BASE64.encode(body));
    event["isBase64Encoded"] = json!(true);
    event
}
