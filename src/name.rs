//! A contact's name: normalised, checked, and split into first and last name (`docs/contract.md#name`,
//! `docs/contract.md#names`).
//!
//! No word is dropped, and nothing changes between upper and lower case: a changed name is worse than one that is split in
//! the wrong place. First name, a space and last name are the stored name.
//!
//! The words come first, then one function for each rule, in the order of the contract.

use std::fmt;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};

use crate::text;

/// The most characters (Unicode scalar values) in a name.
pub const MAX_CHARS: usize = 200;

const COMMAS: [char; 3] = [',', '\u{60c}', '\u{ff0c}'];
const HYPHENS: [char; 3] = ['-', '\u{2010}', '\u{2011}'];

// The words below have no full stops, because words are compared without them: `M.D.` is `MD`.

/// Suffixes in any case: they follow a family name and belong to it.
#[rustfmt::skip]
const SUFFIXES: &[&str] = &["jr", "sr", "ii", "iii", "iv", "phd", "esq", "md", "junior", "júnior", "filho"];

/// Suffixes in capitals. In another case they can be names.
#[rustfmt::skip]
const SUFFIXES_IN_CAPITALS: &[&str] = &[
    "MBA", "CPA", "PMP", "CFA", "DDS", "DMD", "DVM", "LLB", "LLM", "MPH", "OBE", "MBE", "CBE", "KBE", "FRS",
];

/// Post-nominals: degrees, honours and legal forms, as written here or in capitals. After a comma they aren't a first name.
#[rustfmt::skip]
const POST_NOMINALS: &[&str] = &[
    "RN", "JD", "DO", "PE", "BA", "BSc", "MA", "MSc", "MEng", "DPhil", "QC", "KC", "Inc", "LLC", "LLP", "Ltd", "Pty", "Corp",
    "Co", "plc", "GmbH", "AG", "KG", "SA", "SAS", "SARL", "BV", "NV", "AB", "AS", "ApS", "Oy", "SpA", "Srl", "&", "MS", "BEng",
    "BCom", "BArch", "MArch", "MPhil", "MRes", "MBChB", "PharmD", "PsyD", "EdD", "DrPH", "DBA", "LCSW", "CISSP", "Esquire",
    "Senior",
];

/// Particles in any case: they come before a family name and belong to it.
#[rustfmt::skip]
const PARTICLES: &[&str] = &[
    "van", "vande", "vanden", "vander", "vd", "von", "vom", "der", "den", "de", "del", "della", "dello", "dei", "delle", "degli",
    "dal", "dalla", "di", "da", "do", "dos", "das", "du", "des", "la", "las", "le", "lo", "los", "el", "al", "abu", "bin", "binti",
    "binte", "bint", "ibn", "ben", "zu", "zum", "zur", "ter", "ten", "te", "op", "aan", "st", "san", "'t", "\u{2018}t", "\u{2019}t", "af", "av",
];

/// Conjunctions: they join two family names.
const CONJUNCTIONS: &[&str] = &["y", "e", "i", "und"];

/// Forms of address in any case: no first names.
#[rustfmt::skip]
const FORMS_OF_ADDRESS: &[&str] = &["dr", "prof", "mr", "mrs", "ms", "miss", "rev", "sir", "herr", "frau", "mme"];

/// A full name: NFC, single spaces, 1 to 200 characters (Unicode scalar values), at least one of them visible, and none that
/// is a control character, a bidirectional control, U+FFFD or a noncharacter.
///
/// `first` alone, or `first` and `last` with one space between them, is the name as it is stored and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    full: String,
    /// The length of the first name in bytes; the whole of `full` if there is no last name.
    first_len: usize,
}

/// Why a text isn't a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidName {
    /// No visible character.
    Empty,
    /// More than 200 characters.
    TooLong,
    /// A control character.
    Control,
    /// A bidirectional embedding, override or isolate: it would reorder the text around it.
    Bidi,
    /// U+FFFD: the text was damaged before it arrived.
    Damaged,
    /// A noncharacter.
    Noncharacter,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "must have at least one visible character",
            Self::TooLong => "must have at most 200 characters",
            Self::Control => "must not contain control characters",
            Self::Bidi => "must not contain bidirectional embeddings, overrides or isolates",
            Self::Damaged => text::DAMAGED,
            Self::Noncharacter => "must not contain noncharacters, such as U+FFFF",
        })
    }
}

