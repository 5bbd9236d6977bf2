//! Whatever is sent gets one of the contract's responses, never a 500 or an invocation error, and the process survives.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use harness::service::Service;
use proptest::{collection::vec, prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::{BINARY, base64_event, service};

#[tokio::test]
async fn hostile_bodies_get_a_response() {
    let service = service().await;
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("a file").path();
        let event = base64_event(&service, fs::read(&path).expect("a body"));
        let response = service.invoke(&event).await;
        assert!(matches!(response.status, 400 | 413), "{path:?}: {response:?}");
        count += 1;
    }
    assert!(count >= 20, "{count} files");
}

#[tokio::test]
async fn hostile_events_get_a_response_in_bounded_memory() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let request = service.request("Ada Lovelace", "ada@acme.de");
    assert_eq!(service.send(&request).await.status, 201);
    let mut changes: Vec<(&[&str], Value)> = vec![
        (&["headers", "x-long"], json!("v".repeat(1_000_000))),
        (&["headers", "authorization"], json!("Bearer ".repeat(100_000))),
        (&["headers", "content-type"], json!(";".repeat(100_000))),
        (&["rawPath"], json!("/a".repeat(50_000))),
        (&["path"], json!("/a".repeat(50_000))),
        (&["httpMethod"], json!("M".repeat(100_000))),
        (&["httpMethod"], json!("PÖST POST")),
        (&["body"], json!(" ".repeat(5_000_000))),
    ];
    for path in [
        "",
        "?",
        "api/contacts",
        "/api/contacts\u{0}",
        "http://[",
        "/%",
        "\\..\\api",
    ] {
        changes.extend([(&["rawPath"][..], json!(path)), (&["path"], json!(path))]);
    }
    let mut events = Vec::new();
    for event in [request.event(), request.rest_event()] {
        let mut many = event.clone();
        let headers = many["headers"].as_object_mut().expect("headers");
        headers.extend((0..40_000).map(|n| (format!("x-{n}"), json!("v"))));
        events.push(many);
        for (place, value) in &changes {
            let mut event = event.clone();
            *place.iter().fold(&mut event, |at, name| &mut at[*name]) = value.clone();
            events.push(event);
        }
    }
    for event in events.iter().cycle().take(events.len() * 2) {
        let response = service.invoke(event).await;
        assert!(response.status < 500, "{response:?}");
    }
    // Linux reports the peak of a process's memory. The largest event is 5 MB, and memory must not grow from event to event.
    if let Some(peak) = function.peak_memory() {
        assert!(peak < 100_000, "{peak} kB");
    }
}

#[tokio::test]
async fn query_host_and_forwarded_headers_change_nothing() {
    let service = service().await;
    let request = service.request("Ada Lovelace", "ada@acme.de");
    assert_eq!(service.send(&request).await.status, 201);
    for text in [
        "",
        "a b\"<>=&workspaceId=x%zz",
        "[::1",
        "\u{0}",
        "a, c:99999/é",
        "DELETE",
    ] {
        for mut event in [request.event(), request.rest_event()] {
            for name in [
                "host",
                "x-forwarded-proto",
                "x-forwarded-host",
                "x-http-method-override",
                "bad name\n",
            ] {
                event["headers"][name] = json!(text);
            }
            for name in ["rawQueryString", "queryStringParameters", "routeKey"] {
                event[name] = json!(text);
            }
            for name in ["domainName", "path", "routeKey"] {
                event["requestContext"][name] = json!(text);
            }
            assert_eq!(service.invoke(&event).await.status, 200, "{event}");
        }
    }
}

/// What a caller can choose: the body as bytes, as text, or as JSON with these members, and the headers.
fn changes(workspace_id: String) -> impl Strategy<Value = Value> {
    let member = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-zA-Z,.' ]{0,40}@?[a-z0-9.-]{0,40}".prop_map(Value::from),
        vec(any::<String>(), 0..3).prop_map(Value::from),
    ];
    let contact = (member.clone(), member).prop_map(move |(name, email)| {
        let contact = json!({"workspaceId": workspace_id, "name": name, "email": email});
        json!({"body": contact.to_string()})
    });
    let headers = vec((any::<String>(), any::<String>()), 0..20);
    let headers = (headers, any::<String>(), any::<String>()).prop_map(|(headers, key, content_type)| {
        let headers = headers.into_iter().map(|(name, value)| (name, Value::from(value)));
        let mut headers: Map<String, Value> = headers.collect();
        headers.insert("authorization".to_owned(), key.into());
        headers.insert("content-type".to_owned(), content_type.into());
        json!({"headers": headers, "multiValueHeaders": null})
    });
    let bytes = vec(any::<u8>(), 0..2_000);
    prop_oneof![
        bytes.prop_map(|bytes| json!({"body": BASE64.encode(bytes), "isBase64Encoded": true})),
        (any::<String>(), any::<bool>()).prop_map(|(text, base64)| json!({"body": text, "isBase64Encoded": base64})),
        contact,
        headers,
    ]
}

#[tokio::test]
async fn any_body_and_any_headers_get_a_response() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    let changes = changes(service.workspace_id.clone());
    let mut runner = TestRunner::default();
    for _ in 0..1_000 {
        let change = changes.new_tree(&mut runner).expect("a value").current();
        for mut event in [request.event(), request.rest_event()] {
            let members = change.as_object().expect("members").clone();
            event.as_object_mut().expect("an event").extend(members);
            let response = service.invoke(&event).await;
            assert!(response.status < 500, "{event}: {response:?}");
        }
    }
}
