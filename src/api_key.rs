//! API keys: their syntax, the hash under which they are stored, and what one grants (contract, section 5).
//!
//! A key exists in this process only as bytes of the event; what is kept of it is its SHA-256. Neither type here has a
//! `Debug` or `Display`, so no log line can show one by accident.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::store::{Item, MalformedItem, optional_string, required_uuid};

const PREFIXES: [&[u8]; 2] = [b"sf_live_v1_", b"sf_test_v1_"];
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 24..=128;
const SCOPE: &str = "contacts:write";

/// The lower-case hex SHA-256 of a well-formed key: the key table's `keyHash`.
pub struct KeyHash(String);

impl KeyHash {
    /// Reads the value of an `Authorization` header: `Bearer`, in any case, white space, and a key.
    ///
    /// `None` for whatever else it holds. The scheme is case-insensitive by RFC 9110, section 11.1.
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

    /// The hash as the key table has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a key that is stored and has not expired allows.
pub struct Grant {
    /// The tenant for which it creates contacts.
    pub tenant_id: Uuid,
    /// The only workspace in which it does, if it is restricted to one.
    pub workspace_id: Option<Uuid>,
    /// Whether it has the scope `contacts:write`.
    pub writes_contacts: bool,
}

impl Grant {
    /// Reads a key's item; `None` if the key has expired by `now` (epoch seconds).
    ///
    /// # Errors
    ///
    /// An attribute that is missing or of the wrong type: a key that can't be read grants nothing, and is a defect.
    pub fn from_item(item: &Item, now: i64) -> Result<Option<Self>, MalformedItem> {
        let expired = match item.get("expiresAt") {
            None | Some(AttributeValue::Null(_)) => false,
            Some(AttributeValue::N(seconds)) => {
                // DynamoDB numbers are decimal and may have a fraction or an exponent; an f64 holds any second exactly.
                let seconds: f64 = seconds.parse().map_err(|_| MalformedItem("expiresAt"))?;
                #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 seconds")]
                let now = now as f64;
                seconds <= now
            }
            Some(_) => return Err(MalformedItem("expiresAt")),
        };
        if expired {
            return Ok(None);
        }
        let writes_contacts = match item.get("scopes") {
            None | Some(AttributeValue::Null(_)) => false,
            Some(AttributeValue::Ss(scopes)) => scopes.iter().any(|scope| scope == SCOPE),
            Some(_) => return Err(MalformedItem("scopes")),
        };
        let workspace_id = optional_string(item, "workspaceId")?
            .map(|id| Uuid::try_parse(id).map_err(|_| MalformedItem("workspaceId")))
            .transpose()?;
        Ok(Some(Self {
            tenant_id: required_uuid(item, "tenantId")?,
            workspace_id,
            writes_contacts,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(header: &str) -> Option<String> {
        KeyHash::from_authorization(header.as_bytes()).map(|hash| hash.0)
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
}
