//! What spreadsheets and browsers add to a cell: removed if the meaning is certain, otherwise rejected with advice.

use create_contact::email::Email;

use crate::misread::is_misread;
pub use crate::placeholders::is_placeholder;

/// What a cell contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, or a part of one.
    Name,
    /// An address.
    Email,
}

/// A cell, and what was removed from it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What is left.
    pub text: String,
    /// What was cleaned, in words.
    pub cleaned: Vec<&'static str>,
}

const INVISIBLE: &str = "invisible characters at its ends";
const FORMULA: &str = "Excel's =\"…\"";
const APOSTROPHE: &str = "Excel's apostrophe";
const MAILTO: &str = "mailto:";

/// The most characters in a name. What is longer is refused for its length.
const MAX_NAME: usize = 200;

const LOST_LETTER: &str =
    "there is a ? where a letter may have been lost: write it again, and save the file as \"CSV UTF-8\"";

/// A cell without what was added to it.
pub fn clean(cell: &str, kind: Kind) -> Cell {
    let mut cleaned = Vec::new();
    let mut text = trim(cell, &mut cleaned);
    let formula = text
        .strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'))
        .map(|inner| inner.replace("\"\"", "\""));
    if let Some(inner) = &formula {
        cleaned.push(FORMULA);
        text = trim(inner, &mut cleaned);
    }
    if let Some(rest) = text
        .strip_prefix('\'')
        .filter(|rest| kind == Kind::Email || !is_elided(rest))
    {
        cleaned.push(APOSTROPHE);
        text = rest.strip_suffix('\'').unwrap_or(rest);
    }
    if kind == Kind::Email
        && let Some((scheme, address)) = text.split_at_checked(MAILTO.len())
        && scheme.eq_ignore_ascii_case(MAILTO)
    {
        cleaned.push(MAILTO);
        text = trim(address, &mut cleaned);
    }
    Cell {
        text: text.to_owned(),
        cleaned,
    }
}

/// A text without white space and invisible characters at its ends.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Why a name can't be what was meant, if so, and what to do about it.
pub fn doubt_about_name(name: &str, separator: char) -> Option<&'static str> {
    if name.chars().nth(MAX_NAME).is_some() {
        None
    } else if has_code(name) {
        Some("the name has codes such as =C3=A9, %20 or \\u00e9 in it: write the characters themselves")
    } else if is_misread(name) {
        Some(
            "the name was read in the wrong encoding when the file was created (JosÃ© for José): export it again as UTF-8",
        )
    } else if has_lost_letter(name) {
        Some(LOST_LETTER)
    } else if is_placeholder(name) {
        Some("the name is a placeholder such as N/A or #NAME?: write the name, or leave the cell empty")
    } else if is_unreadable(name) {
        Some("the name has a character that couldn't be read: write the name again, or check --encoding")
    } else if has_entity(name) {
        Some("the name has an HTML entity such as &amp; or &#39; in it: write the character itself")
    } else if name.contains(['\r', '\n']) && (name.contains('@') || name.contains(separator)) {
        Some("the name spans several lines and looks like several rows: check whether a quote is missing")
    } else if !name.is_empty() && !name.contains(char::is_alphabetic) {
        Some("the name has no letter: write the name, or leave the cell empty")
    } else {
        None
    }
}

/// Why an address can't be what was meant, if so, and what to do about it.
pub fn doubt_about_email(email: &str) -> Option<&'static str> {
    let is_between = |c: char| c.is_whitespace() || ",;|/<>".contains(c) || is_invisible(c);
    let addresses = email.split(is_between).filter(|part| part.contains('@')).count();
    if !email.contains('@') && is_placeholder(email) {
        Some("the address is a placeholder such as N/A or #NAME?: write the address")
    } else if is_unreadable(email) {
        Some("the address has a character that couldn't be read: write it again, or check --encoding")
    } else if addresses > 1 {
        Some("two addresses in one cell: keep one of them")
    } else if email.contains(['<', '>']) {
        Some("the cell contains more than the address: keep only what is between < and >")
    } else if email.contains('@') && has_lost_letter(email) {
        Some(LOST_LETTER)
    } else if is_misread(email) {
        Some("the address was read in the wrong encoding when the file was created: export it again as UTF-8")
    } else if has_entity(email) {
        Some("the address has an HTML entity such as &amp; in it: write the character itself")
    } else {
        None
    }
}

/// Whether a cell is an address: if so, its row isn't a header.
pub fn is_address(cell: &[u8]) -> bool {
    str::from_utf8(cell).is_ok_and(|cell| Email::parse(&clean(cell, Kind::Email).text).is_ok())
}

/// White space is removed without a report; invisible characters are counted.
fn trim<'a>(text: &'a str, cleaned: &mut Vec<&'static str>) -> &'a str {
    let visible = trimmed(text);
    let is_odd = |c: char| is_invisible(c) || matches!(c, '\u{a0}' | '\u{202f}' | '\u{2007}');
    if !visible.is_empty() && text.replacen(visible, "", 1).contains(is_odd) {
        cleaned.push(INVISIBLE);
    }
    visible
}

