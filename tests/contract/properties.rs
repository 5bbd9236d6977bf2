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

/// If a text is an address, then what is stored of it is one too, with the same key and the same company.
fn assert_is_found_again(text: &str) {
    if let Ok(email) = Email::parse(text) {
        let again = Email::parse(email.as_str()).expect("a stored address is an address");
        assert_eq!((again.as_str(), again.key()), (email.as_str(), email.key()), "{text:?}");
        assert_eq!(company_name(&again), company_name(&email), "{text:?}");
    }
}

#[test]
fn a_stored_address_finds_its_contact_for_every_code_point() {
    for c in harness::code_points() {
        assert_is_found_again(&format!("a{c}@acme.de"));
        assert_is_found_again(&format!("x@{c}.a{c}-b.{c}d"));
    }
}

fn ascii_letters(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.sort_unstable();
    letters
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn first_plus_last_name_is_the_name_and_nothing_of_it_is_dropped(text in names()) {
        if let Ok(name) = Name::parse(&text) {
            let shown = [Some(name.first()), name.last()].into_iter().flatten().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(shown, name.as_str());
            prop_assert!(!name.first().is_empty() && name.last() != Some(""));
            prop_assert!(name.as_str().chars().count() <= 200);
            let sent = icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned();
            prop_assert_eq!(ascii_letters(&sent), ascii_letters(name.as_str()));
        }
    }

    #[test]
    fn an_accepted_address_is_found_again_under_its_own_key(text in addresses()) {
        assert_is_found_again(&text);
        if let Ok(email) = Email::parse(&text) && let Ok(of_key) = Email::parse(&email.key()) {
            prop_assert_eq!(of_key.key(), email.key(), "a key that is an address has the same key");
        }
    }
}
