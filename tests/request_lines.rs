//! The log entry that each request leaves (`docs/contract.md#8-logs`): one run through every outcome.
//!
//! The entries are kept in `request-lines.jsonl` in Cargo's directory for tests. `.ci/check_operations.sh` runs the template's metric
//! filter over them and counts their bytes.

use std::{env, fs, path::Path};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::{Router, http::StatusCode};
use harness::{
    engine::{Engine, Tables},
    fixture::{self, Key},
    function::Function,
    runtime_api::{Outcome, RuntimeApi},
    service::{API_REQUEST_ID, Request},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const KEY: &str = "sf_test_v1_RequestLinesRequestLines";
const KEY_WITHOUT_SCOPE: &str = "sf_test_v1_WithoutScopeWithoutScope";
const KEY_ID: &str = "key_abcdefghijklmnop";
const TENANT: &str = "0198c1a5-6f00-7000-8000-00000000000a";
const WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000001";
const UNKNOWN_WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000009";

fn event(method: &str, path: &str, content_type: &str, key: &str, body: &str) -> String {
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: vec![
            ("authorization".to_owned(), format!("Bearer {key}")),
            ("content-type".to_owned(), content_type.to_owned()),
        ],
        body: Some(body.to_owned()),
    };
    request.event().to_string()
}

fn post(key: &str, body: &str) -> String {
    event("POST", "/api/contacts", "application/json", key, body)
}

fn contact(workspace: &str, name: &str) -> String {
    json!({ "workspaceId": workspace, "name": name, "email": "henrik@acme-customer.de" }).to_string()
}

const THROTTLING_REASON: &str = "TableReadKeyRangeThroughputExceeded";

/// A DynamoDB that throttles every call.
async fn throttling_engine() -> Engine {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(|| async {
        let error = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException",
            "throttlingReasons": [{ "reason": THROTTLING_REASON, "resource": "arn:aws:dynamodb:::table/keys" }],
        });
        (StatusCode::BAD_REQUEST, error.to_string())
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    Engine::at(&url)
}

/// Sends the events to a new process of the function and returns the entries that it wrote.
async fn entries(environment: Vec<(String, String)>, events: &[String]) -> Vec<Value> {
    let runtime_api = RuntimeApi::start().await.expect("a port");
    let environment = [runtime_api.environment(), environment].concat();
    let program = Path::new(env!("CARGO_BIN_EXE_create-contact"));
    let function = Function::start(program, &environment, |_| {}).expect("the function");
    for event in events {
        assert!(matches!(runtime_api.invoke(event).await, Outcome::Response(_)));
    }
    let lines = function.stop().await;
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

fn outcomes(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry["outcome"].as_str().expect("an outcome"))
        .collect()
}