impl Name {
    /// Normalises and splits a name.
    ///
    /// # Errors
    ///
    /// The text breaks the rule of `docs/contract.md#name`. The error says which part of it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let words: Vec<&str> = text::trim(text).split_whitespace().collect();
        let full = text::nfc(&words.join(" "), MAX_CHARS).ok_or(InvalidName::TooLong)?;
        if let Some(invalid) = full.chars().find_map(invalid_character) {
            return Err(invalid);
        }
        if !has_text(&full) {
            return Err(InvalidName::Empty);
        }
        let name = Self::split(&full);
        // The stored name can be longer than the one sent, because a space is added before a part of the tail.
        if name.full.chars().count() > MAX_CHARS {
            return Err(InvalidName::TooLong);
        }
        Ok(name)
    }

    /// The name as it is stored and compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The first name; never empty.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.full[..self.first_len]
    }

    /// The last name, unless the name is one word.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.full.get(self.first_len + 1..)
    }

    /// The rules of `docs/contract.md#names`.
    fn split(text: &str) -> Self {
        let (rest, mut tail) = set_tail_aside(text);
        let (first, last) = if let Some((last, post_nominals, first)) = last_comma_first(rest) {
            tail = post_nominals + &tail;
            let words: Vec<&str> = first.split(' ').collect();
            let (first, particles) = words.split_at(particles_start(&words, words.len(), is_particle));
            (first.join(" "), [particles, &[last]].concat().join(" "))
        } else {
            let words: Vec<&str> = rest.split(' ').collect();
            let (first, last) = words.split_at(last_name_start(&words));
            (first.join(" "), last.join(" "))
        };
        if last.is_empty() {
            let full = first + &tail;
            let first_len = full.len();
            Self { full, first_len }
        } else {
            let first_len = first.len();
            let full = format!("{first} {last}{tail}");
            Self { full, first_len }
        }
    }
}

/// Rule 1. Returns the rest of the name, and the tail as it will follow the last name.
fn set_tail_aside(text: &str) -> (&str, String) {
    let (mut rest, mut tail) = (text, String::new());
    loop {
        if let Some((before, inside)) = parentheses_at_end(rest) {
            (rest, tail) = (before, format!(" ({inside}){tail}"));
        } else if let Some((before, post_nominals)) = post_nominals_at_end(rest) {
            (rest, tail) = (before, format!(", {post_nominals}{tail}"));
        } else {
            return (rest, tail);
        }
    }
}

fn parentheses_at_end(text: &str) -> Option<(&str, &str)> {
    let (before, inside) = text.strip_suffix(')')?.rsplit_once('(')?;
    let is_tail = has_text(before) && has_text(inside) && !inside.contains(')');
    is_tail.then_some((before.trim_end(), inside))
}

fn post_nominals_at_end(text: &str) -> Option<(&str, &str)> {
    let (before, after) = text.rsplit_once(COMMAS)?;
    let (before, after) = (text::trim(before), text::trim(after));
    are_post_nominals(after, before).then_some((before, after))
}

/// Whether a text consists of post-nominals alone, after the text before its comma.
fn are_post_nominals(text: &str, before: &str) -> bool {
    let words_before = before
        .split([' ', COMMAS[0], COMMAS[1], COMMAS[2]])
        .filter(|word| has_text(word))
        .count();
    let has_lower_case = before.chars().any(char::is_lowercase);
    words_before > 0
        && text.split(' ').all(|word| {
            let is_unlisted = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
            (is_post_nominal(word) && (words_before > 1 || !are_initials(word)))
                || (is_unlisted && words_before > 1 && has_lower_case)
        })
}

/// Rule 2: the last name, the post-nominals between two commas as they will follow it, and the first name.
fn last_comma_first(rest: &str) -> Option<(&str, String, &str)> {
    let parts: Vec<&str> = rest.split(COMMAS).map(text::trim).collect();
    if !parts.iter().all(|part| has_text(part)) {
        return None;
    }
    match parts[..] {
        [last, first] => Some((last, String::new(), first)),
        [last, middle, first] if are_post_nominals(middle, last) => Some((last, format!(", {middle}"), first)),
        _ => None,
    }
}

/// Rules 3 and 4: the index of the last name's first word. It is the number of words if there is no last name.
fn last_name_start(words: &[&str]) -> usize {
    let mut start = words.len() - 1;
    if start == 0 {
        return 1;
    }
    while is_suffix(words[start]) && leaves_first_name(words, start - 1) {
        start -= 1;
    }
    start = particles_start(words, start, ends_in_particle);
    let is_conjunction = |word: &str| {
        let has_lower_case = words.iter().any(|word| word.chars().any(char::is_lowercase));
        CONJUNCTIONS.contains(&word) || (!has_lower_case && CONJUNCTIONS.contains(&&*word.to_lowercase()))
    };
    if start > 1 && is_conjunction(words[start - 1]) && leaves_first_name(words, start - 2) {
        start = particles_start(words, start - 2, ends_in_particle);
    }
    start
}

