//! The tables of keys and workspaces, as the operator may use them (`docs/contract.md#6-dynamodb-tables`).
//!
//! The SDK retries a write whose response was lost, and the condition then fails because of the first attempt. So a failed
//! conditional put returns the existing item, and this module checks whether it is its own. A delete returns the item that it
//! deleted. What is only an empty response is no success: other servers give such responses too.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata as _, SdkError},
    operation::{put_item::PutItemError, scan::ScanError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld},
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    Refusal,
    api_key::KeyName,
    connection::{Connection, may_be_applied},
};

type Item = HashMap<String, AttributeValue>;

const API_KEYS_TABLE: &str = "API_KEYS_TABLE";
const WORKSPACES_TABLE: &str = "WORKSPACES_TABLE";
/// How long reading a whole table may take.
const WHOLE_TABLE: Duration = Duration::from_secs(20);
/// How long looking for a tenant's workspace may take: longer than one call, so that an endpoint that never responds is
/// recognised as such.
const ANY_WORKSPACE: Duration = Duration::from_secs(10);

/// An attribute as it is stored: other writers may have stored anything.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute<T> {
    Absent,
    /// It has a different type from the contract's, or a value that can't be read.
    Unreadable,
    Is(T),
}

impl<T> Attribute<T> {
    /// Reads an attribute; `read` returns `None` for a value that it can't read.
    fn of(item: &Item, name: &str, read: impl FnOnce(&AttributeValue) -> Option<T>) -> Self {
        match item.get(name).map(read) {
            None => Self::Absent,
            Some(None) => Self::Unreadable,
            Some(Some(value)) => Self::Is(value),
        }
    }

    fn value(&self) -> Option<&T> {
        match self {
            Self::Absent | Self::Unreadable => None,
            Self::Is(value) => Some(value),
        }
    }
}

impl Attribute<String> {
    fn text(item: &Item, name: &str) -> Self {
        Self::of(item, name, |value| value.as_s().ok().cloned())
    }
}

impl<T> From<Option<T>> for Attribute<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Is)
    }
}

/// Null where there is none, as everywhere in the API.
impl<T: Serialize> Serialize for Attribute<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Unreadable => serializer.serialize_str("unreadable"),
            Self::Is(value) => value.serialize(serializer),
        }
    }
}

/// An instant in whole seconds.
#[derive(Clone, Copy)]
pub struct Expiry(pub DateTime<Utc>);

impl Expiry {
    /// DynamoDB's numbers may have a fraction, and another writer may have stored one.
    fn read(value: &AttributeValue) -> Option<Self> {
        let seconds = value.as_n().ok()?.split('.').next()?.parse().ok()?;
        DateTime::from_timestamp(seconds, 0).map(Self)
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// A key's item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub key_id: Attribute<String>,
    pub label: Attribute<String>,
    pub key_hash: String,
    pub tenant_id: Attribute<String>,
    pub scopes: Attribute<Vec<String>>,
    pub workspace_id: Attribute<String>,
    /// As it is stored: RFC 3339 in UTC, if this tool wrote it.
    pub created_at: Attribute<String>,
    pub expires_at: Attribute<Expiry>,
}

/// A workspace's item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    pub workspace_id: String,
    pub tenant_id: Attribute<String>,
}

