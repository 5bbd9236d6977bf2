//! API keys: their syntax, the hash under which they are stored, and what a key grants (`docs/contract.md#5-api-keys`).
//!
//! A key exists in this process only as bytes of the event. Only its SHA-256 is kept. [`KeyHash`] and [`Grant`] implement
//! neither `Debug` nor `Display`, so no log entry can show them by accident.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::item::{Item, MalformedItem, required_uuid, string, uuid};

const PREFIXES: [&[u8]; 2] = [b"sf_live_v1_", b"sf_test_v1_"];
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 24..=128;
const SCOPE: &str = "contacts:write";

/// The lower-case hex SHA-256 of a well-formed key: the key table's `keyHash`.
pub struct KeyHash(String);

impl KeyHash {
    /// Reads the value of an `Authorization` header: `Bearer`, white space, and a key.
    ///
    /// `None` if the value is anything else. The scheme is case-insensitive (RFC 9110, section 11.1).
    #[must_use]
    pub fn from_authorization(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (scheme, key) = value.split_at_checked(b"Bearer".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer") || !key.first()?.is_ascii_whitespace() {
            return None;
        }
        Self::of(key.trim_ascii_start())
    }

    /// Hashes a key, if it is well-formed.
    #[must_use]
    pub fn of(key: &[u8]) -> Option<Self> {
        let secret = PREFIXES.iter().find_map(|prefix| key.strip_prefix(*prefix))?;
        if !SECRET_LENGTH.contains(&secret.len()) || !secret.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(key) {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Some(Self(hex))
    }

    /// The hash, as the table stores it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a valid key allows. A key is valid if it is stored and has not expired.
pub struct Grant {
    /// The tenant for which it creates contacts.
    pub tenant_id: Uuid,
    /// The only workspace in which it may create them, if it is restricted to one.
    pub workspace_id: Option<Uuid>,
    /// Whether it has the scope `contacts:write`.
    pub writes_contacts: bool,
    /// The key's public id, if it has one.
    pub key_id: Option<KeyId>,
}

/// `key_` and 16 characters of `a-z2-7`: an id that grants nothing, so it may be logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyId(String);

impl KeyId {
    /// Parses an id. Returns `None` for any other form, because such a text could be anything, even personal data.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix("key_")?;
        let is_id = random.len() == 16 && random.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        is_id.then(|| Self(text.to_owned()))
    }
}

impl Grant {
    /// Reads a key's item; `None` if the key has expired by `now` (epoch seconds).
    ///
    /// # Errors
    ///
    /// An attribute is missing or has the wrong type (NULL is a wrong type). A key that can't be read grants nothing, and the
    /// writer of the item has to fix it.
    pub fn from_item(item: &Item, now: i64) -> Result<Option<Self>, MalformedItem> {
        let writes_contacts = match item.get("scopes") {
            None => false,
            Some(AttributeValue::Ss(scopes)) => scopes.iter().any(|scope| scope == SCOPE),
            Some(_) => return Err(MalformedItem("scopes")),
        };
        let key_id = string(item, "keyId")?.and_then(KeyId::parse);
        // Only operators read these, but a wrong type shows that the writer of the item has a bug.
        string(item, "label")?;
        string(item, "createdAt")?;
        let grant = Self {
            tenant_id: required_uuid(item, "tenantId")?,
            workspace_id: uuid(item, "workspaceId")?,
            writes_contacts,
            key_id,
        };
        let has_expired = expires_at(item)?.is_some_and(|expires_at| {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 seconds")]
            let now = now as f64;
            expires_at <= now
        });
        Ok((!has_expired).then_some(grant))
    }
}

/// In epoch seconds. DynamoDB's numbers are decimal and may have a fraction or an exponent; an f64 holds any second exactly.
fn expires_at(item: &Item) -> Result<Option<f64>, MalformedItem> {
    const NAME: &str = "expiresAt";
    match item.get(NAME) {
        None => Ok(None),
        Some(AttributeValue::N(text)) => text
            .parse()
            .ok()
            .filter(|seconds: &f64| seconds.is_finite())
            .map(Some)
            .ok_or(MalformedItem(NAME)),
        Some(_) => Err(MalformedItem(NAME)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(header: &str) -> Option<String> {
        KeyHash::from_authorization(header.as_bytes()).map(|hash| hash.as_str().to_owned())
    }

    #[test]
    fn a_key_is_stored_as_the_lower_case_hex_of_its_sha_256() {
        let key = "sf_test_v1_abcdefghijklmnopqrstuvwx";
        // printf %s sf_test_v1_abcdefghijklmnopqrstuvwx | sha256sum
        let expected = "29682e550d7b25a137ca06fdf3c89862a77833e3d91bb513be1e33324a8c697e";
        assert_eq!(hash(&format!("Bearer {key}")).as_deref(), Some(expected));
        assert_eq!(hash(&format!("bEARER   {key} ")).as_deref(), Some(expected));
    }

    #[test]
    fn a_key_is_a_prefix_and_24_to_128_letters_or_digits() {
        let of = |prefix: &str, n: usize| hash(&format!("Bearer {prefix}{}", "a1Z".repeat(50).split_at(n).0));
        for n in [24, 25, 128] {
            assert!(of("sf_live_v1_", n).is_some(), "{n}");
            assert!(of("sf_test_v1_", n).is_some(), "{n}");
        }
        for n in [0, 1, 23, 129] {
            assert!(of("sf_live_v1_", n).is_none(), "{n}");
        }
        for prefix in ["", "sf_live_v2_", "SF_LIVE_V1_", "sf_prod_v1_", "sf_live_v1"] {
            assert!(of(prefix, 30).is_none(), "{prefix}");
        }
        for secret in [
            "abcdefghijklmnopqrstuvw-",
            "abcdefghijklmnopqrstuvwé",
            "abcdefghijkl nopqrstuvwxyz",
        ] {
            assert!(hash(&format!("Bearer sf_live_v1_{secret}")).is_none(), "{secret}");
        }
    }

    #[test]
    fn a_header_that_is_not_one_bearer_key_holds_no_key() {
        let key = "sf_test_v1_abcdefghijklmnopqrstuvwx";
        for header in [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            key.into(),
            format!("Basic {key}"),
            format!("Bearer{key}"),
            format!("Bearer: {key}"),
            format!("Bearer {key},Bearer {key}"),
            format!("Bearer {key} {key}"),
            format!("Bearer \"{key}\""),
        ] {
            assert!(hash(&header).is_none(), "{header}");
        }
    }

    fn item(changes: &[(&str, Option<AttributeValue>)]) -> Item {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut item = Item::from([
            ("keyHash".to_owned(), text("0")),
            ("tenantId".to_owned(), text("0198c1a5-6f00-7000-8000-00000000000a")),
            ("scopes".to_owned(), AttributeValue::Ss(vec![SCOPE.to_owned()])),
            ("workspaceId".to_owned(), text("0198c1a5-6f00-7000-8000-000000000001")),
            ("expiresAt".to_owned(), AttributeValue::N("2000".to_owned())),
            ("keyId".to_owned(), text("key_abcdefghijkl2345")),
            ("label".to_owned(), text("CRM import")),
            ("createdAt".to_owned(), text("2026-02-10T14:30:00.000Z")),
        ]);
        for (name, value) in changes {
            item.remove(*name);
            item.extend(value.clone().map(|value| ((*name).to_owned(), value)));
        }
        item
    }

    #[test]
    fn a_key_grants_what_its_item_says_until_it_expires() {
        let grant = Grant::from_item(&item(&[]), 1999).unwrap().unwrap();
        assert!(grant.writes_contacts && grant.workspace_id.is_some());
        assert_eq!(grant.key_id, KeyId::parse("key_abcdefghijkl2345"));
        assert!(Grant::from_item(&item(&[]), 2000).unwrap().is_none());
        for absent in ["scopes", "workspaceId", "expiresAt", "keyId", "label", "createdAt"] {
            assert!(
                Grant::from_item(&item(&[(absent, None)]), 0).unwrap().is_some(),
                "{absent}"
            );
        }
    }

    #[test]
    fn an_attribute_that_is_not_what_the_contract_says_grants_nothing() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |text: &str| AttributeValue::N(text.to_owned());
        for (name, value) in [
            ("tenantId", None),
            ("tenantId", Some(text("acme"))),
            ("scopes", Some(text(SCOPE))),
            ("scopes", Some(AttributeValue::L(vec![text(SCOPE)]))),
            ("workspaceId", Some(text(""))),
            ("workspaceId", Some(number("1"))),
            ("expiresAt", Some(text("2000"))),
            ("expiresAt", Some(number("NaN"))),
            ("expiresAt", Some(number("inf"))),
            ("expiresAt", Some(number("-infinity"))),
            ("expiresAt", Some(number("1e999"))),
            ("expiresAt", Some(number("soon"))),
            ("keyId", Some(number("1"))),
            ("label", Some(number("1"))),
            ("createdAt", Some(number("1"))),
        ] {
            let read = Grant::from_item(&item(&[(name, value)]), 0);
            assert_eq!(read.map(|_| ()), Err(MalformedItem(name)), "{name}");
        }
        for name in [
            "tenantId",
            "scopes",
            "workspaceId",
            "expiresAt",
            "keyId",
            "label",
            "createdAt",
        ] {
            let read = Grant::from_item(&item(&[(name, Some(AttributeValue::Null(true)))]), 0);
            assert_eq!(read.map(|_| ()), Err(MalformedItem(name)), "{name} is NULL");
        }
    }

    #[test]
    fn a_key_id_of_another_form_is_ignored() {
        let grant = Grant::from_item(
            &item(&[("keyId", Some(AttributeValue::S("ada@acme.de".to_owned())))]),
            0,
        );
        assert_eq!(grant.unwrap().unwrap().key_id, None);
    }

    #[test]
    fn a_key_id_is_key_and_16_letters_or_digits_of_base_32() {
        assert!(KeyId::parse("key_abcdefghijklmnop").is_some());
        for text in [
            "",
            "key_",
            "abcdefghijklmnop",
            "key_abcdefghijklmno",
            "key_abcdefghijklmnopq",
            "key_abcdefghijklmno1",
            "key_abcdefghijklmnoP",
            "KEY_abcdefghijklmnop",
        ] {
            assert_eq!(KeyId::parse(text), None, "{text}");
        }
    }
}