/// The index of the first of the particles directly before `start`.
fn particles_start(words: &[&str], mut start: usize, is_particle: fn(&str) -> bool) -> usize {
    while is_particle(words[start - 1]) && leaves_first_name(words, start - 1) {
        start -= 1;
    }
    start
}

/// Whether the first `count` words can be a first name: one of them isn't a form of address, or is followed by a particle in
/// lower case. Each pair is a word and the one after it.
fn leaves_first_name(words: &[&str], count: usize) -> bool {
    words.windows(2).take(count).any(|pair| {
        let is_form_of_address = FORMS_OF_ADDRESS.contains(&&*letters(pair[0]).to_lowercase());
        !is_form_of_address || (is_particle(pair[1]) && !pair[1].chars().any(char::is_uppercase))
    })
}

fn is_suffix(word: &str) -> bool {
    let letters = letters(word);
    // `Md` is a given name, short for Mohammed.
    (letters != "Md" && SUFFIXES.contains(&&*letters.to_lowercase())) || SUFFIXES_IN_CAPITALS.contains(&&*letters)
}

fn is_post_nominal(word: &str) -> bool {
    let letters = letters(word);
    let in_capitals = !letters.chars().any(char::is_lowercase);
    is_suffix(word)
        || POST_NOMINALS
            .iter()
            .any(|&entry| entry == letters || (in_capitals && entry.eq_ignore_ascii_case(&letters)))
}

/// Single letters with full stops, such as `M.A.`.
fn are_initials(word: &str) -> bool {
    word.contains('.') && word.split('.').all(|part| part.chars().count() < 2)
}

fn is_particle(word: &str) -> bool {
    PARTICLES.contains(&&*letters(word).to_lowercase())
}

/// A particle, or a word such as `Jansen-de`.
fn ends_in_particle(word: &str) -> bool {
    is_particle(word) || word.rsplit_once(HYPHENS).is_some_and(|(_, end)| is_particle(end))
}

/// A word without its full stops.
fn letters(word: &str) -> String {
    word.replace('.', "")
}

fn has_text(part: &str) -> bool {
    part.chars().any(is_visible)
}

fn invalid_character(c: char) -> Option<InvalidName> {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(InvalidName::Bidi),
        '\u{fffd}' => Some(InvalidName::Damaged),
        '\u{fdd0}'..='\u{fdef}' => Some(InvalidName::Noncharacter),
        // The last two code points of each plane.
        _ if u32::from(c) & 0xfffe == 0xfffe => Some(InvalidName::Noncharacter),
        _ if c.is_control() => Some(InvalidName::Control),
        _ => None,
    }
}

