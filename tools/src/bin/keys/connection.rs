//! The connection to `DynamoDB`, and what to do if it fails.

use std::{error::Error as _, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::{SharedCredentialsProvider, error::CredentialsError};
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, ProvideCredentials},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider, rustls_provider::CryptoMode},
};
use tokio::time::timeout;
use tools::{causes, is_loopback};
use url::Url;

use crate::Refusal;

/// How long one attempt of a call may take.
const ATTEMPT: Duration = Duration::from_secs(3);
/// How long a call may take, retries included. A command makes at most three calls that wait this long one after the
/// other, so that it ends within the 30 seconds that `keys --help` states.
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
        let endpoint = endpoint_url.as_deref().map(endpoint).transpose()?;
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(
                HttpClient::new()
                    .tls_provider(Provider::rustls(CryptoMode::Ring))
                    .build_https(),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(ATTEMPT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(CALL)
                    .build(),
            )
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(200)));
        if let Some(url) = &endpoint {
            config = config.endpoint_url(url.as_str());
            // Engines on this machine check no credentials, so none are needed.
            if is_loopback(url) {
                config = config
                    .region(Region::new("eu-central-1"))
                    .credentials_provider(Credentials::new("local", "local", None, None, "local"));
            }
        }
        let config = config.load().await;
        let region = config.region().ok_or_else(|| {
            Refusal::new("No AWS region is set. Set AWS_REGION, or AWS_PROFILE to a profile that has one.")
        })?;
        let place = match &endpoint {
            // Without a user or a password that the URL may contain.
            Some(url) => url.origin().ascii_serialization(),
            None => format!("region {region}"),
        };
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let credentials = credentials(&provider).await?;
        // The client gets what was found: asking the provider again could prompt the operator again.
        let config = config
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Ok(Self {
            client: Client::new(&config),
            place,
        })
    }

    /// What to do about a call that failed on a table.
    pub fn refusal<E: ProvideErrorMetadata>(
        &self,
        action: &str,
        table: &str,
        option: &str,
        error: &SdkError<E>,
    ) -> Refusal {
        let place = &self.place;
        let code = error.meta().code().unwrap_or_default();
        Refusal::new(match (error, code) {
            (_, "ResourceNotFoundException") => format!(
                "There is no table {table} at {place}. Is it the right region and account? The stack's outputs name the table: set {option}."
            ),
            (_, "AccessDeniedException") => format!(
                "These credentials may not use dynamodb:{action} on {table} at {place}. Use a profile that may, or ask whoever administers the account."
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
                "DynamoDB at {place} didn't respond to {action} on {table} within {} seconds. Is the endpoint right, and is there a network?",
                CALL.as_secs()
            ),
            // Something responded, but not in HTTP.
            (SdkError::DispatchFailure(failure), _) if failure.is_other() && failure.as_other().is_none() => {
                return self.not_dynamodb();
            }
            (SdkError::DispatchFailure(_), _) => format!(
                "DynamoDB can't be reached at {place}. Check the endpoint (http or https, host, port) and the network. If it is the local run, check that it is still running."
            ),
            (_, "" | "UnknownOperationException") => return self.not_dynamodb(),
            (_, code) => format!(
                "DynamoDB at {place} refused {action} on {table}: {code}, {}",
                error.meta().message().unwrap_or("without a reason")
            ),
        })
    }

    /// What to do about a response that isn't one of `DynamoDB`'s.
    pub fn not_dynamodb(&self) -> Refusal {
        Refusal::new(format!(
            "What responds at {} isn't DynamoDB. Check --endpoint-url, AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL, and whether there is a proxy in between.",
            self.place
        ))
    }

    /// What to do about a table that can't be read to its end in time.
    pub fn too_slow(&self, table: &str, patience: Duration) -> Refusal {
        Refusal::new(format!(
            "Table {table} at {} couldn't be read completely within {} seconds. Try again, from a faster network if you can.",
            self.place,
            patience.as_secs()
        ))
    }
}

/// Whether a write may have been applied although it failed.
///
/// If `DynamoDB` refused the write with a reason, it was not applied. Without a response, it may have been. After throttling it
/// may have been too, by an earlier attempt whose response was lost.
pub fn may_be_applied<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(service) => match service.err().code() {
            None | Some("ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded") => {
                true
            }
            Some(_) => service.raw().status().is_server_error(),
        },
        _ => true,
    }
}

/// Asks for credentials here, where it is clear what failed; the client would wrap it in a failure of its first call.
async fn credentials(provider: &impl ProvideCredentials) -> Result<Credentials, Refusal> {
    let Ok(loaded) = timeout(CREDENTIALS, provider.provide_credentials()).await else {
        return Err(Refusal::new(format!(
            "{} Loading them took more than {} seconds.",
            no_credentials(),
            CREDENTIALS.as_secs()
        )));
    };
    loaded.map_err(|error| match error {
        CredentialsError::CredentialsNotLoaded(_) => no_credentials(),
        // The outermost error only says that it failed.
        error => Refusal::new(format!(
            "{} Loading them failed: {}.",
            no_credentials(),
            error.source().map(causes).unwrap_or_default()
        )),
    })
}

fn no_credentials() -> Refusal {
    Refusal::new(
        "There are no AWS credentials that work. Set AWS_PROFILE to a profile that aws configure list-profiles shows, and run aws sso login if it uses single sign-on.",
    )
}

/// Reads an endpoint's URL.
fn endpoint(text: &str) -> Result<Url, Refusal> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| Refusal::new("The endpoint isn't a URL such as http://127.0.0.1:8000."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_server_is_no_endpoint() {
        for text in [
            "localhost:8000",
            "127.0.0.1:8000",
            "file:///tmp",
            "ftp://acme.de",
            "http://",
            "[::1]",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_write_that_was_never_sent_is_not_applied() {
        use aws_sdk_dynamodb::operation::put_item::PutItemError;
        assert!(!may_be_applied(&SdkError::<PutItemError>::construction_failure(
            "no table"
        )));
        assert!(may_be_applied(&SdkError::<PutItemError>::timeout_error("no response")));
    }
}
