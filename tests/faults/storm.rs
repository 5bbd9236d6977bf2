//! An import on a bad day: many rows, each sent twice, four processes, and a database that fails one call in five.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use harness::{proxy::Fault, service::Service};
use tokio::task::JoinSet;

use crate::BINARY;

const ROWS: usize = 1_000;
const PROCESSES: usize = 4;
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

/// The next random number (xorshift64; Marsaglia, "Xorshift RNGs", 2003).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Sends a row until it gets a final response, as an import does. Returns the status and the contact's id.
async fn import(service: &Service, row: usize) -> (u16, String) {
    let request = service.request(&format!("Row {row}"), &format!("row{row}@acme.de"));
    loop {
        let response = service.send(&request).await;
        if response.status != 503 {
            return (
                response.status,
                response.body["id"].as_str().unwrap_or_default().to_owned(),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_leaves_one_item_for_each_row() {
    let seed = env::var("STORM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or(Duration::from_secs(1));
            now.as_secs() ^ u64::from(now.subsec_nanos())
        });
    println!("STORM_SEED={seed}");
    let service = Service::without_process(BINARY).await;
    for _ in 0..PROCESSES {
        service.add_process(&[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]);
    }
    let random = Mutex::new(seed.max(1));
    service.proxy.plan(move |_, _| {
        let mut random = random.lock().expect("no holder panics");
        let fault = usize::try_from(next(&mut random) % 5).ok()? == 0;
        let which = usize::try_from(next(&mut random)).ok()? % FAULTS.len();
        fault.then_some(FAULTS[which])
    });
    let service = Arc::new(service);
    let mut imports = JoinSet::new();
    for row in (0..ROWS).chain(0..ROWS) {
        let service = Arc::clone(&service);
        imports.spawn(async move { (row, import(&service, row).await) });
    }
    let mut responses: BTreeMap<usize, Vec<(u16, String)>> = BTreeMap::new();
    for (row, response) in imports.join_all().await {
        responses.entry(row).or_default().push(response);
    }
    let stored: BTreeMap<String, String> = service
        .contacts()
        .await
        .iter()
        .map(|item| {
            (
                item["emailKey"].as_s().expect("a string").clone(),
                item["id"].as_s().expect("a string").clone(),
            )
        })
        .collect();
    assert_eq!(stored.len(), ROWS, "nothing left out, nothing twice");
    assert_eq!(stored.values().collect::<BTreeSet<_>>().len(), ROWS, "one id a row");
    for (row, responses) in responses {
        assert_eq!(responses.len(), 2);
        let id = &stored[&format!("row{row}@acme.de")];
        assert!(
            responses
                .iter()
                .all(|(status, found)| matches!(status, 200 | 201) && found == id),
            "{row}: {responses:?}"
        );
        assert!(
            responses.iter().filter(|(status, _)| *status == 201).count() <= 1,
            "{row}: {responses:?}"
        );
    }
    let calls = service.proxy.calls().len();
    println!("{ROWS} rows sent twice to {PROCESSES} processes: {calls} database calls");
}
