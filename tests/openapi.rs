//! `openapi.yaml` is accurate: every example in it is sent to the function and gets what it promises, and its patterns accept what
//! the library accepts.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use create_contact::{email::Email, name::Name, text};
use harness::{
    fixture::{self, DEMO_KEY, DEMO_READ_KEY, DEMO_RESTRICTED_KEY},
    openapi::OpenApi,
    service::{Request, Service},
};
use icu_properties::{CodePointMapData, props::GeneralCategory};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde_json::{Value, json};
use uuid::Uuid;

const BINARY: &str = env!("CARGO_BIN_EXE_create-contact");
const UNKNOWN_KEY: &str = "sf_live_v1_nobodysnobodysnobodysnob";

/// The members that differ for each contact, so an example can't match them.
const OF_ITS_OWN: [&str; 3] = ["id", "createdAt", "updatedAt"];

fn document() -> &'static OpenApi {
    static DOCUMENT: LazyLock<OpenApi> =
        LazyLock::new(|| OpenApi::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml")).unwrap());
    &DOCUMENT
}

/// A service with the examples' tenant, workspaces and keys, and some of its variables changed.
async fn service(changes: &[(&str, &str)]) -> Service {
    let service = Service::without_process(BINARY).await;
    fixture::put_demo(&service.client, &service.tables).await;
    service.add_process(changes);
    service
}

