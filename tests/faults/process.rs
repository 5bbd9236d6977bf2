//! Processes that are frozen, killed, or busy with a request that hangs.

use std::{env, process::Command, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{proxy::Fault, service::Service};
use serde_json::Value;
use tokio::{net::TcpSocket, task::JoinSet, time::timeout};

use crate::BINARY;

fn signal(name: &str, process: u32) {
    let kill = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(kill.expect("kill").success());
}

/// A process that wakes up finds the reset on its connection, and opens another.
#[tokio::test]
async fn a_connection_reset_while_frozen_fails_no_request() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let process = function.id().expect("it runs");
    service.runtime_api.wait_for_polls(1).await;
    // The first connection is the one that the start opened.
    for connection in 1..=5 {
        signal("-STOP", process);
        service.proxy.reset_idle_connections().await;
        signal("-CONT", process);
        let response = service.create("Ada", &format!("ada{connection}@acme.de")).await;
        assert_eq!(response.status, 201);
        let last = service.proxy.calls().pop().expect("a call");
        assert!(last.connection > connection, "the connection didn't die");
    }
}

#[tokio::test]
async fn a_retry_finds_the_contact_of_a_killed_process() {
    let service = Arc::new(Service::without_process(BINARY).await);
    let function = service.process(&[]);
    service
        .proxy
        .plan(|_, call| (call.operation == "PutItem").then_some(Fault::HangAfter));
    let lost = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.create("Ada", "ada@acme.de").await }
    });
    // The write was sent. It is applied when the item is in the table.
    service.proxy.wait_for_calls(2).await;
    let stored = loop {
        if let Some(item) = service.contacts().await.pop() {
            break item;
        }
    };
    drop(function);
    assert!(!lost.is_finished(), "nobody answered");
    lost.abort();
    service.proxy.plan(|_, _| None);
    service.add_process(&[]);
    let response = service.create("Ada", "ada@acme.de").await;
    assert_eq!(response.status, 200);
    let id = response.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(stored["id"], AttributeValue::S(id));
    assert_eq!(service.contacts().await, [stored]);
}

#[tokio::test]
async fn a_request_that_hangs_does_not_hold_the_others_of_its_process() {
    let service = Arc::new(Service::with(BINARY, &[("AWS_LAMBDA_MAX_CONCURRENCY", "8")]).await);
    service.proxy.plan(|_, call| {
        let item = call.input.get("Item")?;
        (item["emailKey"]["S"] == "stuck@acme.de").then_some(Fault::HangBefore)
    });
    let send = |email: String| {
        let service = Arc::clone(&service);
        async move { service.create("Ada", &email).await.status }
    };
    let stuck = tokio::spawn(send("stuck@acme.de".to_owned()));
    service.proxy.wait_for_calls(2).await;
    let others: JoinSet<u16> = (0..50).map(|n| send(format!("ada{n}@acme.de"))).collect();
    assert_eq!(others.join_all().await, [201; 50]);
    assert!(!stuck.is_finished(), "it still hangs while fifty others were answered");
    let response = timeout(Duration::from_secs(8), stuck).await;
    assert_eq!(response.expect("in time").expect("no panic"), 503);
    // Each request counts only its own attempts, in whatever order they run.
    for entry in service.entries() {
        let attempts = entry["databaseAttempts"].as_u64();
        let is_stuck = entry["outcome"] != "created";
        assert!(
            if is_stuck {
                attempts > Some(2)
            } else {
                attempts == Some(2)
            },
            "{entry}"
        );
    }
}

#[tokio::test]
async fn all_calls_share_the_connection_that_the_start_opened() {
    let service = Service::start(BINARY).await;
    assert_eq!((service.proxy.openings(), service.proxy.calls().len()), (1, 0));
    for n in 0..5 {
        assert_eq!(service.create("Ada", &format!("ada{n}@acme.de")).await.status, 201);
    }
    let calls = service.proxy.calls();
    assert_eq!(calls.len(), 10);
    assert!(calls.iter().all(|call| call.connection == 1), "{calls:?}");
    let attempts = &service.entries()[0]["databaseAttempts"];
    assert_eq!(attempts, 2, "the read at the start is counted for no request");
}

#[tokio::test]
async fn a_process_starts_whatever_the_database_does_at_its_start() {
    for fault in [
        Fault::HangBefore,
        Fault::ResetBefore,
        Fault::NotHttp,
        Fault::Error(400, "AccessDeniedException"),
    ] {
        let service = Service::without_process(BINARY).await;
        service.proxy.break_openings(fault);
        service.add_process(&[]);
        assert_eq!(service.create("Ada", "ada@acme.de").await.status, 201, "{fault:?}");
        let [line] = &service.stop()[..] else {
            panic!("something is logged of it: {fault:?}")
        };
        let entry: Value = serde_json::from_str(line).expect("an entry");
        assert_eq!(entry["databaseAttempts"], 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_process_without_a_runtime_api_ends_with_a_log_entry() {
    // Bound and not listening: connections are refused.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = socket.local_addr().expect("bound").to_string();
    let service = Service::without_process(BINARY).await;
    let lines = service.refused(&[("AWS_LAMBDA_RUNTIME_API", &address)]).await;
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
