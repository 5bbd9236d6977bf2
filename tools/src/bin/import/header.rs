//! Finds the header of a file, and with it what separates the columns.

use std::io::Read;

use crate::{
    clean,
    columns::Columns,
    input::Input,
    options::ColumnOptions,
    records::{MANY_CELLS, Record, Records, Unreadable},
};

/// How many records may be above the header.
const TITLE_RECORDS: usize = 50;
/// What separates columns, in words.
pub const SEPARATORS: [(u8, &str); 4] = [
    (b',', "commas"),
    (b';', "semicolons"),
    (b'\t', "tabs"),
    (b'|', "vertical bars"),
];

/// The header of a file.
pub struct Header {
    /// What separates the columns.
    pub separator: u8,
    /// What ends its record.
    pub line_end: &'static [u8],
    /// Its record.
    pub record: Record,
    /// The columns of a contact.
    pub columns: Columns,
}

/// Why a separator gives no header, and before it, how much it helps to know it. With the wrong separator, a header is one
/// long title.
type NoHeader = ((bool, bool, usize), String);

impl Header {
    /// Finds the header.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do about it.
    pub fn find(input: &Input, options: &ColumnOptions) -> Result<Self, String> {
        let first_line = Records::new(input.text()?, 0).read().ok().flatten();
        let separators = match first_line.and_then(|line| separator_line(&line.raw)) {
            Some(separator) => vec![separator],
            None => SEPARATORS.map(|(separator, _)| separator).into(),
        };
        let (mut headers, mut reasons) = (Vec::new(), Vec::new());
        for separator in separators {
            match header(input.text()?, separator, options) {
                Ok(header) => headers.push(header),
                Err(reason) => reasons.push(reason),
            }
        }
        let widest = headers.into_iter().max_by_key(|header| header.record.fields.len());
        let reason = reasons.into_iter().max_by_key(|(helpfulness, _)| *helpfulness);
        widest.ok_or_else(|| format!("{}: {}", input.shown, reason.unwrap_or_default().1))
    }
}

/// Reads the first records until one is a header.
fn header(text: impl Read, separator: u8, options: &ColumnOptions) -> Result<Header, NoHeader> {
    let mut records = Records::new(text, separator);
    let none = "there is no header: add a line with the columns' titles, such as name and email.".to_owned();
    let mut likeliest = ((false, false, 0), none);
    let (mut contact, mut read, mut widest) = (None, 0, 0);
    while read < TITLE_RECORDS {
        let record = match records.read() {
            Ok(Some(record)) => record,
            Err(error @ Unreadable::Quote(_)) if read == 0 => return Err(((false, false, 0), format!("{error}."))),
            Err(error) if read == 0 => return Err(((false, false, usize::MAX), format!("{error}."))),
            // The error is reported when the whole file is checked.
            Ok(None) | Err(_) => break,
        };
        if record.is_blank() || record.line == 1 && separator_line(&record.raw).is_some() {
            continue;
        }
        read += 1;
        let (line, width) = (record.line, record.fields.len());
        let columns = Columns::of(&record.fields, options);
        let is_header = columns.as_ref().map_or_else(|unclear| unclear.is_of_a_header, |_| true);
        if width > 1 && record.fields.iter().any(|field| clean::is_address(field)) {
            // What comes before a contact and has several cells is a header, whatever its titles are.
            if widest > 1 {
                break;
            }
            contact.get_or_insert(line);
            continue;
        }
        if is_header && let Some(contact) = contact {
            let message = format!(
                "line {contact} has an address, but the header is on line {line}: remove the lines above line {line}, or move the \
                 contacts among them below it."
            );
            return Err(((false, true, 0), message));
        }
        if record.problem == Some(MANY_CELLS) {
            return Err(((false, false, usize::MAX), format!("line {line}: {MANY_CELLS}.")));
        }
        match columns {
            Ok(columns) => {
                return Ok(Header {
                    separator,
                    line_end: records.line_end.unwrap_or(b"\n"),
                    record,
                    columns,
                });
            }
            Err(unclear) => {
                if contact.is_none() && (is_header || width > widest) {
                    widest = width;
                    likeliest = ((is_header, false, width), unclear.question);
                }
                if is_header {
                    break;
                }
            }
        }
    }
    Err(contact.map_or(likeliest, |line| {
        let message = format!(
            "line {line} is a contact, but there is no header above it: add a line with the columns' titles, such as name and email."
        );
        ((false, true, 0), message)
    }))
}

/// Excel's `sep=;` above the header.
fn separator_line(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    let (key, rest) = line.split_at_checked(4)?;
    let rest = rest.strip_suffix(b"\"").unwrap_or(rest);
    (key.eq_ignore_ascii_case(b"sep=") && rest.len() == 1 && rest[0] != b'"').then(|| rest[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Result<Header, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("contacts.csv");
        std::fs::write(&path, text).unwrap();
        Header::find(&Input::open(&path, None)?, &ColumnOptions::default())
    }

    #[test]
    fn a_header_is_found_below_49_lines_and_any_blank_ones() {
        let title = "x".repeat(40);
        let line = |titles: usize, blank: usize| {
            let text = format!(
                "{}{}name,email\nAnn,ann@acme.de\n",
                format!("{title}\n").repeat(titles),
                "\n".repeat(blank)
            );
            find(&text).map(|header| header.record.line)
        };
        assert_eq!(line(0, 0), Ok(1));
        assert_eq!(line(49, 100), Ok(150));
        assert!(line(50, 0).is_err());
        // A line of one cell is a title, even if it is an address.
        assert_eq!(find("ann@acme.de\nname,email\n").unwrap().record.line, 2);
    }

    #[test]
    fn a_header_may_be_as_long_as_a_row() {
        let titles = |count: usize| "A rather long title of a property,".repeat(count);
        let header = |count| find(&format!("{}name,email\nAnn,ann@acme.de\n", titles(count)));
        assert!(header(16_382).is_ok());
        let wide = find(&format!("{}name,email\n", "x,".repeat(16_383))).err().unwrap();
        assert!(wide.contains("line 1: the row has more than 16,384 cells."), "{wide}");
        let long = header(40_000).err().unwrap();
        assert!(
            long.contains("the row that begins on line 1 is longer than 1 MiB."),
            "{long}"
        );
    }

    #[test]
    fn an_address_above_the_header_is_named_with_the_headers_line() {
        let above = find("Exported by,ann@acme.de\n\nname,email\nBob,bob@acme.de\n")
            .err()
            .unwrap();
        assert!(
            above.contains("line 1 has an address, but the header is on line 3"),
            "{above}"
        );
        // Below a line of several titles, it is a contact.
        let unknown = find("a,b\nBob,bob@acme.de\nname,email\n").err().unwrap();
        assert!(unknown.contains("which column has the name?"), "{unknown}");
    }

    #[test]
    fn only_sep_and_a_character_says_what_the_separator_is() {
        for (line, separator) in [
            ("sep=;", Some(b';')),
            ("\"SEP=|\"", Some(b'|')),
            ("sep=;;", None),
            ("sep=\"", None),
            ("name,", None),
            ("sep=", None),
        ] {
            assert_eq!(separator_line(line.as_bytes()), separator, "{line}");
        }
        let missing = find("sep=;\nfoo;bar\n1;2\n").err().unwrap();
        assert!(missing.contains(r#"the columns are "foo", "bar""#), "{missing}");
    }
}
