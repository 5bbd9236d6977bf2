//! `docs/contract.md#3-the-same-contact-twice`: what a repeated contact gets, and what is stored.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use harness::service::Service;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{BINARY, assert_refused, service};

#[tokio::test]
async fn the_same_address_and_name_again_is_200_with_the_stored_contact() {
    let service = service().await;
    let created = service.send(&service.request("Henrik Larsen", "henrik@acme.de")).await;
    assert_eq!(created.status, 201);
    let stored = service.contacts().await;
    for (name, email) in [
        ("Henrik Larsen", "henrik@acme.de"),
        ("  Henrik   Larsen ", "HENRIK@acme.de"),
        ("Larsen, Henrik", "Henrik@ACME.de"),
    ] {
        let again = service.send(&service.request(name, email)).await;
        assert_eq!((again.status, &again.text), (200, &created.text), "{name} {email}");
        assert_eq!(again.header("location"), created.header("location"));
    }
    assert_eq!(service.contacts().await, stored, "nothing written");
}

#[tokio::test]
async fn a_request_made_from_a_response_finds_the_same_contact() {
    let service = service().await;
    for (n, (name, email)) in [
        ("Doe, John, Jr.", "John@Exämple.DE"),
        ("Ann Smith ,MBA,PhD", "info@ΚΑΦΕΣ-ΑΘΗΝΑ.gr"),
        ("Rahman, Md", "J\u{30c}an@straße.de"),
        ("\u{200b}, x", "x@xn--exmple-cua.de"),
        ("Acme,Inc.", "ΣΟΦΟΣ@acme.de"),
        ("José Ortega y Gasset", "İ@İstanbul.example"),
        ("Larsen,, Henrik, GmbH & Co. KG", "o'brien@mail.acme.co.uk"),
    ]
    .into_iter()
    .enumerate()
    {
        let created = service
            .send(&service.request(name, &email.replacen('@', &format!("{n}@"), 1)))
            .await;
        assert_eq!(created.status, 201, "{name}: {created:?}");
        let shown = |member: &str| created.body[member].as_str().map(str::to_owned);
        let names: Vec<String> = [shown("firstName"), shown("lastName")].into_iter().flatten().collect();
        let again = service
            .send(&service.request(&names.join(" "), &shown("email").unwrap()))
            .await;
        assert_eq!((again.status, &again.body), (200, &created.body), "{name}");
    }
}

#[tokio::test]
async fn the_same_address_under_another_name_is_409() {
    let service = service().await;
    let created = service.send(&service.request("Henrik Larsen", "henrik@acme.de")).await;
    let stored = service.contacts().await;
    for name in ["Henrik Larson", "henrik larsen", "Henrik"] {
        let conflict = service.send(&service.request(name, "henrik@acme.de")).await;
        assert_refused(&conflict, 409, &[]);
        assert_eq!(conflict.header("location"), created.header("location"));
        for word in ["Henrik", "Larsen", "acme", created.body["id"].as_str().unwrap()] {
            assert!(!conflict.text.contains(word), "{conflict:?}");
        }
    }
    assert_eq!(service.contacts().await, stored, "nothing written");
}

#[tokio::test]
async fn the_address_identifies_a_contact_within_its_workspace_only() {
    let service = service().await;
    let other = Uuid::new_v4().to_string();
    service.put_workspace(&other, &service.tenant_id).await;
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
    let body = json!({"workspaceId": other, "name": "Eve", "email": "ada@acme.de"});
    assert_eq!(service.send(&service.request("", "").body(body)).await.status, 201);
    assert_eq!(service.contacts().await.len(), 2);
}

#[tokio::test]
async fn a_domain_in_unicode_and_in_ascii_is_the_same_address() {
    let service = service().await;
    assert_eq!(
        service.send(&service.request("Jörg", "jörg@exämple.de")).await.status,
        201
    );
    for email in ["JÖRG@xn--exmple-cua.de", "jo\u{308}rg@EXA\u{308}MPLE.de"] {
        assert_eq!(
            service.send(&service.request("Jörg", email)).await.status,
            200,
            "{email}"
        );
    }
}

/// The contact's key in the table.
fn key(service: &Service, email_key: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (
            "workspaceId".to_owned(),
            AttributeValue::S(service.workspace_id.clone()),
        ),
        ("emailKey".to_owned(), AttributeValue::S(email_key.to_owned())),
    ])
}

