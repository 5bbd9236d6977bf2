//! Every fault of the database, at every call, on the real binary: nothing is lost, nothing is written twice, and every
//! request gets a response.
//!
//! A proxy between the function and the engine breaks calls: see `harness::proxy`. Some of these tests wait for real timeouts
//! of the service, so they run in parallel.

mod process;
mod recovery;
mod storm;

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{proxy::Fault, service::Service};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

const BINARY: &str = env!("CARGO_BIN_EXE_create-contact");

/// The contract's time limit for a request.
const CONTRACT_MILLIS: f64 = 8_000.0;

/// How many times the service sends a call (`src/budget.rs`).
const ATTEMPTS: usize = 4;

/// A fault, and its effect on a request.
struct Case {
    fault: Fault,
    /// Whether the service retries the call.
    is_retried: bool,
    /// The status when no attempt is left.
    status: u16,
    /// The log entry's `fault` in that case.
    word: &'static str,
    /// Whether the broken call reached the engine.
    is_applied: bool,
    /// Whether the service read a request id.
    has_request_id: bool,
}

const fn case(fault: Fault, is_retried: bool, status: u16, word: &'static str, is_applied: bool, id: bool) -> Case {
    Case {
        fault,
        is_retried,
        status,
        word,
        is_applied,
        has_request_id: id,
    }
}

const fn refused(code: &'static str, word: &'static str) -> Case {
    case(Fault::Error(400, code), false, 500, word, false, true)
}

const fn transient(status: u16, code: &'static str, word: &'static str) -> Case {
    case(Fault::Error(status, code), true, 503, word, false, true)
}

/// The errors in the table of `src/store/fault.rs` that one broken call can cause, and some others.
#[rustfmt::skip]
const FAULTS: [Case; 26] = [
    transient(400, "ThrottlingException", "throttled"),
    transient(400, "ProvisionedThroughputExceededException", "throttled"),
    transient(400, "RequestLimitExceeded", "throttled"),
    transient(500, "InternalServerError", "failed"),
    transient(503, "ServiceUnavailable", "failed"),
    transient(400, "TransactionConflictException", "failed"),
    transient(400, "ReplicatedWriteConflictException", "failed"),
    transient(400, "RequestTimeout", "timed_out"),
    //                        retried status word        applied  id
    case(Fault::Bare500,      true,  503, "failed",      false,   true),
    case(Fault::ResetBefore,  true,  503, "unreachable", false,   false),
    case(Fault::ResetAfter,   true,  503, "unreachable", true,    false),
    // The fourth attempt is cut short by the request's own time.
    case(Fault::HangBefore,   true,  503, "timed_out",  false,   false),
    case(Fault::HangAfter,    true,  503, "timed_out",  true,    false),
    case(Fault::Cut,          true,  503, "unreadable",  true,    true),
    case(Fault::NotJson,      true,  503, "unreadable",  true,    true),
    case(Fault::Empty,        true,  503, "unreadable",  true,    true),
    case(Fault::NotHttp,      true,  503, "unreadable",  true,    false),
    // One refusal corrects the clock. If every attempt is refused, the error isn't transient.
    case(Fault::ClockSkew,    true,  500, "denied",      false,   true),
    case(Fault::SignatureExpired, true, 500, "denied",   false,   true),
    refused("AccessDeniedException", "denied"),
    refused("UnrecognizedClientException", "denied"),
    refused("ExpiredTokenException", "denied"),
    refused("IncompleteSignatureException", "denied"),
    refused("ResourceNotFoundException", "no_such_table"),
    refused("ValidationException", "rejected"),
    refused("SerializationException", "rejected"),
];

/// The operations, and the status of a request that uses them if nothing is broken.
const OPERATIONS: [(&str, u16); 3] = [("BatchGetItem", 201), ("PutItem", 201), ("GetItem", 400)];

