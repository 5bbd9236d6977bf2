//! A write whose outcome is unknown, in every interleaving.
//!
//! The model has callers that send the same address until they have a response, requests that retry their write if no
//! response comes, a network that loses or delays writes and responses, and processes that crash. The search visits every
//! reachable state. The meaning of a failed condition is not part of the model: the service's own code decides it.

use std::collections::HashSet;

use chrono::Utc;
use create_contact::{contact::StoredContact, name::Name, new_contact::NewContact, store::Written};
use serde_json::json;
use uuid::Uuid;

/// The most times that a request sends its write.
const SENDS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    /// The caller has not sent it yet, because its earlier attempt has not ended.
    Unsent,
    /// Waiting for a response; this many attempts are left.
    Waiting(u8),
    /// Ended with this status, or with none: the process crashed, or the response to the caller was lost.
    Ended(Option<u16>),
}

/// DynamoDB's response to one attempt of a write: it was applied (`None`), or the table already had this request's item.
type Response = Option<usize>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    /// The request whose item is in the table.
    item: Option<usize>,
    requests: Vec<Request>,
    /// The attempts of writes that have not arrived yet, by request, sorted.
    writes: Vec<usize>,
    /// The responses that have not arrived yet, sorted.
    responses: Vec<(usize, Response)>,
}

/// The contact that a request with this name would create.
fn contact(name: &str) -> StoredContact {
    let body = json!({"workspaceId": Uuid::nil(), "name": name, "email": "ada@acme.de"}).to_string();
    let new = NewContact::parse(body.as_bytes()).expect("a new contact");
    StoredContact::create(&new, Uuid::nil(), Utc::now())
}

struct World {
    /// The name in each request; the attempts of one caller are adjacent.
    names: Vec<String>,
    tries: usize,
    /// The status of a request whose write found an item, indexed by the request and by the request that wrote the item.
    statuses: Vec<Vec<u16>>,
}

impl World {
    /// One caller for each of these names, all with the same address, each with `tries` attempts.
    fn new(names: &[&str], tries: usize) -> Self {
        let names: Vec<String> = names
            .iter()
            .flat_map(|&name| std::iter::repeat_n(name.to_owned(), tries))
            .collect();
        let contacts: Vec<StoredContact> = names.iter().map(|name| contact(name)).collect();
        let status = |ours: &StoredContact, found: &StoredContact| {
            let name = Name::parse(ours.name.as_deref().expect("this service stores a name")).expect("a name");
            match Written::after_failed_condition(&name, ours.clone(), found.clone()) {
                Written::Created(_) => 201,
                Written::Existing(_) => 200,
                Written::Conflict(_) => 409,
            }
        };
        let statuses = contacts
            .iter()
            .map(|ours| contacts.iter().map(|found| status(ours, found)).collect())
            .collect();
        Self { names, tries, statuses }
    }

    fn start(&self) -> State {
        State {
            item: None,
            requests: vec![Request::Unsent; self.names.len()],
            writes: vec![],
            responses: vec![],
        }
    }

    /// Whether a caller may send this request now: it is its first, or the one before it ended without a final response.
    fn may_send(&self, state: &State, request: usize) -> bool {
        state.requests[request] == Request::Unsent
            && (request.is_multiple_of(self.tries)
                || matches!(state.requests[request - 1], Request::Ended(None | Some(503))))
    }

    /// Every state that one step leads to.
    fn next(&self, state: &State) -> Vec<State> {
        let mut next = Vec::new();
        let mut step = |change: &dyn Fn(&mut State)| {
            let mut state = state.clone();
            change(&mut state);
            // A request that has ended waits for no response, so states that differ only in such responses are the same.
            let State {
                requests, responses, ..
            } = &mut state;
            responses.retain(|&(request, _)| matches!(requests[request], Request::Waiting(_)));
            state.writes.sort_unstable();
            state.responses.sort_unstable();
            next.push(state);
        };
        for request in 0..self.names.len() {
            match state.requests[request] {
                Request::Unsent if self.may_send(state, request) => step(&|state| {
                    state.requests[request] = Request::Waiting(SENDS - 1);
                    state.writes.push(request);
                }),
                Request::Waiting(left) => {
                    step(&|state| state.requests[request] = Request::Ended(None));
                    if let Some(left) = left.checked_sub(1) {
                        step(&|state| {
                            state.requests[request] = Request::Waiting(left);
                            state.writes.push(request);
                        });
                    } else {
                        step(&|state| state.requests[request] = Request::Ended(Some(503)));
                    }
                }
                Request::Unsent | Request::Ended(_) => {}
            }
        }
        for (at, &request) in state.writes.iter().enumerate() {
            step(&|state| _ = state.writes.remove(at));
            step(&|state| {
                state.writes.remove(at);
                // The condition: the item doesn't exist.
                let found = state.item;
                state.item = Some(found.unwrap_or(request));
                state.responses.push((request, found));
            });
        }
        for (at, &(request, response)) in state.responses.iter().enumerate() {
            step(&|state| _ = state.responses.remove(at));
            step(&|state| {
                state.responses.remove(at);
                if matches!(state.requests[request], Request::Waiting(_)) {
                    state.requests[request] =
                        Request::Ended(Some(response.map_or(201, |found| self.statuses[request][found])));
                }
            });
        }
        next
    }

    /// What must be true of every state and of every step.
    fn check(&self, state: &State, next: &State) {
        assert!(
            state.item.is_none() || state.item == next.item,
            "an item changed: {state:?} {next:?}"
        );
        let mut created = 0;
        for (request, ended) in next.requests.iter().enumerate() {
            let Request::Ended(Some(status)) = *ended else { continue };
            let same_name = next.item.map(|item| self.names[item] == self.names[request]);
            match status {
                201 => {
                    created += 1;
                    assert_eq!(next.item, Some(request), "201 for another's item: {next:?}");
                }
                200 => assert!(
                    same_name == Some(true) && next.item != Some(request),
                    "a false 200: {next:?}"
                ),
                409 => assert!(same_name == Some(false), "a false 409: {next:?}"),
                _ => assert_eq!(status, 503),
            }
        }
        assert!(created <= 1, "two were created: {next:?}");
    }

    /// Visits every state and returns their number.
    fn visit(&self) -> usize {
        let mut seen = HashSet::from([self.start()]);
        let mut waiting = vec![self.start()];
        while let Some(state) = waiting.pop() {
            for next in self.next(&state) {
                self.check(&state, &next);
                if seen.insert(next.clone()) {
                    waiting.push(next);
                }
            }
        }
        seen.len()
    }
}

#[test]
fn every_interleaving_has_one_item_and_at_most_one_201() {
    for (names, tries) in [
        (&["Ada"][..], 3),
        (&["Ada", "Ada"], 2),
        (&["Ada", "Eve"], 2),
        (&["Ada", "Ada", "Ada"], 1),
        (&["Ada", "Ada", "Eve"], 1),
    ] {
        let states = World::new(names, tries).visit();
        println!("{names:?} with {tries} tries each: {states} states");
        assert!(states > 1_000, "{names:?}: the search ended early");
    }
}
