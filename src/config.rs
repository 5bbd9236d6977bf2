//! The environment, parsed: the variables of section 6 of the contract, and no others.
//!
//! A variable that is missing, empty or unreadable stops the start with a sentence that names it. There are no defaults
//! that could hide a mistake: a function that writes to a table nobody meant is worse than one that doesn't start.

use std::{env, fmt, fs};

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use lambda_http::http::Uri;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{
    budget,
    store::{CountAttempts, PassingAnswers},
};

/// What the environment says.
pub struct Config {
    /// The names of the tables.
    pub tables: Tables,
    region: String,
    credentials: Credentials,
    endpoint: Option<String>,
    /// The certificates that are trusted, as PEM.
    roots: Vec<u8>,
}

/// The names of the three tables.
pub struct Tables {
    /// `CONTACTS_TABLE`
    pub contacts: String,
    /// `API_KEYS_TABLE`
    pub api_keys: String,
    /// `WORKSPACES_TABLE`
    pub workspaces: String,
}

/// What is wrong with the environment: one sentence for each variable at fault.
#[derive(Debug)]
pub struct InvalidConfig(Vec<String>);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for InvalidConfig {}

/// What the Lambda runtime library reads; it panics without them, so they are asked for first.
const RUNTIME_VARIABLES: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// The roots that the certificates of DynamoDB's endpoints end in: Amazon Trust Services' own, and Starfield's, which
/// Amazon bought (Amazon DynamoDB Developer Guide, "Troubleshooting SSL/TLS connection establishment issues"). A machine's own
/// bundle has thirty times as many, and reading it took a fifth of a cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("../data/amazon-roots.pem");

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// Variables are missing, empty or unreadable; all of them are named at once.
    pub fn from_env() -> Result<Self, InvalidConfig> {
        let mut faults = Vec::new();
        for name in RUNTIME_VARIABLES {
            if optional(name).is_none() {
                faults.push(format!(
                    "{name} is not set: this program is an AWS Lambda function, and `cargo run --example local` runs it without Lambda"
                ));
                break;
            }
        }
        let mut required = |name: &str| {
            optional(name).unwrap_or_else(|| {
                faults.push(format!("{name} is not set"));
                String::new()
            })
        };
        let tables = Tables {
            contacts: required("CONTACTS_TABLE"),
            api_keys: required("API_KEYS_TABLE"),
            workspaces: required("WORKSPACES_TABLE"),
        };
        let region = required("AWS_REGION");
        let credentials = Credentials::new(
            required("AWS_ACCESS_KEY_ID"),
            required("AWS_SECRET_ACCESS_KEY"),
            optional("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        let endpoint = optional("AWS_ENDPOINT_URL_DYNAMODB");
        if !endpoint.as_deref().is_none_or(is_http_url) {
            faults.push("AWS_ENDPOINT_URL_DYNAMODB is no http:// or https:// URL".to_owned());
        }
        let roots = match optional("AWS_CA_BUNDLE") {
            None => AMAZON_ROOTS.to_vec(),
            Some(path) => trusted_certificates(&path).unwrap_or_else(|reason| {
                faults.push(format!("AWS_CA_BUNDLE: {reason}"));
                Vec::new()
            }),
        };
        if !faults.is_empty() {
            return Err(InvalidConfig(faults));
        }
        Ok(Self {
            tables,
            region,
            credentials,
            endpoint,
            roots,
        })
    }

    /// Builds the client: by hand, because `aws-config` would read profiles and ask services that a function never needs,
    /// and pay for it at every start.
    ///
    /// # Panics
    ///
    /// Never: what could make the TLS library panic was taken out of the CA bundle when it was read.
    #[must_use]
    pub fn client(&self) -> Client {
        let tls = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(self.roots.clone()))
            .build()
            // The builder has no failing case: it only gathers what the connector reads later.
            .expect("a TLS context of a trust store");
        let http = HttpClient::new()
            .tls_provider(Provider::rustls(CryptoMode::Ring))
            .tls_context(tls)
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(budget::CONNECT)
            .operation_attempt_timeout(budget::ATTEMPT)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(budget::ATTEMPTS)
            .with_initial_backoff(budget::INITIAL_BACKOFF)
            .with_max_backoff(budget::MAX_BACKOFF);
        // The SDK's retry quota protects a service from clients that retry in loops. Here each request has its own bound in
        // attempts and time, and a quota that a bad minute has used up would fail requests that one retry saves.
        let quota = RetryPartition::custom("create-contact")
            .token_bucket(TokenBucket::unlimited())
            .build();
        let mut sdk = aws_sdk_dynamodb::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(retries)
            .retry_partition(quota)
            .retry_classifier(PassingAnswers)
            .interceptor(CountAttempts)
            // An attempt has its time; watching its throughput as well would say nothing more.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = &self.endpoint {
            sdk = sdk.endpoint_url(endpoint);
        }
        Client::from_conf(sdk.build())
    }
}

/// A variable that is set to something.
fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn is_http_url(text: &str) -> bool {
    text.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// The certificates of a PEM file that can be trust anchors, as PEM.
///
/// Real bundles hold the odd certificate that no TLS library takes as an anchor. The SDK panics on one, so they are left
/// out here, as rustls does with a system's bundle.
fn trusted_certificates(path: &str) -> Result<Vec<u8>, String> {
    let file = fs::read(path).map_err(|error| format!("{path} can't be read: {error}"))?;
    let mut anchors = RootCertStore::empty();
    let mut pem = String::new();
    for certificate in CertificateDer::pem_slice_iter(&file) {
        let certificate = certificate.map_err(|_| format!("{path} is no PEM file"))?;
        if anchors.add(certificate.clone()).is_ok() {
            let base64 = BASE64.encode(&certificate);
            pem.extend([
                "-----BEGIN CERTIFICATE-----\n",
                &base64,
                "\n-----END CERTIFICATE-----\n",
            ]);
        }
    }
    if anchors.is_empty() {
        return Err(format!("{path} holds no certificate that can be trusted"));
    }
    Ok(pem.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_default_roots_is_one_that_the_tls_library_takes() {
        let mut anchors = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(AMAZON_ROOTS) {
            anchors.add(root.expect("PEM")).expect("a trust anchor");
        }
        assert_eq!(anchors.len(), 5);
    }
}
