//! `docs/contract.md#7-events`: what the function is invoked with.

use harness::{
    runtime_api::{Outcome, TRACE_ID},
    service::Service,
};
use serde_json::{Value, json};

use crate::service;

async fn error_of(service: &Service, event: &str) -> Value {
    match service.while_running(service.runtime_api.invoke(event)).await {
        Outcome::Error(error) => error,
        Outcome::Response(response) => panic!("{event:.200} was answered: {response}"),
    }
}

#[tokio::test]
async fn both_payload_formats_get_the_same_response() {
    let service = service().await;
    let request = service.request("Ada Lovelace", "ada@acme.de");
    let http = service.send(&request).await;
    let rest = service.invoke(&request.rest_event()).await;
    assert_eq!((http.status, rest.status), (201, 200));
    assert_eq!(http.text, rest.text);
    assert_eq!(http.headers, rest.headers);

    let Outcome::Response(v2) = service
        .while_running(service.runtime_api.invoke(&request.event().to_string()))
        .await
    else {
        panic!()
    };
    assert_eq!(v2["headers"]["cache-control"], "no-store");
    let Outcome::Response(v1) = service
        .while_running(service.runtime_api.invoke(&request.rest_event().to_string()))
        .await
    else {
        panic!()
    };
    assert_eq!(v1["multiValueHeaders"]["cache-control"], json!(["no-store"]));
}

#[tokio::test]
async fn rest_api_headers_have_any_case_and_lists_may_be_missing() {
    let service = service().await;
    let event = service.request("Ada", "ada@acme.de").rest_event();
    for (headers, lists) in [
        (event["headers"].clone(), Value::Null),
        (Value::Null, event["multiValueHeaders"].clone()),
        (
            json!({"AUTHORIZATION": event["headers"]["Authorization"], "CONTENT-type": "application/json"}),
            json!({}),
        ),
    ] {
        let mut event = event.clone();
        event["headers"] = headers;
        event["multiValueHeaders"] = lists;
        assert!(matches!(service.invoke(&event).await.status, 200 | 201), "{event}");
    }
    let mut twice = event.clone();
    let line = event["headers"]["Authorization"].clone();
    twice["multiValueHeaders"]["Authorization"] = json!([line, line]);
    assert_eq!(service.invoke(&twice).await.status, 401, "two keys are no key");
}

#[tokio::test]
async fn the_path_matches_with_and_without_the_stage() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    let http = async |path: &str, stage: Value| {
        let mut event = request.event();
        event["rawPath"] = json!(path);
        event["requestContext"]["stage"] = stage;
        service.invoke(&event).await.status
    };
    assert_eq!(http("/api/contacts", json!("$default")).await, 201);
    assert_eq!(http("/prod/api/contacts", json!("prod")).await, 200);
    assert_eq!(http("/api/contacts", json!("prod")).await, 200);
    assert_eq!(http("/api/contacts", Value::Null).await, 200);
    for (path, stage) in [
        ("/prod/api/contacts", "test"),
        ("/prod/prod/api/contacts", "prod"),
        ("//api/contacts", ""),
        ("/prod/api/contacts/", "prod"),
        ("prod/api/contacts", "prod"),
        ("/PROD/api/contacts", "prod"),
        ("/prod", "prod"),
    ] {
        assert_eq!(http(path, json!(stage)).await, 404, "{path} on {stage}");
    }
    let mut rest = request.rest_event();
    rest["resource"] = json!("/{proxy+}");
    rest["path"] = json!("/Prod/api/contacts");
    assert_eq!(service.invoke(&rest).await.status, 200);
    rest["path"] = json!("/Test/api/contacts");
    assert_eq!(service.invoke(&rest).await.status, 404);
}

#[tokio::test]
async fn a_rest_api_behind_a_base_path_is_recognised_by_its_resource() {
    let service = service().await;
    let mut event = service.request("Ada", "ada@acme.de").rest_event();
    event["path"] = json!("/crm/v1/api/contacts");
    assert_eq!(service.invoke(&event).await.status, 201);
    event["rawPath"] = json!("/crm/v1/api/contacts");
    event["version"] = json!("2.0");
    assert_eq!(service.invoke(&event).await.status, 200);
    event["resource"] = json!("/{proxy+}");
    assert_eq!(service.invoke(&event).await.status, 404);
}