/// Whether a character is visible: not white space, not a control or format character, not a character that Unicode says to
/// ignore in display, and not U+2800, the blank Braille pattern.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    !(c.is_whitespace()
        || c == '\u{2800}'
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || matches!(
            CodePointMapData::<GeneralCategory>::new().get(c),
            GeneralCategory::Control | GeneralCategory::Format
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_as_in_the_table() {
        for row in include_str!("../tests/names.tsv")
            .lines()
            .filter(|row| !row.starts_with('#'))
        {
            // JSON has the same escapes.
            let row: String =
                serde_json::from_str(&format!("\"{}\"", row.replace('"', "\\\"").replace('\t', "\\t"))).unwrap();
            let columns: Vec<&str> = row.split('\t').collect();
            let name = Name::parse(columns[0]).unwrap();
            assert_eq!([name.first(), name.last().unwrap_or("null")], columns[1..3], "{row}");
        }
    }

    fn assert_split(sent: &str, first: &str, last: &str) {
        let name = Name::parse(sent).unwrap();
        assert_eq!((name.first(), name.last()), (first, Some(last)), "{sent:?}");
    }

    #[test]
    fn particles_of_any_case_belong_to_the_last_name() {
        for particle in PARTICLES {
            for particle in [(*particle).to_owned(), particle.to_uppercase(), format!("{particle}.")] {
                assert_split(&format!("Ana {particle} Berg"), "Ana", &format!("{particle} Berg"));
            }
        }
    }

    #[test]
    fn suffixes_belong_to_the_last_name() {
        let in_any_case = SUFFIXES
            .iter()
            .flat_map(|suffix| [(*suffix).to_owned(), suffix.to_uppercase()]);
        for suffix in in_any_case.chain(SUFFIXES_IN_CAPITALS.iter().map(|&suffix| suffix.to_owned())) {
            assert_split(&format!("Ann Lee {suffix}."), "Ann", &format!("Lee {suffix}."));
            assert_split(&format!("Ann Lee,{suffix}"), "Ann", &format!("Lee, {suffix}"));
        }
        for suffix in SUFFIXES_IN_CAPITALS {
            let suffix = suffix.to_lowercase();
            assert_split(&format!("Ann Lee {suffix}"), "Ann Lee", &suffix);
        }
    }

    #[test]
    fn post_nominals_after_a_comma_follow_the_last_name() {
        for post_nominal in POST_NOMINALS {
            for written in [
                (*post_nominal).to_owned(),
                post_nominal.to_uppercase(),
                format!("{post_nominal}."),
            ] {
                assert_split(&format!("Ann Lee, {written}"), "Ann", &format!("Lee, {written}"));
            }
        }
    }

    #[test]
    fn a_name_is_normalised_to_nfc_with_single_spaces() {
        for (sent, stored) in [
            ("  Henrik \t\n Larsen  ", "Henrik Larsen"),
            ("Henrik\u{3000}\u{a0}\u{2003}Larsen\u{85}", "Henrik Larsen"),
            ("Jose\u{301} Cruz", "Jos\u{e9} Cruz"),
            ("\u{212b}ke", "\u{c5}ke"),
            ("👩\u{200d}👩\u{200d}👧 Smith", "👩\u{200d}👩\u{200d}👧 Smith"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("\u{feff} \u{ad}Ann\u{200b}Lee \u{2060}\u{200e}", "Ann\u{200b}Lee"),
            ("\u{200c}Ann\u{fe0f}", "\u{200c}Ann\u{fe0f}"),
        ] {
            assert_eq!(Name::parse(sent).unwrap().as_str(), stored, "{sent:?}");
        }
    }

    #[test]
    fn invalid_names_are_refused_with_a_reason() {
        for (sent, problem) in [
            ("", InvalidName::Empty),
            (" \t\u{2028}", InvalidName::Empty),
            ("\u{200b}", InvalidName::Empty),
            ("\u{200d} \u{feff}\u{ad}", InvalidName::Empty),
            ("\u{3164}", InvalidName::Empty),
            ("\u{2800}", InvalidName::Empty),
            ("Hen\0rik", InvalidName::Control),
            ("Henrik\u{1b}[31m", InvalidName::Control),
            ("Henrik\u{9f}", InvalidName::Control),
            ("Henrik\u{1f}Larsen", InvalidName::Control),
            ("Jos\u{fffd}", InvalidName::Damaged),
            ("a\u{fdd0}", InvalidName::Noncharacter),
            ("a\u{ffff}", InvalidName::Noncharacter),
            ("a\u{10fffe}", InvalidName::Noncharacter),
            ("\u{202a}Henrik", InvalidName::Bidi),
            ("\u{202e}nesraL", InvalidName::Bidi),
            ("a\u{2066}b\u{2069}", InvalidName::Bidi),
        ] {
            assert_eq!(Name::parse(sent), Err(problem), "{sent:?}");
        }
    }

    #[test]
    fn a_name_has_at_most_200_characters_once_normalised() {
        assert!(Name::parse(&"é".repeat(200)).is_ok());
        assert!(Name::parse(&"e\u{301}".repeat(200)).is_ok());
        assert!(Name::parse(&format!("  {}  ", "😀".repeat(200))).is_ok());
        assert_eq!(Name::parse(&"a".repeat(201)), Err(InvalidName::TooLong));
        // The limit holds as sent and as stored. A space is added in the first two and removed in the last two.
        let stored = |name: String| Name::parse(&name).map(|name| name.as_str().chars().count());
        assert_eq!(stored(format!("{},MBA", "a".repeat(195))), Ok(200));
        assert_eq!(stored(format!("{},MBA", "a".repeat(196))), Err(InvalidName::TooLong));
        assert_eq!(stored(format!("{} , MBA", "a".repeat(194))), Ok(199));
        assert_eq!(stored(format!("{} , MBA", "a".repeat(195))), Err(InvalidName::TooLong));
    }
}