/// Breaks the first `broken` calls of one operation of one request, and checks every visible effect.
async fn check(operation: &'static str, answered: u16, case: &Case, broken: usize) {
    let name = format!("{:?} at the first {broken} of {operation}", case.fault);
    let service = Service::start(BINARY).await;
    let email = if operation == "GetItem" {
        "no address"
    } else {
        "ada@acme.de"
    };
    let request = service.request("Ada Lovelace", email);
    break_first(&service, operation, case.fault, broken);
    let response = service.send(&request).await;

    let recovers = case.is_retried && broken < ATTEMPTS;
    let status = if recovers { answered } else { case.status };
    assert_eq!(response.status, status, "{name}: {response:?}");
    let retry_after = if status == 503 { "1" } else { "" };
    assert_eq!(response.header("retry-after"), retry_after, "{name}");
    for inside in ["Dynamo", "Exception", "throttl", "Table", "PutItem"] {
        assert!(status < 500 || !response.text.contains(inside), "{name}: {response:?}");
    }
    let operations = service.proxy.operations();
    let sent = operations.iter().filter(|sent| *sent == operation).count();
    let expected_sent = if case.is_retried { (broken + 1).min(ATTEMPTS) } else { 1 };
    assert_eq!(sent, expected_sent, "{name}");

    // If there is an item, it is the one in the response, or the one that the caller's retry gets.
    service.proxy.plan(|_, _| None);
    let stored = service.contacts().await;
    let is_stored = status == 201 || (operation == "PutItem" && case.is_applied);
    assert_eq!(stored.len(), usize::from(is_stored), "{name}");
    if status == 201 {
        let id = response.body["id"].as_str().expect("an id").to_owned();
        assert_eq!(stored[0]["id"], AttributeValue::S(id), "{name}");
    }
    if operation != "GetItem" {
        let again = service.send(&request).await.status;
        assert_eq!(
            again,
            if is_stored { 200 } else { 201 },
            "{name}: the next request succeeds at once"
        );
    }

    let entry = entries(&service.stop().await).remove(0);
    assert_eq!(entry["status"], status, "{name}");
    // Measured from the event's arrival, because the contract says nothing about how long the start of a process takes.
    let duration = entry["durationMs"].as_f64().expect("a duration");
    assert!(duration < CONTRACT_MILLIS, "{name}: {entry}");
    let word = Some(case.word).filter(|_| !recovers);
    assert_eq!(entry["fault"].as_str(), word, "{name}: {entry}");
    assert_eq!(
        entry["operation"].as_str(),
        Some(operation).filter(|_| status >= 500),
        "{name}: {entry}"
    );
    let id = Some("PROXYREQUESTID").filter(|_| word.is_some() && case.has_request_id);
    assert_eq!(entry["dynamodbRequestId"].as_str(), id, "{name}: {entry}");
    let other_calls = usize::from(operation == "PutItem" || status == 201);
    assert_eq!(
        entry["databaseAttempts"],
        expected_sent + other_calls,
        "{name}: {entry}"
    );
}

/// The log entries of requests, in order.
fn entries(lines: &[String]) -> Vec<Value> {
    lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|entry: &Value| entry.get("outcome").is_some())
        .collect()
}

/// Breaks the first `count` calls of an operation.
fn break_first(service: &Service, operation: &'static str, fault: Fault, count: usize) {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    service.proxy.plan(move |_, call| {
        if call.operation != operation {
            return None;
        }
        let before = seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (before < count).then_some(fault)
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_call_ends_in_a_response_in_time() {
    let mut cases = JoinSet::new();
    // The service's times are real, so an overloaded engine would cause faults of its own. Cases that hang only wait, so
    // many of them can run at once.
    let [waiting, working] = [24, 3].map(|places| Arc::new(Semaphore::new(places)));
    for (operation, answered) in OPERATIONS {
        for case in &FAULTS {
            for broken in 1..=if case.is_retried { ATTEMPTS } else { 1 } {
                let is_waiting = matches!(case.fault, Fault::HangBefore | Fault::HangAfter);
                let places = Arc::clone(if is_waiting { &waiting } else { &working });
                cases.spawn(async move {
                    let _place = places.acquire_owned().await.expect("never closed");
                    check(operation, answered, case, broken).await;
                });
            }
        }
    }
    let count = cases.len();
    let mut failed = 0;
    while let Some(case) = cases.join_next().await {
        failed += usize::from(case.is_err());
    }
    println!(
        "{count} cases: {} operations, {} faults, 1 to {ATTEMPTS} attempts broken",
        OPERATIONS.len(),
        FAULTS.len()
    );
    assert_eq!(failed, 0, "cases failed");
}
