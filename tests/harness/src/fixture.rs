//! What the tables contain before a request: keys and workspaces.

use std::{collections::HashMap, fmt::Write as _};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use sha2::{Digest, Sha256};

use crate::engine::Tables;

/// An item's attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// An API key's item.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key itself; only its hash is stored.
    pub key: String,
    /// The tenant that it belongs to.
    pub tenant_id: String,
    /// Its scopes. If there are none, the attribute is absent.
    pub scopes: Vec<&'static str>,
    /// The workspace that it is restricted to.
    pub workspace_id: Option<String>,
    /// When it expires, in epoch seconds.
    pub expires_at: Option<i64>,
}

impl Key {
    /// A key that may create contacts in every workspace of its tenant, forever.
    #[must_use]
    pub fn of(key: &str, tenant_id: &str) -> Self {
        Self {
            key: key.to_owned(),
            tenant_id: tenant_id.to_owned(),
            scopes: vec!["contacts:write"],
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

/// An item of strings.
#[must_use]
pub fn item(attributes: &[(&str, &str)]) -> Item {
    let attributes = attributes.iter();
    attributes
        .map(|&(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
        .collect()
}

/// Stores an item.
///
/// # Panics
///
/// The engine refuses.
pub async fn put(client: &Client, table: &str, item: Item) {
    let put = client.put_item().table_name(table).set_item(Some(item));
    put.send().await.expect("the item is stored");
}

/// Stores a key.
pub async fn put_key(client: &Client, tables: &Tables, key: &Key) {
    let mut stored = item(&[("keyHash", &key_hash(&key.key)), ("tenantId", &key.tenant_id)]);
    if !key.scopes.is_empty() {
        let scopes = key.scopes.iter().map(ToString::to_string).collect();
        stored.insert("scopes".to_owned(), AttributeValue::Ss(scopes));
    }
    if let Some(workspace_id) = &key.workspace_id {
        stored.extend(item(&[("workspaceId", workspace_id)]));
    }
    if let Some(expires_at) = key.expires_at {
        stored.insert("expiresAt".to_owned(), AttributeValue::N(expires_at.to_string()));
    }
    put(client, &tables.api_keys, stored).await;
}

/// Stores a workspace.
pub async fn put_workspace(client: &Client, tables: &Tables, workspace_id: &str, tenant_id: &str) {
    let workspace = item(&[("workspaceId", workspace_id), ("tenantId", tenant_id)]);
    put(client, &tables.workspaces, workspace).await;
}

/// The tenant of the local run and of the fixtures in `events/`.
pub const DEMO_TENANT: &str = "0198c1a5-6f00-7000-8000-00000000000a";
/// Its workspaces.
pub const DEMO_WORKSPACES: [&str; 2] = [
    "0198c1a5-6f00-7000-8000-000000000001",
    "0198c1a5-6f00-7000-8000-000000000002",
];
/// Its key.
pub const DEMO_KEY: &str = "sf_test_v1_LocalDemoKeyLocalDemoKey";
/// A key of this tenant that may not create contacts.
pub const DEMO_READ_KEY: &str = "sf_test_v1_LocalReadKeyLocalReadKey";
/// A key of this tenant that is restricted to its second workspace.
pub const DEMO_RESTRICTED_KEY: &str = "sf_test_v1_LocalOnlyKeyLocalOnlyKey";
/// A key of this tenant that has expired.
pub const DEMO_EXPIRED_KEY: &str = "sf_test_v1_LocalPastKeyLocalPastKey";
/// A workspace of another tenant.
pub const DEMO_FOREIGN_WORKSPACE: &str = "0198c1a5-6f00-7000-8000-0000000000ff";

/// Stores what the local run and the fixtures in `events/` need: keys, workspaces, and a contact.
pub async fn put_demo(client: &Client, tables: &Tables) {
    let mut keys =
        [DEMO_KEY, DEMO_READ_KEY, DEMO_RESTRICTED_KEY, DEMO_EXPIRED_KEY].map(|key| Key::of(key, DEMO_TENANT));
    keys[1].scopes = vec!["contacts:read"];
    keys[2].workspace_id = Some(DEMO_WORKSPACES[1].to_owned());
    keys[3].expires_at = Some(1_767_225_600);
    for key in keys {
        put_key(client, tables, &key).await;
    }
    for workspace in DEMO_WORKSPACES {
        put_workspace(client, tables, workspace, DEMO_TENANT).await;
    }
    let other_tenant = "0198c1a5-6f00-7000-8000-0000000000fe";
    put_workspace(client, tables, DEMO_FOREIGN_WORKSPACE, other_tenant).await;
    let contact = item(&[
        ("workspaceId", DEMO_WORKSPACES[0]),
        ("emailKey", "ada@analytical-engines.co.uk"),
        ("id", "0198c1a5-6f00-7000-8000-0000000000c1"),
        ("tenantId", DEMO_TENANT),
        ("resolutionStatus", "crm_resolved"),
        ("externalRef", "crm-1815"),
        ("name", "Ada Lovelace"),
        ("firstName", "Ada"),
        ("lastName", "Lovelace"),
        ("email", "Ada@analytical-engines.co.uk"),
        ("companyName", "Analytical Engines"),
        ("createdAt", "2026-02-10T14:30:00.000Z"),
        ("updatedAt", "2026-02-11T09:00:00.000Z"),
    ]);
    put(client, &tables.contacts, contact).await;
}
