//! The tables of keys and workspaces, as the operator may use them (`docs/contract.md#6-dynamodb-tables`).
//!
//! The SDK retries a write whose response was lost. A key's put may be repeated, because nothing else has its hash. After a
//! workspace's put the workspace is read, and a delete returns the item that it deleted: a response that is only empty is no
//! success, because other servers give such responses too.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue::{self, N, S, Ss},
    ReturnValue,
};
use chrono::{DateTime, SecondsFormat, Utc};
use create_contact::api_key::KeyHash;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Refusal,
    api_key::{self, HASH_DIGITS},
    command_line::{Issue, Options},
    connection::{Connection, may_be_applied},
};

type Item = HashMap<String, AttributeValue>;

/// What is shown for an attribute that has a different type from the contract's, or a value that can't be read.
const UNREADABLE: &str = "unreadable";

/// A key's item, as it is shown: other writers may have stored anything.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    pub key_id: Option<String>,
    pub label: Option<String>,
    pub key_hash: String,
    pub tenant_id: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub workspace_id: Option<String>,
    pub created_at: Option<String>,
    pub expires_at: Option<String>,
}

/// A workspace's item, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    pub workspace_id: String,
    pub tenant_id: Option<String>,
}

impl ApiKey {
    fn from_item(item: &Item) -> Self {
        let scopes = |value: &AttributeValue| value.as_ss().map_or(vec![UNREADABLE.to_owned()], Clone::clone);
        let instant = |value| instant(value).unwrap_or_else(|| UNREADABLE.to_owned());
        Self {
            key_id: text(item, "keyId"),
            label: text(item, "label"),
            key_hash: text(item, "keyHash").unwrap_or_default(),
            tenant_id: text(item, "tenantId"),
            scopes: item.get("scopes").map(scopes),
            workspace_id: text(item, "workspaceId"),
            created_at: text(item, "createdAt"),
            expires_at: item.get("expiresAt").map(instant),
        }
    }
}

impl Workspace {
    fn from_item(item: &Item) -> Self {
        Self {
            workspace_id: text(item, "workspaceId").unwrap_or_default(),
            tenant_id: text(item, "tenantId"),
        }
    }

    /// Compared as in the function: upper and lower case are the same.
    pub fn belongs_to(&self, tenant: Uuid) -> bool {
        self.tenant_id.as_deref().and_then(|id| Uuid::try_parse(id).ok()) == Some(tenant)
    }
}

fn text(item: &Item, name: &str) -> Option<String> {
    let text = |value: &AttributeValue| value.as_s().map_or(UNREADABLE.to_owned(), Clone::clone);
    item.get(name).map(text)
}

