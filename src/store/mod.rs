//! The two DynamoDB calls of a request, with what their results mean (`docs/contract.md#calls`,
//! `docs/contract.md#3-the-same-contact-twice`).
//!
//! A request reads once (`BatchGetItem` of key and workspace, or `GetItem` of the key alone where the body names no
//! workspace) and writes once (a conditional `PutItem`). The SDK retries by itself: `fault.rs` says which failures,
//! `budget.rs` how often and for how long.

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
    new_contact::NewContact,
};

/// The operations, by the names that they have in log entries.
const READ: &str = "BatchGetItem";
const READ_KEY: &str = "GetItem";
const WRITE: &str = "PutItem";

/// The `keyHash` of no key: a hash has 64 digits. Reading it opens the connection.
const NO_KEY: &str = "-";

/// What the tables say of a request's key and workspace.
pub struct Access {
    /// What the key grants; nothing if it is unknown, revoked or expired.
    pub grant: Option<Grant>,
    /// The tenant that owns the workspace, if there is one. An owner that can't be read is not the key's tenant, and not
    /// the caller's concern, so it is no failure of the read.
    pub workspace_owner: Result<Option<Uuid>, Fault>,
}

/// What became of a write.
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
    /// What a failed condition means: the stored item is our own, from an attempt whose response was lost, or it was
    /// there before. See [`Store::create`].
    #[must_use]
    pub fn after_failed_condition(ours: StoredContact, stored: StoredContact) -> Self {
        if stored.contact.id == ours.contact.id {
            Self::Created(ours.contact)
        } else if stored.contradicts(&ours) {
            Self::Conflict(stored.contact.id)
        } else {
            Self::Existing(stored.contact)
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
    /// At its start a process has a whole CPU; an invocation has the share that its memory buys, on which DNS, TCP and a
    /// TLS handshake take many times as long. Whatever comes back is ignored, and so is what takes too long.
    pub async fn open_connection(&self) {
        let read = self.get_key(NO_KEY).send();
        let _ = tokio::time::timeout(budget::OPEN_CONNECTION, read).await;
    }

    /// Reads what a key grants, where the body names no workspace that could be read with it.
    ///
    /// # Errors
    ///
    /// The call failed for good, or the key's item can't be read.
    pub async fn read_key(&self, key: &KeyHash) -> Result<Option<Grant>, Fault> {
        let _timed = usage::begin(READ_KEY);
        let response = self
            .get_key(key.as_str())
            .send()
            .await
            .map_err(|error| Fault::of(READ_KEY, &error))?;
        grant(READ_KEY, response.item)
    }

    /// Reads what a key grants and whose a workspace is, in one call.
    ///
    /// `BatchGetItem` may respond with 200 and leave keys out because they were throttled. That is not "not found", so
    /// what is missing is asked for again.
    ///
    /// # Errors
    ///
    /// The call failed for good, keys were still left out of its last attempt, or the key's item can't be read.
    pub async fn read(&self, key: &KeyHash, workspace_id: Uuid) -> Result<Access, Fault> {
        let _timed = usage::begin(READ);
        let request = |name: &str, value: String| {
            KeysAndAttributes::builder()
                .keys(HashMap::from([(name.to_owned(), AttributeValue::S(value))]))
                .consistent_read(true)
                .build()
                .map_err(|_| Fault::new(READ, FaultKind::Rejected))
        };
        let Tables {
            api_keys, workspaces, ..
        } = &self.tables;
        let mut wanted = HashMap::from([
            (api_keys.clone(), request("keyHash", key.as_str().to_owned())?),
            (workspaces.clone(), request("workspaceId", workspace_id.to_string())?),
        ]);
        let mut key_item = None;
        let mut workspace_item = None;
        for asked in 1.. {
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
            if asked == budget::ATTEMPTS {
                return Err(Fault {
                    request_id,
                    ..Fault::new(READ, FaultKind::Throttled)
                });
            }
            tokio::time::sleep(budget::backoff(asked)).await;
        }
        Ok(Access {
            grant: grant(READ, key_item)?,
            workspace_owner: workspace_item
                .map(|item| required_uuid(&item, "tenantId").map_err(|malformed| Fault::malformed(READ, malformed)))
                .transpose(),
        })
    }

    /// Writes a contact, unless its address has one already.
    ///
    /// A write whose response is lost has an unknown outcome, and the SDK retries it. If the first attempt was applied,
    /// the second fails its condition, and the failure carries the stored item: the one that this very request wrote. Its
    /// `id` tells. The id is 74 random bits made for this request and sent nowhere else, so whoever finds it in the table
    /// made it, and no other request can be told "created" for the same item: the condition lets one write of an address
    /// through, ever, and only that write's id is stored. An attempt that arrives after the response, however late, fails
    /// the same condition and changes nothing. `tests/faults/model.rs` walks through every interleaving of this.
    ///
    /// # Errors
    ///
    /// The call failed for good. The contact may exist then; the caller's retry finds it.
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
        Ok(Written::after_failed_condition(ours, stored))
    }

    fn get_key(&self, hash: &str) -> aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder {
        self.client
            .get_item()
            .table_name(&self.tables.api_keys)
            .key("keyHash", AttributeValue::S(hash.to_owned()))
            .consistent_read(true)
    }
}

/// What a key's item grants now. A key that can't be read grants nothing, and is a defect of whoever wrote it.
fn grant(operation: &'static str, item: Option<Item>) -> Result<Option<Grant>, Fault> {
    item.map(|item| Grant::from_item(&item, Utc::now().timestamp()))
        .transpose()
        .map(Option::flatten)
        .map_err(|malformed| Fault::malformed(operation, malformed))
}
