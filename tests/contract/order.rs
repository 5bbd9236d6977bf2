//! `docs/contract.md#2-failures`: each failure, and which one comes first if there are several.

use harness::{
    runtime_api::TRACE_ID,
    service::{Service, new_key},
};
use serde_json::json;
use uuid::Uuid;

use crate::{BINARY, assert_refused, base64_event, service};

#[tokio::test]
async fn another_method_is_405_and_another_path_404() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "post"] {
        let response = service.send(&request.clone().method(method)).await;
        assert_eq!((response.status, response.header("allow")), (405, "POST"), "{method}");
    }
    for path in [
        "/api/contacts/",
        "/API/CONTACTS",
        "/api//contacts",
        "/api/%63ontacts",
        "/",
    ] {
        assert_eq!(service.send(&request.clone().path(path)).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_413() {
    let service = service().await;
    let small = service.request("Ada", "ada@acme.de").body.unwrap();
    let padded = |len: usize| small.clone() + &" ".repeat(len - small.len());
    for (body, [plain, base64]) in [
        (padded(65_536), [201, 200]),
        (padded(65_537), [413, 413]),
        // Bytes, not characters.
        ("é".repeat(32_769), [413, 413]),
        (" ".repeat(5_000_000), [413, 413]),
    ] {
        assert_eq!(service.send(&service.request("", "").body(&body)).await.status, plain);
        assert_eq!(service.invoke(&base64_event(&service, body)).await.status, base64);
    }
}

#[tokio::test]
async fn the_media_type_is_json_or_absent() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    assert_eq!(service.send(&request.clone().without("content-type")).await.status, 201);
    for content_type in [
        "Application/JSON",
        "application/json;charset=UTF-8;x=y",
        "application/vnd.Acme+JSON; v=1",
        " application/json ",
    ] {
        let response = service
            .send(&request.clone().header("content-type", content_type))
            .await;
        assert_eq!(response.status, 200, "{content_type}");
    }
    for content_type in [
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "application/json5",
        "application/+json",
        "application/a b+json",
        "text/plain; application/json",
        "application/json, text/plain",
        "",
    ] {
        let response = service
            .send(&request.clone().header("content-type", content_type))
            .await;
        assert_refused(&response, 415, &["application/json"]);
    }
}

#[tokio::test]
async fn a_compressed_body_is_415_with_advice() {
    let service = service().await;
    let request = service.request("Ada", "ada@acme.de");
    assert_eq!(service.send(&request).await.status, 201);
    for encoding in ["", " ", "Identity"] {
        let response = service
            .send(&request.clone().header("Content-Encoding", encoding))
            .await;
        assert_eq!(response.status, 200, "{encoding}");
    }
    for encoding in ["gzip", "identity, gzip", "identity, identity"] {
        let response = service
            .send(&request.clone().header("Content-Encoding", encoding))
            .await;
        assert_refused(&response, 415, &["compressed"]);
        assert_eq!(response.header("accept-encoding"), "identity");
    }
}

#[tokio::test]
async fn a_missing_and_a_foreign_workspace_get_the_same_response() {
    let service = service().await;
    let [missing, foreign] = [Uuid::new_v4().to_string(), Uuid::new_v4().to_string()];
    service.put_workspace(&foreign, &Uuid::new_v4().to_string()).await;
    for workspace_id in [missing, foreign] {
        let response = service
            .send(&service.request_in(&workspace_id, "Ada", "ada@acme.de"))
            .await;
        assert_eq!(response.status, 404);
        assert_eq!(response.text, r#"{"error":"Workspace not found"}"#);
    }
    assert_eq!(service.contacts().await, []);
}

/// A request with everything wrong, fixed step by step: each time it is refused for the first mistake that is left.
#[tokio::test]
async fn the_checks_have_an_order() {
    let service = service().await;
    let send = async |request: &_| service.send(request).await;
    let request = service.request("", "").method("GET").path("/elsewhere");
    let request = request.key("nonsense").header("content-type", "text/plain");
    let request = request.header("content-encoding", "gzip").body("x".repeat(70_000));
    assert_eq!(send(&request).await.status, 404, "path");
    let request = request.path("/api/contacts");
    assert_eq!(send(&request).await.status, 405, "method");
    let request = request.method("POST");
    assert_eq!(send(&request).await.status, 413, "size");
    let request = request.body("{}");
    assert_refused(&send(&request).await, 401, &["Authorization"]);
    let request = request.key(&new_key());
    assert_refused(&send(&request).await, 415, &["application/json"]);
    let request = request.header("content-type", "application/json");
    assert_refused(&send(&request).await, 415, &["compressed"]);
    assert_eq!(service.proxy.operations(), [""; 0], "all of it without a database call");

    let request = request.without("content-encoding");
    assert_refused(&send(&request).await, 401, &["not valid"]);
    let elsewhere = |key: &mut harness::fixture::Key| key.workspace_id = Some(Uuid::new_v4().to_string());
    let scopeless = service.put_key(|key| {
        key.scopes = vec![];
        elsewhere(key);
    });
    let request = request.key(&scopeless.await);
    assert_refused(&send(&request).await, 403, &["contacts:write"]);
    let request = request.key(&service.put_key(elsewhere).await);
    assert_refused(&send(&request).await, 400, &["workspaceId", "name", "email"]);
    let request = request.body(json!({"workspaceId": Uuid::new_v4(), "name": "Ada", "email": "ada@acme.de"}));
    assert_refused(&send(&request).await, 403, &["workspace"]);
    let request = request.key(&service.key);
    assert_refused(&send(&request).await, 404, &["Workspace not found"]);
    assert_eq!(send(&service.request("Ada", "ada@acme.de")).await.status, 201);
}

/// `docs/contract.md#calls`: what a request costs, seen on the wire.
#[tokio::test]
async fn a_request_costs_one_batch_get_item_and_one_put_item() {
    let service = Service::with(BINARY, &[("AWS_SESSION_TOKEN", "of-the-role")]).await;
    let good = service.request("Ada", "ada@acme.de");
    assert_eq!(service.send(&good).await.status, 201);
    let [read, write] = &service.proxy.calls()[..] else {
        panic!("two calls")
    };
    // What the contract says of concurrent invocations: the calls belong to the invocation's trace.
    assert_eq!([&read.trace_id, &write.trace_id], [TRACE_ID; 2]);
    assert_eq!([&read.session_token, &write.session_token], ["of-the-role"; 2]);
    let requested = read.input["RequestItems"].as_object().unwrap();
    assert_eq!(requested.len(), 2);
    for table in [&service.tables.api_keys, &service.tables.workspaces] {
        assert_eq!(requested[table]["ConsistentRead"], true);
        assert_eq!(requested[table]["Keys"].as_array().unwrap().len(), 1);
    }
    assert_eq!(write.input["TableName"], json!(service.tables.contacts));
    assert_eq!(write.input["ConditionExpression"], "attribute_not_exists(emailKey)");
    assert_eq!(write.input["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");

    let elsewhere = service.request_in(&Uuid::new_v4().to_string(), "Ada", "ada@acme.de");
    for (request, status, operations) in [
        (&good, 200, &["BatchGetItem", "PutItem"][..]),
        (
            &service.request("Eve", "ada@acme.de"),
            409,
            &["BatchGetItem", "PutItem"],
        ),
        (&good.clone().key(&new_key()), 401, &["BatchGetItem"]),
        (&good.clone().key("sf_live_v1_short"), 401, &[]),
        (&elsewhere, 404, &["BatchGetItem"]),
        (&service.request("Ada", "nonsense"), 400, &["GetItem"]),
    ] {
        service.proxy.plan(|_, _| None);
        assert_eq!(service.send(request).await.status, status);
        assert_eq!(service.proxy.operations(), operations, "{status}");
    }
    assert_eq!(service.proxy.calls()[0].input["ConsistentRead"], true);
}
