//! An import under faults: many rows, each sent twice, four processes, and a database that fails one call in five.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    proxy::Fault,
    service::{Response, Service},
};
use tokio::task::JoinSet;

use crate::BINARY;

const ROWS: usize = 1_000;
/// What can go wrong with a call, except that it hangs: that would take seconds each time and is tested elsewhere.
const FAULTS: [Fault; 7] = [
    Fault::Error(400, "ThrottlingException"),
    Fault::Error(400, "ProvisionedThroughputExceededException"),
    Fault::Error(500, "InternalServerError"),
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::Cut,
    Fault::NotJson,
];

/// Sends a row until it gets a final response, as an import does.
async fn import(service: Arc<Service>, row: usize) -> (String, Response) {
    let email = format!("row{row}@acme.de");
    loop {
        let response = service.create(&format!("Row {row}"), &email).await;
        if response.status != 503 {
            return (email, response);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_leaves_one_item_for_each_row() {
    let service = Arc::new(Service::without_process(BINARY).await);
    for _ in 0..4 {
        service.add_process(&[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]);
    }
    service
        .proxy
        .plan(|_, _| (fastrand::u8(..5) == 0).then(|| FAULTS[fastrand::usize(..FAULTS.len())]));
    let rows = (0..ROWS).chain(0..ROWS);
    let imports: JoinSet<_> = rows.map(|row| import(Arc::clone(&service), row)).collect();
    let responses = imports.join_all().await;

    let text = |value: &AttributeValue| value.as_s().expect("a string").clone();
    let stored = service.contacts().await;
    let stored = stored.iter().map(|item| (text(&item["emailKey"]), text(&item["id"])));
    let stored: BTreeMap<String, String> = stored.collect();
    assert_eq!(stored.len(), ROWS, "nothing left out, nothing twice");
    let mut created = BTreeSet::new();
    for (email, response) in responses {
        assert!(matches!(response.status, 200 | 201), "{response:?}");
        assert_eq!(response.body["id"], stored[&email], "{response:?}");
        assert!(
            response.status == 200 || created.insert(email),
            "two were created: {response:?}"
        );
    }
}
