//! Section 6's variables: what stops the start.

use harness::service::Service;

use crate::BINARY;

/// The lines of a process that must not start.
async fn refused(service: &Service, changes: &[(&str, &str)]) -> String {
    let mut function = service.process(changes);
    let status = function.ended().await.unwrap();
    let lines = function.stop().await;
    assert!(!status.success(), "{lines:?}");
    for line in &lines {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).unwrap().is_object(),
            "{line}"
        );
    }
    lines.join("\n")
}

#[tokio::test]
async fn a_missing_variable_stops_the_start_with_a_line_that_names_it() {
    let service = Service::without_process(BINARY).await;
    for name in [
        "CONTACTS_TABLE",
        "API_KEYS_TABLE",
        "WORKSPACES_TABLE",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
    ] {
        let line = refused(&service, &[(name, "")]).await;
        assert!(line.contains(name), "{name}: {line}");
    }
    let line = refused(&service, &[("CONTACTS_TABLE", ""), ("WORKSPACES_TABLE", "")]).await;
    assert!(
        line.contains("CONTACTS_TABLE") && line.contains("WORKSPACES_TABLE"),
        "all at once: {line}"
    );
}

#[tokio::test]
async fn an_unreadable_variable_stops_the_start_with_a_line_that_names_it() {
    let service = Service::without_process(BINARY).await;
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (name, value) in [
        ("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://localhost"),
        ("AWS_CA_BUNDLE", "/nonexistent/ca.pem"),
        ("AWS_CA_BUNDLE", here),
    ] {
        let line = refused(&service, &[(name, value)]).await;
        assert!(line.contains(name), "{name}={value}: {line}");
    }
}

#[tokio::test]
async fn a_secret_is_not_in_the_line_of_a_failed_start() {
    let service = Service::without_process(BINARY).await;
    let line = refused(
        &service,
        &[("AWS_SECRET_ACCESS_KEY", "open-sesame"), ("CONTACTS_TABLE", "")],
    )
    .await;
    assert!(!line.contains("open-sesame"));
}
