//! Reading the attributes of a DynamoDB item, which another writer may have stored.
//!
//! The modules that read an item say what its attributes mean: [`crate::api_key`], [`crate::contact`] and [`crate::store`].

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

/// An item's attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// The named attribute of an item is missing, or has an invalid value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedItem(pub &'static str);

/// A string, if the attribute is there.
pub(crate) fn string<'a>(item: &'a Item, name: &'static str) -> Result<Option<&'a str>, MalformedItem> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::S(value)) => Ok(Some(value)),
        Some(_) => Err(MalformedItem(name)),
    }
}

/// A string, if the attribute is there and not NULL. Other writers may store NULL instead of leaving an attribute out.
pub(crate) fn nullable_string<'a>(item: &'a Item, name: &'static str) -> Result<Option<&'a str>, MalformedItem> {
    match item.get(name) {
        Some(AttributeValue::Null(_)) => Ok(None),
        _ => string(item, name),
    }
}

/// A UUID, if the attribute is there.
pub(crate) fn uuid(item: &Item, name: &'static str) -> Result<Option<Uuid>, MalformedItem> {
    string(item, name)?
        .map(|text| Uuid::try_parse(text).map_err(|_| MalformedItem(name)))
        .transpose()
}

/// A UUID that must be there.
pub(crate) fn required_uuid(item: &Item, name: &'static str) -> Result<Uuid, MalformedItem> {
    uuid(item, name)?.ok_or(MalformedItem(name))
}
