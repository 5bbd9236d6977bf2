//! `docs/contract.md#2-failures`: each failure, and which one comes first if there are several.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use harness::{
    fixture::Key,
    service::{Service, new_key},
};
use serde_json::json;
use uuid::Uuid;

use crate::{assert_refused, service};

#[tokio::test]
async fn another_path_is_404_with_a_message_of_its_own() {
    let service = service().await;
    for path in [
        "/api/contacts/",
        "/api/contact",
        "/API/CONTACTS",
        "/",
        "/api//contacts",
        "/api/contacts/1",
        "/api/%63ontacts",
        "/x/../api/contacts",
    ] {
        let mut request = service.request("Ada", "ada@acme.de");
        request.path = path.to_owned();
        let response = service.send(&request).await;
        assert_eq!(response.status, 404, "{path}");
        assert_ne!(response.error(), "Workspace not found", "{path}");
    }
    assert_eq!(service.proxy.operations(), [""; 0], "no database call");
}

#[tokio::test]
async fn another_method_is_405_with_the_allowed_one() {
    let service = service().await;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "TRACE"] {
        let mut request = service.request("Ada", "ada@acme.de");
        request.method = method.to_owned();
        let response = service.send(&request).await;
        assert_eq!((response.status, response.header("allow")), (405, "POST"), "{method}");
    }
    assert_eq!(service.proxy.operations(), [""; 0], "no database call");
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_413() {
    let service = service().await;
    let small = service.request("Ada", "ada@acme.de").body.unwrap();
    let padded = |len: usize| small.clone() + &" ".repeat(len - small.len());
    let plain = async |body: String| service.send(&service.request("", "").body(body)).await;
    let base64 = async |body: String| {
        let mut event = service.request("", "").event();
        event["body"] = json!(BASE64.encode(body));
        event["isBase64Encoded"] = json!(true);
        service.invoke(&event).await
    };
    assert_eq!(plain(padded(65_536)).await.status, 201);
    assert_eq!(base64(padded(65_536)).await.status, 200, "the size counts after base64");
    assert_refused(&plain(padded(65_537)).await, 413, &["64 KiB"]);
    assert_refused(&base64(padded(65_537)).await, 413, &["64 KiB"]);
    // Bytes, not characters.
    assert_refused(&plain("é".repeat(32_769)).await, 413, &[]);
    assert_refused(&plain(" ".repeat(5_000_000)).await, 413, &[]);
    assert_refused(&base64(" ".repeat(5_000_000)).await, 413, &[]);
}

#[tokio::test]
async fn the_media_type_is_json_or_absent() {
    let service = service().await;
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8;x=y",
        "application/vnd.api+json",
        "application/vnd.Acme+JSON; v=1",
        " application/json ",
    ] {
        let response = service
            .send(
                &service
                    .request("Ada", "ada@acme.de")
                    .header("content-type", content_type),
            )
            .await;
        assert!(matches!(response.status, 200 | 201), "{content_type}: {response:?}");
    }
    let response = service
        .send(&service.request("Ada", "ada@acme.de").without("content-type"))
        .await;
    assert_eq!(response.status, 200, "no header at all is taken as JSON");
    for content_type in [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "application/jsonp",
        "application/json5",
        "application/xml",
        "application/+json",
        "application/a b+json",
        "text/plain; application/json",
        "application/json, text/plain",
        "json",
        "",
    ] {
        let response = service
            .send(
                &service
                    .request("Ada", "ada@acme.de")
                    .header("content-type", content_type),
            )
            .await;
        assert_refused(&response, 415, &["application/json"]);
    }
}

#[tokio::test]
async fn a_compressed_body_is_415_with_advice() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    for encoding in ["", " ", "identity", "Identity"] {
        let response = service
            .send(&request.clone().header("Content-Encoding", encoding))
            .await;
        assert!(matches!(response.status, 200 | 201), "{encoding}: {response:?}");
    }
    for encoding in ["gzip", "br", "aws-chunked", "identity, gzip", "identity, identity"] {
        let request = request
            .clone()
            .header("Content-Encoding", encoding)
            .body("\u{1f}\u{8b}");
        let response = service.send(&request).await;
        assert_refused(&response, 415, &["compressed"]);
        assert_eq!(response.header("accept-encoding"), "identity");
        let unknown = request.header("Authorization", "Bearer sf_test_v1_unknown");
        assert_eq!(service.send(&unknown).await.status, 401, "the key comes first");
    }
}

