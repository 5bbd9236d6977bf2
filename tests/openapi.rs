//! `openapi.yaml` is accurate: every example in it is sent to the function and gets what it promises, and its patterns accept what
//! the library accepts.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderValue};
use create_contact::{
    email::Email,
    name::Name,
    new_contact::{MEMBERS, NewContact},
    text,
};
use harness::{
    code_points,
    fixture::{self, DEMO_KEY, DEMO_READ_KEY, DEMO_RESTRICTED_KEY, DEMO_WORKSPACES},
    service::{Request, Service, openapi},
};
use icu_properties::{CodePointMapData, props::GeneralCategory};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_create-contact");
const UNKNOWN_KEY: &str = "sf_live_v1_nobodysnobodysnobodysnob";

/// A service with the examples' tenant, workspaces and keys, and some of its variables changed.
async fn service(changes: &[(&str, &str)]) -> Service {
    let service = Service::with(BINARY, changes).await;
    fixture::put_demo(&service.client, &service.tables).await;
    service
}

#[tokio::test]
async fn every_example_is_sent_and_gets_what_the_document_promises() {
    let document = openapi();
    let normal = service(&[]).await;
    let faulty = service(&[("CONTACTS_TABLE", "NoSuchTable")]).await;
    // Nothing listens on port 1.
    let unreachable = service(&[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")]).await;

    let mut examples: Vec<(u16, &str)> = Vec::new();
    for (status, response) in &document.responses {
        examples.extend(response.examples.keys().map(|name| (*status, name.as_str())));
    }
    // The contact is created before it can be found.
    examples.sort_by_key(|(_, name)| *name != "created");
    // Each example request gets the example response of the same name.
    for name in document.requests.keys() {
        assert!(examples.iter().any(|(_, found)| found == name), "{name}");
    }
    for (status, name) in &examples {
        let valid = Request::new(DEMO_KEY, &document.requests["created"]);
        let (service, request) = match *name {
            "bodyMissing" => (&normal, valid.body("")),
            "notJson" => (&normal, valid.body("name=Henrik")),
            "invalidMembers" => (&normal, valid.body(json!({"name": "Henrik Larsen", "email": "henrik"}))),
            "noKey" => (&normal, valid.without("authorization")),
            "unknownKey" => (&normal, valid.key(UNKNOWN_KEY)),
            "missingScope" => (&normal, valid.key(DEMO_READ_KEY)),
            "otherWorkspace" => (&normal, valid.key(DEMO_RESTRICTED_KEY)),
            "noSuchPath" => (&normal, valid.path("/api/contacts/")),
            "methodNotAllowed" => (&normal, valid.method("GET")),
            "bodyTooLarge" => (&normal, valid.body(" ".repeat(65_537))),
            "unsupportedMediaType" => (&normal, valid.header("content-type", "text/csv")),
            "compressedBody" => (&normal, valid.header("content-encoding", "gzip")),
            "fault" => (&faulty, valid),
            "unavailable" => (&unreachable, valid),
            name => (&normal, valid.body(&document.requests[name])),
        };
        // `send` checks each response against the document too.
        let response = service.send(&request).await;
        assert_eq!(response.status, *status, "{name}");
        let documented = &document.responses[status];
        for header in documented.header_names() {
            let is_expected = header != "accept-encoding" || *name == "compressedBody";
            assert_eq!(!response.header(header).is_empty(), is_expected, "{name}: {header}");
        }
        let [mut body, mut example] = [response.body, documented.examples[*name].clone()];
        // These differ for each contact, so an example can't match them.
        for member in ["id", "createdAt", "updatedAt"] {
            for value in [&mut body, &mut example] {
                value.as_object_mut().unwrap().remove(member);
            }
        }
        assert_eq!(body, example, "{name}");
    }
    let has_example = |status| examples.iter().any(|(found, _)| found == status);
    assert!(document.responses.keys().all(has_example));
}

#[test]
fn a_status_a_header_or_a_member_that_the_document_does_not_promise_is_found() {
    let contact = &openapi().responses[&201].examples["created"];
    let id = contact["id"].as_str().unwrap();
    let location = format!("/api/contacts/{id}");
    let right = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("location", &location),
    ];
    // With a header changed, or removed if its value is empty.
    let check = |status, (name, value): (&'static str, &str), body: &Value| {
        let mut headers = HeaderMap::new();
        for (name, value) in right.into_iter().chain([(name, value)]) {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        if value.is_empty() {
            headers.remove(name);
        }
        openapi().check(status, &headers, body)
    };
    let unchanged = right[0];
    assert_eq!(check(201, unchanged, contact), Ok(()));
    check(202, unchanged, contact).unwrap_err();
    check(400, ("location", ""), contact).unwrap_err();
    for header in [
        ("location", ""),
        ("location", id),
        ("x-powered-by", "Rust"),
        ("cache-control", "no-cache"),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        check(201, header, contact).unwrap_err();
    }
    for member in contact.as_object().unwrap().keys() {
        let mut without = contact.clone();
        without.as_object_mut().unwrap().remove(member);
        check(201, unchanged, &without).unwrap_err();
    }
    for (member, value) in [
        ("name", json!("Henrik Larsen")),
        ("id", json!("crm-1")),
        ("resolutionStatus", json!("resolved")),
        ("firstName", json!(1)),
        ("phone", json!("030 123456")),
        ("createdAt", json!("2026-02-10 14:30")),
    ] {
        let mut changed = contact.clone();
        changed[member] = value;
        check(201, unchanged, &changed).unwrap_err();
    }
}

#[test]
fn the_schema_and_the_library_accept_the_same_values() {
    let long = "a".repeat(200);
    for (member, value) in [
        ("workspaceId", "0198C1A5-6f00-7000-8000-00000000000a"),
        ("workspaceId", "0198c1a56f007000800000000000000a"),
        ("workspaceId", "{0198c1a5-6f00-7000-8000-00000000000a}"),
        ("name", "👩\u{200d}👩\u{200d}👧 Smith"),
        ("name", "می\u{200c}خواهم"),
        ("name", " \u{200b}\u{3164}"),
        ("name", &long),
        ("name", &format!("{long}a")),
        ("email", "o'brien@mail.acme.co.uk"),
        ("email", "\u{feff}jan@ac\u{ad}me.de\u{200b}"),
        ("email", "jan"),
        ("email", "jan@localhost"),
        ("email", "jan@acme.de."),
        ("email", "\"jan\"@acme.de"),
        ("email", "ja..n@acme.de"),
        ("email", &format!("{long}{long}@acme.de")),
    ] {
        let mut body = json!({"workspaceId": DEMO_WORKSPACES[0], "name": "Ada", "email": "ada@acme.de"});
        body[member] = json!(value);
        let library = NewContact::parse(body.to_string().as_bytes()).is_ok();
        assert_eq!(openapi().accepts(member, &json!(value)), library, "{value:?}");
    }
    assert_eq!(openapi().members().collect::<BTreeSet<_>>(), MEMBERS.into());
    for member in MEMBERS {
        for value in [Value::Null, json!(1), json!(["jan@acme.de"])] {
            assert!(!openapi().accepts(member, &value), "{member}: {value}");
        }
    }
}

#[test]
fn the_schema_and_the_library_accept_the_same_names_for_every_code_point() {
    for c in code_points() {
        for name in [format!("{c}"), format!("a{c}b")] {
            let (schema, library) = (openapi().accepts("name", &json!(name)), Name::parse(&name).is_ok());
            // Without the flag `u`, a pattern can't name anything beyond U+FFFF.
            let is_excused = schema && c > '\u{ffff}';
            assert!(schema == library || is_excused, "{name:?}: {schema} {library}");
        }
    }
}

/// What can't be a pattern is excused, as the description of `email` says: a domain beyond ASCII must be valid by UTS 46, and before
/// the @ nothing may be unassigned or, beyond U+FFFF, invisible.
#[test]
fn the_schema_and_the_library_accept_the_same_addresses_for_every_code_point() {
    for c in code_points() {
        for email in [
            format!("a{c}b@acme.de"),
            format!("x@{c}.de"),
            format!("x@a{c}b.de"),
            format!("x@a{c}de"),
            format!("{c}jan@acme.de"),
            format!("jan@acme.de{c}"),
            format!("{c}@acme.de"),
        ] {
            let (schema, library) = (openapi().accepts("email", &json!(email)), Email::parse(&email).is_ok());
            let is_unassigned = || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::Unassigned;
            let is_excused = || schema && (c > '\u{ffff}' || is_unassigned() || !is_valid_by_uts_46(&email));
            assert!(schema == library || is_excused(), "{email:?}: {schema} {library}");
        }
    }
}

fn is_valid_by_uts_46(email: &str) -> bool {
    let (_, domain) = text::trim(email).rsplit_once('@').unwrap();
    let (hyphens, length) = (Hyphens::CheckFirstLast, DnsLength::Verify);
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, hyphens, length);
    ascii.is_ok()
}
