//! Nothing lost, nothing twice, never silent: every fault of the database, at every call, on the real binary.
//!
//! A proxy between the function and the engine breaks calls; see `harness::proxy`. Some of these tests wait for timeouts
//! that the service really has, so they run side by side.

mod model;
mod process;
mod recovery;
mod storm;

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{proxy::Fault, service::Service};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

const BINARY: &str = env!("CARGO_BIN_EXE_create-contact");

/// The contract's time for every request.
const CONTRACT_MILLIS: f64 = 8_000.0;

/// How often the service sends a call (`src/budget.rs`).
const ATTEMPTS: usize = 4;

/// How a fault ends that isn't over after the last attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Sent again; when that doesn't help, 503 and this word in the log.
    Retried(&'static str),
    /// Not sent again: this status, and this word in the log.
    AtOnce(u16, &'static str),
}

const FAULTS: [(Fault, End); 23] = [
    (Fault::Answer(400, "ThrottlingException"), End::Retried("throttled")),
    (
        Fault::Answer(400, "ProvisionedThroughputExceededException"),
        End::Retried("throttled"),
    ),
    (Fault::Answer(400, "RequestLimitExceeded"), End::Retried("throttled")),
    (Fault::Answer(500, "InternalServerError"), End::Retried("failed")),
    (Fault::Answer(503, "ServiceUnavailable"), End::Retried("failed")),
    (Fault::Bare500, End::Retried("failed")),
    (Fault::ResetBefore, End::Retried("unreachable")),
    (Fault::ResetAfter, End::Retried("unreachable")),
    (Fault::HangBefore, End::Retried("timed_out")),
    (Fault::HangAfter, End::Retried("timed_out")),
    (Fault::Cut, End::Retried("unreadable")),
    (Fault::NotJson, End::Retried("unreadable")),
    (Fault::ClockSkew, End::Retried("denied")),
    (Fault::Answer(400, "RequestTimeout"), End::Retried("timed_out")),
    (Fault::Answer(400, "AccessDeniedException"), End::AtOnce(500, "denied")),
    (
        Fault::Answer(400, "UnrecognizedClientException"),
        End::AtOnce(500, "denied"),
    ),
    (Fault::Answer(400, "ExpiredTokenException"), End::AtOnce(500, "denied")),
    (
        Fault::Answer(400, "InvalidSignatureException"),
        End::AtOnce(500, "denied"),
    ),
    (
        Fault::Answer(400, "ResourceNotFoundException"),
        End::AtOnce(500, "no_such_table"),
    ),
    (Fault::Answer(400, "ValidationException"), End::AtOnce(500, "rejected")),
    (
        Fault::Answer(400, "SerializationException"),
        End::AtOnce(500, "rejected"),
    ),
    (
        Fault::Answer(400, "TransactionConflictException"),
        End::Retried("failed"),
    ),
    (
        Fault::Answer(400, "ReplicatedWriteConflictException"),
        End::Retried("failed"),
    ),
];

/// The calls of a request, with a body that needs each, and the answer when nothing is broken.
const OPERATIONS: [(&str, u16); 3] = [("BatchGetItem", 201), ("PutItem", 201), ("GetItem", 400)];

/// Breaks the first `broken` calls of one operation of one request, and checks everything that can be seen of it.
async fn check(operation: &'static str, answered: u16, fault: Fault, end: End, broken: usize) {
    let case = format!("{fault:?} at the first {broken} of {operation}");
    let service = Service::start(BINARY).await;
    let email = "ada@acme.de";
    let request = service.request(
        "Ada Lovelace",
        if operation == "GetItem" { "no address" } else { email },
    );
    break_first(&service, operation, fault, broken);
    let answer = service.send(&request).await;

    let hangs = matches!(fault, Fault::HangBefore | Fault::HangAfter);
    let (status, word) = match end {
        End::Retried(_) if broken < ATTEMPTS => (answered, None),
        // The clock is corrected after one refusal; refused again and again, it is no fault that passes.
        End::Retried(word) if fault == Fault::ClockSkew => (500, Some(word)),
        // The fourth attempt is cut short by the request's own time.
        End::Retried(_) if hangs => (503, None),
        End::Retried(word) => (503, Some(word)),
        End::AtOnce(status, word) => (status, Some(word)),
    };
    assert_eq!(answer.status, status, "{case}: {answer:?}");
    assert_eq!(
        answer.header("retry-after"),
        if status == 503 { "1" } else { "" },
        "{case}"
    );
    if status >= 500 {
        for inside in ["Dynamo", "Exception", "throttl", "Table", "PutItem"] {
            assert!(!answer.text.contains(inside), "{case}: {answer:?}");
        }
    }
    let sent = service
        .proxy
        .operations()
        .iter()
        .filter(|sent| *sent == operation)
        .count();
    let expected_sent = match end {
        End::AtOnce(..) => 1,
        End::Retried(_) => (broken + 1).min(ATTEMPTS),
    };
    assert_eq!(sent, expected_sent, "{case}");

    // The item, if there is one, is the one that was answered, or the one that the caller's retry gets.
    service.proxy.plan(|_, _| None);
    let stored = service.contacts().await;
    let applied = matches!(
        fault,
        Fault::ResetAfter | Fault::HangAfter | Fault::Cut | Fault::NotJson
    );
    let expected_stored = usize::from(status == 201 || (operation == "PutItem" && applied));
    assert_eq!(stored.len(), expected_stored, "{case}");
    if status == 201 {
        assert_eq!(
            stored[0]["id"],
            AttributeValue::S(answer.body["id"].as_str().unwrap().to_owned()),
            "{case}"
        );
    }
    if operation != "GetItem" {
        let again = service.send(&request).await;
        assert_eq!(
            again.status,
            if expected_stored == 1 { 200 } else { 201 },
            "{case}: the next request succeeds at once"
        );
    }

    let lines = service.stop().await;
    let line: Value = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find(|line: &Value| line.get("outcome").is_some())
        .unwrap_or_else(|| panic!("{case}: no line"));
    assert_eq!(line["status"], status, "{case}");
    // From the event's arrival: how long a busy machine takes to start a process is no matter of the contract's.
    assert!(
        line["durationMs"]
            .as_f64()
            .is_some_and(|millis| millis < CONTRACT_MILLIS),
        "{case}: {line}"
    );
    if let Some(word) = word {
        assert_eq!(line["fault"], word, "{case}: {line}");
        assert_eq!(line["operation"], operation, "{case}: {line}");
        let answered_by_proxy = !matches!(fault, Fault::ResetBefore | Fault::ResetAfter | Fault::Cut);
        if answered_by_proxy && fault != Fault::NotJson {
            assert_eq!(line["awsRequestId"], "PROXYREQUESTID", "{case}: {line}");
        }
    }
    let attempts = if operation == "PutItem" || status == 201 {
        expected_sent + 1
    } else {
        expected_sent
    };
    assert_eq!(line["databaseAttempts"], attempts, "{case}: {line}");
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
async fn every_fault_at_every_call_ends_in_time_with_an_answer_of_the_contract() {
    let mut cases = JoinSet::new();
    // Bounds the processes that run at once; a case that hangs only waits.
    let places = Arc::new(Semaphore::new(24));
    for (operation, answered) in OPERATIONS {
        for (fault, end) in FAULTS {
            for broken in 1..=ATTEMPTS {
                if matches!(end, End::AtOnce(..)) && broken > 1 {
                    continue;
                }
                let places = Arc::clone(&places);
                cases.spawn(async move {
                    let _place = places.acquire_owned().await.expect("never closed");
                    check(operation, answered, fault, end, broken).await;
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