#[tokio::test]
async fn an_event_with_an_http_context_is_of_format_2() {
    let service = service().await;
    let mut event = service.request("Ada", "ada@acme.de").event();
    event["version"] = json!("1.0");
    event["resource"] = json!("/api/contacts");
    event["httpMethod"] = json!("GET");
    event["path"] = json!("/elsewhere");
    assert_eq!(service.invoke(&event).await.status, 201);
    event["rawPath"] = json!("/elsewhere");
    assert_eq!(service.invoke(&event).await.status, 404, "only 1.0 has a resource");
}

#[tokio::test]
async fn query_host_and_forwarded_headers_change_nothing() {
    let service = service().await;
    let mut event = service.request("Ada", "ada@acme.de").event();
    assert_eq!(service.invoke(&event).await.status, 201);
    event["rawQueryString"] = json!("a b\"<>=&workspaceId=x%zz\u{0}");
    event["requestContext"]["http"]["path"] = json!("/elsewhere");
    event["routeKey"] = json!("$default");
    event["headers"]["host"] = json!("a b, c:99999/é");
    event["headers"]["x-forwarded-proto"] = json!("https, http");
    event["headers"]["x-forwarded-host"] = json!("\u{7f}");
    event["headers"]["x-http-method-override"] = json!("DELETE");
    event["headers"]["bad name\n"] = json!("\r\n");
    assert_eq!(service.invoke(&event).await.status, 200);
    let mut rest = service.request("Ada", "ada@acme.de").rest_event();
    rest["queryStringParameters"] = json!({"a b": "<>\""});
    rest["headers"]["Host"] = json!("[::1");
    rest["multiValueHeaders"]["X-Forwarded-Proto"] = json!(["https", "http"]);
    assert_eq!(service.invoke(&rest).await.status, 200);
}

#[tokio::test]
async fn anything_else_is_an_invocation_error() {
    let service = service().await;
    let good = service.request("Ada", "ada@acme.de").event();
    let without = |event: &Value, pointer: &[&str]| {
        let mut event = event.clone();
        let (last, parents) = pointer.split_last().unwrap();
        let parent = parents.iter().fold(&mut event, |at, name| &mut at[*name]);
        parent.as_object_mut().unwrap().remove(*last);
        event
    };
    let mut balancer = service.request("Ada", "ada@acme.de").rest_event();
    balancer["requestContext"] = json!({"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}});
    let mut authorizer = good.clone();
    authorizer["type"] = json!("REQUEST");
    for event in [
        json!({}),
        json!([]),
        json!(null),
        json!("ada@acme.de"),
        json!({"Records": [{"eventSource": "aws:sqs", "body": "ada@acme.de"}]}),
        json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}),
        json!({"requestContext": {"connectionId": "x", "eventType": "MESSAGE", "stage": "prod"}, "body": "ada@acme.de"}),
        without(&good, &["rawPath"]),
        without(&good, &["requestContext"]),
        without(&good, &["requestContext", "http"]),
        without(&good, &["requestContext", "http", "method"]),
        balancer,
        authorizer,
    ] {
        let error = error_of(&service, &event.to_string()).await;
        assert!(!error.to_string().contains("ada@"), "{error}");
        let message = "the event is neither an API Gateway HTTP API event (2.0) nor a REST API proxy event (1.0)";
        assert_eq!(error["errorMessage"], message, "{event}");
    }
    for payload in [&b""[..], b"{", b"ada@acme.de", b"{\"body\": \"\xff\"}"] {
        let outcome = service.while_running(service.runtime_api.invoke(payload)).await;
        assert!(
            matches!(outcome, Outcome::Error(_)),
            "{}: {outcome:?}",
            payload.escape_ascii()
        );
    }
    assert_eq!(service.invoke(&good).await.status, 201);
}

#[tokio::test]
async fn the_invocations_trace_reaches_dynamodb() {
    let service = service().await;
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
    let traces: Vec<String> = service.proxy.calls().into_iter().map(|call| call.trace_id).collect();
    assert_eq!(traces, [TRACE_ID; 2]);
}
