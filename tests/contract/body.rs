//! The contract's sections 1 and 4: what is accepted, what the response shows, and what is refused.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::{Uuid, Version};

use crate::{assert_refused, service};

#[tokio::test]
async fn a_contact_has_its_eleven_members_in_order() {
    let service = service().await;
    let before = Utc::now();
    let response = service
        .send(&service.request("Anne-Marie  von der Leyen", "Anne@Mail.Acme-Customer.DE"))
        .await;
    let after = Utc::now();
    assert_eq!(response.status, 201);
    let id: Uuid = response.body["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version(), Some(Version::SortRand), "UUID version 7");
    let created = response.body["createdAt"].as_str().unwrap();
    let instant: DateTime<Utc> = created.parse().unwrap();
    assert!(
        before.timestamp_millis() <= instant.timestamp_millis() && instant <= after,
        "{created}"
    );
    assert_eq!(created.len(), "2026-02-10T14:30:00.000Z".len());
    // Byte for byte: the order of the members is part of the contract.
    let expected = format!(
        r#"{{"id":"{id}","tenantId":"{tenant}","externalRef":null,"resolutionStatus":"unresolved","firstName":"Anne-Marie","lastName":"von der Leyen","email":"Anne@mail.acme-customer.de","phone":null,"companyName":"Acme Customer","createdAt":"{created}","updatedAt":"{created}"}}"#,
        tenant = service.tenant_id,
    );
    assert_eq!(response.text, expected);
    assert_eq!(response.header("location"), format!("/api/contacts/{id}"));
}

#[tokio::test]
async fn a_workspace_id_is_stored_in_lower_case() {
    let service = service().await;
    let upper = service.workspace_id.to_uppercase();
    let body = json!({"workspaceId": upper, "name": "Ada Lovelace", "email": "ada@acme.de"});
    let response = service.send(&service.request("", "").body(body)).await;
    assert_eq!(response.status, 201);
    let again = service.send(&service.request("Ada Lovelace", "ada@acme.de")).await;
    assert_eq!((again.status, &again.body), (200, &response.body));
}

#[tokio::test]
async fn members_that_are_not_listed_are_neither_stored_nor_echoed() {
    let service = service().await;
    let body = json!({
        "tenantId": Uuid::new_v4(),
        "resolutionStatus": "crm_resolved",
        "externalRef": "crm-1",
        "phone": "+4712345678",
        "id": Uuid::new_v4(),
        "Name": "Somebody Else",
        "tags": [{"deep": [[[]]]}],
        "workspaceId": service.workspace_id,
        "name": "Ada Lovelace",
        "email": "ada@acme.de",
    });
    let response = service.send(&service.request("", "").body(&body)).await;
    assert_eq!(response.status, 201);
    assert_eq!(response.body["tenantId"], json!(service.tenant_id));
    assert_eq!(response.body["resolutionStatus"], "unresolved");
    for member in ["externalRef", "phone"] {
        assert_eq!(response.body[member], Value::Null);
    }
    assert_ne!(response.body["id"], body["id"]);
    let stored = service.contacts().await;
    assert!(
        !stored[0].contains_key("tags") && !stored[0].contains_key("Name"),
        "{stored:?}"
    );
}

#[tokio::test]
async fn a_member_without_a_value_is_null() {
    let service = service().await;
    let response = service.send(&service.request("山田太郎", "taro@gmail.com")).await;
    assert_eq!(response.status, 201);
    assert_eq!(response.body["firstName"], "山田太郎");
    for member in ["lastName", "companyName", "externalRef", "phone"] {
        assert_eq!(response.body.get(member), Some(&Value::Null), "{member}");
    }
}

#[tokio::test]
async fn all_invalid_members_are_named_and_no_value_is_repeated() {
    let service = service().await;
    let send = async |body: Value| service.send(&service.request("", "").body(body)).await;
    let response = send(json!({})).await;
    assert_refused(&response, 400, &["workspaceId", "name", "email"]);
    let response = send(json!({"email": "Zebra<zebra@", "name": 17.5, "workspaceId": "zebra"})).await;
    assert_refused(&response, 400, &["workspaceId", "name", "email"]);
    assert!(
        !response.text.to_lowercase().contains("zebra") && !response.text.contains("17.5"),
        "{response:?}"
    );
    let good = json!({"workspaceId": service.workspace_id, "name": "Ada Lovelace", "email": "ada@acme.de"});
    for (member, values) in [
        (
            "workspaceId",
            vec![
                json!(null),
                json!(1),
                json!("x"),
                json!(service.workspace_id.replace('-', "")),
            ],
        ),
        (
            "name",
            vec![
                json!(null),
                json!(["a"]),
                json!(""),
                json!(" \u{2003}"),
                json!("\u{200b}"),
                json!("a\0b"),
                json!("x".repeat(201)),
                json!("\u{202e}a"),
            ],
        ),
        (
            "email",
            vec![
                json!(null),
                json!({}),
                json!(""),
                json!("ada"),
                json!("ada@localhost"),
                json!("ada@[127.0.0.1]"),
                json!("a b@acme.de"),
                json!(format!("{}@acme.de", "x".repeat(65))),
            ],
        ),
    ] {
        for value in values {
            let mut body = good.clone();
            body[member] = value.clone();
            let response = send(body).await;
            assert_refused(&response, 400, &[member]);
            for other in ["workspaceId", "name", "email"] {
                assert_eq!(
                    response.error().contains(other),
                    other == member,
                    "{value}: {response:?}"
                );
            }
        }
    }
    assert_eq!(service.contacts().await, []);
}

#[tokio::test]
async fn a_listed_member_that_appears_twice_is_an_error() {
    let service = service().await;
    let id = &service.workspace_id;
    for body in [
        format!(r#"{{"workspaceId":"{id}","name":"Ada","email":"ada@acme.de","name":"Ada"}}"#),
        format!(r#"{{"workspaceId":"{id}","name":"Ada","email":"ada@acme.de","n\u0061me":"Eve"}}"#),
    ] {
        let response = service.send(&service.request("", "").body(body)).await;
        assert_refused(&response, 400, &["name"]);
    }
    assert_eq!(service.contacts().await, []);
}

#[tokio::test]
async fn an_unpaired_surrogate_is_a_problem_of_its_member() {
    let service = service().await;
    let id = &service.workspace_id;
    let send = async |body: String| service.send(&service.request("", "").body(body)).await;
    let response = send(format!(
        r#"{{"workspaceId":"{id}","name":"Ada \ud83d","email":"ada@acme.de"}}"#
    ))
    .await;
    assert_refused(&response, 400, &["name"]);
    let response = send(format!(
        r#"{{"workspaceId":"{id}","name":"Ada","email":"\udc00@acme.de"}}"#
    ))
    .await;
    assert_refused(&response, 400, &["email"]);
    let response = send(format!(
        r#"{{"\ud83d":"\ud83d","workspaceId":"{id}","name":"Ada \ud83d\ude00","email":"ada@acme.de"}}"#
    ))
    .await;
    assert_eq!(response.status, 201, "{response:?}");
    assert_eq!(response.body["lastName"], "😀");
}

#[tokio::test]
async fn an_unreadable_body_is_refused_with_a_reason() {
    let service = service().await;
    let base64 = async |body: &str| {
        let mut event = service.request("", "").event();
        event["body"] = json!(body);
        event["isBase64Encoded"] = json!(true);
        service.invoke(&event).await
    };
    let mut missing = service.request("", "");
    missing.body = None;
    assert_refused(&service.send(&missing).await, 400, &["missing"]);
    assert_refused(
        &service.send(&service.request("", "").body("")).await,
        400,
        &["missing"],
    );
    assert_refused(&base64("").await, 400, &["missing"]);
    assert_refused(&base64("not base64!").await, 400, &["base64"]);
    assert_refused(&base64("e30").await, 400, &["base64"]);
    assert_refused(&base64("/w==").await, 400, &["UTF-8"]);
    assert_refused(&service.send(&service.request("", "").body("{")).await, 400, &["JSON"]);
    assert_refused(
        &service.send(&service.request("", "").body("[]")).await,
        400,
        &["object"],
    );
    assert_refused(&base64("//57AH0A").await, 400, &["UTF-8"]);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert_refused(
        &service.send(&service.request("", "").body(deep)).await,
        400,
        &["object"],
    );
    // The process survived.
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
}

#[tokio::test]
async fn a_byte_order_mark_before_the_body_is_ignored() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    let body = format!("\u{feff}{}", request.body.clone().unwrap());
    assert_eq!(service.send(&request.clone().body(&body)).await.status, 201);
    let twice = format!("\u{feff}{body}");
    assert_refused(&service.send(&request.body(twice)).await, 400, &["JSON"]);
}
