//! Faults that need more than one broken call: keys that are left out, deadlines, clocks, connections.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use harness::{proxy::Fault, service::Service};
use serde_json::{Value, json};

use crate::{ATTEMPTS, BINARY, break_first, entries};

/// The last request's log entry.
async fn last_line(service: &Service) -> Value {
    let lines = service.stop().await;
    let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.rfind(|line| line.get("outcome").is_some()).expect("a line")
}

#[tokio::test]
async fn keys_that_were_left_out_are_asked_for_again_and_only_those() {
    let service = Service::start(BINARY).await;
    let tables = |n: usize| {
        let calls = service.proxy.calls();
        let items = calls[n].input["RequestItems"].as_object().expect("tables").clone();
        items.keys().cloned().collect::<Vec<_>>()
    };
    break_first(&service, "BatchGetItem", Fault::Unprocessed, 1);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!(response.status, 201, "{response:?}");
    assert_eq!(service.proxy.operations(), ["BatchGetItem", "BatchGetItem", "PutItem"]);
    assert_eq!((tables(0).len(), tables(1).len()), (2, 1));
    assert_eq!(
        service.proxy.calls()[1].input["RequestItems"][&tables(1)[0]]["ConsistentRead"],
        true
    );

    break_first(&service, "BatchGetItem", Fault::Unprocessed, usize::MAX);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, "1"),
        "left out is not: not found"
    );
    assert_eq!(service.proxy.operations(), ["BatchGetItem"; ATTEMPTS]);
    let line = last_line(&service).await;
    assert_eq!(
        (&line["fault"], &line["dynamodbRequestId"]),
        (&json!("throttled"), &json!("PROXYREQUESTID"))
    );
}

#[tokio::test]
async fn a_batch_without_responses_is_retried() {
    let service = Service::start(BINARY).await;
    break_first(&service, "BatchGetItem", Fault::EmptyObject, ATTEMPTS - 1);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!(response.status, 201, "{response:?}");
    break_first(&service, "BatchGetItem", Fault::EmptyObject, ATTEMPTS);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.header("retry-after")), (503, "1"));
    assert_eq!(last_line(&service).await["fault"], "unreadable");
}

#[tokio::test]
async fn a_corrected_clock_costs_a_retry_and_no_error() {
    let service = Service::start(BINARY).await;
    let send = async |name: &str| {
        service
            .send(&service.request("Ada", &format!("{name}@acme.de")))
            .await
            .status
    };
    // DynamoDB says that the machine's clock is wrong, and the SDK learns by how much.
    break_first(&service, "BatchGetItem", Fault::ClockSkew, 1);
    assert_eq!(send("grace").await, 201);
    // Then the clock is corrected.
    service
        .proxy
        .plan(|_, call| call.signed_at.starts_with("2100").then_some(Fault::SignatureExpired));
    assert_eq!(send("mary").await, 201);
}

#[tokio::test]
async fn a_hanging_database_is_503_before_the_invocations_deadline() {
    let service = Service::start(BINARY).await;
    let cases = [
        ("BatchGetItem", 2_000),
        ("PutItem", 2_000),
        ("BatchGetItem", 500),
        ("PutItem", 500),
    ];
    for (operation, millis) in cases {
        service
            .proxy
            .plan(move |_, call| (call.operation == operation).then_some(Fault::HangBefore));
        let time = Duration::from_millis(millis);
        let response = service
            .send_with_deadline(&service.request("Ada", "ada@acme.de"), time)
            .await;
        assert_eq!(
            (response.status, response.header("retry-after")),
            (503, "1"),
            "{operation}"
        );
        service.proxy.plan(|_, _| None);
        let response = service.send(&service.request("Ada", "ada@acme.de")).await;
        assert!(
            matches!(response.status, 200 | 201),
            "a database that recovers: the next request succeeds at once"
        );
    }
    // By the process's own clock: how busy the tests' machine is doesn't matter.
    let entries = entries(&service.stop().await);
    let hung: Vec<&Value> = entries.iter().filter(|entry| entry["status"] == 503).collect();
    assert_eq!(hung.len(), cases.len());
    for (entry, (operation, millis)) in hung.into_iter().zip(cases) {
        let duration = entry["durationMs"].as_f64().expect("a duration");
        let deadline = Duration::from_millis(millis).as_secs_f64() * 1_000.0;
        assert!(duration < deadline, "{operation}: {duration} of {deadline} ms");
    }
}

/// The SDK gives up the last attempt, before the request's own time is over.
#[tokio::test]
async fn a_last_attempt_that_hangs_is_503() {
    let service = Service::start(BINARY).await;
    let seen = AtomicUsize::new(0);
    service
        .proxy
        .plan(move |_, _| match seen.fetch_add(1, Ordering::Relaxed) + 1 {
            ATTEMPTS.. => Some(Fault::HangBefore),
            _ => Some(Fault::Bare500),
        });
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.header("retry-after")), (503, "1"));
    assert_eq!(service.proxy.operations(), ["BatchGetItem"; ATTEMPTS]);
    assert_eq!(last_line(&service).await["fault"], "timed_out");
}

#[tokio::test]
async fn a_database_that_refuses_connections_is_503() {
    let service = Service::without_process(BINARY).await;
    // Bound, but not listening: no other program can take the port, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = socket.local_addr().expect("bound").port();
    service.add_process(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://127.0.0.1:{port}"))]);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.header("retry-after")), (503, "1"));
    let line = last_line(&service).await;
    assert_eq!(
        (&line["fault"], &line["databaseAttempts"]),
        (&json!("unreachable"), &json!(ATTEMPTS))
    );
}

#[tokio::test]
async fn a_database_that_never_completes_a_connection_is_503() {
    let service = Service::without_process(BINARY).await;
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("bound");
    // One connection fills a queue for none, and Linux ignores those that come after it.
    let _listener = socket.listen(0).expect("a free port");
    let _queued = tokio::net::TcpStream::connect(address).await.expect("a connection");
    service.add_process(&[("AWS_ENDPOINT_URL_DYNAMODB", &format!("http://{address}"))]);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.header("retry-after")), (503, "1"));
    let line = last_line(&service).await;
    assert_eq!(
        (&line["fault"], &line["databaseAttempts"]),
        (&json!("timed_out"), &json!(ATTEMPTS))
    );
}

#[tokio::test]
async fn a_database_whose_name_does_not_resolve_is_503() {
    let service = Service::without_process(BINARY).await;
    service.add_process(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://nowhere.invalid:8000")]);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn earlier_failures_use_up_no_retries_of_later_requests() {
    let service = Service::start(BINARY).await;
    // The SDK's own quota, 500 tokens at 5 a retry, would be used up by a third of this.
    service.proxy.plan(|_, _| Some(Fault::Bare500));
    for _ in 0..100 {
        assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 503);
    }
    // A quota that is used up still has a retry left, but not three.
    break_first(&service, "PutItem", Fault::Bare500, ATTEMPTS - 1);
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
}

#[tokio::test]
async fn calls_share_connections() {
    let service = Service::start(BINARY).await;
    for n in 0..5 {
        let response = service.send(&service.request("Ada", &format!("ada{n}@acme.de"))).await;
        assert_eq!(response.status, 201);
    }
    let calls = service.proxy.calls();
    assert_eq!(calls.len(), 10);
    assert!(
        calls.iter().all(|call| call.connection == calls[0].connection),
        "{calls:?}"
    );
}