/// DynamoDB's numbers may have a fraction, and another writer may have stored one.
fn instant(seconds: &AttributeValue) -> Option<String> {
    let seconds = seconds.as_n().ok()?.split('.').next()?.parse().ok()?;
    Some(DateTime::from_timestamp(seconds, 0)?.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A table: its name, the variable that holds the name, and the attribute that is its key.
pub struct Table {
    pub name: String,
    pub variable: &'static str,
    key: &'static str,
}

/// Both tables.
pub struct Tables {
    connection: Connection,
    api_keys: Table,
    workspaces: Table,
}

impl Tables {
    pub async fn open(options: Options) -> Result<Self, Refusal> {
        Ok(Self {
            connection: Connection::open(options.endpoint_url).await?,
            api_keys: Table {
                name: options.api_keys_table,
                variable: "API_KEYS_TABLE",
                key: "keyHash",
            },
            workspaces: Table {
                name: options.workspaces_table,
                variable: "WORKSPACES_TABLE",
                key: "workspaceId",
            },
        })
    }

    /// Stores a new key. If that fails but may have been applied, the key is deleted again. If that fails too, the error names
    /// the key to revoke.
    pub async fn add_key(&self, hash: &KeyHash, wanted: Issue) -> Result<ApiKey, Refusal> {
        let now = Utc::now();
        let expires_at = wanted.expires.map(|lifetime| (now + lifetime).timestamp().to_string());
        let attributes = [
            ("keyId", Some(S(api_key::generate_key_id()))),
            ("label", wanted.label.map(S)),
            ("keyHash", Some(S(hash.as_str().to_owned()))),
            ("tenantId", Some(S(wanted.tenant.to_string()))),
            ("scopes", Some(Ss(wanted.scopes))),
            ("workspaceId", wanted.workspace.map(|id| S(id.to_string()))),
            ("createdAt", Some(S(now.to_rfc3339_opts(SecondsFormat::Millis, true)))),
            ("expiresAt", expires_at.map(N)),
        ];
        let present = |(name, value): (&str, Option<_>)| Some((name.to_owned(), value?));
        let item: Item = attributes.into_iter().filter_map(present).collect();
        let key = ApiKey::from_item(&item);
        let put = self.connection.client.put_item().table_name(&self.api_keys.name);
        let Err(error) = put.set_item(Some(item)).send().await else {
            return Ok(key);
        };
        let refusal = self.connection.refusal("PutItem", &self.api_keys, &error);
        Err(if may_be_applied(&error) {
            self.withdraw(&key, refusal).await
        } else {
            refusal
        })
    }

    /// Deletes a key that its operator will never see, and adds the result to the reason.
    pub async fn withdraw(&self, key: &ApiKey, Refusal(reason): Refusal) -> Refusal {
        Refusal(match self.delete_key(&key.key_hash).await {
            Ok(()) => format!("{reason} The new key was deleted again: nothing was issued."),
            Err(_) => format!(
                "{reason} The new key may be stored, and nobody has it. Revoke it as soon as you can: keys revoke {}",
                key.key_id.as_ref().unwrap_or(&key.key_hash)
            ),
        })
    }

    /// Every key, ordered by tenant.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Refusal> {
        let items = self.scan(&self.api_keys).await?;
        let mut keys: Vec<_> = items.iter().map(ApiKey::from_item).collect();
        keys.sort_by(|one, other| (&one.tenant_id, &one.key_hash).cmp(&(&other.tenant_id, &other.key_hash)));
        Ok(keys)
    }

    /// Deletes the one key with this key id, or whose hash begins with these digits, and returns it.
    pub async fn revoke(&self, name: &str) -> Result<ApiKey, Refusal> {
        let mut found = if name.len() == HASH_DIGITS {
            self.get(&self.api_keys, name)
                .await?
                .iter()
                .map(ApiKey::from_item)
                .collect()
        } else {
            self.keys().await?
        };
        found.retain(|key| key.key_id.as_deref() == Some(name) || key.key_hash.starts_with(name));
        if found.len() > 1 {
            return Err(Refusal(format!(
                "That matches {} keys; nothing was revoked. Give more digits of the hash: keys list --json shows all of them.",
                found.len()
            )));
        }
        let key = found.pop().ok_or_else(|| {
            Refusal("There is no such key; nothing was revoked. It may have been revoked or have expired before: keys list shows the keys that exist.".to_owned())
        })?;
        self.delete_key(&key.key_hash).await?;
        Ok(key)
    }

    async fn delete_key(&self, hash: &str) -> Result<(), Refusal> {
        let delete = self.connection.client.delete_item().table_name(&self.api_keys.name);
        let delete = delete.key(self.api_keys.key, S(hash.to_owned()));
        let deleted = delete.return_values(ReturnValue::AllOld).send().await;
        let deleted = deleted.map_err(|error| {
            let Refusal(reason) = self.connection.refusal("DeleteItem", &self.api_keys, &error);
            Refusal(format!(
                "{reason} The key may or may not have been revoked: run the command again."
            ))
        })?;
        match deleted.attributes {
            Some(item) => self.check(&self.api_keys, hash, &item),
            // An earlier attempt of this call may have deleted it. Only a scan's response shows that it is DynamoDB's although
            // it has no item.
            None if self.keys().await?.iter().any(|stored| stored.key_hash == hash) => Err(Refusal(
                "The key was not revoked: DynamoDB accepted its deletion, but the key is still there. Run the command again.".to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// A workspace, if it exists.
    pub async fn workspace(&self, id: Uuid) -> Result<Option<Workspace>, Refusal> {
        let item = self.get(&self.workspaces, &id.to_string()).await?;
        Ok(item.as_ref().map(Workspace::from_item))
    }

    /// Stores a workspace; one that the tenant already has is left unchanged.
    pub async fn add_workspace(&self, id: Uuid, tenant: Uuid) -> Result<Workspace, Refusal> {
        let put = self.connection.client.put_item().table_name(&self.workspaces.name);
        let put = put
            .item("workspaceId", S(id.to_string()))
            .item("tenantId", S(tenant.to_string()))
            .condition_expression("attribute_not_exists(workspaceId)");
        let put = put.send().await;
        // Whatever the response says: the condition also fails if an earlier attempt of this call stored the workspace.
        match (self.workspace(id).await, put) {
            (Ok(Some(workspace)), _) if workspace.belongs_to(tenant) => Ok(workspace),
            (Ok(Some(_)), _) => Err(Refusal(format!(
                "Workspace {id} exists already and belongs to another tenant; nothing was changed. keys workspace list shows which."
            ))),
            (_, Err(error)) => Err(self.connection.refusal("PutItem", &self.workspaces, &error)),
            (Err(refusal), Ok(_)) => Err(refusal),
            (Ok(None), Ok(_)) => Err(self.connection.not_dynamodb()),
        }
    }

    /// Every workspace, ordered by tenant.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, Refusal> {
        let items = self.scan(&self.workspaces).await?;
        let mut workspaces: Vec<_> = items.iter().map(Workspace::from_item).collect();
        workspaces
            .sort_by(|one, other| (&one.tenant_id, &one.workspace_id).cmp(&(&other.tenant_id, &other.workspace_id)));
        Ok(workspaces)
    }

    async fn get(&self, table: &Table, key: &str) -> Result<Option<Item>, Refusal> {
        let get = self.connection.client.get_item().table_name(&table.name);
        let get = get.key(table.key, S(key.to_owned())).consistent_read(true);
        let response = get.send().await;
        let item = response
            .map_err(|error| self.connection.refusal("GetItem", table, &error))?
            .item;
        item.map(|item| self.check(table, key, &item).map(|()| item))
            .transpose()
    }

    /// Refuses an item other than the one that was asked for.
    fn check(&self, table: &Table, key: &str, item: &Item) -> Result<(), Refusal> {
        match text(item, table.key) {
            Some(found) if found == key => Ok(()),
            _ => Err(self.connection.not_dynamodb()),
        }
    }

    async fn scan(&self, table: &Table) -> Result<Vec<Item>, Refusal> {
        let scan = self.connection.client.scan().table_name(&table.name);
        let mut pages = scan.consistent_read(true).into_paginator().send();
        let mut items = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.connection.refusal("Scan", table, &error))?;
            // DynamoDB's response always has the list, an empty one included.
            items.extend(page.items.ok_or_else(|| self.connection.not_dynamodb())?);
        }
        Ok(items)
    }
}