#[tokio::test]
async fn every_example_is_sent_and_gets_what_the_document_promises() {
    let document = document();
    let normal = service(&[]).await;
    let faulty = service(&[("CONTACTS_TABLE", "NoSuchTable")]).await;
    // Nothing listens on port 1.
    let unreachable = service(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")]).await;

    let promised = |name: &str| -> Vec<u16> {
        let responses = document.responses.iter();
        responses
            .filter(|(_, response)| response.examples.contains_key(name))
            .map(|(status, _)| *status)
            .collect()
    };
    // Each example request gets the example response of the same name. The contact is created before it can be found.
    let mut names = vec![
        "created",
        "lastNameFirst",
        "postNominals",
        "oneWord",
        "existing",
        "conflict",
        "workspaceNotFound",
    ];
    assert_eq!(
        document.requests.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        names.iter().copied().collect(),
    );
    names.extend(document.responses.values().flat_map(|response| {
        let names = response.examples.keys().map(String::as_str);
        names.filter(|name| !document.requests.contains_key(*name))
    }));

    let mut seen = BTreeSet::new();
    for name in names {
        let valid = Request {
            method: "POST".to_owned(),
            path: document.path.clone(),
            headers: vec![],
            body: None,
        }
        .header("authorization", &format!("Bearer {DEMO_KEY}"))
        .header("content-type", "application/json")
        .body(&document.requests["created"]);
        let with_key = |key: &str| valid.clone().header("authorization", &format!("Bearer {key}"));
        let (service, request) = match name {
            "bodyMissing" => (&normal, valid.body("")),
            "notJson" => (&normal, valid.body("name=Henrik")),
            "invalidMembers" => {
                let body = json!({"name": "Henrik Larsen", "email": "henrik"});
                (&normal, valid.body(body))
            }
            "noKey" => (&normal, valid.without("authorization")),
            "unknownKey" => (&normal, with_key(UNKNOWN_KEY)),
            "missingScope" => (&normal, with_key(DEMO_READ_KEY)),
            "otherWorkspace" => (&normal, with_key(DEMO_RESTRICTED_KEY)),
            "noSuchPath" => {
                let path = format!("{}/", document.path);
                (&normal, Request { path, ..valid })
            }
            "methodNotAllowed" => {
                let method = "GET".to_owned();
                (&normal, Request { method, ..valid })
            }
            "bodyTooLarge" => (&normal, valid.body(" ".repeat(65_537))),
            "unsupportedMediaType" => (&normal, valid.header("content-type", "text/csv")),
            "compressedBody" => (&normal, valid.header("content-encoding", "gzip")),
            "fault" => (&faulty, valid),
            "unavailable" => (&unreachable, valid),
            name => (&normal, valid.body(&document.requests[name])),
        };
        // `send` checks each response against the document too.
        let response = service.send(&request).await;
        assert_eq!(promised(name), [response.status], "{name}");
        let documented = &document.responses[&response.status];
        for header in documented.header_names() {
            let is_expected = header != "accept-encoding" || name == "compressedBody";
            assert_eq!(!response.header(header).is_empty(), is_expected, "{name}: {header}");
        }
        assert_same(name, &response.body, &documented.examples[name]);
        if response.status == 201 {
            assert_new(&response.body);
        }
        seen.insert(response.status);
    }
    assert_eq!(seen, document.responses.keys().copied().collect());
}

/// Asserts that two bodies are equal except for the members that are new with each contact.
fn assert_same(name: &str, body: &Value, example: &Value) {
    let (mut body, mut example) = (body.clone(), example.clone());
    for value in [&mut body, &mut example] {
        for member in OF_ITS_OWN {
            value.as_object_mut().unwrap().remove(member);
        }
    }
    assert_eq!(body, example, "{name}");
}

/// Asserts what a new contact has beyond `Contact`'s schema. That schema is for every contact, because the generators of clients
/// can't read a schema that narrows another one's types.
fn assert_new(contact: &Value) {
    let id: Uuid = contact["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(contact["id"], id.hyphenated().to_string());
    assert_eq!(contact["createdAt"], contact["updatedAt"]);
    let created_at = contact["createdAt"].as_str().unwrap();
    assert_eq!(created_at.len(), "2026-02-10T14:30:00.000Z".len());
    assert!(created_at.ends_with('Z'), "{created_at}");
}

#[test]
fn the_documents_examples_fit_its_schemas() {
    document().check_examples().unwrap();
}

#[test]
fn a_status_a_header_or_a_member_that_the_document_does_not_promise_is_found() {
    let document = document();
    let contact = document.responses[&201].examples["created"].clone();
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
        ("id", json!("crm-1")),
        ("tenantId", json!(1)),
        ("externalRef", json!(1)),
        ("resolutionStatus", json!("resolved")),
        ("firstName", json!(1)),
        ("lastName", json!(1)),
        ("phone", json!("030 123456")),
        ("companyName", json!(1)),
        ("createdAt", json!("2026-02-10 14:30")),
        ("updatedAt", json!(1_770_733_800)),
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
        ("email", " jan@acme\u{3002}de\n"),
        ("email", "\u{feff}jan@ac\u{ad}me.de\u{200b}"),
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
        ("name", json!("Bj\u{fffd}rn")),
        ("email", json!("j\u{fffd}rg@acme.de")),
        ("email", json!("ja\u{200b}n@acme.de")),
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

/// Every code point. The planes without characters (4 to 13) and for private use (15 and 16) are uniform, so one code point
/// in 4,096 is enough there.
fn code_points() -> impl Iterator<Item = char> {
    let sampled = ('\u{40000}'..='\u{dffff}').chain('\u{f0000}'..=char::MAX).step_by(4096);
    ('\0'..='\u{3ffff}').chain('\u{e0000}'..='\u{effff}').chain(sampled)
}

#[test]
fn the_schema_and_the_library_accept_the_same_names_for_every_code_point() {
    for c in code_points() {
        for name in [format!("{c}"), format!("a{c}b")] {
            let (schema, library) = (document().accepts("name", &name), Name::parse(&name).is_ok());
            // Without the flag `u`, a pattern can't name anything beyond U+FFFF.
            let is_excused = schema && c > '\u{ffff}';
            assert!(schema == library || is_excused, "{name:?}: {schema} {library}");
        }
    }
}

#[test]
fn the_schema_and_the_library_accept_the_same_addresses_for_every_code_point() {
    for c in code_points() {
        assert_same_verdict(c, &format!("a{c}b@acme.de"));
        for domain in [format!("{c}.de"), format!("a{c}b.de"), format!("a{c}de")] {
            assert_same_verdict(c, &format!("x@{domain}"));
        }
    }
}

#[test]
fn an_address_may_have_white_space_and_invisible_marks_around_it_and_nothing_else() {
    // White space and invisible marks are in the basic plane.
    for c in '\0'..='\u{ffff}' {
        for email in [
            format!("{c}jan@acme.de"),
            format!("jan@acme.de{c}"),
            format!("{c}@acme.de"),
        ] {
            assert_same_verdict(c, &email);
        }
    }
}

/// Asserts that schema and library agree. What can't be a pattern is excused, as the description of `email` says: a domain beyond
/// ASCII must be valid by UTS 46, and before the @ nothing may be unassigned or, beyond U+FFFF, invisible.
#[track_caller]
fn assert_same_verdict(c: char, email: &str) {
    let (schema, library) = (document().accepts("email", email), Email::parse(email).is_ok());
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_excused =
        || schema && (c > '\u{ffff}' || category == GeneralCategory::Unassigned || !is_valid_by_uts_46(email));
    assert!(schema == library || is_excused(), "{email:?}: {schema} {library}");
}

fn is_valid_by_uts_46(email: &str) -> bool {
    let (_, domain) = text::trim(email).rsplit_once('@').unwrap();
    Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .is_ok()
}
