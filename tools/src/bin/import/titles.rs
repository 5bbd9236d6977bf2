//! What a column's title says about the column. `titles.txt` has the titles, with the source of each.

use std::{collections::HashMap, sync::LazyLock};

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// What a column may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Full names; beside a column of last names, first names; beside one of first names, last names.
    NameOrPart,
    Name,
    First,
    Middle,
    /// A form of address such as `Dr.`, which is not used, or what comes before the last name.
    Prefix,
    /// Comes before the last name, in a column of its own in Dutch exports.
    Particle,
    Last,
    SecondLast,
    Suffix,
    /// Not used: `Ms.` is not part of a name here.
    Title,
    /// A person's main address.
    Email,
    /// Used if there is no main address.
    WorkEmail,
    /// Used if there is no other.
    OtherEmail,
}

/// What each role is called, also in `titles.txt`, and the option that names its column.
const ROLES: [(Role, &str, &str); 13] = [
    (Role::NameOrPart, "name or part", "--name-column"),
    (Role::Name, "full name", "--name-column"),
    (Role::First, "first name", "--first-name-column"),
    (Role::Middle, "middle name", "--middle-name-column"),
    (Role::Prefix, "prefix", ""),
    (Role::Particle, "last-name prefix", "--last-name-prefix-column"),
    (Role::Last, "last name", "--last-name-column"),
    (Role::SecondLast, "second last name", "--second-last-name-column"),
    (Role::Suffix, "suffix", "--suffix-column"),
    (Role::Title, "title", ""),
    (Role::Email, "address", "--email-column"),
    (Role::WorkEmail, "work address", "--email-column"),
    (Role::OtherEmail, "other address", "--email-column"),
];

/// What `titles.txt` adds to full names in which the last name comes first, and the languages in which it always does.
const LAST_FIRST: &str = ", last name first";
const LAST_FIRST_LANGUAGES: [&str; 3] = ["hu", "ja", "zh"];

/// Words in parentheses or brackets after a title that say nothing about what is in the column.
const NOTES: &str = "required optional enteremail mandatory readonly pflicht pflichtfeld obligatoire obligatorio verplicht 必須 必填 漢字";

impl Role {
    /// What it is called.
    pub fn shown(self) -> &'static str {
        self.row().1
    }

    /// The option that names its column.
    pub fn option(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        // In the order of the roles: a test goes through all of them.
        &ROLES[self as usize]
    }
}

/// What a title says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meaning {
    /// The role of its column.
    pub role: Option<Role>,
    /// In the full names of this column, the last name comes first.
    pub is_last_first: bool,
    /// Its number, or 0: 2 of `E-mail 2 Address`.
    pub number: u32,
}

/// The meaning of each title. A title with a number is there without it, too.
static TITLES: LazyLock<HashMap<String, Meaning>> = LazyLock::new(|| {
    let mut titles = HashMap::new();
    for (meaning, line) in rows(include_str!("titles.txt")) {
        for title in line.split(';').map(compared) {
            titles.entry(without_number(&title).0).or_insert(meaning);
            titles.insert(title, meaning);
        }
    }
    titles
});

/// What each line says of its titles, and the titles.
fn rows(text: &str) -> impl Iterator<Item = (Meaning, &str)> {
    text.lines().filter_map(|line| {
        let mut cells = line.split(" | ");
        let (word, language, titles) = (cells.next()?, cells.next()?, cells.nth(1)?);
        let name = word.trim_end_matches(LAST_FIRST);
        let role = ROLES.iter().find(|(_, shown, _)| *shown == name)?.0;
        let meaning = Meaning {
            role: Some(role),
            is_last_first: word.ends_with(LAST_FIRST) || LAST_FIRST_LANGUAGES.contains(&language),
            number: 0,
        };
        Some((meaning, titles))
    })
}

/// What a title says.
pub fn meaning(title: &str) -> Meaning {
    let title = compared(title);
    let with_number = || {
        let (without, number) = without_number(&title);
        known(&without).map(|meaning| Meaning { number, ..meaning })
    };
    known(&title).or_else(with_number).unwrap_or_default()
}

fn known(title: &str) -> Option<Meaning> {
    let one = |title: &str| TITLES.get(title).copied();
    let plural = || one(title.strip_suffix('s')?);
    // A title in two languages, such as `Prénom / First name`. `Name/Surname` is a full name.
    let both = || {
        let (left, right) = title.split_once('/')?;
        known(left).filter(|meaning| known(right) == Some(*meaning))
    };
    one(title).or_else(plural).or_else(both)
}

