//! Making keys, and naming them without showing them.

use create_contact::api_key::KeyHash;
use rand::{
    distr::{Alphanumeric, SampleString as _},
    rand_core::UnwrapErr,
    rngs::SysRng,
    seq::IndexedRandom as _,
};

use crate::Refusal;

/// 43 characters out of 62: 256 bits.
const SECRET_LENGTH: usize = 43;
const KEY_ID_PREFIX: &str = "key_";
const KEY_ID_CHARACTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const KEY_ID_LENGTH: usize = 16;

/// Makes a key from the operating system's randomness. `test` keys have another prefix; the service treats both the same.
pub fn generate(test: bool) -> String {
    let prefix = if test { "sf_test_v1_" } else { "sf_live_v1_" };
    format!(
        "{prefix}{}",
        Alphanumeric.sample_string(&mut UnwrapErr(SysRng), SECRET_LENGTH)
    )
}

/// Makes the public name of a key. It is random, so it says nothing about the key.
pub fn generate_key_id() -> String {
    let mut random = UnwrapErr(SysRng);
    let characters = (0..KEY_ID_LENGTH).filter_map(|_| KEY_ID_CHARACTERS.choose(&mut random));
    format!(
        "{KEY_ID_PREFIX}{}",
        characters.map(|&byte| char::from(byte)).collect::<String>()
    )
}

/// How an operator names a key.
#[derive(Debug)]
pub enum KeyName {
    /// By its `keyId`.
    Id(String),
    /// By its hash, or by at least its first eight digits.
    Hash(String),
}

impl KeyName {
    /// How many digits of a hash `keys list` shows, and a name needs.
    pub const DIGITS: usize = 8;
    /// How many digits a whole hash has.
    const ALL_DIGITS: usize = 64;

    /// Reads a name from the command line.
    ///
    /// # Errors
    ///
    /// It is neither a `keyId` nor enough of a hash.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some(id) = text.strip_prefix(KEY_ID_PREFIX)
            && id.len() == KEY_ID_LENGTH
            && id.bytes().all(|byte| KEY_ID_CHARACTERS.contains(&byte))
        {
            return Ok(Self::Id(text.to_owned()));
        }
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && (Self::DIGITS..=Self::ALL_DIGITS).contains(&text.len()) {
            return Ok(Self::Hash(text.to_ascii_lowercase()));
        }
        Err(Refusal::new(
            "That is neither a key id nor a hash. Give the key id (key_ and 16 characters) or at least 8 hexadecimal digits of its hash; keys list shows both.",
        ))
    }

    /// Finds the first well-formed key in a text: the key alone, or whatever `keys issue` printed.
    pub fn of_key_in(text: &str) -> Option<Self> {
        let in_key = |character: char| character.is_ascii_alphanumeric() || character == '_';
        text.split(|character| !in_key(character))
            .find_map(|word| KeyHash::of(word.as_bytes()))
            .map(|hash| Self::Hash(hash.as_str().to_owned()))
    }

    /// The whole hash, if this is one.
    pub fn whole_hash(&self) -> Option<&str> {
        match self {
            Self::Hash(digits) if digits.len() == Self::ALL_DIGITS => Some(digits),
            Self::Id(_) | Self::Hash(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const KEY: &str = "sf_test_v1_abcdefghijklmnopqrstuvwx";

    #[test]
    fn a_key_is_well_formed_and_never_the_same() {
        let keys: BTreeSet<_> = (0..100).map(|_| generate(false)).collect();
        assert_eq!(keys.len(), 100);
        for key in &keys {
            assert!(key.starts_with("sf_live_v1_") && key.len() == 54, "{}", key.len());
            assert!(KeyHash::of(key.as_bytes()).is_some());
        }
        let used: BTreeSet<_> = keys.iter().flat_map(|key| key["sf_live_v1_".len()..].chars()).collect();
        assert_eq!(used.len(), 62, "every letter and digit is used");
        assert!(generate(true).starts_with("sf_test_v1_"));
    }

    #[test]
    fn a_key_id_is_well_formed_and_never_the_same() {
        let ids: BTreeSet<_> = (0..100).map(|_| generate_key_id()).collect();
        assert_eq!(ids.len(), 100);
        for id in &ids {
            assert!(
                matches!(KeyName::parse(id), Ok(KeyName::Id(parsed)) if parsed == *id),
                "{id}"
            );
        }
        let used: BTreeSet<_> = ids.iter().flat_map(|id| id["key_".len()..].chars()).collect();
        assert_eq!(used.len(), 32, "every character is used");
    }

    #[test]
    fn a_key_is_named_by_its_key_id_or_by_eight_digits_of_its_hash_or_more() {
        assert!(matches!(KeyName::parse("5E884898"), Ok(KeyName::Hash(digits)) if digits == "5e884898"));
        let whole = "a".repeat(64);
        assert!(KeyName::parse(&whole).is_ok_and(|name| name.whole_hash() == Some(&whole)));
        assert!(KeyName::parse(&whole[1..]).is_ok_and(|name| name.whole_hash().is_none()));
        for text in [
            "",
            "5e88489",
            "5e88489g",
            &"a".repeat(65),
            "key_",
            "key_abcdefghijklmno",
            "key_abcdefghijklmnopq",
            "key_abcdefghijklmno1",
            "key_ABCDEFGHIJKLMNOP",
        ] {
            assert!(KeyName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_is_found_in_the_prose_around_it() {
        let hash = KeyHash::of(KEY.as_bytes()).map(|hash| hash.as_str().to_owned());
        for text in [
            KEY.to_owned(),
            format!("{KEY}\r\n"),
            format!("{KEY}\n\nThis key is shown only once.\n"),
            format!("{{\"key\": \"{KEY}\", \"keyId\": \"key_abcdefghijklmnop\"}}"),
            format!("\u{1b}[200~{KEY}\u{1b}[201~"),
            format!("sf_live_v1_short {KEY} sf_live_v1_AnotherKeyThatComesAfterIt"),
            format!("Authorization: Bearer {KEY}"),
        ] {
            let found = KeyName::of_key_in(&text);
            let found = found.as_ref().and_then(KeyName::whole_hash);
            assert_eq!(found, hash.as_deref(), "{text}");
        }
        for text in ["", "no key", &format!("x{KEY}"), &format!("{KEY}_x"), &"sf_".repeat(50)] {
            assert!(KeyName::of_key_in(text).is_none(), "{text}");
        }
    }
}
