//! `docs/contract.md#8-logs`: what a whole run writes to the logs, and what it never writes.
//!
//! One run's entries are kept in `log-entries.jsonl` in Cargo's directory for tests. `.ci/check_operations.sh` runs the template's
//! metric filters over them and counts their bytes.

use std::{fs, path::Path, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    fixture::key_hash,
    gateway::API_REQUEST_ID,
    proxy::Fault,
    runtime_api::Outcome,
    service::{Service, new_key},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{BINARY, service};

const KEY_ID: &str = "key_abcdefghijkl2345";

/// Gives the service's key an id and a label.
async fn label_key(service: &Service) {
    let request = service.client.update_item().table_name(&service.tables.api_keys);
    request
        .key("keyHash", AttributeValue::S(key_hash(&service.key)))
        .update_expression("SET keyId = :id, label = :label")
        .expression_attribute_values(":id", AttributeValue::S(KEY_ID.to_owned()))
        .expression_attribute_values(":label", AttributeValue::S("Zaphod's import".to_owned()))
        .send()
        .await
        .unwrap();
}

/// Most kinds of requests that the service responds to, and two events that it can't respond to. Returns the outcomes that the
/// log entries must have.
async fn one_of_each(service: &Service) -> Vec<&'static str> {
    let email = "zaphod@heart-of-gold.example";
    let good = service.request("Zaphod Beeblebrox", email);
    let scopeless = service.put_key(|key| key.scopes = vec![]).await;
    let requests = [
        (good.clone(), 201, "created"),
        (good.clone(), 200, "existing"),
        (service.request("Trillian Astra", email), 409, "conflict"),
        (
            service.request("Zaphod\0Beeblebrox", "zaphod@heart-of-gold"),
            400,
            "invalid",
        ),
        (good.clone().body(format!("{{\"{email}\": Beeblebrox")), 400, "invalid"),
        (good.clone().body(email.repeat(3_000)), 413, "too_large"),
        (
            good.clone().header("content-type", "text/beeblebrox"),
            415,
            "unsupported_media_type",
        ),
        (good.clone().key(&new_key()), 401, "unauthenticated"),
        (good.clone().key("zaphod-beeblebrox"), 401, "unauthenticated"),
        (good.clone().key(&scopeless), 403, "forbidden"),
        (
            good.clone().path(&format!("/api/contacts/{email}")),
            404,
            "no_such_path",
        ),
        (good.clone().method("GET"), 405, "method_not_allowed"),
        (
            service.request_in(&Uuid::new_v4().to_string(), "Zaphod", email),
            404,
            "workspace_not_found",
        ),
    ];
    let mut outcomes = Vec::new();
    for (request, status, outcome) in requests {
        assert_eq!(service.send(&request).await.status, status, "{outcome}");
        outcomes.push(outcome);
    }
    for (fault, status, outcome) in [
        (Fault::Error(400, "ValidationException"), 500, "fault"),
        (Fault::Error(400, "AccessDeniedException"), 500, "fault"),
        (Fault::Error(400, "ThrottlingException"), 503, "throttled"),
        (Fault::ResetAfter, 503, "unavailable"),
        (Fault::Cut, 503, "unavailable"),
        (Fault::NotJson, 503, "unavailable"),
        (Fault::HangBefore, 503, "unavailable"),
    ] {
        service
            .proxy
            .plan(move |_, call| (call.operation == "PutItem").then_some(fault));
        let response = service.send_with_deadline(&good, Duration::from_millis(1_500)).await;
        assert_eq!(response.status, status, "{fault:?}");
        outcomes.push(outcome);
    }
    for event in [json!(email), json!({"name": "Zaphod Beeblebrox"})] {
        let outcome = service.runtime_api.invoke(event.to_string()).await;
        assert!(matches!(outcome, Outcome::Error(_)), "{outcome:?}");
    }
    outcomes
}

