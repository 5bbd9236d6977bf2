//! The environment, parsed: the variables of `docs/contract.md#environment-variables` and no others. Only the log level is read
//! elsewhere, in `log.rs`.
//!
//! If variables are missing, empty or invalid, the start fails with one message that names them all. There are no defaults
//! that could hide a mistake: a function that writes to the wrong table is worse than one that doesn't start.

use std::{env, fmt, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use lambda_http::http::Uri;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

/// What the environment says.
pub struct Config {
    /// The names of the tables.
    pub tables: Tables,
    /// `AWS_REGION`
    pub region: String,
    /// The function's credentials; in Lambda they are its role's and don't change while the process lives.
    pub credentials: Credentials,
    /// DynamoDB's endpoint.
    pub endpoint: Endpoint,
    /// The certificates that are trusted, as PEM.
    pub roots: Vec<u8>,
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

/// Which endpoint of DynamoDB is used.
pub enum Endpoint {
    /// The URL of `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL`.
    Url(String),
    /// One of the region's.
    Region {
        /// `AWS_USE_FIPS_ENDPOINT`
        fips: bool,
        /// `AWS_USE_DUALSTACK_ENDPOINT`
        dual_stack: bool,
    },
}

/// AWS credentials. Without `Debug`, so that no log entry can show them by accident.
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`
    pub session_token: Option<String>,
}

/// What is wrong with the environment: one message for each variable.
#[derive(Debug)]
pub struct InvalidConfig(Vec<String>);

impl fmt::Display for InvalidConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for InvalidConfig {}

/// The root certificates of DynamoDB's endpoints: Amazon Trust Services and Starfield, which Amazon bought
/// (Amazon DynamoDB Developer Guide, "Troubleshooting SSL/TLS connection establishment issues"). A machine's own bundle has
/// many more, and reading it costs a good part of a cold start.
const AMAZON_ROOTS: &[u8] = include_bytes!("../data/amazon-roots.pem");

/// Read by Lambda's runtime library, which panics without it.
const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    ///
    /// Variables are missing, empty or invalid. The error names all of them.
    pub fn from_env() -> Result<Self, InvalidConfig> {
        let mut environment = Environment::default();
        let config = environment.read();
        if environment.problems.is_empty() {
            Ok(config)
        } else {
            Err(InvalidConfig(environment.problems))
        }
    }
}

/// Reads variables and collects what is wrong with them. The value that it returns for a wrong variable is never used.
#[derive(Default)]
struct Environment {
    problems: Vec<String>,
}

impl Environment {
    fn read(&mut self) -> Config {
        if optional(RUNTIME_API).is_none() {
            self.problems.push(format!(
                "{RUNTIME_API} is not set: this program is an AWS Lambda function, and `cargo run --example local` runs it without Lambda"
            ));
        }
        Config {
            tables: Tables {
                contacts: self.required("CONTACTS_TABLE"),
                api_keys: self.required("API_KEYS_TABLE"),
                workspaces: self.required("WORKSPACES_TABLE"),
            },
            region: self.required("AWS_REGION"),
            credentials: Credentials {
                access_key_id: self.required("AWS_ACCESS_KEY_ID"),
                secret_access_key: self.required("AWS_SECRET_ACCESS_KEY"),
                session_token: optional("AWS_SESSION_TOKEN"),
            },
            endpoint: self.endpoint(),
            roots: self.roots(),
        }
    }

    fn required(&mut self, name: &str) -> String {
        optional(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is not set"));
            String::new()
        })
    }

    fn or_problem<T: Default>(&mut self, name: &str, form: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            self.problems.push(format!("{name} must be {form}"));
            T::default()
        })
    }

    /// An endpoint's URL takes precedence over the two switches, and DynamoDB's over that of all services (AWS SDKs and Tools
    /// Reference Guide, "Service-specific endpoints", "Dual-stack and FIPS endpoints").
    fn endpoint(&mut self) -> Endpoint {
        let (fips, dual_stack) = (
            self.switch("AWS_USE_FIPS_ENDPOINT"),
            self.switch("AWS_USE_DUALSTACK_ENDPOINT"),
        );
        for name in ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"] {
            if let Some(url) = optional(name) {
                let url = is_http_url(&url).then_some(url);
                return Endpoint::Url(self.or_problem(name, "an http:// or https:// URL", url));
            }
        }
        Endpoint::Region { fips, dual_stack }
    }

    fn switch(&mut self, name: &str) -> bool {
        let value = optional(name).unwrap_or_default().to_ascii_lowercase();
        let is_on = match &*value {
            "true" => Some(true),
            "" | "false" => Some(false),
            _ => None,
        };
        self.or_problem(name, "true or false", is_on)
    }

    fn roots(&mut self) -> Vec<u8> {
        let Some(path) = optional("AWS_CA_BUNDLE") else {
            return AMAZON_ROOTS.to_vec();
        };
        trusted_certificates(&path).unwrap_or_else(|reason| {
            self.problems.push(format!("AWS_CA_BUNDLE: {reason}"));
            Vec::new()
        })
    }
}

/// A variable, if it is set and not empty.
fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn is_http_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let Some(authority) = uri.authority() else {
        return false;
    };
    // `Uri` accepts a port over 65,535 as text, but `port()` doesn't.
    let is_reachable = authority.port().is_some() || authority.as_str().ends_with(authority.host());
    matches!(uri.scheme_str(), Some("http" | "https")) && !authority.host().is_empty() && is_reachable
}

/// The certificates of a PEM file that can be trust anchors, as PEM.
///
/// Real bundles contain a few certificates that no TLS library accepts as an anchor. The SDK panics on these, so they are left
/// out here, as rustls does with a system's bundle.
fn trusted_certificates(path: &str) -> Result<Vec<u8>, String> {
    let file = fs::read(path).map_err(|error| format!("{path} can't be read: {error}"))?;
    let mut anchors = RootCertStore::empty();
    let mut pem = String::new();
    for certificate in CertificateDer::pem_slice_iter(&file) {
        let certificate = certificate.map_err(|_| format!("{path} is not a valid PEM file"))?;
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
        return Err(format!("{path} contains no certificate that can be used as a root"));
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
