//! Every fault of the database, at every call, on the real binary: nothing is lost, nothing is written twice, and every
//! request gets a response.
//!
//! A proxy between the function and the engine breaks calls: see `harness::proxy`. Some of these tests wait for real timeouts
//! of the service, so they run in parallel.

mod process;
mod recovery;
mod storm;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{proxy::Fault, service::Service};
use tokio::{sync::Semaphore, task::JoinSet};

const BINARY: &str = env!("CARGO_BIN_EXE_create-contact");

/// The contract's time limit for a request.
const CONTRACT_MILLIS: f64 = 8_000.0;

/// How many times the service sends a call (`src/budget.rs`).
const ATTEMPTS: usize = 4;

/// A fault, the status when no attempt is left, and the log entry's `fault` in that case.
type Case = (Fault, u16, &'static str);

/// The service retries these.
const RETRIED: [Case; 21] = [
    (Fault::Error(400, "ThrottlingException"), 503, "throttled"),
    (
        Fault::Error(400, "ProvisionedThroughputExceededException"),
        503,
        "throttled",
    ),
    (Fault::Error(400, "RequestLimitExceeded"), 503, "throttled"),
    (Fault::Error(500, "InternalServerError"), 503, "failed"),
    (Fault::Error(503, "ServiceUnavailable"), 503, "failed"),
    (Fault::Error(400, "TransactionConflictException"), 503, "failed"),
    (Fault::Error(400, "ReplicatedWriteConflictException"), 503, "failed"),
    (Fault::Error(400, "RequestTimeout"), 503, "timed_out"),
    (Fault::Bare500, 503, "failed"),
    (Fault::ResetBefore, 503, "unreachable"),
    (Fault::ResetAfter, 503, "unreachable"),
    // The fourth attempt is cut short by the request's own time.
    (Fault::HangBefore, 503, "timed_out"),
    (Fault::HangAfter, 503, "timed_out"),
    (Fault::Cut, 503, "unreadable"),
    (Fault::NotJson, 503, "unreadable"),
    (Fault::Empty, 503, "unreadable"),
    (Fault::NotHttp, 503, "unreadable"),
    // One refusal corrects the clock. If every attempt is refused, the error isn't transient.
    (Fault::ClockSkew, 500, "denied"),
    (Fault::SignatureExpired, 500, "denied"),
    // For other operations, an empty object is a result.
    (Fault::EmptyObject, 503, "unreadable"),
    (Fault::Unprocessed("WorkspacesTable"), 503, "throttled"),
];

/// The service doesn't retry these.
const REFUSED: [Case; 7] = [
    (Fault::Error(400, "AccessDeniedException"), 500, "denied"),
    (Fault::Error(400, "UnrecognizedClientException"), 500, "denied"),
    (Fault::Error(400, "ExpiredTokenException"), 500, "denied"),
    (Fault::Error(400, "IncompleteSignatureException"), 500, "denied"),
    (Fault::Error(400, "ResourceNotFoundException"), 500, "no_such_table"),
    (Fault::Error(400, "ValidationException"), 500, "rejected"),
    (Fault::Error(400, "SerializationException"), 500, "rejected"),
];

/// Breaks the first `broken` calls of one operation of one request, and checks every visible effect.
async fn check(operation: &'static str, (fault, failed, word): Case, is_retried: bool, broken: usize) {
    let name = format!("{fault:?} at the first {broken} of {operation}");
    let service = Service::start(BINARY).await;
    let reads_only_the_key = operation == "GetItem";
    let email = if reads_only_the_key {
        "no address"
    } else {
        "ada@acme.de"
    };
    let request = service.request("Ada Lovelace", email);
    break_first(&service, operation, fault, broken);
    let response = service.send(&request).await;

    let recovers = is_retried && broken < ATTEMPTS;
    let status = match operation {
        _ if !recovers => failed,
        "GetItem" => 400,
        _ => 201,
    };
    assert_eq!(response.status, status, "{name}: {response:?}");
    let retry_after = if status == 503 { "1" } else { "" };
    assert_eq!(response.header("retry-after"), retry_after, "{name}");
    let operations = service.proxy.operations();
    let sent = operations.iter().filter(|sent| *sent == operation).count();
    let expected_sent = if is_retried { (broken + 1).min(ATTEMPTS) } else { 1 };
    assert_eq!(sent, expected_sent, "{name}");

    // If there is an item, it is the one in the response, or the one that the caller's retry gets.
    service.proxy.plan(|_, _| None);
    let stored = service.contacts().await;
    let is_stored = status == 201 || (operation == "PutItem" && fault.is_applied());
    assert_eq!(stored.len(), usize::from(is_stored), "{name}");
    if status == 201 {
        let id = response.body["id"].as_str().expect("an id").to_owned();
        assert_eq!(stored[0]["id"], AttributeValue::S(id), "{name}");
    }
    if !reads_only_the_key {
        let again = service.send(&request).await.status;
        let expected = if is_stored { 200 } else { 201 };
        assert_eq!(again, expected, "{name}: the next request succeeds at once");
    }

    let entry = service.entries().remove(0);
    assert_eq!(entry["status"], status, "{name}");
    // Measured from the event's arrival, because the contract says nothing about how long the start of a process takes.
    let duration = entry["durationMs"].as_f64().expect("a duration");
    assert!(duration < CONTRACT_MILLIS, "{name}: {entry}");
    let of_failure = |text| Some(text).filter(|_| !recovers);
    assert_eq!(entry["fault"].as_str(), of_failure(word), "{name}: {entry}");
    assert_eq!(entry["operation"].as_str(), of_failure(operation), "{name}: {entry}");
    let has_no_id = ["unreachable", "timed_out"].contains(&word) && !matches!(fault, Fault::Error(..));
    let id = of_failure("PROXYREQUESTID").filter(|_| !has_no_id && fault != Fault::NotHttp);
    assert_eq!(entry["dynamodbRequestId"].as_str(), id, "{name}: {entry}");
    let attempts = expected_sent + usize::from(operation == "PutItem" || status == 201);
    assert_eq!(entry["databaseAttempts"], attempts, "{name}: {entry}");
}

/// Breaks the first `count` calls of an operation.
fn break_first(service: &Service, operation: &'static str, fault: Fault, count: usize) {
    let seen = AtomicUsize::new(0);
    service.proxy.plan(move |_, call| {
        let is_broken = call.operation == operation && seen.fetch_add(1, Ordering::Relaxed) < count;
        is_broken.then_some(fault)
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_call_ends_in_a_response_in_time() {
    let mut cases = JoinSet::new();
    // The service's times are real, so an overloaded engine would cause faults of its own. Cases that hang only wait, so
    // many of them can run at once.
    let [waiting, working] = [24, 3].map(|places| Arc::new(Semaphore::new(places)));
    let mut start = |operation: &'static str, case: Case, is_retried: bool, broken: usize| {
        let is_waiting = matches!(case.0, Fault::HangBefore | Fault::HangAfter);
        let places = Arc::clone(if is_waiting { &waiting } else { &working });
        cases.spawn(async move {
            let _place = places.acquire_owned().await.expect("never closed");
            check(operation, case, is_retried, broken).await;
        });
    };
    for operation in ["BatchGetItem", "PutItem", "GetItem"] {
        for case in RETRIED {
            let is_of_a_batch = matches!(case.0, Fault::EmptyObject | Fault::Unprocessed(_));
            if operation == "BatchGetItem" || !is_of_a_batch {
                for broken in 1..=ATTEMPTS {
                    start(operation, case, true, broken);
                }
            }
        }
        for case in REFUSED {
            start(operation, case, false, 1);
        }
    }
    let count = cases.len();
    let mut failed = 0;
    while let Some(case) = cases.join_next().await {
        failed += usize::from(case.is_err());
    }
    assert_eq!(failed, 0, "cases of {count} failed");
}