#[tokio::test]
async fn each_request_leaves_one_log_entry_at_every_level_and_nothing_personal_is_logged() {
    for variable in [
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_LAMBDA_LOG_LEVEL", "FATAL"),
        ("AWS_LAMBDA_LOG_LEVEL", "nonsense=["),
        (
            "RUST_LOG",
            "trace,aws_smithy_runtime=trace,lambda_runtime=trace,hyper=trace",
        ),
        ("RUST_LOG", ""),
    ] {
        let service = Service::with(BINARY, &[variable]).await;
        label_key(&service).await;
        let outcomes = one_of_each(&service).await;
        let lines = service.stop();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("log-entries.jsonl");
        fs::write(kept, lines.join("\n")).unwrap();
        let log = lines.join("\n").to_lowercase();
        let personal = ["zaphod", "beeblebrox", "heart", "gold", "trillian", "astra", "sf_test"];
        for personal in personal
            .into_iter()
            .chain([&service.key[11..], &key_hash(&service.key)])
        {
            assert!(!log.contains(personal), "{personal} in {log}");
        }
        let entries: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        // No other line: a warning would have no outcome.
        let found: Vec<&str> = entries.iter().filter_map(|entry| entry["outcome"].as_str()).collect();
        assert_eq!(
            (found, entries.len()),
            (outcomes.clone(), outcomes.len()),
            "{variable:?}"
        );
        for entry in &entries {
            let failed = entry["status"].as_u64() >= Some(500);
            assert_eq!(entry["level"], if failed { "ERROR" } else { "INFO" }, "{entry}");
            let asked_the_database = entry["databaseAttempts"].as_u64() > Some(0);
            assert_eq!(entry["databaseMs"].as_f64() > Some(0.0), asked_the_database, "{entry}");
            let is_accepted = entry.get("tenantId").is_some() && entry["outcome"] != "forbidden";
            assert_eq!(entry.get("keyId").is_some(), is_accepted, "{entry}");
        }
    }
}

#[tokio::test]
async fn an_entry_has_ids_status_outcome_times_and_attempts() {
    let service = service().await;
    label_key(&service).await;
    assert_eq!(service.create("Ada", "ada@acme.de").await.status, 201);
    assert_eq!(service.create("Eve", "ada@acme.de").await.status, 409);
    let [created, conflict] = &service.entries()[..] else {
        panic!("two entries")
    };
    let mut members: Vec<&String> = created.as_object().unwrap().keys().collect();
    members.sort_unstable();
    let expected = "apiRequestId databaseAttempts databaseMs durationMs initMs keyId level message outcome requestId status \
                    tenantId timestamp workspaceId";
    assert_eq!(members, expected.split(' ').collect::<Vec<_>>());
    for (member, value) in [
        ("status", json!(201)),
        ("outcome", json!("created")),
        ("databaseAttempts", json!(2)),
        ("tenantId", json!(service.tenant_id)),
        ("workspaceId", json!(service.workspace_id)),
        ("keyId", json!(KEY_ID)),
        ("apiRequestId", json!(API_REQUEST_ID)),
    ] {
        assert_eq!(created[member], value, "{member}");
    }
    assert_eq!(created["requestId"].as_str().unwrap().len(), 36);
    let millis = |member: &str| created[member].as_f64().unwrap();
    assert!(0.0 < millis("databaseMs") && millis("databaseMs") < millis("durationMs"));
    assert!(millis("initMs") > 0.0);
    assert_eq!(conflict.get("initMs"), None, "only the first request's entry has it");
}

#[tokio::test]
async fn an_entry_has_the_reasons_for_throttling_and_no_other_text() {
    let service = service().await;
    for body in [
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"made up","throttlingReasons":[
            {"reason":"TableWriteKeyRangeThroughputExceeded","resource":"arn:aws:dynamodb:eu-central-1:1:table/t"},
            {"reason":"for ada@acme.de"}]}"#,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#SomethingAboutAda@acme.de","message":"made up"}"#,
    ] {
        service
            .proxy
            .plan(move |_, call| (call.operation == "PutItem").then_some(Fault::Body(400, body)));
        assert!(service.create("Ada", "ada@acme.de").await.status >= 500);
    }
    let [throttled, rejected] = &service.entries()[..] else {
        panic!("two entries")
    };
    assert_eq!(throttled["faultCode"], "ThrottlingException");
    assert_eq!(
        throttled["throttlingReasons"],
        json!(["TableWriteKeyRangeThroughputExceeded"])
    );
    assert_eq!(throttled["dynamodbRequestId"], "PROXYREQUESTID");
    assert_eq!(
        (&rejected["fault"], rejected.get("faultCode")),
        (&json!("rejected"), None)
    );
}

#[tokio::test]
async fn an_unreadable_workspace_is_404_and_a_fault_in_the_log() {
    let service = service().await;
    service.put_workspace(&service.workspace_id, "not a uuid").await;
    let response = service.create("Ada", "ada@acme.de").await;
    assert_eq!((response.status, response.error()), (404, "Workspace not found"));
    let entry = service.entries().remove(0);
    assert_eq!(entry["outcome"], "workspace_not_found");
    assert_eq!(entry["fault"], "malformed_item:tenantId");
    assert_eq!(entry["operation"], "BatchGetItem");
}
