//! `docs/contract.md#7-events`: what the function is invoked with. `events/` has the forms that API Gateway sends.

use harness::{runtime_api::Outcome, service::Response};
use serde_json::{Value, json};

use crate::service;

#[tokio::test]
async fn both_payload_formats_get_the_same_response() {
    let service = service().await;
    let request = service.request("Ada Lovelace", "ada@acme.de");
    let created = service.send(&request).await;
    assert_eq!(created.status, 201);
    for (event, headers, value) in [
        (request.event(), "headers", json!("no-store")),
        (request.rest_event(), "multiValueHeaders", json!(["no-store"])),
    ] {
        let Outcome::Response(raw) = service.runtime_api.invoke(event.to_string()).await else {
            panic!("{headers}")
        };
        assert_eq!(raw[headers]["cache-control"], value);
        let response = Response::of(&raw);
        assert_eq!((response.status, &response.text), (200, &created.text));
        assert_eq!(response.headers, created.headers);
    }
}

#[tokio::test]
async fn rest_api_headers_have_any_case_and_lists_may_be_missing() {
    let service = service().await;
    let event = service.request("Ada", "ada@acme.de").rest_event();
    let key = &event["headers"]["Authorization"];
    for (headers, lists, status) in [
        (event["headers"].clone(), Value::Null, 201),
        (Value::Null, event["multiValueHeaders"].clone(), 200),
        (
            json!({"AUTHORIZATION": key, "CONTENT-type": "application/json"}),
            json!({}),
            200,
        ),
        // Two keys are not a key.
        (event["headers"].clone(), json!({"Authorization": [key, key]}), 401),
    ] {
        let mut event = event.clone();
        event["headers"] = headers;
        event["multiValueHeaders"] = lists;
        assert_eq!(service.invoke(&event).await.status, status, "{event}");
    }
}

#[tokio::test]
async fn the_path_matches_with_and_without_the_stage_and_in_1_0_by_the_resource() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    assert_eq!(service.send(&request).await.status, 201);
    for (path, stage, status) in [
        ("/prod/api/contacts", json!("prod"), 200),
        ("/api/contacts", json!("prod"), 200),
        ("/api/contacts", Value::Null, 200),
        ("/prod/api/contacts", json!("test"), 404),
        ("/prod/prod/api/contacts", json!("prod"), 404),
        ("//api/contacts", json!(""), 404),
        ("prod/api/contacts", json!("prod"), 404),
        ("/prod", json!("prod"), 404),
    ] {
        let mut event = request.event();
        event["rawPath"] = json!(path);
        event["requestContext"]["stage"] = stage;
        // Only 1.0 has a resource. An event with an HTTP context is of 2.0, whatever else it holds.
        for (member, value) in [
            ("version", "1.0"),
            ("resource", "/api/contacts"),
            ("httpMethod", "GET"),
            ("path", "/elsewhere"),
        ] {
            event[member] = json!(value);
        }
        assert_eq!(service.invoke(&event).await.status, status, "{path}");
    }
    for (path, resource, status) in [
        ("/Prod/api/contacts", "/{proxy+}", 200),
        ("/Test/api/contacts", "/{proxy+}", 404),
        ("/crm/v1/api/contacts", "/api/contacts", 200),
    ] {
        let mut event = request.rest_event();
        event["path"] = json!(path);
        event["resource"] = json!(resource);
        assert_eq!(service.invoke(&event).await.status, status, "{path} {resource}");
    }
}

#[tokio::test]
async fn anything_else_is_an_invocation_error() {
    let service = service().await;
    let good = service.request("Ada", "ada@acme.de").event();
    let without = |pointer: &str| {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = Value::Null;
        event
    };
    let mut balancer = service.request("Ada", "ada@acme.de").rest_event();
    balancer["requestContext"] = json!({"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}});
    let mut authorizer = good.clone();
    authorizer["type"] = json!("REQUEST");
    let events = [
        json!({}),
        json!("ada@acme.de"),
        json!({"Records": [{"eventSource": "aws:sqs", "body": "ada@acme.de"}]}),
        json!({"requestContext": {"connectionId": "x", "eventType": "MESSAGE", "stage": "prod"}, "body": "ada@acme.de"}),
        without("/rawPath"),
        without("/requestContext"),
        without("/requestContext/http"),
        without("/requestContext/http/method"),
        balancer,
        authorizer,
    ];
    for event in events {
        let Outcome::Error(error) = service.runtime_api.invoke(event.to_string()).await else {
            panic!("{event}")
        };
        let message = "the event is neither an API Gateway HTTP API event (2.0) nor a REST API proxy event (1.0)";
        assert_eq!(error["errorMessage"], message, "{event}");
        assert!(!error.to_string().contains("ada@"), "{error}");
    }
    for payload in [&b""[..], b"{", b"ada@acme.de", b"{\"body\": \"\xff\"}"] {
        let outcome = service.runtime_api.invoke(payload).await;
        assert!(matches!(outcome, Outcome::Error(_)), "{outcome:?}");
    }
    assert_eq!(service.invoke(&good).await.status, 201);
}
