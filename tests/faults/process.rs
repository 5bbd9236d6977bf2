//! Processes that are frozen, killed, or busy with a request that hangs.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    function::Function,
    proxy::Fault,
    runtime_api::Outcome,
    service::{Answer, Service},
};
use serde_json::Value;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpSocket},
    sync::Notify,
    task::JoinSet,
    time::timeout,
};

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
        let answer = service.send(&service.request("Ada", &format!("ada{n}@acme.de"))).await;
        assert_eq!(answer.status, 201);
        let calls = service.proxy.calls();
        assert!(calls.iter().any(|call| call.connection > last), "no connection died");
    }
    assert_eq!(service.contacts().await.len(), 6);
}

/// A process that wakes up finds the reset on its connection, and opens another.
#[tokio::test]
async fn a_connection_that_was_reset_while_the_process_was_frozen_costs_no_request_its_response() {
    frozen_before_each_request(async |service| service.proxy.reset_idle_connections().await).await;
}

/// The reset was lost, so the process learns of it when it sends its next call: only a retry helps.
#[tokio::test]
async fn a_connection_that_died_unnoticed_while_the_process_was_frozen_costs_no_request_its_response() {
    frozen_before_each_request(async |service| {
        let last = service.proxy.calls().last().expect("a call").connection;
        service
            .proxy
            .plan(move |_, call| (call.connection <= last).then_some(Fault::ResetBefore));
    })
    .await;
}

#[tokio::test]
async fn a_process_killed_between_write_and_answer_leaves_a_contact_that_the_callers_retry_gets() {
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
    let answer = service.send(&request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        stored["id"],
        AttributeValue::S(answer.body["id"].as_str().expect("an id").to_owned())
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
    let answers: Vec<Answer> = others.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert!(!stuck.is_finished(), "it still hangs while fifty others were answered");
    let answer = timeout(Duration::from_secs(8), stuck)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(answer.status, 503);
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
        Fault::Answer(400, "ThrottlingException"),
        Fault::Answer(400, "AccessDeniedException"),
        Fault::Answer(400, "ResourceNotFoundException"),
    ] {
        let service = Service::without_process(BINARY).await;
        service.proxy.break_openings(fault);
        service.add_process(&[]);
        let answer = service.send(&service.request("Ada", "ada@acme.de")).await;
        assert_eq!(answer.status, 201, "{fault:?}");
        let lines = service.stop().await;
        assert_eq!(entries(&lines).len(), lines.len(), "nothing is logged of it: {lines:?}");
        assert_eq!(entries(&lines)[0]["databaseAttempts"], 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_connection_that_died_between_start_and_first_invocation_costs_no_request_its_response() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let process = function.id().expect("it runs");
    service.while_running(service.runtime_api.wait_for_polls(1)).await;
    signal("-STOP", process);
    service.proxy.reset_idle_connections().await;
    signal("-CONT", process);
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
}

/// Sends this many requests at once. Each results in a status.
fn send_at_once(service: &Arc<Service>, count: usize) -> JoinSet<u16> {
    let mut requests = JoinSet::new();
    for n in 0..count {
        let service = Arc::clone(service);
        requests.spawn(async move {
            let request = service.request("Ada", &format!("ada{n}@acme.de"));
            service.send(&request).await.status
        });
    }
    requests
}

#[tokio::test]
async fn a_pool_full_of_dead_connections_costs_no_request_its_response() {
    const CONNECTIONS: usize = 16;
    let service = Service::without_process(BINARY).await;
    service.add_process(&[("AWS_LAMBDA_MAX_CONCURRENCY", &CONNECTIONS.to_string())]);
    let service = Arc::new(service);
    service.proxy.hold();
    let burst = send_at_once(&service, CONNECTIONS);
    service.while_running(service.proxy.wait_for_calls(CONNECTIONS)).await;
    service.proxy.release();
    assert_eq!(burst.join_all().await, [201; CONNECTIONS]);
    let last = service
        .proxy
        .calls()
        .iter()
        .map(|call| call.connection)
        .max()
        .expect("calls");
    assert!(last >= CONNECTIONS, "{last}");
    service
        .proxy
        .plan(move |_, call| (call.connection <= last).then_some(Fault::ResetBefore));
    for n in 0..CONNECTIONS {
        let answer = service
            .send(&service.request("Grace", &format!("grace{n}@acme.de")))
            .await;
        assert_eq!(answer.status, 201, "{n}: {answer:?}");
    }
}

/// Compiles a C file of this folder into a library that replaces functions of the C library in a process (`LD_PRELOAD`).
fn library(name: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/faults/{name}.c"));
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.so"));
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(status.expect("a C compiler, which cargo links with").success());
    library.to_str().expect("UTF-8").to_owned()
}

#[tokio::test]
async fn a_clock_before_1970_stops_the_start_with_a_line_that_says_so() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[("LD_PRELOAD", &library("clock_before_1970"))]);
    let lines = service.refused(function).await;
    assert!(lines.concat().contains("clock is set before 1970"), "{lines:?}");
}