/// A title in the form in which titles are compared, without what differs from product to product: `First_Name`, `*FirstName`,
/// `Prénom(s)`, `First Name [Required]`. Other signs and digits stay: `Contact #` is not `Contact`.
fn compared(title: &str) -> String {
    let is_dropped = |c: &char| matches!(c, '\u{300}'..='\u{36f}' | '*' | ':' | '"' | '\'' | '’' | '–');
    let is_joint = |c: char| c.is_whitespace() || matches!(c, '_' | '-' | '.');
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(title);
    let lower = decomposed.chars().flat_map(char::to_lowercase);
    let lower = lower.map(|c| if c == 'ı' { 'i' } else { c });
    let lower: String = lower.filter(|c| !is_dropped(c)).collect();
    let mut text = ComposingNormalizerBorrowed::new_nfc().normalize(&lower).into_owned();
    if let Some((before, inside)) = in_parentheses(&text) {
        let is_ending =
            inside == "s" || inside.is_ascii() && inside.len() <= 2 && before.ends_with(char::is_alphabetic);
        if is_ending || NOTES.split(' ').any(|note| note == inside.replace(is_joint, "")) {
            text.truncate(before.len());
        }
    }
    text.retain(|c| !is_joint(c));
    text
}

/// A title without its number, and the number: `emailaddress` and 2 of `email2address`. Not 0 if there is one, and up to 99.
fn without_number(title: &str) -> (String, u32) {
    let numbers = title.split(|c: char| !c.is_ascii_digit());
    let mut numbers = numbers.filter(|digits| !digits.is_empty());
    match (numbers.next(), numbers.next()) {
        (Some(digits), None) if digits.len() <= 2 => {
            let written = [format!("({digits})"), format!("#{digits}"), digits.to_owned()];
            let without = |title: String, number: &String| title.replace(number, "");
            let title = written.iter().fold(title.to_owned(), without);
            (title, digits.parse().map_or(1, |number: u32| number.max(1)))
        }
        _ => (title.to_owned(), 0),
    }
}

/// What comes before the parentheses or brackets at the end, and what is in them.
fn in_parentheses(text: &str) -> Option<(&str, &str)> {
    let at_end = |open: char, close: char| text.trim_end().strip_suffix(close)?.rsplit_once(open);
    at_end('(', ')').or_else(|| at_end('[', ']'))
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
        assert!(ROLES.iter().all(|row| row.0.row() == row));
        for (expected, titles) in rows(text) {
            for title in titles.split(';') {
                assert_eq!(meaning(title), expected, "{title}");
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
            assert!(meaning(title).is_last_first, "{title}");
        }
        for title in ["Name", "Vor- und Nachname", "Imię i nazwisko", "Firma"] {
            assert!(!meaning(title).is_last_first, "{title}");
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
            ("First Name (s)", Role::First, 0),
            ("Nom de famille / Last Name", Role::Last, 0),
            ("Nom/Name", Role::NameOrPart, 0),
            ("姓（漢字）", Role::Last, 0),
            ("Apellido 1", Role::Last, 0),
            ("Apellido 2", Role::SecondLast, 0),
            ("Email (2)", Role::Email, 2),
            ("Email #3", Role::Email, 3),
            ("Email.1", Role::Email, 1),
            ("Prénom/First name", Role::First, 0),
            ("E-mail 1 - Value", Role::Email, 0),
            ("E-mail 2 Address", Role::Email, 2),
            ("E-Mail 2: Adresse", Role::Email, 2),
            ("Ｅメール", Role::Email, 0),
            ("ﾒｰﾙｱﾄﾞﾚｽ", Role::Email, 0),
            ("Name 1", Role::NameOrPart, 1),
            ("Nom/Prénom", Role::Name, 0),
        ] {
            let found = meaning(title);
            assert_eq!((found.role, found.number), (Some(role), number), "{title}");
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
            "Name/Surname",
            "Ad/Soyad",
            "氏名（カナ）",
            "Név / Name",
            "Name (EN)",
            "Email Opt Out",
            "",
            "s",
        ] {
            assert_eq!(meaning(title).role, None, "{title}");
        }
    }
}
