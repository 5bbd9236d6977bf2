//! `docs/contract.md#5-api-keys`: which keys are accepted, and what they allow.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::Utc;
use harness::{
    fixture::{self, key_hash},
    service::new_key,
};
use uuid::Uuid;

use crate::{assert_refused, service};

#[tokio::test]
async fn a_missing_or_malformed_key_is_401() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    let key = &service.key;
    let mut requests = vec![request.clone().without("authorization")];
    for header in [
        "",
        "Bearer ",
        key,
        &format!("Basic {key}"),
        &format!("Bearer {key},{key}"),
        "Bearer sf_live_v1_abcdefghijklmnopqrstuvw",
        "Bearer \u{0}",
        "Bearer \u{fffd}",
    ] {
        requests.push(request.clone().header("authorization", header));
    }
    for request in requests {
        let response = service.send(&request).await;
        assert_refused(&response, 401, &["Authorization"]);
        assert_eq!(response.header("www-authenticate"), "Bearer");
    }
    assert_eq!(service.proxy.operations(), [""; 0], "no database call");
    let request = request.header("AUTHORIZATION", &format!("bEaReR {key}"));
    assert_eq!(
        service.send(&request).await.status,
        201,
        "the scheme is case-insensitive"
    );
}

#[tokio::test]
async fn unknown_revoked_and_expired_keys_are_refused_alike() {
    let service = service().await;
    let send = async |key: &str| {
        service.proxy.plan(|_, _| None);
        let response = service.send(&service.request("Ada", "ada@acme.de").key(key)).await;
        (response, service.proxy.operations())
    };
    let refused = send(&new_key()).await;
    assert_eq!(
        (refused.0.status, refused.0.header("www-authenticate")),
        (401, "Bearer")
    );
    let request = service.request("", "").key(&new_key());
    let of_invalid_body = service.send(&request).await;
    assert_eq!(of_invalid_body, refused.0, "a caller without a key learns nothing");

    let expiring = async |seconds: i64| {
        let expires_at = Utc::now().timestamp() + seconds;
        service.put_key(|key| key.expires_at = Some(expires_at)).await
    };
    assert_eq!(send(&expiring(0).await).await, refused);
    assert_eq!(send(&expiring(3600).await).await.0.status, 201);

    assert_eq!(send(&service.key).await.0.status, 200);
    let delete = service.client.delete_item().table_name(&service.tables.api_keys);
    let delete = delete.key("keyHash", AttributeValue::S(key_hash(&service.key)));
    delete.send().await.unwrap();
    assert_eq!(send(&service.key).await, refused, "revoking is immediate");
}

#[tokio::test]
async fn a_key_needs_the_scope_contacts_write() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    for scopes in [vec![], vec!["contacts:read"], vec!["contacts:write:all", "contacts"]] {
        let key = service.put_key(|key| key.scopes = scopes).await;
        assert_refused(
            &service.send(&request.clone().key(&key)).await,
            403,
            &["contacts:write"],
        );
    }
    let key = service.put_key(|key| key.scopes.push("contacts:read")).await;
    assert_eq!(service.send(&request.key(&key)).await.status, 201);
}

#[tokio::test]
async fn a_restricted_key_opens_its_own_workspace_only() {
    let service = service().await;
    let other = Uuid::new_v4().to_string();
    service.put_workspace(&other, &service.tenant_id).await;
    let request = service.request("Ada", "ada@acme.de");
    let key = service.put_key(|key| key.workspace_id = Some(other)).await;
    assert_refused(&service.send(&request.clone().key(&key)).await, 403, &["workspace"]);
    assert_eq!(service.contacts().await, []);
    let own = service.workspace_id.to_uppercase();
    let key = service.put_key(|key| key.workspace_id = Some(own)).await;
    assert_eq!(service.send(&request.key(&key)).await.status, 201);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_opens_nothing() {
    let service = service().await;
    let key = new_key();
    // The library's own tests have the other attributes.
    for (name, value) in [
        ("tenantId", AttributeValue::S("not a uuid".to_owned())),
        ("scopes", AttributeValue::S("contacts:write".to_owned())),
        ("expiresAt", AttributeValue::Null(true)),
        ("label", AttributeValue::N("1".to_owned())),
    ] {
        let mut item = fixture::item(&[("keyHash", &key_hash(&key)), ("tenantId", &service.tenant_id)]);
        let scopes = AttributeValue::Ss(vec!["contacts:write".to_owned()]);
        item.extend([("scopes".to_owned(), scopes), (name.to_owned(), value)]);
        fixture::put(&service.client, &service.tables.api_keys, item).await;
        let response = service.send(&service.request("Ada", "ada@acme.de").key(&key)).await;
        assert_eq!(response.status, 500, "{name}");
    }
    assert_eq!(service.contacts().await, []);
}
