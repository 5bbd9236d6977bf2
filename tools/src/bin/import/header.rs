//! Finds the header of a file, and with it what separates the columns.

use std::io::{Error, Read};

use crate::{
    clean,
    columns::{Columns, Unclear},
    input::Input,
    options::ColumnOptions,
    records::{LineEnd, MANY_CELLS, Record, Records, Unreadable},
};

/// How many records may be above the header.
const TITLE_RECORDS: usize = 50;
/// The most bytes of a line that says what the separator is: `"sep=;"` and its end.
const SEPARATOR_LINE: u64 = 9;
/// What separates columns, for people.
pub const SEPARATORS: [(u8, &str); 4] = [
    (b',', "commas"),
    (b';', "semicolons"),
    (b'\t', "tabs"),
    (b'|', "vertical bars"),
];

/// The header that a separator gives.
pub struct Header {
    /// What separates the columns.
    pub separator: u8,
    /// What ends its record.
    pub line_end: LineEnd,
    /// Its record.
    pub record: Record,
    /// The columns of a contact.
    pub columns: Columns,
}

/// Why a separator gives no header.
enum NoHeader {
    /// The likeliest record isn't one.
    Unclear(Unclear, Box<Record>),
    /// A record that looks like a contact comes before any header, or before the header on another line.
    Contact(u64, Option<u64>),
    /// The first record can't be read.
    Unreadable(Unreadable),
}

impl Header {
    /// Finds the header.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to do about it.
    pub fn find(input: &Input, options: &ColumnOptions) -> Result<Self, String> {
        let unreadable = |error: Error| format!("{} can't be read: {error}.", input.shown());
        let mut start = Vec::new();
        let text = input.text().map_err(unreadable)?;
        text.take(SEPARATOR_LINE).read_to_end(&mut start).map_err(unreadable)?;
        let separators = match separator_line(&start) {
            Some(separator) => vec![separator],
            None => SEPARATORS.map(|(separator, _)| separator).into(),
        };
        let mut headers = Vec::new();
        let mut reasons = Vec::new();
        for separator in separators {
            match header(input.text().map_err(unreadable)?, separator, options) {
                Ok(header) => headers.push(header),
                Err(reason) => reasons.push(reason),
            }
        }
        let reason = || {
            let reason = reasons.iter().max_by_key(|reason| reason.helpfulness());
            format!(
                "{}: {}",
                input.shown(),
                reason.map_or_else(String::new, NoHeader::shown)
            )
        };
        let widest = headers.into_iter().max_by_key(|header| header.record.fields().len());
        widest.ok_or_else(reason)
    }
}

/// Reads the first records until one is a header.
fn header(text: impl Read, separator: u8, options: &ColumnOptions) -> Result<Header, NoHeader> {
    let mut records = Records::new(text, separator);
    let mut widest: Option<(Unclear, Record)> = None;
    let mut contact = None;
    let mut read = 0;
    while read < TITLE_RECORDS {
        let record = match records.read() {
            Ok(Some(record)) => record,
            Err(error) if read == 0 => return Err(NoHeader::Unreadable(error)),
            // The error is reported when the whole file is checked.
            Ok(None) | Err(_) => break,
        };
        if record.is_blank() || record.line == 1 && separator_line(&record.raw).is_some() {
            continue;
        }
        read += 1;
        let columns = Columns::of(record.fields(), options);
        let is_header = !matches!(&columns, Err(unclear) if !unclear.is_of_a_header());
        if record.fields().len() > 1 && record.fields().iter().any(|field| clean::is_address(field)) {
            // What comes before a contact and has several cells is a header, whatever its titles are.
            if widest.as_ref().is_some_and(|(_, widest)| widest.fields().len() > 1) {
                break;
            }
            contact.get_or_insert(record.line);
        } else if is_header && let Some(contact) = contact {
            return Err(NoHeader::Contact(contact, Some(record.line)));
        } else if record.fault == Some(MANY_CELLS) {
            return Err(NoHeader::Unreadable(Unreadable::Wide { line: record.line }));
        } else {
            match columns {
                Ok(columns) => {
                    return Ok(Header {
                        separator,
                        line_end: records.line_end().unwrap_or(LineEnd::Lf),
                        record,
                        columns,
                    });
                }
                Err(unclear) => {
                    let is_wider = |(_, widest): &(_, Record)| record.fields().len() > widest.fields().len();
                    if contact.is_none() && (is_header || widest.as_ref().is_none_or(is_wider)) {
                        widest = Some((unclear, record));
                    }
                    if is_header {
                        break;
                    }
                }
            }
        }
    }
    Err(match (contact, widest) {
        (Some(contact), _) => NoHeader::Contact(contact, None),
        (None, Some((unclear, record))) => NoHeader::Unclear(unclear, Box::new(record)),
        (None, None) => NoHeader::Unclear(Unclear::NoName, Box::default()),
    })
}

impl NoHeader {
    /// How much it helps to know it. With the wrong separator, a header is one long title.
    fn helpfulness(&self) -> (bool, bool, usize) {
        match self {
            Self::Unclear(unclear, record) => (unclear.is_of_a_header(), false, record.fields().len()),
            Self::Contact(..) => (false, true, 0),
            Self::Unreadable(Unreadable::Quote { .. }) => (false, false, 0),
            Self::Unreadable(_) => (false, false, usize::MAX),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Unclear(unclear, record) => unclear.question(record.fields()),
            Self::Unreadable(error) => format!("{error}."),
            Self::Contact(line, None) => format!(
                "line {line} is a contact, but there is no header above it: add a line with the columns' titles, such as name and email."
            ),
            Self::Contact(line, Some(header)) => format!(
                "line {line} has an address, but the header is on line {header}: remove the lines above line {header}, or move \
                 the contacts among them below it."
            ),
        }
    }
}

/// Excel's `sep=;` above the header.
fn separator_line(head: &[u8]) -> Option<u8> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
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
            ("sep=;\nname;email\n", Some(b';')),
            ("\"SEP=|\"\r\n", Some(b'|')),
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
