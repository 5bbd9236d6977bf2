//! A DynamoDB engine and the service's tables in it.

use std::{io, net::TcpListener, path::Path, thread};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    operation::create_table::CreateTableError,
    types::{AttributeDefinition, BillingMode, KeySchemaElement},
};
use dynoxide::Database;

use crate::yaml;

/// Access key, secret and region for engines that check no credentials.
pub const LOCAL_CREDENTIALS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "local"),
    ("AWS_SECRET_ACCESS_KEY", "local"),
    ("AWS_REGION", "eu-central-1"),
];

/// A DynamoDB engine at a URL.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Where it listens.
    pub url: String,
}

/// The names that the service's tables have in an engine.
#[derive(Clone, Debug)]
pub struct Tables {
    /// `CONTACTS_TABLE`
    pub contacts: String,
    /// `API_KEYS_TABLE`
    pub api_keys: String,
    /// `WORKSPACES_TABLE`
    pub workspaces: String,
}

impl Engine {
    /// Starts the embedded engine on a thread of its own, in memory or in a file; it ends with the process.
    ///
    /// # Errors
    ///
    /// The file isn't a database, or no port is free.
    pub fn embedded(data: Option<&Path>) -> io::Result<Self> {
        let database = match data {
            Some(path) => Database::new(&path.to_string_lossy()),
            None => Database::memory(),
        }
        .map_err(|error| io::Error::other(error.to_string()))?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                dynoxide::server::serve_with_shutdown(listener, database, std::future::pending())
                    .await
                    .map_err(io::Error::other)
            })
        });
        Ok(Self { url })
    }

    /// Another engine, DynamoDB Local for instance.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// A client of this engine.
    #[must_use]
    pub fn client(&self) -> Client {
        let [(_, access_key), (_, secret), (_, region)] = LOCAL_CREDENTIALS;
        let config = aws_sdk_dynamodb::config::Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(Credentials::new(access_key, secret, None, None, "local"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&self.url)
            .build();
        Client::from_conf(config)
    }

    /// Creates the template's tables under names that begin with `prefix`. Existing tables are left unchanged.
    ///
    /// # Errors
    ///
    /// A message, if the template can't be used or the engine refuses.
    pub async fn create_tables(&self, template: &Path, prefix: &str) -> Result<Tables, String> {
        let template = yaml::read(template)?;
        let client = self.client();
        for table in ["ContactsTable", "ApiKeysTable", "WorkspacesTable"] {
            let declared = &template["Resources"][table]["Properties"];
            let broken = |error: &dyn std::fmt::Display| format!("no {table} in the DynamoDB at {}: {error}", self.url);
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let mut create = client.create_table().table_name(format!("{prefix}{table}"));
            for attribute in declared["AttributeDefinitions"].as_array().into_iter().flatten() {
                let attribute = AttributeDefinition::builder()
                    .attribute_name(text(&attribute["AttributeName"]))
                    .attribute_type(text(&attribute["AttributeType"]).as_str().into());
                create = create.attribute_definitions(attribute.build().map_err(|error| broken(&error))?);
            }
            for element in declared["KeySchema"].as_array().into_iter().flatten() {
                let element = KeySchemaElement::builder()
                    .attribute_name(text(&element["AttributeName"]))
                    .key_type(text(&element["KeyType"]).as_str().into());
                create = create.key_schema(element.build().map_err(|error| broken(&error))?);
            }
            create = create.billing_mode(BillingMode::from(text(&declared["BillingMode"]).as_str()));
            if let Err(error) = create.send().await {
                match error.as_service_error() {
                    Some(CreateTableError::ResourceInUseException(_)) => {}
                    Some(refusal) => return Err(broken(refusal)),
                    None => return Err(broken(&"it can't be reached")),
                }
            }
        }
        Ok(Tables {
            contacts: format!("{prefix}ContactsTable"),
            api_keys: format!("{prefix}ApiKeysTable"),
            workspaces: format!("{prefix}WorkspacesTable"),
        })
    }
}

impl Tables {
    /// The function's environment for these tables in an engine.
    #[must_use]
    pub fn environment(&self, engine: &Engine) -> Vec<(String, String)> {
        [
            ("CONTACTS_TABLE", self.contacts.as_str()),
            ("API_KEYS_TABLE", &self.api_keys),
            ("WORKSPACES_TABLE", &self.workspaces),
            ("AWS_ENDPOINT_URL_DYNAMODB", &engine.url),
        ]
        .into_iter()
        .chain(LOCAL_CREDENTIALS)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }
}
