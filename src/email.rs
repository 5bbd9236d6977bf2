//! E-mail addresses as people have them (`docs/contract.md#email`).
//!
//! The rule is narrower than RFC 5321 (no quoted local part, no address literal, no single label) and as wide as RFC 6531
//! beyond ASCII. The crates that parse addresses follow one RFC or the other, and the rest of the rule would have to be checked
//! on top of them. So the whole rule is here. Only the characters that a domain may have beyond ASCII are left to UTS 46,
//! in the `idna` and `icu_normalizer` crates.

use std::fmt;

use icu_normalizer::{ComposingNormalizerBorrowed, uts46::Uts46MapperBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::text;

const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;

/// An address as it is stored: NFC, the local part as written, the domain in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    address: String,
    /// Where the `@` is.
    at: usize,
    ascii_domain: String,
}

/// Why a text isn't a valid address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidEmail {
    /// No `@`, or nothing before it.
    Incomplete,
    /// More than 254 bytes, or more than 64 before the `@`.
    TooLong,
    /// The local part isn't a dot-atom.
    Local,
    /// The domain isn't a host name of two labels or more.
    Domain,
    /// U+FFFD: the text was damaged before it arrived.
    Damaged,
}

impl fmt::Display for InvalidEmail {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Incomplete => "must be an address such as jan@example.com",
            Self::TooLong => "must have at most 254 bytes, and at most 64 before the @",
            Self::Local => {
                "must have a plain part before the @: no white space, quotes, brackets, misplaced dots or invisible characters"
            }
            Self::Domain => "must have an internet domain after the @, such as example.com",
            Self::Damaged => text::DAMAGED,
        })
    }
}

impl Email {
    /// Normalises and checks an address.
    ///
    /// # Errors
    ///
    /// The text breaks the rule of `docs/contract.md#email`. The error says which part of it.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let sent = text::nfc(text::trim(text), MAX_BYTES).ok_or(InvalidEmail::TooLong)?;
        let (local, domain) = sent.rsplit_once('@').ok_or(InvalidEmail::Incomplete)?;
        if local.is_empty() {
            return Err(InvalidEmail::Incomplete);
        }
        if sent.len() > MAX_BYTES || local.len() > MAX_LOCAL_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        if sent.contains(char::REPLACEMENT_CHARACTER) {
            return Err(InvalidEmail::Damaged);
        }
        if !local.split('.').all(is_atom) {
            return Err(InvalidEmail::Local);
        }
        let ascii_domain = ascii_host_name(domain).ok_or(InvalidEmail::Domain)?;
        let address = format!("{local}@{}", stored_domain(domain));
        // An upper-case letter can be shorter than its lower-case form: `Ⱥ` has two bytes, `ⱥ` three.
        if address.len() > MAX_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self {
            address,
            at: local.len(),
            ascii_domain,
        })
    }

    /// The address, as it is stored and returned.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// What identifies the contact within its workspace: the local part in lower case, `@`, the domain in its ASCII form.
    ///
    /// It is converted character by character, so that another writer can do the same in any language: `str::to_lowercase`
    /// treats a `Σ` at the end of a word differently. NFC follows, because lower case can leave two characters that it
    /// composes: `J̌` has no composed form, but `ǰ` has one.
    #[must_use]
    pub fn key(&self) -> String {
        let local: String = self.address[..self.at].chars().flat_map(char::to_lowercase).collect();
        let local = ComposingNormalizerBorrowed::new_nfc().normalize(&local);
        format!("{local}@{}", self.ascii_domain)
    }

    /// The domain in its ASCII form, which is in lower case.
    #[must_use]
    pub fn ascii_domain(&self) -> &str {
        &self.ascii_domain
    }
}

/// RFC 5322's `atext` (section 3.2.3), and beyond ASCII what people can see: letters, marks, numbers, punctuation and symbols,
/// but none that Unicode says to ignore in display.
fn is_atom(atom: &str) -> bool {
    !atom.is_empty()
        && atom.chars().all(|c| match c {
            '!' | '#'..='\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^'..='~' => true,
            c if c.is_ascii() => c.is_ascii_alphanumeric(),
            c => is_visible(c),
        })
}