/// Zero-width characters, soft hyphens and marks of direction: they come with copied text, and have no place around a name.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// `'t Hooft` and `'s-Gravesande` are Dutch.
fn is_elided(after_apostrophe: &str) -> bool {
    let mut chars = after_apostrophe.chars();
    chars.next().is_some_and(char::is_alphabetic) && matches!(chars.next(), Some(' ' | '-'))
}

fn is_unreadable(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// Excel writes `?` for a letter that the encoding of its plain CSV lacks, databases write `¿`.
fn has_lost_letter(text: &str) -> bool {
    text.contains(['?', '¿', '？']) && text.chars().count() > 1 && !text.starts_with('#')
}

/// Characters as mail programs (`=C3=A9`), URLs (`%C3%A9`) and programming languages (`\u00e9`) write them.
fn has_code(text: &str) -> bool {
    let has = |prefix: &str, digits: usize| {
        let mut rest = text.split(prefix).skip(1);
        rest.any(|rest| {
            rest.get(..digits)
                .is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
    };
    has("=", 2) || has("%", 2) || has("%u", 4) || has("\\u", 4) || has("\\x", 2) || text.contains("=?")
}

fn has_entity(text: &str) -> bool {
    text.split('&').skip(1).any(|after| {
        let Some((entity, _)) = after.split_once(';') else {
            return false;
        };
        let letters = entity.strip_prefix('#').unwrap_or(entity);
        (2..=8).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_and_browsers_add_is_taken_away_and_counted() {
        use Kind::{Email, Name};
        for (cell, kind, text, cleaned) in [
            ("  Karl \t", Name, "Karl", &[][..]),
            ("=\"Karl\"", Name, "Karl", &[FORMULA]),
            ("=\"Karl \"\"Kalle\"\" Berg\"", Name, "Karl \"Kalle\" Berg", &[FORMULA]),
            ("'Karl", Name, "Karl", &[APOSTROPHE]),
            ("'karl@acme.de'", Email, "karl@acme.de", &[APOSTROPHE]),
            ("'t Hooft", Name, "'t Hooft", &[]),
            ("'s-Gravesande", Name, "'s-Gravesande", &[]),
            ("\u{200b}karl@acme.de\u{feff}", Email, "karl@acme.de", &[INVISIBLE]),
            ("\u{a0}karl@acme.de", Email, "karl@acme.de", &[INVISIBLE]),
            ("\u{202a}karl@acme.de\u{202c} ", Email, "karl@acme.de", &[INVISIBLE]),
            ("MailTo: karl@acme.de", Email, "karl@acme.de", &[MAILTO]),
            ("=\"mailto:karl@acme.de\"", Email, "karl@acme.de", &[FORMULA, MAILTO]),
            ("mailto:", Name, "mailto:", &[]),
            ("می\u{200c}خواهم", Name, "می\u{200c}خواهم", &[]),
            ("", Email, "", &[]),
            ("ä", Email, "ä", &[]),
        ] {
            assert_eq!(
                clean(cell, kind),
                Cell {
                    text: text.to_owned(),
                    cleaned: cleaned.to_vec()
                },
                "{cell:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_doubted() {
        for name in [
            "#NAME?",
            "N/A",
            "JosÃ©",
            "BjÃ¸rn BÃ¶hm",
            "O&#39;Brien",
            "Smith &amp; Sons",
            "Jos\u{fffd}",
            "Karl\nk@a.de",
            "?ukasz",
            "W?jcik",
            "??",
            "¿ukasz",
            "Jos=C3=A9",
            "=?UTF-8?Q?Jos=C3=A9?=",
            "Jos%C3%A9 Garc%C3%ADa",
            "Ann%20Lee",
            r"Jos\u00e9",
            "4711",
            "‹",
        ] {
            assert!(doubt_about_name(name, ',').is_some(), "{name}");
        }
        for name in [
            "JOÃO",
            "Zoë",
            "Null",
            "Smith & Sons; Co",
            "O’Brien",
            "R&D",
            "Mary\nSmith",
            "Åse",
            "山田",
            "José",
        ] {
            assert_eq!(doubt_about_name(name, ','), None, "{name}");
        }
        for email in [
            "a@b.de; c@d.de",
            "a@b.de c@d.de",
            "a@b.de ::: c@d.de",
            "Karl <a@b.de>",
            "N/A",
            "a&amp;b@c.de",
            "j?rg@c.de",
            "jÃ¶rg@c.de",
        ] {
            assert!(doubt_about_email(email).is_some(), "{email}");
        }
        for email in ["a@b.de", "a/b@c.de", "jörg@exämple.de", ""] {
            assert_eq!(doubt_about_email(email), None, "{email}");
        }
    }
    #[test]
    fn two_addresses_are_found_whatever_is_between_them() {
        for cell in [
            "a@acme.de b@acme.de",
            "a@acme.de;b@acme.de",
            "a@acme.de\u{200b}b@acme.de",
            "A <a@acme.de>, b@acme.de",
        ] {
            assert_eq!(
                doubt_about_email(cell),
                Some("two addresses in one cell: keep one of them"),
                "{cell}"
            );
        }
        assert_eq!(doubt_about_email("a@acme.de"), None);
    }
}
