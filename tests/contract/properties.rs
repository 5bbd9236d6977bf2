//! The contract's sections 1 and 4, for any input.

use create_contact::{company::company_name, email::Email, name::Name};
use proptest::prelude::*;

/// Texts that reach more of the rules than arbitrary ones: words of letters, particles, suffixes, commas and odd white space.
fn names() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "\\PC{1,12}",
        "(van|de|y|e|Jr\\.|PhD|III|der|bin)",
        "(MBA|Md|M\\.D\\.|&|Inc\\.|GmbH|\u{200b}|,),?",
        "[A-Z][a-z]{1,8},?",
        "\\w{1,5}\u{301}"
    ];
    let space = prop_oneof![Just(" "), Just("  "), Just("\u{a0}"), Just("\t"), Just(", ")];
    proptest::collection::vec((word, space), 1..8)
        .prop_map(|words| words.into_iter().map(|(word, space)| word + space).collect())
}

fn addresses() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,20}@[a-zA-Z0-9.-]{1,30}",
        "\\PC{1,10}@[a-z0-9äöüßçñ-]{1,12}\\.(de|com|co\\.uk|рф|jp)",
        "[A-ZÄÖÜİΣ]{1,6}@(gmail|acme|EXÄMPLE)\\.(com|de)",
    ]
}

/// Every code point. The planes without characters (4 to 13) and for private use (15 and 16) are uniform, so one code point
/// in 4,096 is enough there.
fn code_points() -> impl Iterator<Item = char> {
    let sampled = ('\u{40000}'..='\u{dffff}').chain('\u{f0000}'..=char::MAX).step_by(4096);
    ('\0'..='\u{3ffff}').chain('\u{e0000}'..='\u{effff}').chain(sampled)
}

/// The name that a response shows.
fn shown(name: &Name) -> String {
    match name.last() {
        Some(last) => format!("{} {last}", name.first()),
        None => name.first().to_owned(),
    }
}

fn assert_is_found_again_by_email(text: &str) {
    if let Ok(email) = Email::parse(text) {
        let again = Email::parse(email.as_str()).map(|again| (again.key(), again.as_str().to_owned()));
        assert_eq!(again, Ok((email.key(), email.as_str().to_owned())), "{text:?}");
    }
}

#[test]
fn a_stored_address_finds_its_contact_for_every_code_point() {
    for c in code_points() {
        assert_is_found_again_by_email(&format!("a{c}@acme.de"));
        assert_is_found_again_by_email(&format!("x@{c}.a{c}-b.{c}d"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn first_plus_last_name_is_the_name(text in names()) {
        if let Ok(name) = Name::parse(&text) {
            prop_assert_eq!(shown(&name), name.as_str());
            prop_assert!(!name.first().is_empty() && name.last() != Some(""));
            prop_assert!(name.as_str().chars().count() <= 200);
        }
    }

    #[test]
    fn nothing_of_a_name_is_dropped(text in names()) {
        if let Ok(name) = Name::parse(&text) {
            let letters = |text: &str| {
                let mut letters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric() && c.is_ascii()).collect();
                letters.sort_unstable();
                letters
            };
            let sent = icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned();
            prop_assert_eq!(letters(&sent), letters(name.as_str()));
        }
    }

    #[test]
    fn an_accepted_address_is_found_again_under_its_own_key(text in addresses()) {
        if let Ok(email) = Email::parse(&text) {
            assert_is_found_again_by_email(&text);
            let stored = Email::parse(email.as_str()).expect("a stored address is an address");
            // The key is itself an address, and that address has the same key.
            if let Ok(of_key) = Email::parse(&email.key()) {
                prop_assert_eq!(of_key.key(), email.key());
            }
            prop_assert_eq!(company_name(&stored), company_name(&email));
        }
    }
}