fn is_visible(c: char) -> bool {
    use GeneralCategoryGroup as Group;
    let visible = Group::Letter
        .union(Group::Mark)
        .union(Group::Number)
        .union(Group::Punctuation)
        .union(Group::Symbol);
    visible.contains(CodePointMapData::<GeneralCategory>::new().get(c))
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

/// A domain as UTS 46 maps it: lower case, ASCII full stops, nothing invisible. `xn--` labels stay.
fn stored_domain(domain: &str) -> String {
    Uts46MapperBorrowed::new().map_normalize(domain.chars()).collect()
}

/// The ASCII form of a domain that is a host name: two labels or more, each of letters, digits and inner hyphens, 1 to 63
/// long, the last not all digits.
fn ascii_host_name(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()?;
    let (_, top) = ascii.rsplit_once('.')?;
    (!top.bytes().all(|byte| byte.is_ascii_digit())).then(|| ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_have_them_are_accepted() {
        for (sent, stored, key) in [
            ("jan@acme.de", "jan@acme.de", "jan@acme.de"),
            (" Jan.Smit@ACME.DE\n", "Jan.Smit@acme.de", "jan.smit@acme.de"),
            (
                "jan+crm@mail.acme.co.uk",
                "jan+crm@mail.acme.co.uk",
                "jan+crm@mail.acme.co.uk",
            ),
            ("o'brien@example.org", "o'brien@example.org", "o'brien@example.org"),
            (
                "!#$%&'*+-/=?^_`{|}~@example.com",
                "!#$%&'*+-/=?^_`{|}~@example.com",
                "!#$%&'*+-/=?^_`{|}~@example.com",
            ),
            ("a@b.c", "a@b.c", "a@b.c"),
            ("1@1.2x", "1@1.2x", "1@1.2x"),
            ("x@a-b--c.example", "x@a-b--c.example", "x@a-b--c.example"),
            ("x@ab--cd.example", "x@ab--cd.example", "x@ab--cd.example"),
            ("Jörg@Exämple.DE", "Jörg@exämple.de", "jörg@xn--exmple-cua.de"),
            (
                "jo\u{308}rg@exa\u{308}mple.de",
                "jörg@exämple.de",
                "jörg@xn--exmple-cua.de",
            ),
            ("x@XN--EXMPLE-CUA.de", "x@xn--exmple-cua.de", "x@xn--exmple-cua.de"),
            (
                "ΣΟΦΟΣ@παράδειγμα.δοκιμή",
                "ΣΟΦΟΣ@παράδειγμα.δοκιμή",
                "σοφοσ@xn--hxajbheg2az3al.xn--jxalpdlp",
            ),
            (
                "info@ΚΑΦΕΣ-ΑΘΗΝΑ.gr",
                "info@καφεσ-αθηνα.gr",
                "info@xn----ylbbarogl7a7c5a.gr",
            ),
            ("用户@例え.jp", "用户@例え.jp", "用户@xn--r8jz45g.jp"),
            ("пётр@пример.рф", "пётр@пример.рф", "пётр@xn--e1afmkfd.xn--p1ai"),
            ("x@straße.de", "x@straße.de", "x@xn--strae-oqa.de"),
            ("J\u{30c}an@acme.de", "J\u{30c}an@acme.de", "\u{1f0}an@acme.de"),
            ("😀@acme.de", "😀@acme.de", "😀@acme.de"),
            ("\u{feff}jan@acme.de\u{200b} ", "jan@acme.de", "jan@acme.de"),
            ("jan@ac\u{ad}me。de", "jan@acme.de", "jan@acme.de"),
            ("jan@ＡＣＭＥ．de", "jan@acme.de", "jan@acme.de"),
            ("x@Exämple.XN--P1AI", "x@exämple.xn--p1ai", "x@xn--exmple-cua.xn--p1ai"),
        ] {
            let email = Email::parse(sent).unwrap_or_else(|problem| panic!("{sent:?}: {problem:?}"));
            assert_eq!((email.as_str(), email.key().as_str()), (stored, key), "{sent:?}");
        }
    }

    #[test]
    fn the_test_vectors_for_other_writers_are_right() {
        let page = include_str!("../docs/contract.md");
        let (_, section) = page.split_once("| `email` | `emailKey` |").unwrap();
        let rows = section.lines().skip(2).take_while(|line| !line.is_empty());
        for row in rows {
            let columns: Vec<&str> = row.split('`').collect();
            let email = Email::parse(columns[1]).unwrap();
            assert_eq!((email.as_str(), &*email.key()), (columns[1], columns[3]));
        }
    }

    #[test]
    fn invalid_addresses_are_refused_with_a_reason() {
        use InvalidEmail::{Damaged, Domain, Incomplete, Local};
        for (sent, problem) in [
            ("", Incomplete),
            ("jan", Incomplete),
            ("@acme.de", Incomplete),
            ("jan@", Domain),
            ("jan smit@acme.de", Local),
            ("jan@acme@example.com", Local),
            (".jan@acme.de", Local),
            ("jan.@acme.de", Local),
            ("ja..n@acme.de", Local),
            ("\"jan\"@acme.de", Local),
            ("jan(work)@acme.de", Local),
            ("Jan <jan@acme.de>", Local),
            ("ja\\n@acme.de", Local),
            ("ja,n@acme.de", Local),
            ("ja\0n@acme.de", Local),
            ("ja\u{7f}n@acme.de", Local),
            ("ja\u{85}n@acme.de", Local),
            ("ja\u{a0}n@acme.de", Local),
            ("ja\u{200b}n@acme.de", Local),
            ("ja\u{ad}n@acme.de", Local),
            ("ja\u{200d}n@acme.de", Local),
            ("ja\u{fe0f}n@acme.de", Local),
            ("ja\u{115f}n@acme.de", Local),
            ("ja\u{e000}n@acme.de", Local),
            ("ja\u{ffff}n@acme.de", Local),
            ("ja\u{fffd}n@acme.de", Damaged),
            ("jan@a\u{fffd}.de", Damaged),
            ("jan@localhost", Domain),
            ("jan@acme.de.", Domain),
            ("jan@.acme.de", Domain),
            ("jan@acme..de", Domain),
            ("jan@-acme.de", Domain),
            ("jan@acme-.de", Domain),
            ("jan@ac_me.de", Domain),
            ("jan@ac me.de", Domain),
            ("jan@ acme.de", Domain),
            ("jan@127.0.0.1", Domain),
            ("jan@[127.0.0.1]", Domain),
            ("jan@[IPv6:::1]", Domain),
            ("jan@acme.123", Domain),
            ("jan@acme.de:25", Domain),
            ("jan@acme,de", Domain),
            ("jan@xn--a.de", Domain),
            ("jan@xn--zzzzzz.de", Domain),
            ("jan@a\u{202e}b.de", Domain),
            ("jan@ac\u{0}me.de", Domain),
            ("jan@%61cme.de", Domain),
        ] {
            assert_eq!(Email::parse(sent), Err(problem), "{sent:?}");
        }
    }

    #[test]
    fn an_address_has_at_most_254_bytes_and_64_before_the_at() {
        let address = |local: usize, labels: &[usize]| {
            let domain: Vec<String> = labels.iter().map(|&n| "d".repeat(n)).collect();
            format!("{}@{}", "l".repeat(local), domain.join("."))
        };
        assert!(Email::parse(&address(64, &[60, 60, 63, 3])).is_ok());
        assert_eq!(Email::parse(&address(65, &[3, 3])), Err(InvalidEmail::TooLong));
        let longest = address(64, &[63, 63, 59, 1]);
        assert_eq!(longest.len(), 254);
        assert!(Email::parse(&longest).is_ok());
        assert!(Email::parse(&format!("  {longest}  ")).is_ok());
        assert_eq!(Email::parse(&address(64, &[63, 63, 60, 1])), Err(InvalidEmail::TooLong));
        assert_eq!(Email::parse(&address(1, &[64, 2])), Err(InvalidEmail::Domain));
        // Bytes, not characters; after NFC.
        assert!(Email::parse(&format!("{}@acme.de", "é".repeat(32))).is_ok());
        assert_eq!(
            Email::parse(&format!("{}@acme.de", "é".repeat(33))),
            Err(InvalidEmail::TooLong)
        );
        assert!(Email::parse(&format!("{}@acme.de", "e\u{301}".repeat(32))).is_ok());
        // As sent and as stored: `Ⱥ` has two bytes and is stored as `ⱥ`, which has three.
        let sent = |last: usize| format!("x@{}.{}.de", "Ⱥ".repeat(40), "Ⱥ".repeat(last));
        assert_eq!(
            Email::parse(&sent(42)).map(|email| email.as_str().len()),
            Ok(2 + 120 + 1 + 126 + 3)
        );
        assert_eq!(Email::parse(&sent(43)), Err(InvalidEmail::TooLong));
    }
}
