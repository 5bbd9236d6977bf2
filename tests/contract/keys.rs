//! `docs/contract.md#5-api-keys`: which keys are accepted, and what they allow.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::Utc;
use harness::{
    fixture::{Key, key_hash},
    service::new_key,
};
use uuid::Uuid;

use crate::{assert_refused, service};

#[tokio::test]
async fn a_missing_or_malformed_key_is_401() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    let key = &service.key;
    let mut responses = vec![service.send(&request.clone().without("authorization")).await];
    for header in [
        "",
        "Bearer",
        "Bearer ",
        key,
        &format!("Basic {key}"),
        &format!("Bearer{key}"),
        &format!("Bearer {key}!"),
        &format!("Bearer {key},{key}"),
        "Bearer sf_live_v1_abcdefghijklmnopqrstuvw",
        "Bearer sf_prod_v1_abcdefghijklmnopqrstuvwx",
        "Bearer \u{0}",
        "Bearer \u{fffd}",
    ] {
        responses.push(service.send(&request.clone().header("authorization", header)).await);
    }
    for response in responses {
        assert_refused(&response, 401, &["Authorization"]);
        assert_eq!(response.header("www-authenticate"), "Bearer");
    }
    assert_eq!(service.proxy.operations(), [""; 0], "no database call");
}

#[tokio::test]
async fn the_scheme_is_case_insensitive() {
    let service = service().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let header = format!("{scheme} {}", service.key);
        let response = service
            .send(&service.request("Ada", "ada@acme.de").header("AUTHORIZATION", &header))
            .await;
        assert!(matches!(response.status, 200 | 201), "{scheme}: {response:?}");
    }
}

#[tokio::test]
async fn unknown_revoked_and_expired_keys_are_refused_alike() {
    let service = service().await;
    let expired = new_key();
    let now = Utc::now().timestamp();
    service
        .put_key(&Key {
            expires_at: Some(now),
            ..Key::of(&expired, &service.tenant_id)
        })
        .await;
    let unknown = new_key();
    let send = async |key: &str| {
        service.proxy.plan(|_, _| None);
        let request = service
            .request("Ada", "ada@acme.de")
            .header("authorization", &format!("Bearer {key}"));
        (service.send(&request).await, service.proxy.operations())
    };
    let (refused, calls) = send(&unknown).await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(send(&expired).await, (refused.clone(), calls.clone()));

    assert_eq!(send(&service.key).await.0.status, 201);
    service
        .client
        .delete_item()
        .table_name(&service.tables.api_keys)
        .key("keyHash", AttributeValue::S(key_hash(&service.key)))
        .send()
        .await
        .unwrap();
    assert_eq!(send(&service.key).await, (refused, calls), "revoking is immediate");
}

#[tokio::test]
async fn a_key_works_until_the_second_in_which_it_expires() {
    let service = service().await;
    let key = new_key();
    service
        .put_key(&Key {
            expires_at: Some(Utc::now().timestamp() + 3600),
            ..Key::of(&key, &service.tenant_id)
        })
        .await;
    let request = service
        .request("Ada", "ada@acme.de")
        .header("authorization", &format!("Bearer {key}"));
    assert_eq!(service.send(&request).await.status, 201);
    service
        .put_key(&Key {
            expires_at: Some(Utc::now().timestamp() - 1),
            ..Key::of(&key, &service.tenant_id)
        })
        .await;
    assert_eq!(service.send(&request).await.status, 401);
}

#[tokio::test]
async fn a_key_needs_the_scope_contacts_write() {
    let service = service().await;
    let key = new_key();
    let request = service
        .request("Ada", "ada@acme.de")
        .header("authorization", &format!("Bearer {key}"));
    for scopes in [&[][..], &["contacts:read"], &["contacts:write:all", "contacts"]] {
        service
            .put_key(&Key {
                scopes,
                ..Key::of(&key, &service.tenant_id)
            })
            .await;
        assert_refused(&service.send(&request).await, 403, &["contacts:write"]);
    }
    let scopes = &["contacts:read", "contacts:write"];
    service
        .put_key(&Key {
            scopes,
            ..Key::of(&key, &service.tenant_id)
        })
        .await;
    assert_eq!(service.send(&request).await.status, 201);
}

#[tokio::test]
async fn a_restricted_key_opens_its_own_workspace_only() {
    let service = service().await;
    let other = Uuid::new_v4().to_string();
    service.put_workspace(&other, &service.tenant_id).await;
    let key = new_key();
    let request = service
        .request("Ada", "ada@acme.de")
        .header("authorization", &format!("Bearer {key}"));
    service
        .put_key(&Key {
            workspace_id: Some(&other),
            ..Key::of(&key, &service.tenant_id)
        })
        .await;
    let response = service.send(&request).await;
    assert_refused(&response, 403, &["workspace"]);
    assert_eq!(service.contacts().await, []);
    let own = service.workspace_id.to_uppercase();
    service
        .put_key(&Key {
            workspace_id: Some(&own),
            ..Key::of(&key, &service.tenant_id)
        })
        .await;
    assert_eq!(service.send(&request).await.status, 201);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_opens_nothing() {
    let service = service().await;
    let key = new_key();
    let request = service
        .request("Ada", "ada@acme.de")
        .header("authorization", &format!("Bearer {key}"));
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut values = vec![
        ("tenantId", AttributeValue::N("1".to_owned())),
        ("tenantId", text("not a uuid")),
        ("scopes", text("contacts:write")),
        ("workspaceId", text("*")),
        ("workspaceId", AttributeValue::Bool(true)),
        ("expiresAt", text("never")),
        ("keyId", AttributeValue::N("1".to_owned())),
        ("label", AttributeValue::Bool(true)),
        ("createdAt", AttributeValue::N("1".to_owned())),
    ];
    for name in [
        "tenantId",
        "scopes",
        "workspaceId",
        "expiresAt",
        "keyId",
        "label",
        "createdAt",
    ] {
        values.push((name, AttributeValue::Null(true)));
    }
    for (name, value) in values {
        service
            .client
            .put_item()
            .table_name(&service.tables.api_keys)
            .item("keyHash", AttributeValue::S(key_hash(&key)))
            .item("tenantId", AttributeValue::S(service.tenant_id.clone()))
            .item("scopes", AttributeValue::Ss(vec!["contacts:write".to_owned()]))
            .item(name, value.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(service.send(&request).await.status, 500, "{name}: {value:?}");
    }
    assert_eq!(service.contacts().await, []);
}