/// A name look-up can't be cancelled, so each keeps its thread.
#[tokio::test]
async fn name_look_ups_that_hang_take_eight_threads_and_each_request_gets_its_response() {
    let service = Arc::new(Service::without_process(BINARY).await);
    let function = service.process(&[
        ("LD_PRELOAD", &library("hanging_look_up")),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "64"),
        (
            "AWS_ENDPOINT_URL_DYNAMODB",
            &service.proxy.url.replace("127.0.0.1", "localhost"),
        ),
    ]);
    assert_eq!(send_at_once(&service, 64).join_all().await, [503; 64]);
    let threads = std::fs::read_dir(format!("/proc/{}/task", function.id().expect("it runs"))).expect("Linux");
    assert_eq!(threads.count(), 1 + 8, "its own and the look-ups'");
    function.stop().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_costs_no_request_its_response() {
    const REQUESTS: usize = 400;
    let service = Service::without_process(BINARY).await;
    let mut process = tokio::process::Command::new(BINARY)
        .env_clear()
        .envs(service.environment(&[]))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the function's binary");
    let request = service.request("Ada", "ada@acme.de");
    // A pipe holds 64 KiB, and an entry is longer than 200 bytes.
    let refused = request.clone().without("authorization");
    for _ in 0..REQUESTS {
        assert_eq!(service.send(&refused).await.status, 401);
    }
    // Once that is read, the next entry can be written.
    let mut stdout = process.stdout.take().expect("it is a pipe");
    let mut text = Vec::new();
    while text.len() < 48 * 1024 {
        assert_ne!(stdout.read_buf(&mut text).await.expect("it can be read"), 0);
    }
    assert_eq!(service.send(&request).await.status, 201);
    process.kill().await.expect("it runs");
    stdout.read_to_end(&mut text).await.expect("it can be read");
    let text = String::from_utf8(text).expect("UTF-8");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let entries = entries(&lines);
    assert_eq!(entries.len(), lines.len(), "whole lines only");
    let last = entries.last().expect("an entry");
    assert_eq!(last["outcome"], "created");
    let dropped = last["droppedEntries"].as_u64().expect("it says how many were dropped");
    assert!(dropped > 0);
    assert_eq!(usize::try_from(dropped).expect("a few") + entries.len(), REQUESTS + 1);
}

#[tokio::test]
async fn a_process_without_a_runtime_api_ends_and_says_so_once() {
    // Bound and not listening: connections are refused.
    let refusing = TcpSocket::new_v4().expect("a socket");
    refusing.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let closing = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addresses = [refusing.local_addr(), closing.local_addr()].map(|address| address.expect("bound").to_string());
    tokio::spawn(async move { while closing.accept().await.is_ok() {} });
    let service = Service::without_process(BINARY).await;
    for address in addresses {
        for concurrency in ["1", "64"] {
            let variables = [
                ("AWS_LAMBDA_RUNTIME_API", &*address),
                ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency),
            ];
            let function = service.process(&variables);
            assert!(!function.end().status().await.success());
            let lines = function.stop().await;
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains("no more invocations"), "{lines:?}");
        }
    }
}

