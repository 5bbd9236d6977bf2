//! The tables of keys and workspaces, as the operator may use them (contract, section 6).

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    types::{AttributeValue, ReturnValue},
};
use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::{Refusal, api_key::Prefix, connection::Connection};

type Item = HashMap<String, AttributeValue>;

const API_KEYS_TABLE: &str = "API_KEYS_TABLE";
const WORKSPACES_TABLE: &str = "WORKSPACES_TABLE";
/// The error code of a put whose condition, that nothing is there, doesn't hold.
const ALREADY_THERE: &str = "ConditionalCheckFailedException";

/// A key's item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub key_hash: String,
    /// None only in an item that somebody else wrote, and that the function will not take.
    pub tenant_id: Option<String>,
    pub scopes: Vec<String>,
    pub workspace_id: Option<String>,
    /// Epoch seconds.
    #[serde(serialize_with = "as_instant")]
    pub expires_at: Option<i64>,
}

/// A workspace's item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    pub workspace_id: String,
    pub tenant_id: String,
}

#[expect(clippy::ref_option, reason = "serde gives the field by reference")]
fn as_instant<S: Serializer>(seconds: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .map(|instant| instant.to_rfc3339_opts(SecondsFormat::Secs, true))
        .serialize(serializer)
}

fn string(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn text(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

impl ApiKey {
    fn to_item(&self) -> Item {
        let mut item = Item::from([("keyHash".to_owned(), string(&self.key_hash))]);
        if !self.scopes.is_empty() {
            item.insert("scopes".to_owned(), AttributeValue::Ss(self.scopes.clone()));
        }
        for (name, value) in [("tenantId", &self.tenant_id), ("workspaceId", &self.workspace_id)] {
            item.extend(value.as_deref().map(|value| (name.to_owned(), string(value))));
        }
        let expires_at = self.expires_at.map(|seconds| AttributeValue::N(seconds.to_string()));
        item.extend(expires_at.map(|value| ("expiresAt".to_owned(), value)));
        item
    }

    fn from_item(item: &Item) -> Self {
        let scopes = item.get("scopes").and_then(|value| value.as_ss().ok());
        let expires_at = item.get("expiresAt").and_then(|value| value.as_n().ok());
        Self {
            key_hash: text(item, "keyHash").unwrap_or_default(),
            tenant_id: text(item, "tenantId"),
            scopes: scopes.cloned().unwrap_or_default(),
            workspace_id: text(item, "workspaceId"),
            // Whoever else wrote it may have given it a fraction.
            expires_at: expires_at.and_then(|seconds| seconds.split('.').next()?.parse().ok()),
        }
    }
}

/// Both tables.
pub struct Tables {
    connection: Connection,
    api_keys: String,
    workspaces: String,
}

impl Tables {
    pub fn new(connection: Connection, api_keys: String, workspaces: String) -> Self {
        Self {
            connection,
            api_keys,
            workspaces,
        }
    }

    /// Stores a key that is not there yet.
    pub async fn add_key(&self, key: &ApiKey) -> Result<(), Refusal> {
        let put = self
            .connection
            .client
            .put_item()
            .table_name(&self.api_keys)
            .set_item(Some(key.to_item()))
            .condition_expression("attribute_not_exists(keyHash)");
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ALREADY_THERE) => Err(Refusal::new(
                "A key with this hash exists already; nothing was changed.",
            )),
            Err(error) => Err(self
                .connection
                .refusal("PutItem", &self.api_keys, API_KEYS_TABLE, &error)),
        }
    }

    /// Every key, ordered by tenant.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Refusal> {
        let items = self.scan(&self.api_keys, API_KEYS_TABLE).await?;
        let mut keys: Vec<_> = items.iter().map(ApiKey::from_item).collect();
        keys.sort_by(|one, other| (&one.tenant_id, &one.key_hash).cmp(&(&other.tenant_id, &other.key_hash)));
        Ok(keys)
    }

    /// Deletes the one key whose hash begins so, and gives what it was.
    pub async fn revoke(&self, prefix: &Prefix) -> Result<ApiKey, Refusal> {
        let prefix = prefix.as_str();
        let hash = if prefix.len() == 64 {
            prefix.to_owned()
        } else {
            let mut keys = self.keys().await?;
            keys.retain(|key| key.key_hash.starts_with(prefix));
            match keys.as_slice() {
                [key] => key.key_hash.clone(),
                [] => return Err(unknown(prefix)),
                _ => {
                    return Err(Refusal::new(format!(
                        "The hashes of {} keys begin with {prefix}; nothing was revoked. Give more digits: keys list --json shows all.",
                        keys.len()
                    )));
                }
            }
        };
        let delete = self
            .connection
            .client
            .delete_item()
            .table_name(&self.api_keys)
            .key("keyHash", string(&hash))
            .return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(|error| {
            self.connection
                .refusal("DeleteItem", &self.api_keys, API_KEYS_TABLE, &error)
        })?;
        let item = deleted.attributes.filter(|item| !item.is_empty());
        item.map(|item| ApiKey::from_item(&item))
            .ok_or_else(|| unknown(&hash[..Prefix::SHOWN]))
    }

    /// A workspace, if it exists.
    pub async fn workspace(&self, id: Uuid) -> Result<Option<Workspace>, Refusal> {
        let get = self
            .connection
            .client
            .get_item()
            .table_name(&self.workspaces)
            .key("workspaceId", string(&id.to_string()))
            .consistent_read(true);
        let answer = get.send().await.map_err(|error| {
            self.connection
                .refusal("GetItem", &self.workspaces, WORKSPACES_TABLE, &error)
        })?;
        Ok(answer.item.as_ref().map(workspace))
    }

    /// Stores a workspace that is not there yet.
    pub async fn add_workspace(&self, workspace: &Workspace) -> Result<(), Refusal> {
        let put = self
            .connection
            .client
            .put_item()
            .table_name(&self.workspaces)
            .item("workspaceId", string(&workspace.workspace_id))
            .item("tenantId", string(&workspace.tenant_id))
            .condition_expression("attribute_not_exists(workspaceId)");
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(ALREADY_THERE) => Err(Refusal::new(format!(
                "Workspace {} exists already; nothing was changed. keys workspace list shows whose it is.",
                workspace.workspace_id
            ))),
            Err(error) => Err(self
                .connection
                .refusal("PutItem", &self.workspaces, WORKSPACES_TABLE, &error)),
        }
    }

    /// Every workspace, ordered by tenant.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, Refusal> {
        let items = self.scan(&self.workspaces, WORKSPACES_TABLE).await?;
        let mut workspaces: Vec<_> = items.iter().map(workspace).collect();
        workspaces
            .sort_by(|one, other| (&one.tenant_id, &one.workspace_id).cmp(&(&other.tenant_id, &other.workspace_id)));
        Ok(workspaces)
    }

    async fn scan(&self, table: &str, option: &str) -> Result<Vec<Item>, Refusal> {
        self.connection
            .client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| self.connection.refusal("Scan", table, option, &error))
    }
}

fn workspace(item: &Item) -> Workspace {
    Workspace {
        workspace_id: text(item, "workspaceId").unwrap_or_default(),
        tenant_id: text(item, "tenantId").unwrap_or_default(),
    }
}

fn unknown(prefix: &str) -> Refusal {
    Refusal::new(format!(
        "There is no key whose hash begins with {prefix}; nothing was revoked. It may have been revoked or expired before: keys list shows those that exist."
    ))
}
