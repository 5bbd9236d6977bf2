//! The contract's sections 1 and 4: what is accepted, what the response shows, and what is refused.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::{Uuid, Version};

use crate::{assert_refused, base64_event, service};

#[tokio::test]
async fn a_contact_has_its_eleven_members_in_order() {
    let service = service().await;
    let before = Utc::now();
    let upper = service.workspace_id.to_uppercase();
    let request = service.request_in(&upper, "Anne-Marie  von der Leyen", "Anne@Mail.Acme-Customer.DE");
    let response = service.send(&request).await;
    let after = Utc::now();
    assert_eq!(response.status, 201);
    let id: Uuid = response.body["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version(), Some(Version::SortRand), "UUID version 7");
    let created = response.body["createdAt"].as_str().unwrap();
    let instant: DateTime<Utc> = created.parse().unwrap();
    assert!(before.timestamp_millis() <= instant.timestamp_millis() && instant <= after);
    // Byte for byte: the order of the members is part of the contract.
    let expected = format!(
        r#"{{"id":"{id}","tenantId":"{tenant}","externalRef":null,"resolutionStatus":"unresolved","firstName":"Anne-Marie","lastName":"von der Leyen","email":"Anne@mail.acme-customer.de","phone":null,"companyName":"Acme Customer","createdAt":"{created}","updatedAt":"{created}"}}"#,
        tenant = service.tenant_id,
    );
    assert_eq!(response.text, expected);
    assert_eq!(response.header("location"), format!("/api/contacts/{id}"));

    let nulls = service.create("山田太郎", "taro@gmail.com").await;
    assert_eq!((nulls.status, &nulls.body["firstName"]), (201, &json!("山田太郎")));
    for member in ["lastName", "companyName"] {
        assert_eq!(nulls.body[member], Value::Null, "{member}");
    }
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
    for member in ["tenantId", "resolutionStatus", "externalRef", "phone", "id"] {
        assert_ne!(response.body[member], body[member], "{member}");
    }
    let stored = service.contacts().await.remove(0);
    for name in ["tags", "Name", "phone", "externalRef"] {
        assert!(!stored.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn all_invalid_members_are_named_and_no_value_is_repeated() {
    let service = service().await;
    let send = async |body: Value| service.send(&service.request("", "").body(body)).await;
    let response = send(json!({"email": "Zebra<zebra@", "name": 17.5, "workspaceId": "zebra"})).await;
    assert_refused(&response, 400, &["workspaceId", "name", "email"]);
    let text = response.text.to_lowercase();
    assert!(!text.contains("zebra") && !text.contains("17.5"), "{response:?}");
    for (member, value) in [
        ("workspaceId", json!(null)),
        ("workspaceId", json!(service.workspace_id.replace('-', ""))),
        ("name", json!(["a"])),
        ("name", json!(" \u{2003}")),
        ("name", json!("a\0b")),
        ("name", json!("x".repeat(201))),
        ("email", json!({})),
        ("email", json!("ada@localhost")),
        ("email", json!(format!("{}@acme.de", "x".repeat(65)))),
    ] {
        let mut body = json!({"workspaceId": service.workspace_id, "name": "Ada Lovelace", "email": "ada@acme.de"});
        body[member] = value;
        let response = send(body).await;
        assert_refused(&response, 400, &[member]);
        for other in ["workspaceId", "name", "email"] {
            assert_eq!(response.error().contains(other), other == member, "{response:?}");
        }
    }
    assert_eq!(service.contacts().await, []);
}

#[tokio::test]
async fn an_unreadable_body_is_refused_with_a_reason() {
    let service = service().await;
    let good = service.request("Ada", "ada@acme.de").body.unwrap();
    let twice = good.replacen('{', r#"{"n\u0061me":"Eve","#, 1);
    let surrogate = good.replacen("Ada", r"Ada \ud83d", 1);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (body, word) in [
        (&b""[..], "missing"),
        (b"\xff", "UTF-8"),
        // As PowerShell's `>` writes it: UTF-16 with a byte order mark.
        (b"\xff\xfe{\0}\0", "UTF-8"),
        (b"{", "JSON"),
        (format!("\u{feff}\u{feff}{good}").as_bytes(), "JSON"),
        (deep.as_bytes(), "object"),
        (twice.as_bytes(), "name appears more than once"),
        (surrogate.as_bytes(), "name contains an unpaired surrogate"),
    ] {
        assert_refused(&service.invoke(&base64_event(&service, body)).await, 400, &[word]);
    }
    for (body, is_base64, word) in [
        (Value::Null, false, "missing"),
        (json!(""), false, "missing"),
        (json!("not base64!"), true, "base64"),
        (json!("e30"), true, "base64"),
    ] {
        let mut event = service.request("", "").event();
        event["body"] = body;
        event["isBase64Encoded"] = json!(is_base64);
        assert_refused(&service.invoke(&event).await, 400, &[word]);
    }
    // The process survived, and a byte order mark is ignored.
    let marked = service.request("", "").body(format!("\u{feff}{good}"));
    assert_eq!(service.send(&marked).await.status, 201);
}