#[tokio::test]
async fn a_process_that_gets_no_more_invocations_ends_with_its_last_response() {
    let service = Arc::new(Service::without_process(BINARY).await);
    let given_up = Arc::new(Notify::new());
    let function = Function::start(
        Path::new(BINARY),
        &service.environment(&[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]),
        {
            let given_up = Arc::clone(&given_up);
            move |line| {
                if line.contains("no more invocations") {
                    given_up.notify_one();
                }
            }
        },
    )
    .expect("the function's binary");
    service.proxy.hold();
    let requests = send_at_once(&service, 2);
    service.proxy.wait_for_calls(2).await;
    service.runtime_api.hand_out_no_more();
    tokio::select! {
        given_up = timeout(Duration::from_mins(1), given_up.notified()) => given_up.expect("it gives up"),
        status = async { function.end().status().await } => panic!("it ended: {status}"),
    }
    service.proxy.release();
    assert_eq!(requests.join_all().await, [201, 201]);
    assert!(!function.end().status().await.success());
    let lines = function.stop().await;
    assert_eq!(entries(&lines).len(), 2, "{lines:?}");
    assert_eq!(lines.len(), 3, "it says once that it ends: {lines:?}");
}

#[tokio::test]
async fn client_context_and_cognito_identity_are_never_read() {
    for concurrency in ["1", "4"] {
        let service = Service::without_process(BINARY).await;
        service.add_process(&[("AWS_LAMBDA_MAX_CONCURRENCY", concurrency)]);
        let event = service.request("Ada", "ada@acme.de").event().to_string();
        for text in [
            "no JSON: ada@acme.de",
            r#"{"custom":{"dd":{"trace":"ada@acme.de"}}}"#,
            "[]",
        ] {
            for name in ["Lambda-Runtime-Client-Context", "Lambda-Runtime-Cognito-Identity"] {
                let deadline = SystemTime::now() + Duration::from_secs(10);
                let headers = vec![(name, text.to_owned())];
                let outcome = service
                    .while_running(service.runtime_api.invoke_with(&event, deadline, headers))
                    .await;
                let Outcome::Response(response) = outcome else {
                    panic!("{name}: {text}: {outcome:?}")
                };
                assert!(matches!(Answer::of(&response).status, 200 | 201), "{name}: {text}");
            }
        }
        let lines = service.stop().await;
        assert_eq!(entries(&lines).len(), lines.len(), "{lines:?}");
        assert!(!lines.concat().contains("ada@"), "{lines:?}");
    }
}

#[tokio::test]
async fn a_panic_is_500_leaves_its_place_in_the_log_and_the_process_serves_the_next_request() {
    let service = Service::without_process(BINARY).await;
    // The memory that a process needs if it looks up no name, and so starts no thread.
    let function = service.process(&[]);
    assert_eq!(
        service.send(&service.request("Grace", "grace@acme.de")).await.status,
        201
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.id().expect("it runs"))).expect("Linux");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let limit = kib("VmPeak:") + 1024;
    function.stop().await;

    // Less than a thread's stack is left, so tokio can't start the look-up's thread and panics.
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", &format!("ulimit -S -v {limit} && exec \"$0\""), BINARY])
        .env_clear()
        .envs(service.environment(&[(
            "AWS_ENDPOINT_URL_DYNAMODB",
            &service.proxy.url.replace("127.0.0.1", "localhost"),
        )]));
    let function = Function::run(command, |_| {}).expect("a shell");
    let request = service.request("Ada", "ada@acme.de");
    let answer = service.send(&request).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    let unlimited = Command::new("prlimit")
        .args(["--as=unlimited", "--pid", &function.id().expect("it runs").to_string()])
        .status();
    assert!(unlimited.expect("prlimit").success());
    assert_eq!(service.send(&request).await.status, 201);

    let lines = function.stop().await;
    let panics: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .filter(|line: &Value| line["message"] == "panic")
        .collect();
    let place = panics.last().expect("a panic")["place"].as_str().expect("its place");
    assert!(
        Path::new(place.split(':').next().expect("a path"))
            .extension()
            .is_some(),
        "{place}"
    );
    let entry = entries(&lines).remove(0);
    assert_eq!(
        (&entry["outcome"], &entry["operation"]),
        (&"fault".into(), &"BatchGetItem".into())
    );
    assert!(
        !lines.concat().contains("spawn"),
        "the panic's payload is in no line: {lines:?}"
    );
}
