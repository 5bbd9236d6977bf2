//! `events/`: every event is sent, and its response compared with the file beside it.

use std::{collections::BTreeSet, fs, path::Path};

use harness::{fixture, service::Service};
use serde_json::{Value, json};

use crate::BINARY;

/// Replaces the values that are new in every run with `"{uuid}"` and `"{date-time}"`, where the expected response has those.
fn generalise(found: &mut Value, expected: &Value) {
    match (found, expected) {
        (Value::Object(found), expected) => {
            for (name, value) in found {
                generalise(value, &expected[name]);
            }
        }
        (Value::String(text), Value::String(pattern)) if pattern.contains('{') => {
            let parts = text.split('/').map(|part| match uuid::Uuid::try_parse(part) {
                Ok(_) => "{uuid}",
                Err(_) if chrono::DateTime::parse_from_rfc3339(part).is_ok() => "{date-time}",
                Err(_) => part,
            });
            *text = parts.collect::<Vec<_>>().join("/");
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_event_gets_the_response_beside_it() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let read = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let mut statuses = BTreeSet::new();
    for entry in fs::read_dir(&events).unwrap() {
        let path = entry.unwrap().path();
        let expected = path.with_extension("response.json");
        if !expected.exists() {
            continue;
        }
        let service = Service::start(BINARY).await;
        fixture::put_demo(&service.client, &service.tables).await;
        let response = service.invoke(&read(&path)).await;
        let mut found = json!({"status": response.status, "headers": response.headers, "body": response.body});
        let expected = read(&expected);
        generalise(&mut found, &expected);
        assert_eq!(found, expected, "{path:?}");
        statuses.insert(response.status);
    }
    let expected = BTreeSet::from([200, 201, 400, 401, 403, 404, 405, 409, 413, 415]);
    assert_eq!(statuses, expected, "an event for each response");
}
