//! JSON strings as they really come: possibly with an unpaired surrogate.
//!
//! RFC 8259 (section 8.2) lets a JSON string escape half of a surrogate pair, which is no Unicode text and which
//! `serde_json` refuses to read as a `String`, failing the whole document. The contract wants the field named that holds
//! one, and members that it doesn't list ignored whatever they hold. Read as bytes, such a half becomes its three-byte
//! generalised UTF-8 form, which no UTF-8 check lets through.

use std::{borrow::Cow, fmt, str};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// The bytes of a JSON string after unescaping: UTF-8, unless an unpaired surrogate was escaped in it.
pub(crate) struct JsonString<'a>(pub Cow<'a, [u8]>);

impl JsonString<'_> {
    /// The text, unless it holds an unpaired surrogate.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    pub fn into_owned(self) -> Vec<u8> {
        self.0.into_owned()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonString<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Cow<'de, [u8]>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(bytes))
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Cow::Owned(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpaired_surrogate_is_read_but_is_no_text() {
        let half: JsonString = serde_json::from_str(r#""a\ud800b""#).unwrap();
        assert_eq!(half.as_str(), None);
        let pair: JsonString = serde_json::from_str(r#""a\ud83d\ude00b""#).unwrap();
        assert_eq!(pair.as_str(), Some("a😀b"));
    }

    #[test]
    fn other_json_is_no_string() {
        for json in ["1", "null", "true", "{}", "[]", "[97]"] {
            assert!(serde_json::from_str::<JsonString>(json).is_err(), "{json}");
        }
    }
}
