//! `docs/contract.md#8-logs`: what a whole run writes to the logs, and what it never writes.
//!
//! One run's entries are kept in `log-entries.jsonl` in Cargo's directory for tests. `.ci/check_operations.sh` runs the template's
//! metric filters over them and counts their bytes.

use std::{fs, path::Path, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    fixture::{Key, key_hash},
    proxy::Fault,
    runtime_api::Outcome,
    service::{Service, new_key},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::BINARY;

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

/// Most kinds of requests that the service responds to, and an event that it can't respond to.
async fn one_of_each(service: &Service) {
    let good = service.request("Zaphod Beeblebrox", "zaphod@heart-of-gold.example");
    let statuses = async |request: &_, expected: &[u16]| {
        let status = service.send(request).await.status;
        assert!(expected.contains(&status), "{status} is none of {expected:?}");
    };
    statuses(&good, &[201]).await;
    statuses(&good, &[200]).await;
    statuses(
        &service.request("Trillian Astra", "zaphod@heart-of-gold.example"),
        &[409],
    )
    .await;
    statuses(&service.request("Zaphod\0Beeblebrox", "zaphod@heart-of-gold"), &[400]).await;
    statuses(
        &good.clone().body("{\"zaphod@heart-of-gold.example\": Beeblebrox"),
        &[400],
    )
    .await;
    statuses(&good.clone().body("zaphod@heart-of-gold.example".repeat(3_000)), &[413]).await;
    statuses(&good.clone().header("content-type", "text/beeblebrox"), &[415]).await;
    statuses(
        &good.clone().header("authorization", &format!("Bearer {}", new_key())),
        &[401],
    )
    .await;
    statuses(
        &good.clone().header("authorization", "Bearer zaphod-beeblebrox"),
        &[401],
    )
    .await;
    let scopeless = new_key();
    service
        .put_key(&Key {
            scopes: &[],
            ..Key::of(&scopeless, &service.tenant_id)
        })
        .await;
    statuses(
        &good.clone().header("authorization", &format!("Bearer {scopeless}")),
        &[403],
    )
    .await;
    let mut elsewhere = good.clone();
    elsewhere.path = "/api/contacts/zaphod@heart-of-gold.example".to_owned();
    statuses(&elsewhere, &[404]).await;
    let mut get = good.clone();
    get.method = "GET".to_owned();
    statuses(&get, &[405]).await;
    let body = json!({"workspaceId": Uuid::new_v4(), "name": "Zaphod", "email": "zaphod@heart-of-gold.example"});
    statuses(&good.clone().body(body), &[404]).await;
    for fault in [
        Fault::Error(400, "ValidationException"),
        Fault::Error(400, "AccessDeniedException"),
        Fault::Error(400, "ThrottlingException"),
        Fault::ResetAfter,
        Fault::Cut,
        Fault::NotJson,
        Fault::HangBefore,
    ] {
        service
            .proxy
            .plan(move |_, call| (call.operation == "PutItem").then_some(fault));
        let response = service.send_with_deadline(&good, Duration::from_millis(1_500)).await;
        assert!(matches!(response.status, 500 | 503), "{fault:?}: {response:?}");
    }
    service.proxy.plan(|_, _| None);
    for event in [
        json!("zaphod@heart-of-gold.example"),
        json!({"name": "Zaphod Beeblebrox"}),
    ] {
        let outcome = service
            .while_running(service.runtime_api.invoke(&event.to_string()))
            .await;
        assert!(matches!(outcome, Outcome::Error(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn nothing_personal_is_logged_at_any_level() {
    for variables in [
        &[][..],
        &[("AWS_LAMBDA_LOG_LEVEL", "TRACE")],
        &[(
            "RUST_LOG",
            "trace,aws_smithy_runtime=trace,lambda_runtime=trace,hyper=trace,create_contact=trace",
        )],
        &[("AWS_LAMBDA_LOG_LEVEL", "nonsense=[")],
    ] {
        let service = Service::without_process(BINARY).await;
        service.add_process(variables);
        one_of_each(&service).await;
        let lines = service.stop().await;
        assert!(lines.len() > 15);
        let hash = key_hash(&service.key);
        for line in &lines {
            assert!(
                serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()),
                "one JSON object: {line}"
            );
            let lower = line.to_lowercase();
            for personal in [
                "zaphod",
                "beeblebrox",
                "heart",
                "gold",
                "trillian",
                "astra",
                "sf_test",
                &service.key[11..],
                &hash,
            ] {
                assert!(!lower.contains(&personal.to_lowercase()), "{personal} in {line}");
            }
        }
    }
}

#[tokio::test]
async fn each_request_leaves_one_log_entry_at_every_level() {
    for level in ["TRACE", "INFO", "WARN", "ERROR", "FATAL"] {
        let service = Service::without_process(BINARY).await;
        label_key(&service).await;
        service.add_process(&[("AWS_LAMBDA_LOG_LEVEL", level)]);
        one_of_each(&service).await;
        let lines = service.stop().await;
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("log-entries.jsonl");
        fs::write(kept, lines.join("\n")).unwrap();
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        // No other line: a warning would have no outcome.
        let outcomes: Vec<&str> = lines
            .iter()
            .map(|line| line["outcome"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(
            outcomes,
            [
                "created",
                "existing",
                "conflict",
                "invalid",
                "invalid",
                "too_large",
                "unsupported_media_type",
                "unauthenticated",
                "unauthenticated",
                "forbidden",
                "no_such_path",
                "method_not_allowed",
                "workspace_not_found",
                "fault",
                "fault",
                "throttled",
                "unavailable",
                "unavailable",
                "unavailable",
                "unavailable",
            ],
            "{level}"
        );
        for line in &lines {
            let failed = line["status"].as_u64() >= Some(500);
            assert_eq!(line["level"], if failed { "ERROR" } else { "INFO" }, "{line}");
            let asked_the_database = line["databaseAttempts"].as_u64() > Some(0);
            assert_eq!(line["databaseMs"].as_f64() > Some(0.0), asked_the_database, "{line}");
            let is_accepted = line.get("tenantId").is_some() && line["outcome"] != "forbidden";
            assert_eq!(line.get("keyId").is_some(), is_accepted, "{line}");
        }
    }
}

/// The entries of requests.
async fn entries(service: &Service) -> Vec<Value> {
    let lines = service.stop().await;
    let entries = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    entries.filter(|entry: &Value| entry.get("outcome").is_some()).collect()
}

#[tokio::test]
async fn an_entry_has_ids_status_outcome_times_and_attempts() {
    let service = Service::without_process(BINARY).await;
    label_key(&service).await;
    service.add_process(&[]);
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
    let other_workspace = service.request("Ada", "ada@acme.de").body(json!({
        "workspaceId": "0198c1a5-6f00-7000-8000-0000000000ff", "name": "Ada", "email": "ada@acme.de"
    }));
    assert_eq!(service.send(&other_workspace).await.status, 404);
    let [created, refused] = &entries(&service).await[..] else {
        panic!("two entries")
    };
    let mut members: Vec<&String> = created.as_object().unwrap().keys().collect();
    members.sort_unstable();
    let expected = "apiRequestId databaseAttempts databaseMs durationMs initMs keyId level message outcome requestId status \
                    tenantId timestamp workspaceId";
    assert_eq!(members, expected.split(' ').collect::<Vec<_>>());
    assert_eq!(created["status"], 201);
    assert_eq!(created["outcome"], "created");
    assert_eq!(created["databaseAttempts"], 2);
    assert_eq!(created["tenantId"], json!(service.tenant_id));
    assert_eq!(created["workspaceId"], json!(service.workspace_id));
    assert_eq!(created["keyId"], KEY_ID);
    assert_eq!(created["apiRequestId"], harness::service::API_REQUEST_ID);
    assert_eq!(created["requestId"].as_str().unwrap().len(), 36);
    let millis = |member: &str| created[member].as_f64().unwrap();
    assert!(0.0 < millis("databaseMs") && millis("databaseMs") < millis("durationMs"));
    assert!(millis("initMs") > 0.0);
    assert_eq!(refused["keyId"], KEY_ID, "whatever came of the request");
    assert_eq!(refused.get("initMs"), None, "only the first request's entry has it");
    assert!(
        !created.to_string().contains("Zaphod"),
        "the label stays out of the log"
    );
}

#[tokio::test]
async fn an_entry_has_the_reasons_for_throttling_and_no_other_text() {
    let service = Service::without_process(BINARY).await;
    service.add_process(&[]);
    let request = service.request("Ada", "ada@acme.de");
    for body in [
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"made up","throttlingReasons":[
            {"reason":"TableWriteKeyRangeThroughputExceeded","resource":"arn:aws:dynamodb:eu-central-1:1:table/t"},
            {"reason":"for ada@acme.de"}]}"#,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#SomethingAboutAda@acme.de","message":"made up"}"#,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#AnErrorCodeThatGoesOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOnAndOn"}"#,
    ] {
        service
            .proxy
            .plan(move |_, call| (call.operation == "PutItem").then_some(Fault::Body(400, body)));
        assert!(service.send(&request).await.status >= 500);
    }
    let entries = entries(&service).await;
    assert_eq!(entries[0]["faultCode"], "ThrottlingException");
    assert_eq!(
        entries[0]["throttlingReasons"],
        json!(["TableWriteKeyRangeThroughputExceeded"])
    );
    assert_eq!(entries[0]["dynamodbRequestId"], "PROXYREQUESTID");
    for entry in &entries[1..] {
        assert_eq!((&entry["fault"], entry.get("faultCode")), (&json!("rejected"), None));
    }
}

#[tokio::test]
async fn an_unreadable_workspace_is_404_and_a_fault_in_the_log() {
    let service = Service::without_process(BINARY).await;
    service.put_workspace(&service.workspace_id, "not a uuid").await;
    service.add_process(&[]);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.error()), (404, "Workspace not found"));
    let entry = entries(&service).await.remove(0);
    assert_eq!(entry["outcome"], "workspace_not_found");
    assert_eq!(
        (&entry["fault"], &entry["operation"]),
        (&json!("malformed_item:tenantId"), &json!("BatchGetItem"))
    );
}
