//! What `import` and `keys` share: output that can't harm a terminal, and how to treat URLs, errors and arguments with keys.

use std::{
    env,
    error::Error,
    fmt::Display,
    io::{self, Write as _},
};

use url::{Host, Url};

/// A text on one line, without characters that control the terminal or reorder its line. Each of them is shown as U+FFFD.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_harmful(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// A text of several lines, each of them [`printable`].
#[must_use]
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Whether a character controls the terminal, ends a line or changes the direction of the text.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Prints to standard error. If that can't be written, the text is dropped: there is no other place to report it.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", printable_lines(&text.to_string()));
}

/// Whether an argument contains an API key. Then the arguments must never be shown, not even in an error message.
#[must_use]
pub fn is_key_among_arguments() -> bool {
    env::args_os().any(|argument| holds_a_key(&argument.to_string_lossy()))
}

fn holds_a_key(argument: &str) -> bool {
    let argument = argument.to_ascii_lowercase();
    ["sf_live_v1_", "sf_test_v1_"]
        .iter()
        .any(|prefix| argument.contains(prefix))
}

/// Whether a URL points to this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An error with its causes. The last cause is the most useful one.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let errors = std::iter::successors(Some(error), |&error| error.source());
    errors.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_text_has_no_control_characters_and_no_marks_of_direction() {
        assert_eq!(
            printable("CRM import, Zürich 山 می\u{200c}خواهم"),
            "CRM import, Zürich 山 می\u{200c}خواهم"
        );
        let harmful = "\u{1b}\r\n\u{7f}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert_eq!(printable(harmful), "\u{fffd}".repeat(13));
        assert_eq!(printable_lines("a\n\u{202e}b"), "a\n\u{fffd}b");
    }

    #[test]
    fn only_loopback_is_this_machine() {
        let is_loopback = |url: &str| is_loopback(&url.parse().unwrap());
        for url in [
            "http://127.0.0.1:8000",
            "http://127.0.0.2",
            "http://LOCALHOST:8000",
            "https://localhost",
            "http://[::1]:8000",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://user:password@127.0.0.1:8000",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://dynamodb.eu-central-1.amazonaws.com",
            "http://localhost.example.com",
            "http://10.0.0.1:8000",
            "http://[::2]",
            "http://user:127.0.0.1@example.com",
            "http://example.com/127.0.0.1",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_key_is_seen_in_any_argument() {
        for (argument, expected) in [
            ("sf_live_v1_abc", true),
            ("--key=SF_TEST_V1_ABC", true),
            ("contacts.csv", false),
        ] {
            assert_eq!(holds_a_key(argument), expected, "{argument}");
        }
    }
}