fn string(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

impl ApiKey {
    fn to_item(&self) -> Item {
        let texts = [
            ("keyId", &self.key_id),
            ("label", &self.label),
            ("tenantId", &self.tenant_id),
            ("workspaceId", &self.workspace_id),
            ("createdAt", &self.created_at),
        ];
        let texts = texts.map(|(name, value)| (name, value.value().map(|value| string(value))));
        let scopes = self.scopes.value().cloned().map(AttributeValue::Ss);
        let expires_at = self.expires_at.value().map(|expiry| expiry.0.timestamp().to_string());
        [
            ("keyHash", Some(string(&self.key_hash))),
            ("scopes", scopes),
            ("expiresAt", expires_at.map(AttributeValue::N)),
        ]
        .into_iter()
        .chain(texts)
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }

    fn from_item(item: &Item) -> Self {
        Self {
            key_id: Attribute::text(item, "keyId"),
            label: Attribute::text(item, "label"),
            key_hash: key_attribute(item, "keyHash"),
            tenant_id: Attribute::text(item, "tenantId"),
            scopes: Attribute::of(item, "scopes", |value| value.as_ss().ok().cloned()),
            workspace_id: Attribute::text(item, "workspaceId"),
            created_at: Attribute::text(item, "createdAt"),
            expires_at: Attribute::of(item, "expiresAt", Expiry::read),
        }
    }

    fn is(&self, name: &KeyName) -> bool {
        match name {
            KeyName::Id(id) => self.key_id.value() == Some(id),
            KeyName::Hash(digits) => self.key_hash.starts_with(digits),
        }
    }
}

impl Workspace {
    fn from_item(item: &Item) -> Self {
        Self {
            workspace_id: key_attribute(item, "workspaceId"),
            tenant_id: Attribute::text(item, "tenantId"),
        }
    }

    /// Compared as in the function: upper and lower case are the same.
    pub fn belongs_to(&self, tenant: Uuid) -> bool {
        self.tenant_id.value().and_then(|id| Uuid::try_parse(id).ok()) == Some(tenant)
    }
}

/// The attribute that is the table's key, so that every item has it as a string.
fn key_attribute(item: &Item, name: &str) -> String {
    Attribute::text(item, name).value().cloned().unwrap_or_default()
}

/// The existing item that made a conditional put fail.
fn in_the_way(error: &SdkError<PutItemError>) -> Option<&Item> {
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(failed) => failed.item(),
        _ => None,
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

    /// Stores a new key. If that fails but may have been applied, the key is deleted again. If that fails too, the error names
    /// the key to revoke.
    pub async fn add_key(&self, key: &ApiKey) -> Result<(), Refusal> {
        let put = self
            .connection
            .client
            .put_item()
            .table_name(&self.api_keys)
            .set_item(Some(key.to_item()))
            .condition_expression("attribute_not_exists(keyHash)")
            .return_values_on_condition_check_failure(AllOld);
        let Err(error) = put.send().await else {
            return Ok(());
        };
        // An earlier attempt stored it, and its response was lost.
        if in_the_way(&error).is_some_and(|item| ApiKey::from_item(item).key_id == key.key_id) {
            return Ok(());
        }
        let refusal = self
            .connection
            .refusal("PutItem", &self.api_keys, API_KEYS_TABLE, &error);
        Err(if may_be_applied(&error) {
            self.withdraw(key, refusal).await
        } else {
            refusal
        })
    }

    /// Deletes a key that its operator will never see, and adds the result to the reason.
    pub async fn withdraw(&self, key: &ApiKey, reason: Refusal) -> Refusal {
        match self.delete_key(key).await {
            Ok(()) => Refusal::new(format!("{reason} The new key was deleted again: nothing was issued.")),
            Err(_) => Refusal::new(format!(
                "{reason} The new key may be stored, and nobody has it. Revoke it as soon as you can: keys revoke {}",
                key.key_id.value().unwrap_or(&key.key_hash)
            )),
        }
    }

    /// Every key, ordered by tenant.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Refusal> {
        let items = self.all(&self.api_keys, API_KEYS_TABLE).await?;
        let mut keys: Vec<_> = items.iter().map(ApiKey::from_item).collect();
        keys.sort_by(|one, other| (&one.tenant_id, &one.key_hash).cmp(&(&other.tenant_id, &other.key_hash)));
        Ok(keys)
    }

    /// Deletes the one key with this name, and returns it.
    pub async fn revoke(&self, name: &KeyName) -> Result<ApiKey, Refusal> {
        let key = match name.whole_hash() {
            Some(hash) => self.key(hash).await?,
            None => self.only_key(name).await?,
        };
        let key = key.ok_or_else(|| {
            Refusal::new(
                "There is no such key; nothing was revoked. It may have been revoked or have expired before: keys list shows the keys that exist.",
            )
        })?;
        self.delete_key(&key).await?;
        Ok(key)
    }

    async fn key(&self, hash: &str) -> Result<Option<ApiKey>, Refusal> {
        let item = self.get(&self.api_keys, API_KEYS_TABLE, "keyHash", hash).await?;
        item.map(|item| self.asked_for(ApiKey::from_item(&item), hash))
            .transpose()
    }

    /// A key, if it has the hash that was asked for.
    fn asked_for(&self, key: ApiKey, hash: &str) -> Result<ApiKey, Refusal> {
        if key.key_hash == hash {
            Ok(key)
        } else {
            Err(self.connection.not_dynamodb())
        }
    }

    async fn only_key(&self, name: &KeyName) -> Result<Option<ApiKey>, Refusal> {
        let mut keys = self.keys().await?;
        keys.retain(|key| key.is(name));
        if keys.len() > 1 {
            return Err(Refusal::new(format!(
                "That matches {} keys; nothing was revoked. Give more digits of the hash: keys list --json shows all of them.",
                keys.len()
            )));
        }
        Ok(keys.pop())
    }

    async fn delete_key(&self, key: &ApiKey) -> Result<(), Refusal> {
        let delete = self
            .connection
            .client
            .delete_item()
            .table_name(&self.api_keys)
            .key("keyHash", string(&key.key_hash))
            .return_values(ReturnValue::AllOld);
        let error = match delete.send().await {
            Ok(deleted) => {
                return match deleted.attributes {
                    Some(item) => self.asked_for(ApiKey::from_item(&item), &key.key_hash).map(drop),
                    None => self.check_gone(key).await,
                };
            }
            Err(error) => error,
        };
        let refusal = self
            .connection
            .refusal("DeleteItem", &self.api_keys, API_KEYS_TABLE, &error);
        Err(if may_be_applied(&error) {
            Refusal::new(format!(
                "{refusal} The key may or may not have been revoked: run the command again."
            ))
        } else {
            refusal
        })
    }

    /// Whether a key that a delete didn't find is gone, because an earlier attempt of that delete has deleted it. Only a scan's
    /// response shows that it is `DynamoDB`'s although it has no item.
    async fn check_gone(&self, key: &ApiKey) -> Result<(), Refusal> {
        if self.keys().await?.iter().any(|stored| stored.key_hash == key.key_hash) {
            return Err(Refusal::new(
                "The key was not revoked: DynamoDB accepted its deletion, but the key is still there. Run the command again.",
            ));
        }
        Ok(())
    }

    /// A workspace, if it exists.
    pub async fn workspace(&self, id: Uuid) -> Result<Option<Workspace>, Refusal> {
        let item = self
            .get(&self.workspaces, WORKSPACES_TABLE, "workspaceId", &id.to_string())
            .await?;
        let workspace = item.as_ref().map(Workspace::from_item);
        match &workspace {
            Some(found) if found.workspace_id != id.to_string() => Err(self.connection.not_dynamodb()),
            _ => Ok(workspace),
        }
    }

    /// Whether a tenant has a workspace; `None` if the operator may not read them, or there are too many to read.
    pub async fn has_workspace(&self, tenant: Uuid) -> Result<Option<bool>, Refusal> {
        let mut found = false;
        let look = self.scan(&self.workspaces, ANY_WORKSPACE, |item| {
            found = Workspace::from_item(&item).belongs_to(tenant);
            if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match look.await {
            Ok(()) => Ok(Some(found)),
            Err(Unread::TooSlow(_)) => Ok(None),
            Err(Unread::Failed(error)) if error.code() == Some("AccessDeniedException") => Ok(None),
            Err(unread) => Err(self.unread(&self.workspaces, WORKSPACES_TABLE, unread)),
        }
    }

    /// Stores a workspace, and says whether it is new: one that the tenant already has is left unchanged.
    pub async fn add_workspace(&self, id: Uuid, tenant: Uuid) -> Result<bool, Refusal> {
        let put = self
            .connection
            .client
            .put_item()
            .table_name(&self.workspaces)
            .item("workspaceId", string(&id.to_string()))
            .item("tenantId", string(&tenant.to_string()))
            .condition_expression("attribute_not_exists(workspaceId)")
            .return_values_on_condition_check_failure(AllOld);
        let unsure = |refusal: Refusal| {
            Refusal::new(format!(
                "{refusal} The workspace may or may not have been added. Run this: keys workspace add --tenant {tenant} {id}"
            ))
        };
        let Err(error) = put.send().await else {
            // A put's response is empty, as any server's may be. So the workspace is read.
            return match self.workspace(id).await.map_err(unsure)? {
                Some(workspace) if workspace.belongs_to(tenant) => Ok(true),
                _ => Err(self.connection.not_dynamodb()),
            };
        };
        if in_the_way(&error).is_some_and(|item| Workspace::from_item(item).belongs_to(tenant)) {
            return Ok(false);
        }
        if error.code() == Some("ConditionalCheckFailedException") {
            return Err(Refusal::new(format!(
                "Workspace {id} exists already and belongs to another tenant; nothing was changed. keys workspace list shows which."
            )));
        }
        let refusal = self
            .connection
            .refusal("PutItem", &self.workspaces, WORKSPACES_TABLE, &error);
        Err(if may_be_applied(&error) {
            unsure(refusal)
        } else {
            refusal
        })
    }

    /// Every workspace, ordered by tenant.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, Refusal> {
        let items = self.all(&self.workspaces, WORKSPACES_TABLE).await?;
        let mut workspaces: Vec<_> = items.iter().map(Workspace::from_item).collect();
        workspaces
            .sort_by(|one, other| (&one.tenant_id, &one.workspace_id).cmp(&(&other.tenant_id, &other.workspace_id)));
        Ok(workspaces)
    }

    async fn get(&self, table: &str, option: &str, key: &str, value: &str) -> Result<Option<Item>, Refusal> {
        let get = self
            .connection
            .client
            .get_item()
            .table_name(table)
            .key(key, string(value))
            .consistent_read(true);
        let response = get.send().await;
        response
            .map(|found| found.item)
            .map_err(|error| self.connection.refusal("GetItem", table, option, &error))
    }

    async fn all(&self, table: &str, option: &str) -> Result<Vec<Item>, Refusal> {
        let mut items = Vec::new();
        let scan = self.scan(table, WHOLE_TABLE, |item| {
            items.push(item);
            ControlFlow::Continue(())
        });
        scan.await.map_err(|unread| self.unread(table, option, unread))?;
        Ok(items)
    }

    /// Passes each item of a table to `visit` until it breaks.
    async fn scan(
        &self,
        table: &str,
        patience: Duration,
        mut visit: impl FnMut(Item) -> ControlFlow<()>,
    ) -> Result<(), Unread> {
        let scan = self.connection.client.scan().table_name(table).consistent_read(true);
        let mut pages = scan.into_paginator().send();
        let read = async {
            while let Some(page) = pages.next().await {
                // DynamoDB's response always has the list, an empty one included.
                let items = page
                    .map_err(|error| Unread::Failed(Box::new(error)))?
                    .items
                    .ok_or(Unread::NotDynamoDb)?;
                if items.into_iter().try_for_each(&mut visit).is_break() {
                    break;
                }
            }
            Ok(())
        };
        timeout(patience, read).await.unwrap_or(Err(Unread::TooSlow(patience)))
    }

    fn unread(&self, table: &str, option: &str, unread: Unread) -> Refusal {
        match unread {
            Unread::TooSlow(patience) => self.connection.too_slow(table, patience),
            Unread::NotDynamoDb => self.connection.not_dynamodb(),
            Unread::Failed(error) => self.connection.refusal("Scan", table, option, &error),
        }
    }
}

/// Why a table wasn't read.
enum Unread {
    TooSlow(Duration),
    NotDynamoDb,
    Failed(Box<SdkError<ScanError>>),
}
