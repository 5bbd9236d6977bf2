//! `docs/contract.md#3-the-same-contact-twice`: what a repeated contact gets, and what is stored.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    fixture::{self, Item},
    service::Service,
};
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{BINARY, assert_refused, service};

#[tokio::test]
async fn the_same_address_and_name_again_is_200_with_the_stored_contact() {
    let service = service().await;
    let created = service.create("Henrik Larsen", "hënrik@exämple.de").await;
    assert_eq!(created.status, 201);
    let stored = service.contacts().await;
    for (name, email) in [
        ("Henrik Larsen", "hënrik@exämple.de"),
        ("  Henrik   Larsen ", "HËNRIK@xn--exmple-cua.de"),
        ("Larsen, Henrik", "he\u{308}nrik@EXA\u{308}MPLE.de"),
    ] {
        let again = service.create(name, email).await;
        assert_eq!((again.status, &again.text), (200, &created.text), "{name} {email}");
        assert_eq!(again.header("location"), created.header("location"));
    }
    for name in ["Henrik Larson", "henrik larsen", "Henrik"] {
        let conflict = service.create(name, "hënrik@exämple.de").await;
        assert_refused(&conflict, 409, &["another name"]);
        assert_eq!(conflict.header("location"), created.header("location"));
        for word in ["Henrik", "Larsen", "exämple", created.body["id"].as_str().unwrap()] {
            assert!(!conflict.text.contains(word), "{conflict:?}");
        }
    }
    assert_eq!(service.contacts().await, stored, "nothing written");

    let other = Uuid::new_v4().to_string();
    service.put_workspace(&other, &service.tenant_id).await;
    let elsewhere = service.request_in(&other, "Eve", "hënrik@exämple.de");
    assert_eq!(service.send(&elsewhere).await.status, 201, "another workspace");
}

#[tokio::test]
async fn a_request_made_from_a_response_finds_the_same_contact() {
    let service = service().await;
    for (name, email) in [
        ("Doe, John, Jr.", "John@Exämple.DE"),
        ("Ann Smith ,MBA,PhD", "info@ΚΑΦΕΣ-ΑΘΗΝΑ.gr"),
        ("Rahman, Md", "J\u{30c}an@straße.de"),
        ("\u{200b}, x", "x@xn--exmple-cua.de"),
        ("Acme,Inc.", "ΣΟΦΟΣ@acme.de"),
        ("José Ortega y Gasset", "İ@İstanbul.example"),
        ("Larsen,, Henrik, GmbH & Co. KG", "o'brien@mail.acme.co.uk"),
    ] {
        let created = service.create(name, email).await;
        assert_eq!(created.status, 201, "{name}: {created:?}");
        let shown = |member: &str| created.body[member].as_str();
        let names: Vec<&str> = [shown("firstName"), shown("lastName")].into_iter().flatten().collect();
        let again = service.create(&names.join(" "), shown("email").unwrap()).await;
        assert_eq!((again.status, &again.body), (200, &created.body), "{name}");
    }
}

/// A contact that another writer stored, with its key and these attributes.
fn item(service: &Service, attributes: &[(&str, &str)]) -> Item {
    let key = [("workspaceId", &*service.workspace_id), ("emailKey", "peter@acme.de")];
    fixture::item(&[&key, attributes].concat())
}

