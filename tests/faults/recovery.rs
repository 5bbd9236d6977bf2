//! Faults that need more than one broken call: keys that are left out, deadlines, clocks, connections.

use std::{net::SocketAddr, time::Duration};

use harness::{proxy::Fault, service::Service};
use tokio::net::{TcpSocket, TcpStream};

use crate::{ATTEMPTS, BINARY, break_first};

#[tokio::test]
async fn only_keys_that_were_left_out_are_read_again() {
    for left_out in ["ApiKeysTable", "WorkspacesTable"] {
        let service = Service::start(BINARY).await;
        break_first(&service, "BatchGetItem", Fault::Unprocessed(left_out), 1);
        assert_eq!(service.create("Ada", "ada@acme.de").await.status, 201);
        let calls = service.proxy.calls();
        let asked = calls.iter().filter_map(|call| call.input["RequestItems"].as_object());
        let asked: Vec<_> = asked.collect();
        assert_eq!((calls.len(), asked[0].len(), asked[1].len()), (3, 2, 1));
        let (table, keys) = asked[1].iter().next().expect("a table");
        assert!(table.ends_with(left_out), "{table}");
        assert_eq!(keys["Keys"], asked[0][table]["Keys"]);
        assert_eq!(keys["ConsistentRead"], true);
    }
}

#[tokio::test]
async fn a_corrected_clock_costs_a_retry_and_no_error() {
    let service = Service::start(BINARY).await;
    // DynamoDB says that the machine's clock is wrong, and the SDK learns by how much.
    break_first(&service, "BatchGetItem", Fault::ClockSkew, 1);
    assert_eq!(service.create("Ada", "ada@acme.de").await.status, 201);
    // Then the clock is corrected.
    service
        .proxy
        .plan(|_, call| call.signed_at.starts_with("2100").then_some(Fault::SignatureExpired));
    assert_eq!(service.create("Grace", "grace@acme.de").await.status, 201);
    assert!(service.proxy.calls().len() > 2, "the SDK had a wrong time");
}

#[tokio::test]
async fn a_hanging_database_is_503_before_the_invocations_deadline() {
    let service = Service::start(BINARY).await;
    let cases = [
        ("BatchGetItem", 2_000_u32),
        ("PutItem", 2_000),
        ("BatchGetItem", 500),
        ("PutItem", 500),
    ];
    for (operation, millis) in cases {
        break_first(&service, operation, Fault::HangBefore, usize::MAX);
        let request = service.request("Ada", "ada@acme.de");
        let response = service
            .send_with_deadline(&request, Duration::from_millis(millis.into()))
            .await;
        assert_eq!(
            (response.status, response.header("retry-after")),
            (503, "1"),
            "{operation}"
        );
    }
    service.proxy.plan(|_, _| None);
    let next = service.create("Ada", "ada@acme.de").await.status;
    assert_eq!(next, 201, "a database that recovers: the next request succeeds at once");
    // By the process's own clock: how busy the tests' machine is doesn't matter.
    for (entry, (operation, millis)) in service.entries().iter().zip(cases) {
        let duration = entry["durationMs"].as_f64().expect("a duration");
        assert!(duration < f64::from(millis), "{operation}: {duration} of {millis} ms");
    }
}

/// The SDK gives up the last attempt, before the request's own time is over.
#[tokio::test]
async fn a_last_attempt_that_hangs_is_503() {
    let service = Service::start(BINARY).await;
    service.proxy.plan(|before, _| match before + 1 {
        ATTEMPTS.. => Some(Fault::HangBefore),
        _ => Some(Fault::Bare500),
    });
    let response = service.create("Ada", "ada@acme.de").await;
    assert_eq!((response.status, response.header("retry-after")), (503, "1"));
    assert_eq!(service.proxy.operations(), ["BatchGetItem"; ATTEMPTS]);
    assert_eq!(service.entries()[0]["fault"], "timed_out");
}

/// A socket that no other program can use.
fn socket() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_503() {
    let (_bound, refuses) = socket();
    let (socket, hangs) = socket();
    // One connection fills a queue for none, and Linux ignores those that come after it.
    let _listener = socket.listen(0).expect("a free port");
    let _queued = TcpStream::connect(hangs).await.expect("a connection");
    for (host, fault) in [
        (refuses.to_string(), "unreachable"),
        (hangs.to_string(), "timed_out"),
        ("nowhere.invalid:8000".to_owned(), "unreachable"),
    ] {
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB", &*format!("http://{host}"));
        let service = Service::with(BINARY, &[endpoint]).await;
        let response = service.create("Ada", "ada@acme.de").await;
        assert_eq!((response.status, response.header("retry-after")), (503, "1"), "{host}");
        let entry = service.entries().remove(0);
        assert_eq!(entry["fault"], fault, "{host}");
        assert_eq!(entry["databaseAttempts"], ATTEMPTS, "{host}");
    }
}

#[tokio::test]
async fn earlier_failures_use_up_no_retries_of_later_requests() {
    let service = Service::start(BINARY).await;
    // The SDK's own quota, 500 tokens at 5 a retry, would be used up by a third of this.
    service.proxy.plan(|_, _| Some(Fault::Bare500));
    for _ in 0..100 {
        assert_eq!(service.create("Ada", "ada@acme.de").await.status, 503);
    }
    // A quota that is used up still has a retry left, but not three.
    break_first(&service, "PutItem", Fault::Bare500, ATTEMPTS - 1);
    assert_eq!(service.create("Ada", "ada@acme.de").await.status, 201);
}
