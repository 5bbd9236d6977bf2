//! The connection to `DynamoDB`, and what to do if it fails.

use std::{env, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, ProvideCredentials as _},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider, rustls_provider::CryptoMode},
};
use tokio::time::timeout;
use tools::{causes, is_loopback};
use url::Url;

use crate::{Refusal, tables::Table};

/// How long one attempt of a call may take.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a call may take, retries included. A command makes at most four calls that wait this long one after the other, so
/// that it ends within the 30 seconds that `keys --help` states.
const CALL: Duration = Duration::from_secs(7);
/// How long getting credentials may take: a credential process may ask the operator for a code.
const CREDENTIALS: Duration = Duration::from_mins(1);

/// A client, and where it connects to.
pub struct Connection {
    pub client: Client,
    /// The place, as messages name it: a region of AWS, or an engine's URL.
    place: String,
}

impl Connection {
    /// Finds region and credentials as the AWS CLI does; an engine on this machine needs neither.
    ///
    /// # Errors
    ///
    /// One of them can't be found, or the endpoint isn't a URL.
    pub async fn open(endpoint_url: Option<String>) -> Result<Self, Refusal> {
        let endpoint_urls = endpoint_url.into_iter().chain(env::var("AWS_ENDPOINT_URL"));
        let endpoint_url = endpoint_urls.into_iter().find(|url| !url.is_empty());
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(CALL);
        let https = HttpClient::new().tls_provider(Provider::rustls(CryptoMode::Ring));
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https.build_https())
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(200)));
        if let Some(text) = &endpoint_url {
            let url = Url::parse(text).ok().filter(|url| url.scheme().starts_with("http"));
            let url =
                url.ok_or_else(|| Refusal("The endpoint isn't a URL such as http://127.0.0.1:8000.".to_owned()))?;
            config = config.endpoint_url(text);
            // Engines on this machine check no credentials, so none are needed.
            if is_loopback(&url) {
                config = config
                    .region(Region::new("eu-central-1"))
                    .credentials_provider(Credentials::new("local", "local", None, None, "local"));
            }
        }
        let config = config.load().await;
        let region = config.region().ok_or_else(|| {
            Refusal("No AWS region is set. Set AWS_REGION, or AWS_PROFILE to a profile that has one.".to_owned())
        })?;
        let place = endpoint_url.unwrap_or_else(|| format!("region {region}"));
        // They are loaded here, where it is clear what failed; the client would wrap it in a failure of its first call. The
        // client gets what was found: asking the provider again could prompt the operator again.
        let provider = config.credentials_provider().expect("a chain of providers by default");
        let credentials = timeout(CREDENTIALS, provider.provide_credentials())
            .await
            .unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(CREDENTIALS)))
            .map_err(|error| no_credentials(&error))?;
        let credentials = SharedCredentialsProvider::new(credentials);
        let config = config.into_builder().credentials_provider(credentials).build();
        Ok(Self {
            client: Client::new(&config),
            place,
        })
    }

    /// What to do about a call that failed on a table.
    pub fn refusal<E: ProvideErrorMetadata>(&self, action: &str, table: &Table, error: &SdkError<E>) -> Refusal {
        let (place, Table { name, variable, .. }) = (&self.place, table);
        Refusal(match (error, error.code().unwrap_or_default()) {
            (_, "ResourceNotFoundException") => format!(
                "There is no table {name} at {place}. Is it the right region and account? The stack's outputs name the table: set {variable}."
            ),
            (_, "AccessDeniedException") => format!(
                "These credentials may not use dynamodb:{action} on {name} at {place}. Use a profile that may, or ask whoever administers the account."
            ),
            (_, "ExpiredTokenException" | "RequestExpired") => {
                "The AWS credentials have expired. Get new ones: aws sso login, or however this profile gets them."
                    .to_owned()
            }
            (_, "UnrecognizedClientException" | "InvalidSignatureException" | "IncompleteSignatureException") => {
                format!(
                    "AWS doesn't accept these credentials at {place}. Check AWS_PROFILE, and that the machine's clock is right."
                )
            }
            (SdkError::TimeoutError(_), _) => format!(
                "DynamoDB at {place} didn't respond to {action} on {name} within {} seconds. Is the endpoint right, and is there a network?",
                CALL.as_secs()
            ),
            (SdkError::DispatchFailure(_), _) => format!(
                "DynamoDB can't be reached at {place}. Check the endpoint (http or https, host, port) and the network. If it is the local run, check that it is still running."
            ),
            (_, "" | "UnknownOperationException") => return self.not_dynamodb(),
            (_, code) => format!(
                "DynamoDB at {place} refused {action} on {name}: {code}, {}",
                error.message().unwrap_or("without a reason")
            ),
        })
    }

    /// What to do about a response that isn't one of `DynamoDB`'s.
    pub fn not_dynamodb(&self) -> Refusal {
        Refusal(format!(
            "What responds at {} isn't DynamoDB. Check --endpoint-url, AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL, and whether there is a proxy in between.",
            self.place
        ))
    }
}

fn no_credentials(error: &CredentialsError) -> Refusal {
    let reason = match error {
        // The chain of providers found none; the error lists where it looked.
        CredentialsError::CredentialsNotLoaded(_) => String::new(),
        error => format!(" Loading them failed: {}.", causes(error)),
    };
    Refusal(format!(
        "There are no AWS credentials that work. Set AWS_PROFILE to a profile that aws configure list-profiles shows, and run aws sso login if it uses single sign-on.{reason}"
    ))
}

/// Whether a write may have been applied although it failed.
///
/// If `DynamoDB` refused the write with a reason, it was not applied. Without a response, it may have been. After throttling it
/// may have been too, by an earlier attempt whose response was lost.
pub fn may_be_applied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let response = error.raw_response();
    let is_refused = response.is_some_and(|response| response.status().is_client_error());
    !is_refused
        || matches!(
            error.code(),
            None | Some("ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded")
        )
}