#[tokio::test]
async fn a_contact_that_another_writer_made_is_read_as_it_is() {
    let service = service().await;
    let id = Uuid::new_v4().to_string();
    let mut stored = item(&service, &[("id", &id), ("phone", "+4712345678")]);
    stored.insert("channel".to_owned(), AttributeValue::N("7".to_owned()));
    service.put_contact(stored.clone()).await;
    let response = service.create("Peter Müller", "Peter@acme.de").await;
    assert_eq!(response.status, 200, "a contact without a name contradicts none");
    assert_eq!(response.header("location"), format!("/api/contacts/{id}"));
    let expected = r#"{"id":"ID","tenantId":null,"externalRef":null,"resolutionStatus":"unresolved","firstName":null,"lastName":null,"email":null,"phone":"+4712345678","companyName":null,"createdAt":null,"updatedAt":null}"#;
    assert_eq!(response.text, expected.replace("ID", &id));
    assert_eq!(service.contacts().await, [stored], "nothing written");

    service.put_contact(item(&service, &[])).await;
    let response = service.create("Peter Müller", "peter@acme.de").await;
    assert_eq!((response.status, response.header("location")), (200, ""));
    assert_eq!(response.body["id"], Value::Null);

    for (name, value, status) in [
        (
            "resolutionStatus",
            AttributeValue::S("manually_resolved".to_owned()),
            200,
        ),
        ("resolutionStatus", AttributeValue::S("lost".to_owned()), 500),
        ("firstName", AttributeValue::N("1".to_owned()), 500),
    ] {
        let mut stored = item(&service, &[]);
        stored.insert(name.to_owned(), value.clone());
        service.put_contact(stored).await;
        let response = service.create("Peter Müller", "peter@acme.de").await;
        assert_eq!(response.status, status, "{name}: {value:?}");
    }
}

#[tokio::test]
async fn a_stored_contact_has_the_name_of_each_of_its_attributes() {
    let service = service().await;
    let parts = [("firstName", "Peter"), ("lastName", "Müller")];
    let whole = [parts[0], parts[1], ("name", "Peter Schmidt")];
    for (attributes, same, other) in [
        (&parts[..], &["Peter Müller", "Müller, Peter"][..], "Henrik Larsen"),
        (&parts[..1], &["Peter"], "Peter Müller"),
        (&parts[1..], &["Müller"], "Peter Müller"),
        (&whole, &["Peter Müller", "Peter Schmidt"], "Peter"),
        (
            &[("firstName", "Jo\u{308}rg"), ("lastName", "Müller ")],
            &["Jo\u{308}rg Müller ", "Jörg Müller"],
            "Jörg",
        ),
        (
            &[("firstName", "Ann"), ("lastName", "Lee(Sales)")],
            &["Ann Lee(Sales)"],
            "Ann Lee",
        ),
        (
            &[("firstName", "Berg,"), ("lastName", "Jan van")],
            &["Berg, Jan van"],
            "Berg Jan",
        ),
        (&[("firstName", "Ann"), ("lastName", "")], &["Ann"], "Ann Lee"),
    ] {
        service.put_contact(item(&service, attributes)).await;
        for name in same {
            let response = service.create(name, "peter@acme.de").await;
            assert_eq!(response.status, 200, "{name}: {attributes:?}");
        }
        let response = service.create(other, "peter@acme.de").await;
        assert_eq!(response.status, 409, "{other}: {attributes:?}");
    }
    service
        .put_contact(item(&service, &[("firstName", ""), ("lastName", "")]))
        .await;
    assert_eq!(service.create("Anybody", "peter@acme.de").await.status, 200);
}

#[tokio::test]
async fn four_processes_sent_the_same_contact_at_once_create_it_once() {
    let service = Arc::new(Service::without_process(BINARY).await);
    for _ in 0..4 {
        service.add_process(&[]);
    }
    for round in 0..10 {
        let mut requests = JoinSet::new();
        for _ in 0..4 {
            let service = Arc::clone(&service);
            requests.spawn(async move { service.create("Ada Lovelace", &format!("ada{round}@acme.de")).await });
        }
        let mut responses = requests.join_all().await;
        responses.sort_by_key(|response| response.status);
        let statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
        assert_eq!(statuses, [200, 200, 200, 201]);
        let is_same = |response: &harness::service::Response| response.text == responses[0].text;
        assert!(responses.iter().all(is_same), "the same body");
    }
    assert_eq!(service.contacts().await.len(), 10);
}
