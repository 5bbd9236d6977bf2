//! Finds the text for which the service stores a name as it is in the columns.
//!
//! The service splits one text into first and last name (`docs/contract.md#names`). Several columns are joined so that the
//! service's own rule splits them again in the same places, if any text does.

use std::collections::BTreeMap;

use create_contact::name::Name;
use icu_normalizer::ComposingNormalizerBorrowed;

use crate::titles::Role;

/// What is a comma to the service.
const COMMAS: [char; 3] = [',', '،', '，'];

/// A name in the parts that columns have.
pub type Parts = BTreeMap<Role, String>;

/// The text that is split into these parts. If there is none, one with the same first name, or else all parts with spaces
/// between them. And whether the service will split it in a different place than the columns.
pub fn text(parts: &Parts) -> (String, bool) {
    let part = |role: Role| parts.get(&role).map_or("", String::as_str);
    let [prefix, suffix] = [Role::Prefix, Role::Suffix].map(part);
    let particle = |part| if is_particle(part) { part } else { "" };
    let after = if is_particle(suffix) { "" } else { suffix };
    let first = joined(&[part(Role::First), part(Role::Middle)], " ");
    let last = joined(&[part(Role::Last), part(Role::SecondLast)], " ");
    let before = joined(&[particle(prefix), particle(suffix), part(Role::Particle)], " ");
    // Some columns of last names repeat the prefix.
    let repeats = last.starts_with(&format!("{before} "));
    let last = joined(&[if repeats { "" } else { &before }, &last], " ");
    let plain = joined(&[&first, &last, after], " ");
    let (first, last) = if last.is_empty() {
        (joined(&[&first, after], ", "), last)
    } else {
        (first, joined(&[&last, after], ", "))
    };
    // If this isn't a name, no text is: all of them are as long.
    let candidates = Name::parse(&plain).map_or_else(|_| Vec::new(), |_| candidates(&first, &last));
    let find = |is_right: &dyn Fn(&Name) -> bool| {
        let is_right = |text: &&String| Name::parse(text).is_ok_and(|name| is_right(&name));
        candidates.iter().find(is_right)
    };
    let exact = find(&|name| name.first() == first && name.last().unwrap_or_default() == last);
    let close = || find(&|name| without_commas(name.first()) == without_commas(&first));
    (exact.or_else(close).unwrap_or(&plain).clone(), exact.is_none())
}

/// Every text that may be split like this, the simplest first.
fn candidates(first: &str, last: &str) -> Vec<String> {
    if first.is_empty() || last.is_empty() {
        return vec![joined(&[first, last], " ")];
    }
    let mut candidates = vec![format!("{first} {last}"), format!("{last}, {first}")];
    // `King, Jr.` and `Martin Luther`: what follows the comma goes to the end.
    candidates.extend(last.match_indices(COMMAS).map(|(at, comma)| {
        let (family, tail) = (last[..at].trim_end(), last[at + comma.len()..].trim_start());
        format!("{family}, {first}, {tail}")
    }));
    // `Lee, CISSP` and `Ann`: with one comma, what isn't a suffix to the service can't become the first name.
    candidates.push(format!("{}, {}", without_commas(last), without_commas(first)));
    candidates
}

fn without_commas(text: &str) -> String {
    normalised(&text.replace(COMMAS, " "))
}

/// Whether a part comes before last names, such as a German `Namenszusatz`: to the service, it belongs to what follows.
fn is_particle(part: &str) -> bool {
    let part = normalised(part);
    let last = format!("{part} B");
    !part.is_empty() && Name::parse(&format!("A {last}")).is_ok_and(|name| name.last() == Some(&last))
}

