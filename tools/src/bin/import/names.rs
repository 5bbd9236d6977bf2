//! Finds the text for which the service stores a name as it is in the columns.
//!
//! The service splits one text into first and last name (`docs/contract.md#names`). Several columns are joined so that the
//! service's own rule splits them again in the same places, if any text does.

use create_contact::name::Name;
use icu_normalizer::ComposingNormalizerBorrowed;

/// A name in the parts that columns have.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// First name.
    pub first: String,
    /// Middle names; they join the first.
    pub middle: String,
    /// What comes before the last name.
    pub particle: String,
    /// Last name.
    pub last: String,
    /// A second last name.
    pub second_last: String,
    /// What follows the last name after a comma.
    pub suffix: String,
}

/// The text to send, and whether the service will split it as the columns do.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// The name.
    pub text: String,
    /// It will be split in a different place than the columns.
    pub is_split_differently: bool,
}

impl Parts {
    /// The text that is split into these parts, or else first and last name with a space between.
    pub fn text(&self) -> Text {
        let (first, last) = self.first_and_last();
        let plain = joined(&[&first, &last], " ");
        let text = candidates(&first, &last)
            .into_iter()
            .find(|text| is_split_into(text, &first, &last));
        Text {
            is_split_differently: text.is_none(),
            text: text.unwrap_or(plain),
        }
    }

    fn first_and_last(&self) -> (String, String) {
        let first = joined(&[&self.first, &self.middle], " ");
        let last = joined(&[&self.particle, &self.last, &self.second_last], " ");
        if last.is_empty() {
            (joined(&[&first, &self.suffix], ", "), last)
        } else {
            let last = joined(&[&last, &self.suffix], ", ");
            (first, last)
        }
    }
}

/// Every text that may be split like this, the simplest first.
fn candidates(first: &str, last: &str) -> Vec<String> {
    if first.is_empty() || last.is_empty() {
        return vec![joined(&[first, last], " ")];
    }
    let mut candidates = vec![format!("{first} {last}"), format!("{last}, {first}")];
    // `King, Jr.` and `Martin Luther`: what follows the comma goes to the end.
    candidates.extend(last.match_indices(',').map(|(comma, _)| {
        let (family, tail) = (last[..comma].trim_end(), last[comma + 1..].trim_start());
        format!("{family}, {first}, {tail}")
    }));
    candidates
}

fn is_split_into(text: &str, first: &str, last: &str) -> bool {
    Name::parse(text).is_ok_and(|name| name.first() == first && name.last().unwrap_or_default() == last)
}

/// The parts that aren't empty, each as the service normalises it.
fn joined(parts: &[&str], between: &str) -> String {
    let normalised = parts
        .iter()
        .map(|part| normalised(part))
        .filter(|part| !part.is_empty());
    normalised.collect::<Vec<_>>().join(between)
}