#[tokio::test]
async fn a_contact_that_another_writer_made_is_read_as_it_is() {
    let service = service().await;
    let id = Uuid::new_v4().to_string();
    let mut item = key(&service, "ada@acme.de");
    item.insert("id".to_owned(), AttributeValue::S(id.clone()));
    item.insert("tenantId".to_owned(), AttributeValue::S(service.tenant_id.clone()));
    item.insert("phone".to_owned(), AttributeValue::S("+4712345678".to_owned()));
    item.insert("channel".to_owned(), AttributeValue::N("7".to_owned()));
    service.put_contact(item.clone()).await;

    let response = service.send(&service.request("Ada Lovelace", "Ada@acme.de")).await;
    assert_eq!(response.status, 200, "a contact without a name contradicts none");
    assert_eq!(response.header("location"), format!("/api/contacts/{id}"));
    let expected = format!(
        r#"{{"id":"{id}","tenantId":"{}","externalRef":null,"resolutionStatus":"unresolved","firstName":null,"lastName":null,"email":null,"phone":"+4712345678","companyName":null,"createdAt":null,"updatedAt":null}}"#,
        service.tenant_id
    );
    assert_eq!(response.text, expected);
    assert_eq!(service.contacts().await, [item], "nothing written");
}

#[tokio::test]
async fn a_stored_contact_has_the_name_of_each_of_its_attributes() {
    let service = service().await;
    let parts = [("firstName", "Peter"), ("lastName", "Müller")];
    for (attributes, same, other) in [
        (&parts[..], vec!["Peter Müller", "Müller, Peter"], "Henrik Larsen"),
        (&parts[..1], vec!["Peter"], "Peter Müller"),
        (&parts[1..], vec!["Müller"], "Peter Müller"),
        (
            &[("firstName", "Jo\u{308}rg"), ("lastName", "Müller ")],
            vec!["Jo\u{308}rg Müller ", "Jörg Müller"],
            "Jörg",
        ),
        (
            &[("firstName", "Ann"), ("lastName", "Lee(Sales)")],
            vec!["Ann Lee(Sales)"],
            "Ann Lee",
        ),
        (
            &[("firstName", "Berg,"), ("lastName", "Jan van")],
            vec!["Berg, Jan van"],
            "Berg Jan",
        ),
        (&[("firstName", "Ann"), ("lastName", "")], vec!["Ann"], "Ann Lee"),
        (&[("firstName", ""), ("lastName", "")], vec!["Anybody"], ""),
        (
            &[parts[0], parts[1], ("name", "Peter Schmidt")],
            vec!["Peter Müller", "Peter Schmidt"],
            "Peter",
        ),
    ] {
        let mut item = key(&service, "peter@acme.de");
        for (name, value) in attributes {
            item.insert((*name).to_owned(), AttributeValue::S((*value).to_owned()));
        }
        service.put_contact(item).await;
        for name in same {
            let response = service.send(&service.request(name, "peter@acme.de")).await;
            assert_eq!(response.status, 200, "{name}: {attributes:?}");
        }
        let response = service.send(&service.request(other, "peter@acme.de")).await;
        let status = if other.is_empty() { 400 } else { 409 };
        assert_eq!(response.status, status, "{other}: {attributes:?}");
    }
}

#[tokio::test]
async fn an_item_with_nothing_but_its_key_reads_as_nulls() {
    let service = service().await;
    service.put_contact(key(&service, "ada@acme.de")).await;
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!((response.status, response.header("location")), (200, ""));
    for (member, value) in response.body.as_object().unwrap() {
        let expected = if member == "resolutionStatus" {
            json!("unresolved")
        } else {
            Value::Null
        };
        assert_eq!(*value, expected, "{member}");
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_a_defect() {
    let service = service().await;
    for (name, value) in [
        ("firstName", AttributeValue::N("1".to_owned())),
        ("resolutionStatus", AttributeValue::S("lost".to_owned())),
    ] {
        let mut item = key(&service, "ada@acme.de");
        item.insert(name.to_owned(), value);
        service.put_contact(item).await;
        assert_eq!(
            service.send(&service.request("Ada", "ada@acme.de")).await.status,
            500,
            "{name}"
        );
    }
}

#[tokio::test]
async fn four_processes_sent_the_same_contact_at_once_create_it_once() {
    let service = std::sync::Arc::new(Service::without_process(BINARY).await);
    for _ in 0..4 {
        service.add_process(&[]);
    }
    for round in 0..10 {
        let mut requests = JoinSet::new();
        for _ in 0..4 {
            let service = service.clone();
            requests.spawn(async move {
                let request = service.request("Ada Lovelace", &format!("ada{round}@acme.de"));
                service.send(&request).await
            });
        }
        let responses = requests.join_all().await;
        let mut statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 201]);
        assert!(
            responses.iter().all(|response| response.text == responses[0].text),
            "the same body"
        );
    }
    assert_eq!(service.contacts().await.len(), 10);
}
