//! Output to the terminal. It never panics if the output is closed, and it never contains a character that controls the
//! terminal.

use std::{
    fmt::Display,
    io::{self, Write as _},
    time::Duration,
};

/// Enough for any sentence, and for any title of a column.
const MAX_CHARS: usize = 300;

/// Prints a line of the report to standard output. If that is closed, the line is dropped and the exit code stays the same.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints a line about the progress to standard error.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text from a file or a server, without characters that control the terminal or reorder its line, and of limited length.
pub fn printable(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown: String = text
        .chars()
        .map(|c| if is_harmful(c) { ' ' } else { c })
        .take(MAX_CHARS)
        .collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

/// An argument as a POSIX shell reads it.
pub fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        argument.to_owned()
    } else if argument.chars().any(char::is_control) {
        let escaped: String = argument
            .chars()
            .map(|c| match c {
                '\'' | '\\' => format!("\\{c}"),
                c if c.is_control() => c
                    .to_string()
                    .bytes()
                    .map(|byte| format!("\\x{byte:02x}"))
                    .collect::<String>(),
                c => c.to_string(),
            })
            .collect();
        format!("$'{escaped}'")
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// A number with thousands separators, and what it counts.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", indicatif::HumanCount(number))
}

/// A duration in the two units that matter.
pub fn time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_control_the_terminal() {
        assert_eq!(printable("\u{1b}[31mno\u{7}\u{9b}2J\r\n\u{202e}ok"), "[31mno  2J   ok");
        assert_eq!(printable(&"a".repeat(1000)).chars().count(), MAX_CHARS + 1);
    }

    #[test]
    fn an_argument_is_quoted_for_the_shell() {
        for (argument, shown) in [
            ("contacts.csv", "contacts.csv"),
            ("my contacts.csv", "'my contacts.csv'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a\nb's", r"$'a\x0ab\'s'"),
        ] {
            assert_eq!(quoted(argument), shown);
        }
    }

    #[test]
    fn a_time_has_two_units() {
        for (seconds, shown) in [(0, "0 s"), (59, "59 s"), (300, "5 min 0 s"), (7260, "2 h 1 min")] {
            assert_eq!(time(Duration::from_secs(seconds)), shown);
        }
    }
}
