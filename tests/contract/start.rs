//! `docs/contract.md#environment-variables`: what each variable does, and what prevents a start.

use std::{fs, path::Path};

use harness::{service::Service, tls::TlsServer};
use uuid::Uuid;

use crate::BINARY;

#[tokio::test]
async fn missing_and_invalid_variables_are_all_named_when_the_start_fails() {
    let service = Service::without_process(BINARY).await;
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for changes in [
        &[("CONTACTS_TABLE", "")][..],
        &[("API_KEYS_TABLE", "")],
        &[("WORKSPACES_TABLE", "")],
        &[("AWS_REGION", "")],
        &[("AWS_ACCESS_KEY_ID", "")],
        &[("AWS_SECRET_ACCESS_KEY", "")],
        &[("AWS_LAMBDA_RUNTIME_API", "")],
        &[("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000")],
        &[("AWS_ENDPOINT_URL_DYNAMODB", "ftp://localhost")],
        &[("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:99999")],
        &[("AWS_CA_BUNDLE", here)],
        &[
            ("CONTACTS_TABLE", " "),
            ("AWS_LAMBDA_RUNTIME_API", ""),
            ("AWS_REGION", " "),
            ("AWS_ENDPOINT_URL_DYNAMODB", "?"),
            ("AWS_CA_BUNDLE", "/nonexistent"),
            ("AWS_USE_FIPS_ENDPOINT", "yes"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
        ],
    ] {
        let secret = [("AWS_SECRET_ACCESS_KEY", "open-sesame")];
        let lines = service.refused(&[&secret, changes].concat()).await;
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        for (name, _) in changes {
            assert!(line.contains(name), "{name}: {line}");
        }
        assert!(!line.contains("open-sesame"), "{line}");
    }
    let off = [("CONTACTS_TABLE", ""), ("AWS_LAMBDA_LOG_LEVEL", "off")];
    assert_eq!(service.refused(&off).await, [""; 0]);
    let all = [("AWS_ENDPOINT_URL_DYNAMODB", ""), ("AWS_ENDPOINT_URL", "localhost")];
    let line = service.refused(&all).await.concat();
    assert!(line.contains("AWS_ENDPOINT_URL "), "{line}");
}

#[tokio::test]
async fn the_services_endpoint_goes_before_that_of_all_services_and_the_regions() {
    // Every service's proxy leads to the same engine.
    let other = Service::without_process(BINARY).await;
    let proxy = &*other.proxy.url;
    let nowhere = "http://127.0.0.1:1";
    for (own, all, status) in [
        (proxy, "", 201),
        ("", proxy, 201),
        (proxy, nowhere, 201),
        (nowhere, proxy, 503),
    ] {
        let endpoints = [("AWS_ENDPOINT_URL_DYNAMODB", own), ("AWS_ENDPOINT_URL", all)];
        let of_the_region = [
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "True"),
        ];
        let service = Service::with(BINARY, &[endpoints, of_the_region].concat()).await;
        let response = service.create("Ada", "ada@acme.de").await;
        assert_eq!(response.status, status, "{own} {all}");
    }
}

#[tokio::test]
async fn the_certificates_of_the_ca_bundle_are_trusted_and_no_others() {
    let behind = Service::without_process(BINARY).await;
    let proxy = behind.proxy.url.strip_prefix("http://").unwrap().parse().unwrap();
    let tls = TlsServer::start(proxy).await.unwrap();
    let other = TlsServer::start(proxy).await.unwrap();
    // Real bundles have comments, several certificates, and one that no library accepts.
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bundle = format!("# a comment\n{broken}{}{}", other.authority, tls.authority);
    let [bundle, others] = [&bundle, &other.authority].map(|pem| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.pem", Uuid::new_v4()));
        fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    });
    for (variable, status) in [
        (("AWS_CA_BUNDLE", &*bundle), 201),
        (("AWS_CA_BUNDLE", &others), 503),
        (("AWS_CA_BUNDLE", ""), 503),
        // The function reads the contract's variables and no others. Other TLS clients would read this one.
        (("SSL_CERT_FILE", &bundle), 503),
    ] {
        let endpoint = ("AWS_ENDPOINT_URL_DYNAMODB", &*tls.url);
        let service = Service::with(BINARY, &[endpoint, variable]).await;
        let response = service.create("Ada", "ada@acme.de").await;
        assert_eq!(response.status, status, "{variable:?}");
    }
    for path in [bundle, others] {
        fs::remove_file(path).unwrap();
    }
}
