//! Processes that are frozen, killed, or busy with a request that hangs.

use std::{env, process::Command, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    proxy::Fault,
    service::{Response, Service},
};
use serde_json::Value;
use tokio::{net::TcpSocket, task::JoinSet, time::timeout};

use crate::{BINARY, entries};

fn signal(name: &str, process: u32) {
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
}

/// Sends requests to a process that is frozen before each of them, and breaks something while it is.
async fn frozen_before_each_request(break_something: impl AsyncFn(&Service)) {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let process = function.id().expect("it runs");
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
    for n in 0..5 {
        let last = service.proxy.calls().last().expect("a call").connection;
        signal("-STOP", process);
        break_something(&service).await;
        signal("-CONT", process);
        let response = service.send(&service.request("Ada", &format!("ada{n}@acme.de"))).await;
        assert_eq!(response.status, 201);
        let calls = service.proxy.calls();
        assert!(calls.iter().any(|call| call.connection > last), "no connection died");
    }
    assert_eq!(service.contacts().await.len(), 6);
}

/// A process that wakes up finds the reset on its connection, and opens another.
#[tokio::test]
async fn a_connection_reset_while_frozen_fails_no_request() {
    frozen_before_each_request(async |service| service.proxy.reset_idle_connections().await).await;
}

#[tokio::test]
async fn a_retry_finds_the_contact_of_a_killed_process() {
    let service = Arc::new(Service::without_process(BINARY).await);
    let function = service.process(&[]);
    service
        .proxy
        .plan(|_, call| (call.operation == "PutItem").then_some(Fault::HangAfter));
    let request = service.request("Ada", "ada@acme.de");
    let lost = tokio::spawn({
        let (service, request) = (Arc::clone(&service), request.clone());
        async move { service.send(&request).await }
    });
    // The write was sent. It is applied when the item is in the table.
    service.while_running(service.proxy.wait_for_calls(2)).await;
    let stored = loop {
        if let Some(item) = service.contacts().await.pop() {
            break item;
        }
    };
    function.stop().await;
    assert!(!lost.is_finished(), "nobody answered");
    lost.abort();
    service.proxy.plan(|_, _| None);
    service.add_process(&[]);
    let response = service.send(&request).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        stored["id"],
        AttributeValue::S(response.body["id"].as_str().expect("an id").to_owned())
    );
    assert_eq!(service.contacts().await, [stored]);
}

#[tokio::test]
async fn a_request_that_hangs_does_not_hold_the_others_of_its_process() {
    let service = Service::without_process(BINARY).await;
    service.add_process(&[("AWS_LAMBDA_MAX_CONCURRENCY", "8")]);
    let service = Arc::new(service);
    service.proxy.plan(|_, call| {
        let item = call.input.get("Item")?;
        (item["emailKey"]["S"] == "stuck@acme.de").then_some(Fault::HangBefore)
    });
    let send = |email: String| {
        let service = Arc::clone(&service);
        async move { service.send(&service.request("Ada", &email)).await }
    };
    let stuck = tokio::spawn(send("stuck@acme.de".to_owned()));
    service.while_running(service.proxy.wait_for_calls(2)).await;
    let mut others = JoinSet::new();
    for n in 0..50 {
        others.spawn(send(format!("ada{n}@acme.de")));
    }
    let responses: Vec<Response> = others.join_all().await;
    assert!(responses.iter().all(|response| response.status == 201));
    assert!(!stuck.is_finished(), "it still hangs while fifty others were answered");
    let response = timeout(Duration::from_secs(8), stuck)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(response.status, 503);
    // Each request counts only its own attempts, in whatever order they run.
    for line in service.stop().await {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["outcome"] == "created" {
            assert_eq!(line["databaseAttempts"], 2, "{line}");
        } else {
            assert!(
                line["databaseAttempts"].as_u64().is_some_and(|attempts| attempts > 2),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn the_connection_is_open_before_the_first_invocation() {
    let service = Service::without_process(BINARY).await;
    service.add_process(&[]);
    service.while_running(service.runtime_api.wait_for_polls(1)).await;
    assert_eq!(service.proxy.openings(), 1);
    assert_eq!(service.proxy.operations(), [""; 0]);
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
    assert!(
        service.proxy.calls().iter().all(|call| call.connection == 1),
        "{:?}",
        service.proxy.calls()
    );
    let entry = entries(&service.stop().await).remove(0);
    assert_eq!(
        entry["databaseAttempts"], 2,
        "the read at the start is counted for no request"
    );
}

#[tokio::test]
async fn a_process_starts_whatever_the_database_does_at_its_start() {
    for fault in [
        Fault::HangBefore,
        Fault::ResetBefore,
        Fault::Bare500,
        Fault::NotHttp,
        Fault::Error(400, "ThrottlingException"),
        Fault::Error(400, "AccessDeniedException"),
        Fault::Error(400, "ResourceNotFoundException"),
    ] {
        let service = Service::without_process(BINARY).await;
        service.proxy.break_openings(fault);
        service.add_process(&[]);
        let response = service.send(&service.request("Ada", "ada@acme.de")).await;
        assert_eq!(response.status, 201, "{fault:?}");
        let lines = service.stop().await;
        assert_eq!(entries(&lines).len(), lines.len(), "nothing is logged of it: {lines:?}");
        assert_eq!(entries(&lines)[0]["databaseAttempts"], 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_connection_that_died_before_the_first_request_fails_none() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let process = function.id().expect("it runs");
    service.while_running(service.runtime_api.wait_for_polls(1)).await;
    signal("-STOP", process);
    service.proxy.reset_idle_connections().await;
    signal("-CONT", process);
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
}

#[tokio::test]
async fn a_process_without_a_runtime_api_ends_and_says_so() {
    // Bound and not listening: connections are refused.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[("AWS_LAMBDA_RUNTIME_API", &address)]);
    assert!(!function.end().status().await.success());
    let lines = function.stop().await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("Runtime API"), "{lines:?}");
}

/// In a process of its own, because the log and the hook are for a whole process.
#[test]
fn a_panic_is_logged_with_its_place_and_without_its_message() {
    const CHILD: &str = "PANIC_IN_THIS_PROCESS";
    if env::var_os(CHILD).is_some() {
        create_contact::log::init();
        panic!("ada@acme.de");
    }
    let name = "process::a_panic_is_logged_with_its_place_and_without_its_message";
    let mut child = Command::new(env::current_exe().expect("this program"));
    let output = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output();
    let output = output.expect("a process").stdout;
    let output = String::from_utf8(output).expect("a text");
    let entry = &output[output.find('{').expect("an entry")..];
    let entry: Value = serde_json::from_str(entry.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&entry["level"], &entry["message"]), (&"ERROR".into(), &"panic".into()));
    let place = entry["place"].as_str().expect("a place");
    assert!(place.starts_with("tests/faults/process.rs:"), "{place}");
    assert!(!output.contains("ada@"), "{output}");
}