fn normalised(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [&str; 40] = [
        "Ann",
        "Mary Ann",
        "Md",
        "J",
        "J.",
        "J. R. R.",
        "María José",
        "Juan Carlos",
        "Jean-Luc",
        "Anne-Marie",
        "José",
        "Ludwig",
        "Karl-Heinz",
        "Pieter Jan",
        "Søren",
        "Bjørn Erik",
        "Giovanni Maria",
        "João Pedro",
        "Ana Sofia",
        "Muhammad",
        "Abd al-Rahman",
        "Nguyễn Thị",
        "Wei",
        "美咲",
        "Иван Петрович",
        "Γιώργος",
        "דוד",
        "محمد",
        "Dr. Eva",
        "Prof. Hans",
        "Mary-Kate",
        "D'Arcy",
        "X Æ",
        "e",
        "Y",
        "Al",
        "Ben",
        "Le",
        "Van",
        "Acme & Sons",
    ];
    const LAST: [&str; 60] = [
        "Smith",
        "van Beethoven",
        "von der Leyen",
        "de la Cruz",
        "García Márquez",
        "Ortega y Gasset",
        "dos Santos e Silva",
        "Rahman",
        "Md",
        "B",
        "B.",
        "Smith, MBA",
        "King, Jr.",
        "Downey Jr.",
        "Smith III",
        "Lee, MD PhD",
        "Smith MBA",
        "'t Hooft",
        "’t Hooft",
        "van 't Hoff",
        "'s-Gravesande",
        "O'Brien",
        "Smith-Jones",
        "Smith Jones",
        "Vargas Llosa",
        "Lloyd George",
        "Vaughan Williams",
        "Bonham Carter",
        "Rimsky-Korsakov",
        "af Geijerstam",
        "bin Zayd",
        "Al Maktoum",
        "Ben Gurion",
        "Le Pen",
        "La Fontaine",
        "Da Silva",
        "De Sica",
        "Della Robbia",
        "Ramón y Cajal",
        "Degli Esposti",
        "Van der Berg",
        "Van Damme, Esq.",
        "Øverland",
        "Łukasiewicz",
        "Þórsdóttir",
        "Nguyễn",
        "李",
        "Иванов",
        "Σεφέρης",
        "כהן",
        "الأمين",
        "Zu Guttenberg",
        "Freiherr von Stein",
        "Graf von Moltke",
        "Ap Rhys",
        "Mc Donald",
        "Saint Laurent",
        "St. John",
        "Gómez, Ltd.",
        "y Gasset",
    ];

    /// Any text that somebody could think of.
    fn any_text(first: &str, last: &str) -> impl Iterator<Item = String> {
        let mut texts = vec![
            format!("{first} {last}"),
            format!("{first}, {last}"),
            format!("{last}, {first}"),
            format!("{last},{first}"),
            format!("{last} {first}"),
            format!("{first} , {last}"),
        ];
        for words in [first, last] {
            let words: Vec<&str> = words.split(' ').collect();
            for at in 0..=words.len() {
                let (left, right) = (words[..at].join(" "), words[at..].join(" "));
                for other in [first, last] {
                    texts.extend([
                        format!("{left}, {other}, {right}"),
                        format!("{left} {other}, {right}"),
                        format!("{left} {other} {right}"),
                        format!("{other}, {left}, {right}"),
                    ]);
                }
            }
        }
        texts.into_iter()
    }

    #[test]
    fn what_the_columns_have_is_what_is_stored_wherever_any_text_can_express_it() {
        let mut differently = Vec::new();
        for first in FIRST {
            for last in LAST {
                let parts = Parts {
                    first: first.to_owned(),
                    last: last.to_owned(),
                    ..Parts::default()
                };
                let chosen = parts.text();
                assert_eq!(chosen.is_split_differently, !is_split_into(&chosen.text, first, last));
                if chosen.is_split_differently {
                    let better = any_text(first, last).find(|text| is_split_into(text, first, last));
                    assert_eq!(better, None, "{first} | {last}");
                    differently.push(format!("{first} | {last}"));
                }
            }
        }
        println!("split differently: {differently:#?}");
        assert!(
            differently.len() < FIRST.len() * LAST.len() / 50,
            "{}",
            differently.len()
        );
    }

    #[test]
    fn the_plainest_text_that_is_right_is_sent() {
        for (first, last, text) in [
            ("Henrik", "Larsen", "Henrik Larsen"),
            ("Md", "Rahman", "Md Rahman"),
            ("Ann", "Smith, MBA", "Ann Smith, MBA"),
            ("Gabriel", "García Márquez", "García Márquez, Gabriel"),
            ("Gabriel", "García Márquez, Jr.", "García Márquez, Gabriel, Jr."),
            ("Madonna", "", "Madonna"),
        ] {
            let parts = Parts {
                first: first.to_owned(),
                last: last.to_owned(),
                ..Parts::default()
            };
            let expected = Text {
                text: text.to_owned(),
                is_split_differently: false,
            };
            assert_eq!(parts.text(), expected);
        }
    }

    #[test]
    fn a_last_name_that_is_stored_with_another_comma_is_split_differently() {
        let parts = Parts {
            first: "Martin".to_owned(),
            last: "King,Jr.".to_owned(),
            ..Parts::default()
        };
        assert!(parts.text().is_split_differently);
    }

    #[test]
    fn middle_names_join_the_first_and_a_suffix_the_last() {
        let parts = Parts {
            first: " Martin".to_owned(),
            middle: "Luther".to_owned(),
            last: "King".to_owned(),
            suffix: "Jr.".to_owned(),
            ..Parts::default()
        };
        assert_eq!(parts.text().text, "Martin Luther King, Jr.");
        let parts = Parts {
            first: "Rembrandt".to_owned(),
            particle: "van".to_owned(),
            last: "Rijn".to_owned(),
            ..Parts::default()
        };
        assert_eq!(parts.text().text, "Rembrandt van Rijn");
        let parts = Parts {
            last: "Larsen Berg".to_owned(),
            ..Parts::default()
        };
        assert!(parts.text().is_split_differently);
    }
}
