//! How the DynamoDB client is built: trust, connections, times, retries.
//!
//! It is built without `aws-config`, which would read profiles and set up credential providers that a function never needs,
//! and so make every start slower.

use std::sync::OnceLock;

use aws_sdk_dynamodb::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, SharedHttpClient, SharedInterceptor, StalledStreamProtectionConfig,
        endpoint::{DefaultResolver, Endpoint, EndpointFuture, Params, ResolveEndpoint},
        retry::{RetryConfig, RetryPartition, TokenBucket},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector, http_client_fn};

use super::{
    fault::{RefuseEmptyResponses, RetryTransientErrors},
    usage::CountAttempts,
};
use crate::{
    budget,
    config::{self, Config},
};

/// Builds the client that a configuration describes.
pub(super) fn client(config: &Config) -> Client {
    // The time to connect is a setting of the connector below.
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(budget::ATTEMPT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(budget::ATTEMPTS)
        .with_initial_backoff(budget::INITIAL_BACKOFF)
        .with_max_backoff(budget::MAX_BACKOFF);
    // The SDK's retry quota protects a service from clients that retry in loops. Here each request is already limited in
    // attempts and time. If many failures had used up the quota, requests would fail that a single retry could save.
    let quota = RetryPartition::custom("create-contact")
        .token_bucket(TokenBucket::unlimited())
        .build();
    let credentials = &config.credentials;
    let credentials = Credentials::new(
        &credentials.access_key_id,
        &credentials.secret_access_key,
        credentials.session_token.clone(),
        None,
        "environment",
    );
    let mut sdk = aws_sdk_dynamodb::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .credentials_provider(credentials)
        .http_client(http_client(&config.roots))
        .timeout_config(timeouts)
        .retry_config(retries)
        .retry_partition(quota)
        .retry_classifier(RetryTransientErrors)
        // Each attempt has a timeout, so watching its throughput isn't needed.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_resolver(ResolveOnce::default());
    // Permanent interceptors save the SDK a check before each of their hooks: 2.5% of a request's instructions.
    sdk.push_interceptor(SharedInterceptor::permanent(CountAttempts));
    sdk.push_interceptor(SharedInterceptor::permanent(RefuseEmptyResponses));
    let sdk = match &config.endpoint {
        config::Endpoint::Url(url) => sdk.endpoint_url(url),
        &config::Endpoint::Region { fips, dual_stack } => sdk.use_fips(fips).use_dual_stack(dual_stack),
    };
    Client::from_conf(sdk.build())
}

fn http_client(roots: &[u8]) -> SharedHttpClient {
    let tls = TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(roots))
        .build()
        // The builder never fails: it only stores what the connector reads later. `config` has left out the certificates that
        // could make the TLS library panic.
        .expect("a TLS context of a trust store");
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(budget::CONNECT)
        .build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// Resolves DynamoDB's endpoint once. The SDK's own resolver caches one endpoint, by table, and each call names another table. The
/// table matters only for endpoints of an account, which need an account id in the credentials.
#[derive(Debug, Default)]
struct ResolveOnce {
    resolver: DefaultResolver,
    endpoint: OnceLock<Endpoint>,
}

impl ResolveEndpoint for ResolveOnce {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        match self.endpoint.get() {
            Some(endpoint) => EndpointFuture::ready(Ok(endpoint.clone())),
            None => EndpointFuture::new(async {
                let endpoint = self.resolver.resolve_endpoint(params).await?;
                Ok(self.endpoint.get_or_init(|| endpoint).clone())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_runtime_api::client::{
        http::{HttpConnector, HttpConnectorFuture},
        orchestrator::HttpRequest,
        result::ConnectorError,
    };

    use super::*;
    use crate::config::{Credentials as Keys, Tables};

    /// Keeps where the last request would have gone.
    #[derive(Clone, Debug, Default)]
    struct Host(Arc<Mutex<String>>);

    impl HttpConnector for Host {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            *self.0.lock().unwrap() = request.uri().to_owned();
            HttpConnectorFuture::ready(Err(ConnectorError::user("not sent".into())))
        }
    }

    #[tokio::test]
    async fn fips_and_dual_stack_choose_the_regions_endpoint() {
        for (fips, dual_stack, url) in [
            (false, false, "https://dynamodb.eu-central-1.amazonaws.com/"),
            (true, false, "https://dynamodb-fips.eu-central-1.amazonaws.com/"),
            (false, true, "https://dynamodb.eu-central-1.api.aws/"),
            (true, true, "https://dynamodb-fips.eu-central-1.api.aws/"),
        ] {
            let config = Config {
                tables: Tables {
                    contacts: String::new(),
                    api_keys: String::new(),
                    workspaces: String::new(),
                },
                region: "eu-central-1".to_owned(),
                credentials: Keys {
                    access_key_id: "a".to_owned(),
                    secret_access_key: "s".to_owned(),
                    session_token: None,
                },
                endpoint: config::Endpoint::Region { fips, dual_stack },
                roots: vec![],
            };
            let host = Host::default();
            let connector = SharedHttpConnector::new(host.clone());
            let sdk = client(&config).config().to_builder();
            let sdk = sdk.http_client(http_client_fn(move |_, _| connector.clone())).build();
            Client::from_conf(sdk).list_tables().send().await.unwrap_err();
            assert_eq!(*host.0.lock().unwrap(), url);
        }
    }
}
