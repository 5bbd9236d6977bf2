//! The report on standard output. It never panics if the output is closed, and it never contains a character that harms a
//! terminal.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use tools::{printable, printable_lines};

/// Enough for any message, and for any title of a column.
const MAX_CHARS: usize = 300;

/// Prints a line of the report to standard output. If that is closed, the line is dropped and the exit code stays the same.
pub fn say(line: impl Display) {
    let _ = writeln!(io::stdout(), "{}", printable_lines(&line.to_string()));
}

/// Text from a file or a server: [`printable`], and of limited length.
pub fn shortened(text: &str) -> String {
    let mut shown: String = printable(text.trim()).chars().take(MAX_CHARS).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// A path to show.
pub fn shown(path: &Path) -> String {
    shortened(&path.display().to_string())
}

/// An argument as a POSIX shell reads it.
pub fn quoted(argument: &str) -> Cow<'_, str> {
    // No argument and no path has a zero byte, which can't be quoted.
    shlex::try_quote(argument).unwrap_or_default()
}

/// A number with thousands separators, and what it counts.
pub fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", indicatif::HumanCount(number))
}

/// A duration in whole seconds: `3m 20s`.
pub fn time(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_control_the_terminal() {
        assert_eq!(shortened(" \u{1b}[31mno\r\n"), "\u{fffd}[31mno");
        assert_eq!(shortened(&"a".repeat(1000)).chars().count(), MAX_CHARS + 1);
    }
}