#[tokio::test]
async fn a_missing_and_a_foreign_workspace_get_the_same_response() {
    let service = service().await;
    let foreign = Uuid::new_v4().to_string();
    service.put_workspace(&foreign, &Uuid::new_v4().to_string()).await;
    let with = async |workspace_id: &str| {
        let body = json!({"workspaceId": workspace_id, "name": "Ada", "email": "ada@acme.de"});
        service.send(&service.request("", "").body(body)).await
    };
    let unknown = with(&Uuid::new_v4().to_string()).await;
    assert_eq!(
        (unknown.status, unknown.text.as_str()),
        (404, r#"{"error":"Workspace not found"}"#)
    );
    assert_eq!(with(&foreign).await, unknown);
    let unreadable = Uuid::new_v4().to_string();
    service.put_workspace(&unreadable, "not a uuid").await;
    assert_eq!(with(&unreadable).await, unknown);
    assert_eq!(service.contacts().await, []);
}

/// A request with everything wrong, fixed step by step: each time it is refused for the first mistake that is left.
#[tokio::test]
async fn the_checks_have_an_order() {
    let service = service().await;
    let mut request = service
        .request("", "")
        .header("authorization", "Bearer nonsense")
        .header("content-type", "text/plain")
        .body("x".repeat(70_000));
    request.path = "/elsewhere".to_owned();
    request.method = "GET".to_owned();
    let send = async |request: &_| service.send(request).await;

    assert_eq!(send(&request).await.status, 404, "path");
    request.path = "/api/contacts".to_owned();
    assert_eq!(send(&request).await.status, 405, "method");
    request.method = "POST".to_owned();
    assert_eq!(send(&request).await.status, 413, "size");
    request = request.body("{}");
    assert_refused(&send(&request).await, 401, &["Authorization"]);
    let scopeless = new_key();
    request = request.header("authorization", &format!("Bearer {scopeless}"));
    assert_eq!(send(&request).await.status, 415, "media type");
    assert_eq!(service.proxy.operations(), [""; 0], "all of it without a database call");

    request = request.header("content-type", "application/json");
    assert_eq!(send(&request).await.status, 401, "unknown key");
    let other_workspace = Uuid::new_v4().to_string();
    let mut key = Key {
        scopes: &[],
        workspace_id: Some(&other_workspace),
        ..Key::of(&scopeless, &service.tenant_id)
    };
    service.put_key(&key).await;
    assert_refused(&send(&request).await, 403, &["contacts:write"]);
    key.scopes = &["contacts:write"];
    service.put_key(&key).await;
    assert_refused(&send(&request).await, 400, &["workspaceId", "name", "email"]);
    let foreign = Uuid::new_v4();
    request = request.body(json!({"workspaceId": foreign, "name": "Ada", "email": "ada@acme.de"}));
    assert_refused(&send(&request).await, 403, &["workspace"]);
    service.put_key(&Key::of(&scopeless, &service.tenant_id)).await;
    assert_refused(&send(&request).await, 404, &["Workspace not found"]);
    request = request.body(service.request("Ada", "ada@acme.de").body.unwrap());
    assert_eq!(send(&request).await.status, 201);
}

/// `docs/contract.md#calls`: what a request costs, seen on the wire.
#[tokio::test]
async fn a_request_costs_one_batch_get_item_and_one_put_item() {
    let service = service().await;
    let operations = async |service: &Service, request: &_| {
        service.proxy.plan(|_, _| None);
        let status = service.send(request).await.status;
        (status, service.proxy.operations().join(" "))
    };
    let good = service.request("Ada", "ada@acme.de");
    assert_eq!(
        operations(&service, &good).await,
        (201, "BatchGetItem PutItem".to_owned())
    );
    let [read, write] = &service.proxy.calls()[..] else {
        panic!("two calls")
    };
    let requested = read.input["RequestItems"].as_object().unwrap();
    assert_eq!(requested.len(), 2);
    for table in [&service.tables.api_keys, &service.tables.workspaces] {
        assert_eq!(requested[table]["ConsistentRead"], true);
        assert_eq!(requested[table]["Keys"].as_array().unwrap().len(), 1);
    }
    assert_eq!(write.input["TableName"], json!(service.tables.contacts));
    assert!(
        write.input["ConditionExpression"]
            .as_str()
            .unwrap()
            .contains("attribute_not_exists")
    );
    assert_eq!(write.input["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");

    assert_eq!(
        operations(&service, &good).await,
        (200, "BatchGetItem PutItem".to_owned())
    );
    let conflict = service.request("Eve", "ada@acme.de");
    assert_eq!(
        operations(&service, &conflict).await,
        (409, "BatchGetItem PutItem".to_owned())
    );
    let refused = service
        .request("Ada", "ada@acme.de")
        .header("authorization", &format!("Bearer {}", new_key()));
    assert_eq!(operations(&service, &refused).await, (401, "BatchGetItem".to_owned()));
    let invalid = service.request("Ada", "nonsense");
    assert_eq!(operations(&service, &invalid).await, (400, "GetItem".to_owned()));
    assert_eq!(service.proxy.calls()[0].input["ConsistentRead"], true);
    let elsewhere = json!({"workspaceId": Uuid::new_v4(), "name": "Ada", "email": "ada@acme.de"});
    let elsewhere = service.request("", "").body(elsewhere);
    assert_eq!(operations(&service, &elsewhere).await, (404, "BatchGetItem".to_owned()));
    let malformed = service
        .request("Ada", "ada@acme.de")
        .header("authorization", "Bearer sf_live_v1_short");
    assert_eq!(operations(&service, &malformed).await, (401, String::new()));
}