/// What is left of a full name without one half of it: `Gabriel` of `Gabriel García Márquez` and of `García Márquez, Gabriel`.
pub fn other_half(full: &str, half: &str) -> Option<String> {
    let is_between = |c: char| c == ',' || c.is_whitespace();
    let before = full.strip_suffix(half).filter(|rest| rest.ends_with(is_between));
    let after = || full.strip_prefix(half).filter(|rest| rest.starts_with(is_between));
    let rest = before.or_else(after)?.trim_matches(is_between);
    (!half.is_empty() && !rest.is_empty()).then(|| rest.to_owned())
}

/// A full name that begins with the last name, with a comma after it. `None` if it isn't clear where it ends.
pub fn with_comma(full: &str) -> Option<String> {
    let words: Vec<&str> = full.split_whitespace().collect();
    let is_cyrillic = full.contains(|c| ('а'..='я').contains(&c));
    match words[..] {
        _ if full.contains(COMMAS) => Some(full.to_owned()),
        [last, first] => Some(format!("{last}, {first}")),
        // A patronymic belongs to the first name.
        [last, first, patronymic] if is_cyrillic => Some(format!("{last}, {first} {patronymic}")),
        [] | [_] => Some(full.to_owned()),
        _ => None,
    }
}

/// The parts that aren't empty, each as the service normalises it.
fn joined(parts: &[&str], between: &str) -> String {
    let mut parts: Vec<String> = parts.iter().map(|part| normalised(part)).collect();
    parts.retain(|part| !part.is_empty());
    parts.join(between)
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

    fn text_of(parts: &[(Role, &str)]) -> (String, bool) {
        text(&parts.iter().map(|(role, part)| (*role, (*part).to_owned())).collect())
    }

    fn is_split_into(text: &str, first: &str, last: &str) -> bool {
        Name::parse(text).is_ok_and(|name| name.first() == first && name.last().unwrap_or_default() == last)
    }

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
                let chosen = text_of(&[(Role::First, first), (Role::Last, last)]);
                assert_eq!(chosen.1, !is_split_into(&chosen.0, first, last));
                if chosen.1 {
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
            ("Gabriel", "García Márquez, Jr.", "García Márquez, Jr., Gabriel"),
            (
                "Gabriel",
                "García Márquez, MBA, PMP",
                "García Márquez, Gabriel, MBA, PMP",
            ),
            ("Madonna", "", "Madonna"),
        ] {
            let expected = (text.to_owned(), false);
            assert_eq!(text_of(&[(Role::First, first), (Role::Last, last)]), expected);
        }
    }

    #[test]
    fn a_suffix_that_the_service_does_not_know_is_never_the_first_name() {
        for (first, last, suffix, text) in [
            ("Ann", "Lee", "XYZ-9", "Lee XYZ-9, Ann"),
            ("Ann", "Lee, PMP®", "", "Lee PMP®, Ann"),
            ("Ann, PMP®", "Lee", "", "Lee, Ann PMP®"),
            ("Ann", "", "XYZ-9", "Ann XYZ-9"),
            ("", "Lee", "XYZ-9", "Lee XYZ-9"),
        ] {
            let expected = (text.to_owned(), true);
            assert_eq!(
                text_of(&[(Role::First, first), (Role::Last, last), (Role::Suffix, suffix)]),
                expected,
                "{first} | {last} | {suffix}"
            );
        }
    }

    #[test]
    fn whatever_a_suffix_is_the_first_name_stays() {
        let suffixes = "V VI sen. jun. CISSP PMP® M.A. MSc(Hons) B.Sc. Dipl.-Ing. LL.M.(Tax) FRCPC CSM-A (ret.) RN-BC \"Ret\" d.ä. 3rd \
                        & und de von 'n İ É.N.A. 博士 к.т.н. MBA،PMP";
        for suffix in suffixes
            .split_whitespace()
            .chain(["MBA, CISM, PMP®", "Ph. D.", "Lee, Ann"])
        {
            for (first, last) in [
                ("Ann", "Lee"),
                ("Mary Ann", "van der Berg"),
                ("Gabriel", "García Márquez"),
            ] {
                for (last, suffix) in [(last, suffix), (&format!("{last}, {suffix}"), "")] {
                    let text = text_of(&[(Role::First, first), (Role::Last, last), (Role::Suffix, suffix)]).0;
                    assert_eq!(Name::parse(&text).unwrap().first(), first, "{last} {suffix}: {text}");
                }
            }
        }
    }

    #[test]
    fn a_prefix_or_suffix_that_is_a_particle_comes_before_the_last_name() {
        for (prefix, suffix, text) in [
            ("Dr.", "von der", "Ludwig von der Heide"),
            ("von der", "", "Ludwig von der Heide"),
            ("Dr.", "Jr.", "Ludwig Heide, Jr."),
        ] {
            assert_eq!(
                text_of(&[
                    (Role::First, "Ludwig"),
                    (Role::Last, "Heide"),
                    (Role::Prefix, prefix),
                    (Role::Suffix, suffix)
                ])
                .0,
                text
            );
        }
    }

    #[test]
    fn a_prefix_that_the_last_name_repeats_is_there_once() {
        assert_eq!(
            text_of(&[
                (Role::First, "Jan"),
                (Role::Particle, "van der"),
                (Role::Last, "van der Berg")
            ])
            .0,
            "Jan van der Berg"
        );
    }

    #[test]
    fn one_half_of_a_full_name_gives_the_other() {
        for (full, half, other) in [
            ("Gabriel García Márquez", "García Márquez", Some("Gabriel")),
            ("García Márquez, Gabriel", "García Márquez", Some("Gabriel")),
            ("Gabriel García Márquez", "Gabriel", Some("García Márquez")),
            ("Kim Min-jun", "Kim", Some("Min-jun")),
            ("Gabriel", "García Márquez", None),
            ("Marianne", "anne", None),
            ("Zoë", "Zoë", None),
            ("Zoë Berg", "", None),
        ] {
            assert_eq!(other_half(full, half).as_deref(), other, "{full} | {half}");
        }
    }

    #[test]
    fn a_last_name_that_comes_first_ends_with_a_comma_if_it_is_clear_where_it_ends() {
        for (full, expected) in [
            ("Nagy János", Some("Nagy, János")),
            ("山田 太郎", Some("山田, 太郎")),
            ("山田\u{3000}太郎", Some("山田, 太郎")),
            ("山田太郎", Some("山田太郎")),
            ("Сидоров Иван Петрович", Some("Сидоров, Иван Петрович")),
            ("García Márquez, Gabriel José", Some("García Márquez, Gabriel José")),
            ("García Márquez Gabriel", None),
            ("Мамедов Али Гусейн оглы", None),
            ("", Some("")),
        ] {
            assert_eq!(with_comma(full).as_deref(), expected, "{full}");
        }
    }

    #[test]
    fn the_time_for_a_name_does_not_depend_on_its_commas() {
        assert!(
            text_of(&[(Role::First, "Ann"), (Role::Last, &"a,".repeat(1 << 20))])
                .0
                .starts_with("Ann a,")
        );
    }

    #[test]
    fn a_last_name_that_is_stored_with_another_comma_is_split_differently() {
        assert!(text_of(&[(Role::First, "Martin"), (Role::Last, "King,Jr.")]).1);
    }

    #[test]
    fn middle_names_join_the_first_and_a_suffix_the_last() {
        assert_eq!(
            text_of(&[
                (Role::First, " Martin"),
                (Role::Middle, "Luther"),
                (Role::Last, "King"),
                (Role::Suffix, "Jr.")
            ])
            .0,
            "Martin Luther King, Jr."
        );
        assert_eq!(
            text_of(&[
                (Role::First, "Rembrandt"),
                (Role::Particle, "van"),
                (Role::Last, "Rijn")
            ])
            .0,
            "Rembrandt van Rijn"
        );
        assert!(text_of(&[(Role::Last, "Larsen Berg")]).1);
    }
}
