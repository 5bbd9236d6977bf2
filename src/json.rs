//! JSON strings that may contain an unpaired surrogate.
//!
//! In JSON, a string may escape half of a surrogate pair (RFC 8259, section 8.2). That isn't valid Unicode. `serde_json` can't
//! read it as a `String`, so the whole document would fail. The contract asks for more: the response must name the member with
//! the invalid text, and members that aren't listed must be ignored whatever they contain. Here strings are read as bytes. An
//! unpaired surrogate then has three bytes that are not valid UTF-8, so a UTF-8 check finds it.

use std::{borrow::Cow, fmt, str};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// The bytes of a JSON string after unescaping: UTF-8, unless an unpaired surrogate was escaped in it.
pub(crate) struct JsonString<'a>(pub Cow<'a, [u8]>);

impl JsonString<'_> {
    /// The text, unless it contains an unpaired surrogate.
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
