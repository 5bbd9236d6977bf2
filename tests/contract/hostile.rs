//! Whatever is sent gets one of the contract's responses, never a 500 or an invocation error, and the process survives.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use harness::{
    runtime_api::Outcome,
    service::{Response, Service},
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::{BINARY, service};

/// Sends an event exactly as it is written. Anything but a response below 500 fails the test.
async fn survives(service: &Service, event: &str) -> Response {
    match service.while_running(service.runtime_api.invoke(event)).await {
        Outcome::Response(response) => {
            let response = Response::of(&response);
            assert!(response.status < 500, "{event:.500}: {response:?}");
            response
        }
        Outcome::Error(error) => panic!("{event:.500}: {error}"),
    }
}

#[tokio::test]
async fn hostile_bodies_get_a_response() {
    let service = service().await;
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let body = fs::read(entry.expect("a file").path()).expect("a body");
        let mut event = service.request("", "").event();
        event["isBase64Encoded"] = json!(true);
        event["body"] = json!(STANDARD.encode(body));
        let response = survives(&service, &event.to_string()).await;
        assert!(matches!(response.status, 400 | 413), "{response:?}");
        count += 1;
    }
    assert!(count >= 20, "{count} files");
}

#[tokio::test]
async fn hostile_events_get_a_response_in_bounded_memory() {
    let service = Service::without_process(BINARY).await;
    let function = service.process(&[]);
    let request = service.request("Ada Lovelace", "ada@acme.de");
    let with = |change: &dyn Fn(&mut Value)| {
        [request.event(), request.rest_event()].map(|mut event| {
            change(&mut event);
            event.to_string()
        })
    };
    let lines: Map<String, Value> = (0..40_000).map(|n| (format!("x-{n}"), json!("v"))).collect();
    let mut events = Vec::new();
    events.extend(with(&|event| {
        event["headers"].as_object_mut().expect("headers").extend(lines.clone());
    }));
    events.extend(with(&|event| event["headers"]["x-long"] = json!("v".repeat(1_000_000))));
    events.extend(with(&|event| {
        event["headers"]["authorization"] = json!("Bearer ".repeat(100_000));
    }));
    events.extend(with(&|event| {
        event["headers"]["content-type"] = json!(";".repeat(100_000));
    }));
    for host in ["", " ", "a b", "[::1", "\u{0}", "a,b", "é.example", "%zz"] {
        events.extend(with(&|event| event["headers"]["host"] = json!(host)));
        events.extend(with(&|event| event["headers"]["x-forwarded-proto"] = json!(host)));
        events.extend(with(&|event| event["requestContext"]["domainName"] = json!(host)));
        events.extend(with(&|event| event["rawQueryString"] = json!(host)));
        events.extend(with(&|event| event["queryStringParameters"] = json!({host: host})));
    }
    for path in [
        "",
        "?",
        "api/contacts",
        &"/a".repeat(50_000),
        "/api/contacts\u{0}",
        "//",
        "http://[",
        "/%",
        "\\..\\api",
    ] {
        events.extend(with(&|event| {
            event["rawPath"] = if event.get("rawPath").is_some() {
                json!(path)
            } else {
                Value::Null
            };
            event["path"] = json!(path);
        }));
    }
    for method in ["", " ", "PÖST", "POST POST", &"M".repeat(100_000)] {
        events.extend(with(&|event| {
            event["httpMethod"] = json!(method);
            if event["requestContext"]["http"].is_object() {
                event["requestContext"]["http"]["method"] = json!(method);
            }
        }));
    }
    events.extend(with(&|event| event["body"] = json!(" ".repeat(5_000_000))));
    for event in events.iter().cycle().take(events.len() * 2) {
        survives(&service, event).await;
    }
    assert_eq!(
        service.send(&request).await.status,
        200,
        "the process lives, and the harmless ones were taken"
    );
    // Linux reports the peak of a process's memory. The largest event is 5 MB, and memory must not grow from event to event.
    if let Some(peak) = function.id().and_then(peak_memory) {
        assert!(peak < 100_000, "{peak} kB");
    }
}

/// A process's peak memory, in kB.
fn peak_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Checks a property on the service. Its cases are sent one after another.
async fn property<S: Strategy<Value = Value> + Send + 'static>(service: Service, strategy: S) {
    let handle = Handle::current();
    let service = std::sync::Arc::new(service);
    tokio::task::spawn_blocking(move || {
        TestRunner::default()
            .run(&strategy, |change| {
                let request = service.request("Ada", "ada@acme.de");
                for mut event in [request.event(), request.rest_event()] {
                    for (member, value) in change.as_object().expect("an object") {
                        if member == "headers" && event.get("multiValueHeaders").is_some() {
                            event["multiValueHeaders"] = Value::Null;
                        }
                        event[member] = value.clone();
                    }
                    handle.block_on(survives(&service, &event.to_string()));
                }
                Ok(())
            })
            .unwrap_or_else(|failure| panic!("{failure}"));
    })
    .await
    .expect("the property holds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_as_body_get_a_response() {
    let bytes = vec(any::<u8>(), 0..2_000);
    property(
        service().await,
        bytes.prop_map(|bytes| json!({"body": STANDARD.encode(bytes), "isBase64Encoded": true})),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_text_as_body_gets_a_response() {
    let text = (any::<String>(), any::<bool>());
    property(
        service().await,
        text.prop_map(|(text, base64)| json!({"body": text, "isBase64Encoded": base64})),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_members_get_a_response() {
    let value = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-zA-Z,.' ]{0,40}@?[a-z0-9.-]{0,40}".prop_map(Value::from),
        vec(any::<String>(), 0..3).prop_map(Value::from),
    ];
    let members = (value.clone(), value.clone(), value);
    property(
        service().await,
        members.prop_map(
            |(id, name, email)| json!({"body": json!({"workspaceId": id, "name": name, "email": email}).to_string()}),
        ),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_headers_get_a_response() {
    let lines = vec((any::<String>(), any::<String>()), 0..20);
    property(
        service().await,
        (lines, any::<String>(), any::<String>()).prop_map(|(lines, authorization, content_type)| {
            let mut headers: Map<String, Value> = lines
                .into_iter()
                .map(|(name, value)| (name, Value::from(value)))
                .collect();
            headers.insert("authorization".to_owned(), authorization.into());
            headers.insert("content-type".to_owned(), content_type.into());
            json!({"headers": headers})
        }),
    )
    .await;
}
