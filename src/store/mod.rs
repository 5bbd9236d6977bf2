//! The two DynamoDB calls of a request, with what their results mean (`docs/contract.md#calls`,
//! `docs/contract.md#3-the-same-contact-twice`).
//!
//! A request reads once: `BatchGetItem` of the key and the workspace, or `GetItem` of the key alone if the body is invalid.
//! Then it writes once, with a conditional `PutItem`. The SDK retries by itself: `fault.rs` says which failures are retried,
//! and `budget.rs` how often and for how long.

mod client;
mod fault;
mod usage;

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::{RequestId as _, put_item::PutItemError},
    types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure},
};
use chrono::Utc;
use uuid::Uuid;

pub use self::fault::{Fault, FaultKind, Remedy};
pub(crate) use self::usage::Usage;
use crate::{
    api_key::{Grant, KeyHash},
    budget,
    config::{Config, Tables},
    contact::{Contact, StoredContact},
    item::{Item, MalformedItem, required_uuid},
    name::Name,
    new_contact::NewContact,
};

/// The names of the operations in log entries.
const READ: &str = "BatchGetItem";
const READ_KEY: &str = "GetItem";
const WRITE: &str = "PutItem";

/// A `keyHash` that no key has, because a hash has 64 digits. It is read to open the connection.
const NO_KEY: &str = "-";

/// What the tables say about a request's key and workspace.
pub struct Access {
    /// What the key grants; nothing if it is unknown, revoked or expired.
    pub grant: Option<Grant>,
    /// The tenant that owns the workspace, if the workspace exists. If the owner can't be read, the caller gets the response
    /// for a missing workspace and the log gets the fault, so this doesn't fail the read.
    pub workspace_owner: Result<Option<Uuid>, Fault>,
}

/// The result of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// This request created the contact.
    Created(Contact),
    /// The workspace had this contact already. Nothing was written.
    Existing(Contact),
    /// The workspace has a contact with this address under another name: its id, if it has one. Nothing was written.
    Conflict(Option<String>),
}

impl Written {
    /// What a failed condition means. The stored item is either our own, from an attempt whose response was lost, or it
    /// existed before. See [`Store::create`].
    #[must_use]
    pub fn after_failed_condition(name: &Name, ours: StoredContact, stored: StoredContact) -> Self {
        if stored.contact.id == ours.contact.id {
            Self::Created(ours.contact)
        } else if stored.is_named(name) {
            Self::Existing(stored.contact)
        } else {
            Self::Conflict(stored.contact.id)
        }
    }
}

/// The three tables.
pub struct Store {
    client: Client,
    tables: Tables,
}

