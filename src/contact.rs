//! The contact, as the caller sees it and as the table stores it (`docs/contract.md#response`,
//! `docs/contract.md#6-dynamodb-tables`).
//!
//! An item may be older or newer than this version of the function. During a gradual deployment the old and the new version
//! run side by side, and other parts of the platform write items too. So a change may add an attribute, but never change the
//! meaning of one, and every attribute may be absent when an item is read.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::{NoContext, Timestamp, Uuid};

use crate::{
    company::company_name,
    item::{Item, MalformedItem, nullable_string},
    name::Name,
    new_contact::NewContact,
};

const UNRESOLVED: &str = "unresolved";

/// The Contact of the API: always all eleven members, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// UUID, version 7 if this service made it.
    pub id: Option<String>,
    /// UUID of the tenant.
    pub tenant_id: Option<String>,
    /// The contact's reference in a CRM; set by others.
    pub external_ref: Option<String>,
    /// `unresolved`, `crm_resolved` or `manually_resolved`.
    pub resolution_status: String,
    /// See [`crate::name`].
    pub first_name: Option<String>,
    /// See [`crate::name`].
    pub last_name: Option<String>,
    /// The address as it is stored.
    pub email: Option<String>,
    /// In E.164. Other writers set it.
    pub phone: Option<String>,
    /// See [`crate::company`].
    pub company_name: Option<String>,
    /// UTC with milliseconds, `2026-02-10T14:30:00.000Z`.
    pub created_at: Option<String>,
    /// In the same format as `created_at`.
    pub updated_at: Option<String>,
}

/// A contact, and the name that the table stores with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredContact {
    /// What the caller sees.
    pub contact: Contact,
    /// The full name; `None` if the platform created the contact from a message.
    pub name: Option<String>,
}

impl StoredContact {
    /// The contact that a request creates, at `now`.
    #[must_use]
    pub fn create(new: &NewContact, tenant_id: Uuid, now: DateTime<Utc>) -> Self {
        // Any time after 1970 is in range. If the clock is before 1970, the id has a time of 1970.
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let id = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()));
        let instant = now.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self {
            contact: Contact {
                id: Some(id.to_string()),
                tenant_id: Some(tenant_id.to_string()),
                external_ref: None,
                resolution_status: UNRESOLVED.to_owned(),
                first_name: Some(new.name.first().to_owned()),
                last_name: new.name.last().map(str::to_owned),
                email: Some(new.email.as_str().to_owned()),
                phone: None,
                company_name: company_name(&new.email),
                created_at: Some(instant.clone()),
                updated_at: Some(instant),
            },
            name: Some(new.name.as_str().to_owned()),
        }
    }

    /// Whether a request with this name means this contact. Its names are `name`, and `firstName` and
    /// `lastName` with a space between: other writers may change either without the other. They are normalised as a request's
    /// name is, because a caller may send what a response shows. A contact without a name contradicts none.
    #[must_use]
    pub fn is_named(&self, name: &Name) -> bool {
        let text = |member: &Option<String>| member.clone().filter(|text| !text.is_empty());
        let parts: Vec<String> = [&self.contact.first_name, &self.contact.last_name]
            .into_iter()
            .filter_map(text)
            .collect();
        let names = [text(&self.name).unwrap_or_default(), parts.join(" ")];
        names.iter().all(String::is_empty)
            || names.iter().any(|stored| {
                stored == name.as_str() || Name::parse(stored).is_ok_and(|stored| stored.as_str() == name.as_str())
            })
    }

    /// The item. Attributes have the names of the JSON members, and a member that is null has no attribute.
    #[must_use]
    pub fn to_item(&self, new: &NewContact) -> Item {
        let contact = &self.contact;
        let optional = [
            ("id", &contact.id),
            ("tenantId", &contact.tenant_id),
            ("externalRef", &contact.external_ref),
            ("firstName", &contact.first_name),
            ("lastName", &contact.last_name),
            ("email", &contact.email),
            ("phone", &contact.phone),
            ("companyName", &contact.company_name),
            ("createdAt", &contact.created_at),
            ("updatedAt", &contact.updated_at),
            ("name", &self.name),
        ];
        let mut item: Item = HashMap::with_capacity(optional.len() + 3);
        let mut put = |name: &str, value: String| item.insert(name.to_owned(), AttributeValue::S(value));
        put("workspaceId", new.workspace_id.to_string());
        put("emailKey", new.email.key());
        put("resolutionStatus", contact.resolution_status.clone());
        for (name, value) in optional {
            if let Some(value) = value {
                put(name, value.clone());
            }
        }
        item
    }

    /// Reads an item that this service or another writer stored.
    ///
    /// # Errors
    ///
    /// An attribute isn't a string, or the API doesn't know the resolution status.
    pub fn from_item(item: &Item) -> Result<Self, MalformedItem> {
        let string = |name| nullable_string(item, name).map(|value| value.map(str::to_owned));
        let resolution_status = nullable_string(item, "resolutionStatus")?.unwrap_or(UNRESOLVED);
        if ![UNRESOLVED, "crm_resolved", "manually_resolved"].contains(&resolution_status) {
            return Err(MalformedItem("resolutionStatus"));
        }
        Ok(Self {
            contact: Contact {
                id: string("id")?,
                tenant_id: string("tenantId")?,
                external_ref: string("externalRef")?,
                resolution_status: resolution_status.to_owned(),
                first_name: string("firstName")?,
                last_name: string("lastName")?,
                email: string("email")?,
                phone: string("phone")?,
                company_name: string("companyName")?,
                created_at: string("createdAt")?,
                updated_at: string("updatedAt")?,
            },
            name: string("name")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_item_is_read_as_the_contact_that_was_written() {
        let body =
            br#"{"workspaceId":"0198c1a5-6f00-7000-8000-000000000001","name":"Ada Lovelace","email":"ada@acme.de"}"#;
        let new = NewContact::parse(body).unwrap();
        let mut stored = StoredContact::create(&new, Uuid::nil(), Utc::now());
        stored.contact.external_ref = Some("crm-1815".to_owned());
        stored.contact.phone = Some("+4930123456".to_owned());
        stored.contact.resolution_status = "crm_resolved".to_owned();

        let item = stored.to_item(&new);
        assert_eq!(StoredContact::from_item(&item), Ok(stored.clone()));
        let json = serde_json::to_value(&stored.contact).unwrap();
        let members = json.as_object().unwrap().keys().map(String::as_str);
        let expected: BTreeSet<&str> = members.chain(["workspaceId", "emailKey", "name"]).collect();
        assert_eq!(item.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        for (member, value) in json.as_object().unwrap() {
            assert_eq!(item[member].as_s().ok().map(String::as_str), value.as_str(), "{member}");
        }
    }

    #[test]
    fn an_attribute_that_is_null_reads_as_absent() {
        let body =
            br#"{"workspaceId":"0198c1a5-6f00-7000-8000-000000000001","name":"Ada Lovelace","email":"ada@acme.de"}"#;
        let new = NewContact::parse(body).unwrap();
        let stored = StoredContact::create(&new, Uuid::nil(), Utc::now());
        let mut item = stored.to_item(&new);
        for name in ["phone", "externalRef"] {
            assert_eq!(item.insert(name.to_owned(), AttributeValue::Null(true)), None);
        }
        assert_eq!(StoredContact::from_item(&item), Ok(stored));
    }
}
