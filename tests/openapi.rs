//! `openapi.yaml` is true: every example in it is sent to the function and gets what it promises.

use std::{collections::BTreeSet, net::SocketAddr, path::Path};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use harness::{
    engine::{Engine, Tables},
    fixture::{self, Key},
    function::Function,
    gateway,
    openapi::OpenApi,
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};

const TENANT: &str = "0198c1a5-6f00-7000-8000-00000000000a";
const WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000001";
const OTHER_WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000002";

const KEY: &str = "sf_test_v1_everythingeverythingever";
const KEY_WITHOUT_SCOPE: &str = "sf_test_v1_withoutscopewithoutscope";
const KEY_FOR_OTHER_WORKSPACE: &str = "sf_test_v1_otherworkspaceotherworksp";
const UNKNOWN_KEY: &str = "sf_live_v1_nobodysnobodysnobodysnob";

/// What is new with each contact and so can't stand in an example.
const OF_ITS_OWN: [&str; 3] = ["id", "createdAt", "updatedAt"];

fn document() -> OpenApi {
    OpenApi::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml")).unwrap()
}

/// The function behind a Runtime API of its own.
struct Service {
    runtime_api: RuntimeApi,
    _function: Function,
}

impl Service {
    async fn start(engine: &Engine, tables: &Tables) -> Self {
        let runtime_api = RuntimeApi::start().await.unwrap();
        let environment = [runtime_api.environment(), tables.environment(engine)].concat();
        let program = Path::new(env!("CARGO_BIN_EXE_create-contact"));
        Self {
            _function: Function::start(program, &environment, |_| ()).unwrap(),
            runtime_api,
        }
    }

    async fn send(&self, request: Request) -> Answer {
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            headers.insert(name, HeaderValue::try_from(value).unwrap());
        }
        let client = SocketAddr::from(([127, 0, 0, 1], 1));
        let uri = request.path.parse().unwrap();
        let event = gateway::event(client, &request.method, &uri, &headers, &request.body).to_string();
        let Outcome::Response(answer) = self.runtime_api.invoke(&event).await else {
            panic!("the invocation failed");
        };
        Answer {
            status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: answer["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| {
                    let value = HeaderValue::try_from(value.as_str().unwrap()).unwrap();
                    (HeaderName::try_from(name).unwrap(), value)
                })
                .collect(),
            body: answer["body"].as_str().unwrap().to_owned(),
        }
    }
}

