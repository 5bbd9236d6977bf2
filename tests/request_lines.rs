//! The line that each request leaves, and the metrics in it (contract, section 8): one run through every outcome.
//!
//! The lines are kept in `request-lines.jsonl` in Cargo's directory for tests: `.ci/operators` holds the template's alarms
//! against them.

use std::{collections::BTreeSet, env, fs, path::Path};

use axum::{Router, http::StatusCode};
use harness::{
    engine::{Engine, Tables},
    fixture::{self, Key},
    function::Function,
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const KEY: &str = "sf_test_v1_RequestLinesRequestLines";
const KEY_WITHOUT_SCOPE: &str = "sf_test_v1_WithoutScopeWithoutScope";
const TENANT: &str = "0198c1a5-6f00-7000-8000-00000000000a";
const WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000001";
const UNKNOWN_WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000009";

fn event(method: &str, path: &str, content_type: &str, key: &str, body: &str) -> String {
    json!({
        "version": "2.0",
        "rawPath": path,
        "headers": { "authorization": format!("Bearer {key}"), "content-type": content_type },
        "requestContext": {
            "http": { "method": method, "path": path },
            "requestId": "of-api-gateway",
            "stage": "$default",
        },
        "body": body,
        "isBase64Encoded": false,
    })
    .to_string()
}

fn post(key: &str, body: &str) -> String {
    event("POST", "/api/contacts", "application/json", key, body)
}

fn contact(workspace: &str, name: &str) -> String {
    json!({ "workspaceId": workspace, "name": name, "email": "henrik@acme-customer.de" }).to_string()
}

/// A DynamoDB that throttles whatever it is asked.
async fn throttling_engine() -> Engine {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(|| async {
        let error = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException" });
        (StatusCode::BAD_REQUEST, error.to_string())
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    Engine::at(&url)
}

/// Sends the events to a function of its own and gives the lines that it left.
async fn lines(environment: Vec<(String, String)>, events: &[String]) -> Vec<String> {
    let runtime_api = RuntimeApi::start().await.expect("a port");
    let environment = [runtime_api.environment(), environment].concat();
    let program = Path::new(env!("CARGO_BIN_EXE_create-contact"));
    let function = Function::start(program, &environment, |_| {}).expect("the function");
    for event in events {
        assert!(matches!(runtime_api.invoke(event).await, Outcome::Response(_)));
    }
    function.stop().await
}

fn outcomes(lines: &[String]) -> Vec<String> {
    let outcome = |line: &String| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        line["outcome"].as_str().expect("an outcome").to_owned()
    };
    lines.iter().map(outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_leaves_one_line_that_holds_its_metrics() {
    let engine = Engine::embedded(None).expect("an engine");
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let tables = engine.create_tables(&template, "").await.expect("tables");
    let client = engine.client();
    fixture::put_workspace(&client, &tables, WORKSPACE, TENANT).await;
    fixture::put_key(&client, &tables, &Key::of(KEY, TENANT)).await;
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
    let mut seen = lines(tables.environment(&engine), &events).await;
    assert_eq!(outcomes(&seen), answered.each_ref().map(|(outcome, _)| *outcome));

    let no_table = Tables {
        contacts: "NoSuchTable".to_owned(),
        ..tables.clone()
    };
    let fault = lines(no_table.environment(&engine), &[post(KEY, &henrik)]).await;
    assert_eq!(outcomes(&fault), ["fault"]);
    // Nothing listens on port 1.
    let nowhere = Engine::at("http://127.0.0.1:1");
    let unavailable = lines(tables.environment(&nowhere), &[post(KEY, &henrik)]).await;
    assert_eq!(outcomes(&unavailable), ["unavailable"]);
    let throttled = lines(tables.environment(&throttling_engine().await), &[post(KEY, &henrik)]).await;
    assert_eq!(outcomes(&throttled), ["throttled"]);
    seen.extend(fault);
    seen.extend(throttled);
    seen.extend(unavailable);

    for line in &seen {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().expect("directives");
        let mut metrics = BTreeSet::new();
        for directive in directives {
            for dimension in directive["Dimensions"][0].as_array().expect("a set of dimensions") {
                assert!(
                    line[dimension.as_str().expect("a name")].is_string(),
                    "{dimension} in {line}"
                );
            }
            for metric in directive["Metrics"].as_array().expect("metrics") {
                let name = metric["Name"].as_str().expect("a name");
                assert!(line[name].is_number(), "{name} in {line}");
                metrics.insert(name);
            }
        }
        let asked_the_database = line["databaseAttempts"].as_u64() > Some(0);
        assert_eq!(metrics.contains("databaseMs"), asked_the_database, "{line}");
        assert_eq!(line["databaseMs"].as_f64() > Some(0.0), asked_the_database, "{line}");
        assert!(line["databaseMs"].as_f64() <= line["durationMs"].as_f64(), "{line}");
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("request-lines.jsonl");
    fs::write(kept, seen.join("\n")).expect("the lines are kept");
}
