//! What a column's title says about the column. `titles.txt` has the titles, with the source of each.

use std::{collections::HashMap, sync::LazyLock};

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// What a column may be for a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Full names; beside a column of last names, first names; beside one of first names, last names.
    NameOrPart,
    Name,
    First,
    Middle,
    /// Comes before the last name, in a column of its own in Dutch exports.
    Particle,
    Last,
    SecondLast,
    Suffix,
    /// Not used: `Dr.` and `Ms.` are not part of a name here.
    Title,
    /// A person's main address.
    Email,
    /// Used if there is no main address.
    WorkEmail,
    /// Used if there is no other.
    OtherEmail,
}

/// By the word that `titles.txt` has for each.
const ROLES: [(&str, Role); 13] = [
    ("name-or-part", Role::NameOrPart),
    ("name", Role::Name),
    (LAST_FIRST, Role::Name),
    ("first", Role::First),
    ("middle", Role::Middle),
    ("last-name-prefix", Role::Particle),
    ("last", Role::Last),
    ("second-last", Role::SecondLast),
    ("suffix", Role::Suffix),
    ("title", Role::Title),
    ("email", Role::Email),
    ("work-email", Role::WorkEmail),
    ("other-email", Role::OtherEmail),
];

/// The word of `titles.txt` for full names in which the last name comes first, and the languages in which it always does.
const LAST_FIRST: &str = "last-first";
const LAST_FIRST_LANGUAGES: [&str; 3] = ["hu", "ja", "zh"];

/// Words in parentheses or brackets after a title that say nothing about what is in the column.
const NOTES: [&str; 11] = [
    "required",
    "optional",
    "mandatory",
    "readonly",
    "pflicht",
    "pflichtfeld",
    "obligatoire",
    "obligatorio",
    "verplicht",
    "必須",
    "必填",
];

/// The role of each title, and whether the last name comes first in full names.
static TITLES: LazyLock<HashMap<String, (Role, bool)>> = LazyLock::new(|| {
    rows(include_str!("titles.txt"))
        .flat_map(|(role, titles)| titles.split(';').map(move |title| (compared(title).0, role)))
        .collect()
});

/// What each line says of its titles, and the titles.
fn rows(text: &str) -> impl Iterator<Item = ((Role, bool), &str)> {
    text.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        let (word, language, titles) = (cells.next()?, cells.next()?, cells.nth(1)?);
        let (_, role) = ROLES.iter().find(|(name, _)| *name == word)?;
        let is_last_first = word == LAST_FIRST || LAST_FIRST_LANGUAGES.contains(&language);
        Some(((*role, is_last_first), titles))
    })
}

/// Whether the last name comes first in the full names of a column with this title.
pub fn is_last_first(title: &str) -> bool {
    TITLES
        .get(&compared(title).0)
        .is_some_and(|(_, is_last_first)| *is_last_first)
}

/// What a title says: the role of its column, and its number if it has one (`E-mail 2 Address`).
pub fn role_and_number(title: &str) -> (Option<Role>, u32) {
    let (compared, number) = compared(title);
    (role(&compared), number)
}

fn role(compared: &str) -> Option<Role> {
    let known = |title: &str| TITLES.get(title).map(|(role, _)| *role);
    let plural = || known(compared.strip_suffix('s')?);
    // `Nom / Name` and `Nom / Last name`: a title in two languages.
    let both = || {
        let (one, other) = compared.split_once('/')?;
        let mut roles = [role(one)?, role(other)?];
        roles.sort();
        let are_one = roles[0] == roles[1] || roles == [Role::NameOrPart, Role::Last];
        are_one.then_some(roles[1])
    };
    known(compared).or_else(plural).or_else(both)
}