/// A request with everything right, unless it is changed.
struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    fn with(body: &Value) -> Self {
        Self {
            method: Method::POST,
            path: "/api/contacts".to_owned(),
            headers: vec![
                ("authorization", format!("Bearer {KEY}")),
                ("content-type", "application/json".to_owned()),
            ],
            body: body.to_string().into_bytes(),
        }
    }

    fn key(mut self, key: &str) -> Self {
        self.headers[0].1 = format!("Bearer {key}");
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

/// An engine with the tenant, its workspaces and its keys.
async fn database() -> (Engine, Tables) {
    let engine = Engine::embedded(None).unwrap();
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let tables = engine.create_tables(&template, "").await.unwrap();
    let client = engine.client();
    for workspace in [WORKSPACE, OTHER_WORKSPACE] {
        fixture::put_workspace(&client, &tables, workspace, TENANT).await;
    }
    let all = Key::of(KEY, TENANT);
    let no_scope = Key {
        key: KEY_WITHOUT_SCOPE,
        scopes: &["contacts:read"],
        ..all.clone()
    };
    let other_workspace = Key {
        key: KEY_FOR_OTHER_WORKSPACE,
        workspace_id: Some(OTHER_WORKSPACE),
        ..all.clone()
    };
    for key in [all, no_scope, other_workspace] {
        fixture::put_key(&client, &tables, &key).await;
    }
    (engine, tables)
}

#[tokio::test]
async fn every_example_is_sent_and_gets_what_the_document_promises() {
    let document = document();
    let (engine, tables) = database().await;
    let service = Service::start(&engine, &tables).await;
    let without_contacts_table = Tables {
        contacts: "NoSuchTable".to_owned(),
        ..tables.clone()
    };
    let faulty = Service::start(&engine, &without_contacts_table).await;
    // A port that nothing listens on.
    let unreachable = Service::start(&Engine::at("http://127.0.0.1:1"), &tables).await;

    let created = &document.requests["created"];
    let promised = |name: &str| -> Vec<u16> {
        let answers = document.answers.iter();
        answers
            .filter(|(_, answer)| answer.examples.contains_key(name))
            .map(|(status, _)| *status)
            .collect()
    };
    let mut seen = BTreeSet::new();
    // A request that stands in the document gets the answer of the same name; the contact must be there before it is there
    // again.
    let mut requests = vec![
        "created",
        "lastNameFirst",
        "oneWord",
        "existing",
        "conflict",
        "workspaceNotFound",
    ];
    assert_eq!(
        document.requests.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        requests.iter().copied().collect(),
    );
    requests.extend(document.answers.values().flat_map(|answer| {
        let names = answer.examples.keys().map(String::as_str);
        names.filter(|name| !document.requests.contains_key(*name))
    }));

    for name in requests {
        let (service, request) = match name {
            "bodyMissing" => (&service, Request::with(created).body("")),
            "notJson" => (&service, Request::with(created).body("name=Henrik")),
            "membersAtFault" => {
                let body = json!({"name": "Henrik Larsen", "email": "henrik"});
                (&service, Request::with(&body))
            }
            "noKey" => {
                let mut request = Request::with(created);
                request.headers.remove(0);
                (&service, request)
            }
            "unknownKey" => (&service, Request::with(created).key(UNKNOWN_KEY)),
            "missingScope" => (&service, Request::with(created).key(KEY_WITHOUT_SCOPE)),
            "otherWorkspace" => (&service, Request::with(created).key(KEY_FOR_OTHER_WORKSPACE)),
            "noSuchPath" => {
                let mut request = Request::with(created);
                request.path += "/";
                (&service, request)
            }
            "methodNotAllowed" => {
                let mut request = Request::with(created);
                request.method = Method::GET;
                (&service, request)
            }
            "bodyTooLarge" => (&service, Request::with(created).body(vec![b' '; 65_537])),
            "unsupportedMediaType" => {
                let mut request = Request::with(created);
                request.headers[1].1 = "text/csv".to_owned();
                (&service, request)
            }
            "fault" => (&faulty, Request::with(created)),
            "unavailable" => (&unreachable, Request::with(created)),
            name => (&service, Request::with(&document.requests[name])),
        };
        let answer = service.send(request).await;
        document
            .check(answer.status, &answer.headers, answer.body.as_bytes())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(promised(name), [answer.status], "{name}");
        let documented = &document.answers[&answer.status];
        for header in documented.header_names() {
            assert!(answer.headers.contains_key(header), "{name}: {header}");
        }
        assert_same(
            name,
            &serde_json::from_str(&answer.body).unwrap(),
            &documented.examples[name],
        );
        seen.insert(answer.status);
    }
    assert_eq!(seen, document.answers.keys().copied().collect());
}

/// Equal, but for the members that each contact has of its own.
fn assert_same(name: &str, body: &Value, example: &Value) {
    let (mut body, mut example) = (body.clone(), example.clone());
    for value in [&mut body, &mut example] {
        for member in OF_ITS_OWN {
            value.as_object_mut().unwrap().remove(member);
        }
    }
    assert_eq!(body, example, "{name}");
}

#[test]
fn the_documents_examples_fit_its_schemas() {
    document().check_examples().unwrap();
}

#[test]
fn a_status_a_header_or_a_member_that_the_document_does_not_promise_is_found() {
    let document = document();
    let contact = document.answers[&201].examples["created"].clone();
    let id = contact["id"].as_str().unwrap().to_owned();
    let headers = |lines: &[(&'static str, &str)]| -> HeaderMap {
        let all = [("content-type", "application/json"), ("cache-control", "no-store")];
        let lines = all.iter().chain(lines);
        lines
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    };
    let location = format!("/api/contacts/{id}");
    let right = headers(&[("location", &location)]);
    let check =
        |status, headers: &HeaderMap, body: &Value| document.check(status, headers, body.to_string().as_bytes());
    assert_eq!(check(201, &right, &contact), Ok(()));

    check(202, &right, &contact).unwrap_err();
    check(400, &headers(&[]), &contact).unwrap_err();

    check(201, &headers(&[]), &contact).unwrap_err();
    check(201, &headers(&[("location", &id)]), &contact).unwrap_err();
    check(
        201,
        &headers(&[("location", &location), ("x-powered-by", "Rust")]),
        &contact,
    )
    .unwrap_err();
    let mut twice = right.clone();
    twice.append("cache-control", HeaderValue::from_static("no-store"));
    check(201, &twice, &contact).unwrap_err();
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        let mut changed = right.clone();
        changed.insert(name, HeaderValue::from_static(value));
        check(201, &changed, &contact).unwrap_err();
    }

    for member in contact.as_object().unwrap().keys() {
        let mut without = contact.clone();
        without.as_object_mut().unwrap().remove(member);
        check(201, &right, &without).unwrap_err();
    }
    for (member, value) in [
        ("name", json!("Henrik Larsen")),
        ("id", json!("0198c1a5-6f00-4000-8000-000000000001")),
        ("tenantId", Value::Null),
        ("externalRef", json!("crm-1")),
        ("resolutionStatus", json!("crm_resolved")),
        ("firstName", Value::Null),
        ("lastName", json!(1)),
        ("phone", json!("+4930123456")),
        ("companyName", json!("")),
        ("createdAt", json!("2026-02-10T14:30:00Z")),
        ("updatedAt", json!("2026-02-10T14:30:00.000+00:00")),
    ] {
        let mut changed = contact.clone();
        changed[member] = value;
        check(201, &right, &changed).unwrap_err();
    }
    check(500, &headers(&[]), &json!({"message": "Internal Server Error"})).unwrap_err();
}

#[test]
fn the_request_schema_takes_what_is_right_and_refuses_what_a_schema_can_refuse() {
    let document = document();
    let with = |member: &str, value: Value| {
        let mut body = document.requests["created"].clone();
        body[member] = value;
        document.check_request(&body)
    };
    for (member, value) in [
        ("name", "Henrik\tLarsen"),
        ("name", "山田太郎"),
        ("name", "👩\u{200d}👩\u{200d}👧 Smith"),
        ("name", "می\u{200c}خواهم"),
        ("email", "Jan.Smit@ACME.DE"),
        ("email", "jörg@exämple.de"),
        ("email", "o'brien@mail.acme.co.uk"),
        ("note", "ignored"),
    ] {
        assert_eq!(with(member, value.into()), Ok(()), "{value:?}");
    }
    for (member, value) in [
        ("workspaceId", json!("0198c1a56f007000800000000000000a")),
        ("workspaceId", json!("{0198c1a5-6f00-7000-8000-00000000000a}")),
        ("name", json!("")),
        ("name", json!(" \u{200b}\u{3164}")),
        ("name", json!("Hen\0rik")),
        ("name", json!("\u{202e}nesraL")),
        ("name", json!("a".repeat(201))),
        ("name", Value::Null),
        ("email", json!("jan")),
        ("email", json!("jan@localhost")),
        ("email", json!("jan@ac_me.de")),
        ("email", json!("jan@acme.de.")),
        ("email", json!("\"jan\"@acme.de")),
        ("email", json!("ja..n@acme.de")),
        ("email", json!(["jan@acme.de"])),
        ("email", json!(format!("{}@acme.de", "d".repeat(250)))),
    ] {
        with(member, value.clone()).expect_err(&value.to_string());
    }
}
