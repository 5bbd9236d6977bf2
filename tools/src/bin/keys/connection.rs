//! The way to `DynamoDB`, and what to do where it is barred.

use std::error::Error;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::{
    Client,
    config::{Credentials, ProvideCredentials as _},
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_http_client::{
    Builder as HttpClient,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::Refusal;

/// A client and where it leads.
pub struct Connection {
    pub client: Client,
    /// As a sentence names it: a region of AWS, or an engine's URL.
    place: String,
}

impl Connection {
    /// Finds region and credentials as the AWS CLI does; an engine on this machine needs neither.
    ///
    /// # Errors
    ///
    /// One of them can't be found, or the endpoint is no URL.
    pub async fn open(endpoint_url: Option<String>) -> Result<Self, Refusal> {
        let mut config = aws_config::defaults(BehaviorVersion::latest()).http_client(
            HttpClient::new()
                .tls_provider(Provider::rustls(CryptoMode::Ring))
                .build_https(),
        );
        let on_this_machine = endpoint_url.as_deref().is_some_and(is_on_this_machine);
        if let Some(url) = &endpoint_url {
            config = config.endpoint_url(url);
        }
        if on_this_machine {
            config = config
                .region(Region::new("eu-central-1"))
                .credentials_provider(Credentials::new("local", "local", None, None, "local"));
        }
        let config = config.load().await;
        let region = config.region().ok_or_else(|| {
            Refusal::new("No AWS region is set. Set AWS_REGION, or AWS_PROFILE to a profile that has one.")
        })?;
        let place = endpoint_url.unwrap_or_else(|| format!("region {region}"));
        // Asked for here, where it is clear what failed; the client would wrap it in a failure of its first call.
        let credentials = config.credentials_provider().ok_or_else(no_credentials)?;
        credentials.provide_credentials().await.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => no_credentials(),
            error => {
                // The outermost says only that it failed; what an operator can act on is further in.
                let mut reasons = Vec::new();
                let mut next = error.source();
                while let Some(reason) = next {
                    reasons.push(reason.to_string());
                    next = reason.source();
                }
                Refusal::new(format!(
                    "{} They were not loaded: {}.",
                    no_credentials(),
                    reasons.join(": ")
                ))
            }
        })?;
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
                "These credentials may not use dynamodb:{action} on {table} at {place}. Take a profile that may, or ask whoever administers the account."
            ),
            (_, "ExpiredTokenException" | "RequestExpired") => {
                "The AWS credentials have expired. Get new ones: aws sso login, or however this profile gets them."
                    .to_owned()
            }
            (_, "UnrecognizedClientException" | "InvalidSignatureException" | "IncompleteSignatureException") => {
                format!(
                    "AWS doesn't know these credentials at {place}. Check AWS_PROFILE, and that the machine's clock is right."
                )
            }
            (SdkError::DispatchFailure(_) | SdkError::TimeoutError(_), _) => format!(
                "DynamoDB can't be reached at {place}. Is the name right, is there a network, and is the local run, if it is meant, still running?"
            ),
            (_, "") => format!("DynamoDB at {place} gave an answer to {action} on {table} that can't be read."),
            (_, code) => format!(
                "DynamoDB at {place} refused {action} on {table}: {code}, {}",
                error.meta().message().unwrap_or("without a reason")
            ),
        })
    }
}

fn no_credentials() -> Refusal {
    Refusal::new(
        "There are no AWS credentials that work. Set AWS_PROFILE to one of aws configure list-profiles, and run aws sso login if it is one of single sign-on.",
    )
}

/// Whether a URL leads to this machine, where engines check no credentials, and none should be asked for.
fn is_on_this_machine(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    ["127.0.0.1", "localhost", "[::1]"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::is_on_this_machine;

    #[test]
    fn only_loopback_is_this_machine() {
        for url in ["http://127.0.0.1:8000", "http://localhost/", "http://[::1]:8000"] {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in [
            "https://dynamodb.eu-central-1.amazonaws.com",
            "http://localhost.example.com",
            "http://10.0.0.1:8000",
            "http://user:127.0.0.1@example.com",
        ] {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }
}