/// `created` is the first entry of a process.
fn the_first_entry_has_these_members_and_no_others(created: &Value) {
    let mut members: Vec<&str> = created
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    let mut expected = [
        "timestamp",
        "level",
        "message",
        "requestId",
        "apiRequestId",
        "status",
        "outcome",
        "durationMs",
        "databaseMs",
        "databaseAttempts",
        "tenantId",
        "workspaceId",
        "keyId",
        "initMs",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert!(created["initMs"].as_f64() > Some(0.0), "{created}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_leaves_one_entry_that_says_what_an_operator_needs() {
    let engine = Engine::embedded(None).expect("an engine");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let tables = engine.create_tables(&template, "").await.expect("tables");
    let client = engine.client();
    fixture::put_workspace(&client, &tables, WORKSPACE, TENANT).await;
    fixture::put_key(&client, &tables, &Key::of(KEY, TENANT)).await;
    client
        .update_item()
        .table_name(&tables.api_keys)
        .key("keyHash", AttributeValue::S(fixture::key_hash(KEY)))
        .update_expression("SET keyId = :keyId")
        .expression_attribute_values(":keyId", AttributeValue::S(KEY_ID.to_owned()))
        .send()
        .await
        .expect("the key has an id");
    let without_scope = Key {
        scopes: &[],
        ..Key::of(KEY_WITHOUT_SCOPE, TENANT)
    };
    fixture::put_key(&client, &tables, &without_scope).await;

    let henrik = contact(WORKSPACE, "Henrik Larsen");
    let answered = [
        ("created", post(KEY, &henrik)),
        ("existing", post(KEY, &henrik)),
        ("conflict", post(KEY, &contact(WORKSPACE, "Hanne Larsen"))),
        ("invalid", post(KEY, "{}")),
        ("unauthenticated", post("no key", &henrik)),
        ("unauthenticated", post("sf_test_v1_UnknownUnknownUnknown", &henrik)),
        ("forbidden", post(KEY_WITHOUT_SCOPE, &henrik)),
        (
            "workspace_not_found",
            post(KEY, &contact(UNKNOWN_WORKSPACE, "Henrik Larsen")),
        ),
        ("too_large", post(KEY, &"x".repeat(65_537))),
        (
            "unsupported_media_type",
            event("POST", "/api/contacts", "text/plain", KEY, &henrik),
        ),
        (
            "method_not_allowed",
            event("GET", "/api/contacts", "application/json", KEY, ""),
        ),
        (
            "no_such_path",
            event("POST", "/api/contacts/", "application/json", KEY, &henrik),
        ),
    ];
    let events = answered.each_ref().map(|(_, event)| event.clone());
    let mut seen = entries(tables.environment(&engine), &events).await;
    assert_eq!(outcomes(&seen), answered.each_ref().map(|(outcome, _)| *outcome));

    let no_table = Tables {
        contacts: "NoSuchTable".to_owned(),
        ..tables.clone()
    };
    let fault = entries(no_table.environment(&engine), &[post(KEY, &henrik)]).await;
    assert_eq!(outcomes(&fault), ["fault"]);
    // Nothing listens on port 1.
    let nowhere = Engine::at("http://127.0.0.1:1");
    let unavailable = entries(tables.environment(&nowhere), &[post(KEY, &henrik)]).await;
    assert_eq!(outcomes(&unavailable), ["unavailable"]);
    let throttled = entries(tables.environment(&throttling_engine().await), &[post(KEY, &henrik)]).await;
    assert_eq!(outcomes(&throttled), ["throttled"]);
    assert_eq!(fault[0]["operation"], "PutItem");
    assert_eq!(throttled[0]["throttlingReasons"], json!([THROTTLING_REASON]));

    the_first_entry_has_these_members_and_no_others(&seen[0]);
    assert!(seen[1..].iter().all(|entry| entry.get("initMs").is_none()), "{seen:?}");
    for accepted in ["created", "existing", "conflict", "invalid", "workspace_not_found"] {
        let entry = seen
            .iter()
            .find(|entry| entry["outcome"] == accepted)
            .expect("an entry");
        assert_eq!(entry["keyId"], KEY_ID, "{entry}");
    }
    for entry in seen.iter().filter(|entry| entry["outcome"] == "unauthenticated") {
        assert!(entry.get("keyId").is_none(), "{entry}");
    }

    seen.extend(fault);
    seen.extend(throttled);
    seen.extend(unavailable);
    for entry in &seen {
        let failed = entry["status"].as_u64() >= Some(500);
        assert_eq!(entry["level"], if failed { "ERROR" } else { "INFO" }, "{entry}");
        assert_eq!(entry["apiRequestId"], API_REQUEST_ID);
        let asked_the_database = entry["databaseAttempts"].as_u64() > Some(0);
        assert_eq!(entry["databaseMs"].as_f64() > Some(0.0), asked_the_database, "{entry}");
        assert!(entry["databaseMs"].as_f64() <= entry["durationMs"].as_f64(), "{entry}");
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("request-lines.jsonl");
    let lines: Vec<String> = seen.iter().map(Value::to_string).collect();
    fs::write(kept, lines.join("\n")).expect("the entries are kept");
}
