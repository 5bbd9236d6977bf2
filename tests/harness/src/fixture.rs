//! What the tables contain before a request: keys and workspaces.

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
    /// Its scopes. If there are none, the attribute is absent.
    pub scopes: &'a [&'a str],
    /// The workspace that it is restricted to.
    pub workspace_id: Option<&'a str>,
    /// When it expires, in epoch seconds.
    pub expires_at: Option<i64>,
}

impl<'a> Key<'a> {
    /// A key that may create contacts in every workspace of its tenant, forever.
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
///
/// # Panics
///
/// The engine refuses.
pub async fn put_demo(client: &Client, tables: &Tables) {
    let restricted = Some(DEMO_WORKSPACES[1]);
    for key in [
        Key::of(DEMO_KEY, DEMO_TENANT),
        Key {
            scopes: &["contacts:read"],
            ..Key::of(DEMO_READ_KEY, DEMO_TENANT)
        },
        Key {
            workspace_id: restricted,
            ..Key::of(DEMO_RESTRICTED_KEY, DEMO_TENANT)
        },
        Key {
            expires_at: Some(1_767_225_600),
            ..Key::of(DEMO_EXPIRED_KEY, DEMO_TENANT)
        },
    ] {
        put_key(client, tables, &key).await;
    }
    for workspace in DEMO_WORKSPACES {
        put_workspace(client, tables, workspace, DEMO_TENANT).await;
    }
    put_workspace(
        client,
        tables,
        DEMO_FOREIGN_WORKSPACE,
        "0198c1a5-6f00-7000-8000-0000000000fe",
    )
    .await;
    let stored = [
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
    ];
    client
        .put_item()
        .table_name(&tables.contacts)
        .set_item(Some(
            stored
                .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())))
                .into(),
        ))
        .send()
        .await
        .expect("the contact is stored");
}
