//! Processes that are frozen, killed, or busy with a request that hangs.

use std::{process::Command, sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    proxy::Fault,
    service::{Answer, Service},
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::BINARY;

fn signal(name: &str, process: u32) {
    let status = Command::new("kill")
        .args([name, &process.to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
}

#[tokio::test]
async fn a_connection_that_died_while_the_process_was_frozen_costs_a_retry_and_no_error() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let process = function.id().expect("it runs");
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
    for n in 0..5 {
        signal("-STOP", process);
        service.proxy.reset_idle_connections();
        signal("-CONT", process);
        let answer = service.send(&service.request("Ada", &format!("ada{n}@acme.de"))).await;
        assert_eq!(answer.status, 201);
    }
    assert_eq!(service.contacts().await.len(), 6);
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
    // The write is under way; it is applied when the item stands in the table.
    service.proxy.wait_for_calls(2).await;
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
    service.proxy.wait_for_calls(2).await;
    let mut others = JoinSet::new();
    for n in 0..50 {
        others.spawn(send(format!("ada{n}@acme.de")));
    }
    let answers: Vec<Answer> = others.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    assert!(!stuck.is_finished(), "it still hangs while fifty others were answered");
    let answer = tokio::time::timeout(Duration::from_secs(8), stuck)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(answer.status, 503);
    // Each counts its own attempts, however they take turns.
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
