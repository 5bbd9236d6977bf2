//! Making keys, and naming them without showing them.

use create_contact::api_key::KeyHash;

use crate::Refusal;

const LETTERS_AND_DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 43 of 62 signs: 256 bits.
const SECRET_LENGTH: usize = 43;

/// What people read in a key's first letters; the service treats both alike.
#[derive(Clone, Copy)]
pub enum Kind {
    /// `sf_live_v1_`
    Live,
    /// `sf_test_v1_`
    Test,
}

/// Makes a key from the operating system's randomness.
///
/// # Errors
///
/// The operating system has none to give.
pub fn generate(kind: Kind) -> Result<String, Refusal> {
    let mut key = match kind {
        Kind::Live => "sf_live_v1_",
        Kind::Test => "sf_test_v1_",
    }
    .to_owned();
    let length = key.len() + SECRET_LENGTH;
    let mut random = [0; 64];
    while key.len() < length {
        getrandom::fill(&mut random)
            .map_err(|error| Refusal::new(format!("The operating system gives no random bytes: {error}.")))?;
        // The 248 lowest values are four rounds of the alphabet; the rest would favour its beginning, so they are dropped.
        let signs = random
            .iter()
            .filter(|&&byte| byte < 248)
            .map(|byte| char::from(LETTERS_AND_DIGITS[usize::from(byte % 62)]));
        key.extend(signs.take(length - key.len()));
    }
    Ok(key)
}

/// The first digits of a key's hash, by which people name it.
#[derive(Debug)]
pub struct Prefix(String);

impl Prefix {
    /// How many digits of a hash a table shows, and a prefix needs.
    pub const SHOWN: usize = 8;

    /// Reads a prefix from the command line.
    ///
    /// # Errors
    ///
    /// It is too short, no hexadecimal number, or a key.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        if text.starts_with("sf_") {
            return Err(Refusal::new(
                "A key has no place on the command line: it is in the shell's history now. Pass it on standard input: keys revoke < FILE",
            ));
        }
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(Self::SHOWN..=64).contains(&text.len()) {
            return Err(Refusal::new(
                "A key is named by 8 to 64 hexadecimal digits of its hash, as keys list shows them.",
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// The whole hash of a key.
    pub fn of(hash: &KeyHash) -> Self {
        Self(hash.as_str().to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_key_is_well_formed_and_never_the_same() {
        let keys: BTreeSet<_> = (0..100).filter_map(|_| generate(Kind::Live).ok()).collect();
        assert_eq!(keys.len(), 100);
        for key in &keys {
            assert!(key.starts_with("sf_live_v1_") && key.len() == 54, "{}", key.len());
            assert!(KeyHash::of(key.as_bytes()).is_some());
        }
        let used: BTreeSet<_> = keys.iter().flat_map(|key| key["sf_live_v1_".len()..].chars()).collect();
        assert_eq!(used.len(), 62, "every sign of the alphabet is used");
        assert!(generate(Kind::Test).is_ok_and(|key| key.starts_with("sf_test_v1_")));
    }

    #[test]
    fn a_prefix_is_eight_digits_or_more_and_never_a_key() {
        assert!(Prefix::parse("5E884898").is_ok_and(|prefix| prefix.as_str() == "5e884898"));
        assert!(Prefix::parse(&"a".repeat(64)).is_ok());
        for text in ["", "5e88489", "5e88489g", &"a".repeat(65)] {
            assert!(Prefix::parse(text).is_err(), "{text}");
        }
        let key = Prefix::parse("sf_test_v1_abcdefghijklmnopqrstuvwx");
        assert!(key.is_err_and(|refusal| refusal.to_string().contains("standard input")));
    }
}
