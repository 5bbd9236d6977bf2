//! Making keys, and naming them without showing them.

use create_contact::api_key::{KeyHash, KeyId};
use rand::{
    distr::{Alphanumeric, SampleString as _},
    rand_core::UnwrapErr,
    rngs::SysRng,
    seq::IndexedRandom as _,
};

/// 43 characters out of 62: 256 bits.
const SECRET_LENGTH: usize = 43;
const KEY_ID_CHARACTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const KEY_ID_LENGTH: usize = 16;

/// How many digits of a hash `keys list` shows, and a name needs.
pub const SHOWN_DIGITS: usize = 8;
/// How many digits a hash has.
pub const HASH_DIGITS: usize = 64;

/// Makes a key from the operating system's randomness. `test` keys have another prefix; the service treats both the same.
pub fn generate(test: bool) -> String {
    let prefix = if test { "sf_test_v1_" } else { "sf_live_v1_" };
    let secret = Alphanumeric.sample_string(&mut UnwrapErr(SysRng), SECRET_LENGTH);
    format!("{prefix}{secret}")
}

/// Makes the public name of a key. It is random, so it says nothing about the key.
pub fn generate_key_id() -> String {
    let mut random = UnwrapErr(SysRng);
    let characters = (0..KEY_ID_LENGTH).filter_map(|_| KEY_ID_CHARACTERS.choose(&mut random));
    let characters: String = characters.map(|&byte| char::from(byte)).collect();
    format!("key_{characters}")
}

/// Checks how an operator names a key: by its `keyId`, or by its hash or the first digits of it.
pub fn name(text: &str) -> Result<String, String> {
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_name = KeyId::parse(text).is_some() || is_hex && (SHOWN_DIGITS..=HASH_DIGITS).contains(&text.len());
    is_name.then(|| text.to_ascii_lowercase()).ok_or_else(|| {
        "neither a key id (key_ and 16 characters) nor at least 8 hexadecimal digits of a hash; keys list shows both"
            .to_owned()
    })
}

/// The hash of the first well-formed key in a text: the key alone, or whatever `keys issue` printed.
pub fn hash_of_key_in(text: &str) -> Option<String> {
    let in_key = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let hash = text
        .split(|character| !in_key(character))
        .find_map(|word| KeyHash::of(word.as_bytes()))?;
    Some(hash.as_str().to_owned())
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
            assert_eq!(name(id).as_ref(), Ok(id));
        }
        let used: BTreeSet<_> = ids.iter().flat_map(|id| id["key_".len()..].chars()).collect();
        assert_eq!(used.len(), 32, "every character is used");
    }

    #[test]
    fn a_key_is_named_by_its_key_id_or_by_eight_digits_of_its_hash_or_more() {
        assert_eq!(name("5E884898").as_deref(), Ok("5e884898"));
        assert!(name(&"a".repeat(64)).is_ok());
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
            assert!(name(text).is_err(), "{text}");
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
            assert_eq!(hash_of_key_in(&text), hash, "{text}");
        }
        for text in ["", "no key", &format!("x{KEY}"), &format!("{KEY}_x"), &"sf_".repeat(50)] {
            assert!(hash_of_key_in(text).is_none(), "{text}");
        }
    }
}
