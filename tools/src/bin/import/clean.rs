//! What spreadsheets and browsers add to a cell: removed if the meaning is certain, otherwise rejected with advice.

use std::fmt;

use create_contact::{email::Email, name::MAX_CHARS, text::is_invisible_mark};

use crate::{misread::is_misread, placeholders::is_placeholder};

/// What a cell contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name, or a part of one.
    Name,
    /// An address.
    Email,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Name { "name" } else { "address" })
    }
}

const INVISIBLE: &str = "invisible characters at its ends";
const FORMULA: &str = "Excel's =\"…\"";
const APOSTROPHE: &str = "Excel's apostrophe";
const MAILTO: &str = "mailto:";

const CODE: &str = "has codes such as =C3=A9, %20 or \\u00e9 in it: write the characters themselves";
const PLACEHOLDER: &str = "is a placeholder such as N/A or #NAME?: write what it stands for";
const LOST_LETTER: &str =
    "has a ? where a letter may have been lost: write it again, and save the file as \"CSV UTF-8\"";
const UNREADABLE: &str = "has a character that couldn't be read: write it again, or check --encoding";
const SEVERAL_ROWS: &str = "spans several lines and looks like several rows: check whether a quote is missing";

/// What was removed from cells, in words.
pub type Cleaned = Vec<&'static str>;

/// A cell without what was added to it.
pub fn clean(cell: &str, kind: Kind, cleaned: &mut Cleaned) -> String {
    let mut text = trim(cell, cleaned);
    let formula = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
    let formula = formula.map(|inner| inner.replace("\"\"", "\""));
    if let Some(inner) = &formula {
        cleaned.push(FORMULA);
        text = trim(inner, cleaned);
    }
    if let Some(rest) = text.strip_prefix('\'')
        && (kind == Kind::Email || !is_elided(rest))
    {
        cleaned.push(APOSTROPHE);
        text = rest.strip_suffix('\'').unwrap_or(rest);
    }
    if kind == Kind::Email
        && let Some((scheme, address)) = text.split_at_checked(MAILTO.len())
        && scheme.eq_ignore_ascii_case(MAILTO)
    {
        cleaned.push(MAILTO);
        text = trim(address, cleaned);
    }
    text.to_owned()
}

/// A text without white space and invisible characters at its ends.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Why a name or an address can't be what was meant, if so, and what to do about it.
pub fn doubt(text: &str, kind: Kind) -> Option<String> {
    let (is_name, has_at) = (kind == Kind::Name, text.contains('@'));
    let is_address_between = |c: char| c.is_whitespace() || ",;|/<>".contains(c) || is_invisible(c);
    let addresses = || text.split(is_address_between).filter(|part| part.contains('@')).count();
    let problem = match text {
        "" => return None,
        _ if is_name && text.chars().nth(MAX_CHARS).is_some() => return None,
        _ if is_name && has_code(text) => CODE,
        _ if !is_name && addresses() > 1 => return Some("two addresses in one cell: keep one of them".to_owned()),
        _ if !is_name && has_at && text.contains(['<', '>']) => "has more around it: keep only what is between < and >",
        _ if is_misread(text) => "was read in the wrong encoding (JosÃ© for José): export it again as UTF-8",
        _ if has_lost_letter(text) => LOST_LETTER,
        _ if (is_name || !has_at) && is_placeholder(text) => PLACEHOLDER,
        _ if text.contains(char::REPLACEMENT_CHARACTER) => UNREADABLE,
        _ if has_entity(text) => "has an HTML entity such as &amp; or &#39; in it: write the character itself",
        _ if is_name && text.contains(['\r', '\n']) && text.contains(['@', ',', ';', '\t', '|']) => SEVERAL_ROWS,
        _ if is_name && is_address(text.as_bytes()) => "is an address: a contact needs a name",
        _ if is_name && !text.contains(char::is_alphabetic) => "has no letter: write the name, or leave the cell empty",
        _ => return None,
    };
    Some(format!("the {kind} {problem}"))
}

/// Whether a cell is an address: if so, its row isn't a header.
pub fn is_address(cell: &[u8]) -> bool {
    str::from_utf8(cell).is_ok_and(|cell| Email::parse(&clean(cell, Kind::Email, &mut Cleaned::new())).is_ok())
}

/// White space is removed without a report; invisible characters are counted.
fn trim<'a>(text: &'a str, cleaned: &mut Cleaned) -> &'a str {
    let visible = trimmed(text);
    let is_odd = |c: char| is_invisible(c) || matches!(c, '\u{a0}' | '\u{202f}' | '\u{2007}');
    if !visible.is_empty() && text.replacen(visible, "", 1).contains(is_odd) {
        cleaned.push(INVISIBLE);
    }
    visible
}

/// Invisible marks and marks of direction: they come with copied text, and have no place around a name.
fn is_invisible(c: char) -> bool {
    is_invisible_mark(c) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `'t Hooft` and `'s-Gravesande` are Dutch.
fn is_elided(after_apostrophe: &str) -> bool {
    let mut chars = after_apostrophe.chars();
    chars.next().is_some_and(char::is_alphabetic) && matches!(chars.next(), Some(' ' | '-'))
}

/// Excel writes `?` for a letter that the encoding of its plain CSV lacks, databases write `¿`.
fn has_lost_letter(text: &str) -> bool {
    text.contains(['?', '¿', '？']) && text.chars().nth(1).is_some() && !text.starts_with('#')
}

/// Characters as mail programs (`=C3=A9`), URLs (`%C3%A9`) and programming languages (`\u00e9`) write them.
fn has_code(text: &str) -> bool {
    let has = |(prefix, digits): (&str, usize)| {
        let mut codes = text.split(prefix).skip(1).filter_map(|rest| rest.get(..digits));
        codes.any(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let mut codes = [("=", 2), ("%", 2), ("%u", 4), ("\\u", 4), ("\\x", 2)].into_iter();
    text.contains("=?") || codes.any(has)
}

fn has_entity(text: &str) -> bool {
    let is_entity = |after: &str| {
        let entity = after.split_once(';').map_or("", |(entity, _)| entity);
        let letters = entity.strip_prefix('#').unwrap_or(entity);
        (2..=8).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.split('&').skip(1).any(is_entity)
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
            let mut removed = Vec::new();
            assert_eq!(
                (&*clean(cell, kind, &mut removed), &*removed),
                (text, cleaned),
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
            assert!(doubt(name, Kind::Name).is_some(), "{name}");
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
            assert_eq!(doubt(name, Kind::Name), None, "{name}");
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
            assert!(doubt(email, Kind::Email).is_some(), "{email}");
        }
        for email in ["a@b.de", "a/b@c.de", "jörg@exämple.de", ""] {
            assert_eq!(doubt(email, Kind::Email), None, "{email}");
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
                doubt(cell, Kind::Email).as_deref(),
                Some("two addresses in one cell: keep one of them"),
                "{cell}"
            );
        }
        assert_eq!(doubt("a@acme.de", Kind::Email), None);
    }
}