impl Store {
    /// The tables that a configuration names.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            client: client::client(&config),
            tables: config.tables,
        }
    }

    /// Opens the connection that the first request will use, by reading a key that no caller can have.
    ///
    /// While it starts, a process has a whole CPU. During an invocation it has only the share that its memory buys, and DNS,
    /// TCP and a TLS handshake take many times as long. The response is ignored, and so are errors and timeouts.
    pub async fn open_connection(&self) {
        let read = self.get_key(NO_KEY).send();
        let _ = tokio::time::timeout(budget::OPEN_CONNECTION, read).await;
    }

    /// Reads what a key grants, for a request whose body is invalid: its workspace isn't needed.
    ///
    /// # Errors
    ///
    /// The call failed, after retries if the error was transient, or the key's item can't be read.
    pub async fn read_key(&self, key: &KeyHash) -> Result<Option<Grant>, Fault> {
        let _timed = usage::begin(READ_KEY);
        let response = self
            .get_key(key.as_str())
            .send()
            .await
            .map_err(|error| Fault::of(READ_KEY, &error))?;
        grant(READ_KEY, response.item)
    }

    /// Reads what a key grants and who owns a workspace, in one call.
    ///
    /// `BatchGetItem` may respond with 200 and leave out keys that were throttled. That doesn't mean "not found", so those
    /// keys are read again.
    ///
    /// # Errors
    ///
    /// The call failed, after retries if the error was transient, its last attempt still left out keys, or the key's item can't be read.
    pub async fn read(&self, key: &KeyHash, workspace_id: Uuid) -> Result<Access, Fault> {
        let _timed = usage::begin(READ);
        let request = |name: &str, value: &str| {
            KeysAndAttributes::builder()
                .keys(HashMap::from([(name.to_owned(), AttributeValue::S(value.to_owned()))]))
                .consistent_read(true)
                .build()
                .map_err(|_| Fault::new(READ, FaultKind::Rejected))
        };
        let Tables {
            api_keys, workspaces, ..
        } = &self.tables;
        let mut wanted = HashMap::from([
            (api_keys.clone(), request("keyHash", key.as_str())?),
            (workspaces.clone(), request("workspaceId", &workspace_id.to_string())?),
        ]);
        let mut key_item = None;
        let mut workspace_item = None;
        for round in 1.. {
            let response = self
                .client
                .batch_get_item()
                .set_request_items(Some(wanted))
                .send()
                .await
                .map_err(|error| Fault::of(READ, &error))?;
            let request_id = response.request_id().and_then(fault::identifier);
            let mut found = response.responses.unwrap_or_default();
            let mut take = |table: &str| found.get_mut(table).and_then(Vec::pop);
            key_item = key_item.or_else(|| take(api_keys));
            workspace_item = workspace_item.or_else(|| take(workspaces));
            wanted = response.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                break;
            }
            if round == budget::ATTEMPTS {
                return Err(Fault {
                    request_id,
                    ..Fault::new(READ, FaultKind::Throttled)
                });
            }
            tokio::time::sleep(budget::backoff(round)).await;
        }
        Ok(Access {
            grant: grant(READ, key_item)?,
            workspace_owner: workspace_item
                .map(|item| required_uuid(&item, "tenantId").map_err(|malformed| Fault::malformed(READ, malformed)))
                .transpose(),
        })
    }

    /// Writes a contact, unless the workspace already has one with its address.
    ///
    /// If the response to a write is lost, it is unknown whether the write was applied. The SDK retries it. If the first
    /// attempt was applied, the condition of the second fails, and the failure contains the stored item. Its `id` shows that
    /// this request wrote it: the id has 74 random bits, was made for this request, and was sent nowhere else.
    ///
    /// No other request can get "created" for the same item: the condition lets only one write of an address succeed, and
    /// only the id of that write is stored. As long as the item exists, an attempt that arrives late, even after the
    /// response, fails the same condition and changes nothing.
    ///
    /// # Errors
    ///
    /// The call failed, after retries if the error was transient, or the stored item can't be read. The contact may exist in that case, and
    /// the caller's retry finds it.
    pub async fn create(&self, ours: StoredContact, new: &NewContact) -> Result<Written, Fault> {
        let _timed = usage::begin(WRITE);
        let written = self
            .client
            .put_item()
            .table_name(&self.tables.contacts)
            .set_item(Some(ours.to_item(new)))
            .condition_expression("attribute_not_exists(emailKey)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = written else {
            return Ok(Written::Created(ours.contact));
        };
        let Some(PutItemError::ConditionalCheckFailedException(failure)) = error.as_service_error() else {
            return Err(Fault::of(WRITE, &error));
        };
        let stored = failure
            .item()
            .ok_or(MalformedItem("item"))
            .and_then(StoredContact::from_item)
            .map_err(|malformed| Fault::malformed(WRITE, malformed))?;
        Ok(Written::after_failed_condition(&new.name, ours, stored))
    }

    fn get_key(&self, hash: &str) -> aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder {
        self.client
            .get_item()
            .table_name(&self.tables.api_keys)
            .key("keyHash", AttributeValue::S(hash.to_owned()))
            .consistent_read(true)
    }
}

/// What a key's item grants now. An item that can't be read is a fault, and grants nothing.
fn grant(operation: &'static str, item: Option<Item>) -> Result<Option<Grant>, Fault> {
    item.map(|item| Grant::from_item(&item, Utc::now().timestamp()))
        .transpose()
        .map(Option::flatten)
        .map_err(|malformed| Fault::malformed(operation, malformed))
}
