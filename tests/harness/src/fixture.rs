//! What stands in the tables before a request: keys and workspaces.

use std::fmt::Write as _;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use sha2::{Digest, Sha256};

use crate::engine::Tables;

/// An API key's item.
#[derive(Clone, Debug)]
pub struct Key<'a> {
    /// The key itself; only its hash is stored.
    pub key: &'a str,
    /// The tenant that it belongs to.
    pub tenant_id: &'a str,
    /// Its scopes; none makes the attribute absent.
    pub scopes: &'a [&'a str],
    /// The workspace that it is restricted to.
    pub workspace_id: Option<&'a str>,
    /// When it expires, in epoch seconds.
    pub expires_at: Option<i64>,
}

impl<'a> Key<'a> {
    /// A key that may create contacts in every workspace of its tenant, for ever.
    #[must_use]
    pub fn of(key: &'a str, tenant_id: &'a str) -> Self {
        Self {
            key,
            tenant_id,
            scopes: &["contacts:write"],
            workspace_id: None,
            expires_at: None,
        }
    }
}

/// The `keyHash` of a key.
#[must_use]
pub fn key_hash(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Stores a key.
///
/// # Panics
///
/// The engine refuses.
pub async fn put_key(client: &Client, tables: &Tables, key: &Key<'_>) {
    let mut put = client
        .put_item()
        .table_name(&tables.api_keys)
        .item("keyHash", AttributeValue::S(key_hash(key.key)))
        .item("tenantId", AttributeValue::S(key.tenant_id.to_owned()));
    if !key.scopes.is_empty() {
        let scopes = key.scopes.iter().map(ToString::to_string).collect();
        put = put.item("scopes", AttributeValue::Ss(scopes));
    }
    if let Some(workspace_id) = key.workspace_id {
        put = put.item("workspaceId", AttributeValue::S(workspace_id.to_owned()));
    }
    if let Some(expires_at) = key.expires_at {
        put = put.item("expiresAt", AttributeValue::N(expires_at.to_string()));
    }
    put.send().await.expect("the key is stored");
}

/// Stores a workspace.
///
/// # Panics
///
/// The engine refuses.
pub async fn put_workspace(client: &Client, tables: &Tables, workspace_id: &str, tenant_id: &str) {
    client
        .put_item()
        .table_name(&tables.workspaces)
        .item("workspaceId", AttributeValue::S(workspace_id.to_owned()))
        .item("tenantId", AttributeValue::S(tenant_id.to_owned()))
        .send()
        .await
        .expect("the workspace is stored");
}
