//! Normalisation that names and addresses share (`docs/contract.md#invisible-marks`).
//!
//! A body may have 64 KiB, and normalising costs far more than reading. So the length is checked first: NFC makes one character
//! of at most four, and a longer text can't become short enough.

use icu_normalizer::ComposingNormalizerBorrowed;

/// What the caller is told of U+FFFD, which programs put where they can't read a text.
pub(crate) const DAMAGED: &str =
    "contains U+FFFD, the replacement character: its text was damaged before it arrived, so send UTF-8";

/// A text in NFC with at most `max` characters (Unicode scalar values); `None` if it has more.
pub(crate) fn nfc(text: &str, max: usize) -> Option<String> {
    if text.chars().nth(4 * max).is_some() {
        return None;
    }
    let text = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    text.chars().nth(max).is_none().then(|| text.into_owned())
}

/// Removes white space and invisible marks at both ends.
#[must_use]
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible_mark(c))
}

/// Marks that nobody sees and that copying from documents and web pages leaves around a text. Not among them: U+200C and
/// U+200D, which scripts need, and variation selectors.
#[must_use]
pub fn is_invisible_mark(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_counts_characters_after_normalisation() {
        // Four characters become one, `ᾂ`.
        let four = "\u{3b1}\u{313}\u{300}\u{345}";
        assert_eq!(nfc(&four.repeat(200), 200).as_deref(), Some(&*"\u{1f82}".repeat(200)));
        assert_eq!(nfc(&four.repeat(201), 200), None);
        // One character becomes two.
        assert_eq!(
            nfc(&"\u{958}".repeat(100), 200).map(|text| text.chars().count()),
            Some(200)
        );
        assert_eq!(nfc(&"\u{958}".repeat(101), 200), None);
    }
}