/// A title in the form in which titles are compared, without what differs from product to product, and its number: `E-mail 1 -
/// Value`, `First_Name`, `*FirstName`, `Prénom(s)`, `First Name [Required]`. Other signs and digits stay: `Contact #` is not
/// `Contact`.
fn compared(title: &str) -> (String, u32) {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(title);
    let mut text: String = decomposed
        .chars()
        .filter(|c| !matches!(c, '\u{300}'..='\u{36f}'))
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ı' { 'i' } else { c })
        .filter(|c| !matches!(c, '\u{300}'..='\u{36f}' | '*' | ':' | '"' | '\'' | '’' | '–'))
        .collect();
    text = ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned();
    let is_joint = |c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.');
    // An ending such as `(s)` follows the word at once, and a note follows the title.
    if let Some((before, inside)) = in_parentheses(&text) {
        let inside = inside.replace(is_joint, "");
        let is_ending = inside.chars().count() <= 2 && before.ends_with(char::is_alphabetic);
        if is_ending || NOTES.contains(&inside.as_str()) {
            text.truncate(before.len());
        }
    }
    text.retain(|c| !is_joint(c));
    let (start, end) = match text.find(|c: char| c.is_ascii_digit()) {
        Some(start) => (
            start,
            text.rfind(|c: char| c.is_ascii_digit()).map_or(start, |last| last + 1),
        ),
        None => return (text, 0),
    };
    match text[start..end].parse() {
        Ok(number) if end - start <= 2 => {
            text.replace_range(start..end, "");
            (text, number)
        }
        _ => (text, 0),
    }
}

/// What comes before the parentheses or brackets at the end, and what is in them.
fn in_parentheses(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_end();
    let open = if text.ends_with(')') {
        '('
    } else if text.ends_with(']') {
        '['
    } else {
        return None;
    };
    let (before, inside) = text[..text.len() - 1].rsplit_once(open)?;
    Some((before, inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_has_a_role_and_a_source_and_no_title_has_two_roles() {
        const SOURCES: [&str; 5] = ["roundcube", "espocrm", "vendor", "header", "unconfirmed"];
        let text = include_str!("titles.txt");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines.clone() {
            let cells: Vec<&str> = line.split(" | ").collect();
            assert!(cells.len() == 4 && SOURCES.contains(&cells[2]), "{line}");
        }
        assert_eq!(rows(text).count(), lines.count());
        for ((role, _), titles) in rows(text) {
            for title in titles.split(';') {
                assert_eq!(role_and_number(title).0, Some(role), "{title}");
            }
        }
    }

    #[test]
    fn in_some_languages_and_some_titles_the_last_name_comes_first() {
        for title in [
            "Név",
            "氏名",
            "姓名",
            "ФИО",
            "Ф.И.О.",
            "Last name, first name",
            "NAME, VORNAME",
        ] {
            assert!(is_last_first(title), "{title}");
        }
        for title in ["Name", "Vor- und Nachname", "Imię i nazwisko", "Firma"] {
            assert!(!is_last_first(title), "{title}");
        }
    }

    #[test]
    fn what_differs_from_product_to_product_is_not_compared() {
        for (title, role, number) in [
            ("FIRST_NAME", Role::First, 0),
            ("firstName", Role::First, 0),
            ("*FirstName", Role::First, 0),
            ("First Name(s)", Role::First, 0),
            ("First names", Role::First, 0),
            ("First Name [Required]", Role::First, 0),
            ("Prenom", Role::First, 0),
            ("Prénom(s)", Role::First, 0),
            ("Vorname(n)", Role::First, 0),
            ("Last name*", Role::Last, 0),
            ("APELLIDO(S)", Role::Last, 0),
            ("SOYADI", Role::Last, 0),
            ("Nom / Last Name", Role::Last, 0),
            ("Prénom/First name", Role::First, 0),
            ("E-mail 1 - Value", Role::Email, 1),
            ("E-mail 2 Address", Role::Email, 2),
            ("E-Mail 2: Adresse", Role::Email, 2),
            ("Ｅメール", Role::Email, 0),
            ("ﾒｰﾙｱﾄﾞﾚｽ", Role::Email, 0),
            ("Name 1", Role::NameOrPart, 1),
            ("Nom/Prénom", Role::Name, 0),
        ] {
            assert_eq!(role_and_number(title), (Some(role), number), "{title}");
        }
    }

    #[test]
    fn a_sign_a_long_number_or_another_word_makes_another_title() {
        for title in [
            "Contact #",
            "Name (Company)",
            "Name (Kana)",
            "Email?",
            "Name & Address",
            "Name 2024",
            "Contact 1 of 2",
            "First/Last Name",
            "Email Opt Out",
            "",
            "s",
        ] {
            assert_eq!(role_and_number(title).0, None, "{title}");
        }
    }
}
