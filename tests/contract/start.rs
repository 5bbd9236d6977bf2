//! `docs/contract.md#environment-variables`: what each variable does, and what prevents a start.

use std::{fs, path::PathBuf};

use harness::{service::Service, tls::TlsServer};
use uuid::Uuid;

use crate::BINARY;

/// The output of a process that must fail to start.
async fn refused(service: &Service, changes: &[(&str, &str)]) -> String {
    let lines = service.refused(service.process(changes)).await;
    for line in &lines {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).unwrap().is_object(),
            "{line}"
        );
    }
    lines.join("\n")
}

#[tokio::test]
async fn at_the_level_off_a_failed_start_logs_nothing() {
    let service = Service::without_process(BINARY).await;
    let line = refused(&service, &[("CONTACTS_TABLE", ""), ("AWS_LAMBDA_LOG_LEVEL", "off")]).await;
    assert_eq!(line, "");
}

#[tokio::test]
async fn a_missing_variable_is_named_when_the_start_fails() {
    let service = Service::without_process(BINARY).await;
    for name in [
        "CONTACTS_TABLE",
        "API_KEYS_TABLE",
        "WORKSPACES_TABLE",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_LAMBDA_RUNTIME_API",
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
async fn an_invalid_variable_is_named_when_the_start_fails() {
    let service = Service::without_process(BINARY).await;
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (name, value) in [
        ("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "ftp://localhost"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:99999"),
        ("CONTACTS_TABLE", " "),
        ("AWS_USE_FIPS_ENDPOINT", "yes"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
        ("AWS_CA_BUNDLE", "/nonexistent/ca.pem"),
        ("AWS_CA_BUNDLE", here),
    ] {
        let line = refused(&service, &[(name, value)]).await;
        assert!(line.contains(name), "{name}={value}: {line}");
    }
}

#[tokio::test]
async fn all_invalid_variables_are_named_at_once() {
    let service = Service::without_process(BINARY).await;
    let wrong = [
        ("CONTACTS_TABLE", ""),
        ("AWS_LAMBDA_RUNTIME_API", ""),
        ("AWS_REGION", " "),
        ("AWS_ENDPOINT_URL_DYNAMODB", "?"),
        ("AWS_CA_BUNDLE", "/nonexistent"),
        ("AWS_USE_FIPS_ENDPOINT", "?"),
    ];
    let line = refused(&service, &wrong).await;
    for (name, _) in wrong {
        assert!(line.contains(name), "{name}: {line}");
    }
}

#[tokio::test]
async fn the_services_endpoint_goes_before_that_of_all_services() {
    let service = Service::without_process(BINARY).await;
    let proxy = service.proxy.url.clone();
    let nowhere = "http://127.0.0.1:1";
    for (own, all, status) in [
        (&*proxy, "", 201),
        ("", &proxy, 200),
        (&proxy, nowhere, 200),
        (nowhere, &proxy, 503),
    ] {
        let function = service.process(&[("AWS_ENDPOINT_URL_DYNAMODB", own), ("AWS_ENDPOINT_URL", all)]);
        let response = service.send(&service.request("Ada", "ada@acme.de")).await;
        assert_eq!(response.status, status, "{own} {all}");
        function.stop().await;
    }
    let service = Service::without_process(BINARY).await;
    let line = refused(
        &service,
        &[("AWS_ENDPOINT_URL_DYNAMODB", ""), ("AWS_ENDPOINT_URL", "localhost")],
    )
    .await;
    assert!(line.contains("AWS_ENDPOINT_URL "), "{line}");
}

#[tokio::test]
async fn an_endpoint_goes_before_fips_and_dual_stack() {
    let service = Service::without_process(BINARY).await;
    service.add_process(&[
        ("AWS_USE_FIPS_ENDPOINT", "true"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "True"),
    ]);
    assert_eq!(service.send(&service.request("Ada", "ada@acme.de")).await.status, 201);
}

#[tokio::test]
async fn a_failed_start_logs_no_secret() {
    let service = Service::without_process(BINARY).await;
    let line = refused(
        &service,
        &[("AWS_SECRET_ACCESS_KEY", "open-sesame"), ("CONTACTS_TABLE", "")],
    )
    .await;
    assert!(!line.contains("open-sesame"));
}

/// A file that is removed when this is dropped.
struct Pem(PathBuf);

impl Pem {
    fn new(text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.pem", Uuid::new_v4()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn the_certificates_of_the_ca_bundle_are_trusted_and_no_others() {
    let service = Service::without_process(BINARY).await;
    let proxy = service.proxy.url.strip_prefix("http://").unwrap().parse().unwrap();
    let tls = TlsServer::start(proxy).await.unwrap();
    let other = TlsServer::start(proxy).await.unwrap();
    // Real bundles have comments, several certificates, and one that no library accepts.
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = Pem::new(&format!("# a comment\n{broken}{}{}", other.authority, tls.authority));
    let others = Pem::new(&other.authority);
    for (ca_bundle, status) in [(bundle.path(), 201), (others.path(), 503), ("", 503)] {
        let function = service.process(&[("AWS_ENDPOINT_URL_DYNAMODB", &tls.url), ("AWS_CA_BUNDLE", ca_bundle)]);
        let response = service.send(&service.request("Ada", "ada@acme.de")).await;
        assert_eq!(response.status, status, "{ca_bundle}");
        function.stop().await;
    }
    // The function reads the contract's variables and no others. Other TLS clients would read this one.
    let function = service.process(&[
        ("AWS_ENDPOINT_URL_DYNAMODB", &tls.url),
        ("SSL_CERT_FILE", bundle.path()),
    ]);
    let response = service.send(&service.request("Ada", "ada@acme.de")).await;
    assert_eq!(response.status, 503, "trusted by SSL_CERT_FILE");
    function.stop().await;
}
