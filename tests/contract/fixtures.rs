//! `events/`: every event is sent, and its response compared with the file beside it.

use std::{fs, path::Path};

use harness::{fixture, service::Service};
use serde_json::Value;

use crate::BINARY;

/// `"{uuid}"` and `"{date-time}"` replace the values that are new in every run.
fn matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(expected), Value::String(found)) if expected.contains('{') => {
            let shape = found
                .split('/')
                .map(|part| match uuid::Uuid::try_parse(part) {
                    Ok(_) => "{uuid}",
                    Err(_) if chrono::DateTime::parse_from_rfc3339(part).is_ok() => "{date-time}",
                    Err(_) => part,
                })
                .collect::<Vec<_>>()
                .join("/");
            *expected == shape
        }
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|found| matches(value, found)))
        }
        _ => expected == found,
    }
}

#[tokio::test]
async fn every_event_gets_the_response_beside_it() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let mut statuses = Vec::new();
    for entry in fs::read_dir(&events).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".json") || name.ends_with(".response.json") {
            continue;
        }
        let service = Service::start(BINARY).await;
        fixture::put_demo(&service.client, &service.tables).await;
        let event: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let response = service.invoke(&event).await;
        let found = serde_json::json!({"status": response.status, "headers": response.headers, "body": response.body});
        let expected = path.with_extension("response.json");
        let expected: Value = serde_json::from_slice(&fs::read(expected).unwrap()).unwrap();
        assert!(
            matches(&expected, &found),
            "{name}\nexpected {expected}\nfound    {found}"
        );
        statuses.push(response.status);
    }
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(
        statuses,
        [200, 201, 400, 401, 403, 404, 405, 409, 413, 415],
        "an event for each response"
    );
}
