//! The file as a table: what separates its columns, where its header is, its rows as contacts.

use std::{
    io::{self, Read as _},
    ops::Range,
};

use create_contact::new_contact::{InvalidBody, NewContact};
use serde_json::{Value, json};

use crate::{
    clean::{self, Kind},
    columns::{self, Column, Columns, Missing},
    input::Input,
    names::{Parts, Text},
    options::ColumnOptions,
    records::{LineEnd, Record, Records, Unreadable},
};

/// Enough for title lines and any header.
const HEAD_BYTES: u64 = 64 * 1024;
/// How many records may be above the header.
const TITLE_RECORDS: usize = 50;
const SEPARATORS: [(u8, &str); 4] = [
    (b',', "commas"),
    (b';', "semicolons"),
    (b'\t', "tabs"),
    (b'|', "vertical bars"),
];
/// The columns that a file of rejected rows has before those of its input. They come first, because a row with too many
/// fields would hide columns at the end.
pub const REJECTED_COLUMNS: [&str; 2] = ["rejected line", "rejected because"];

/// A CSV file with a header that has the columns of a contact.
pub struct Table {
    /// The file.
    pub input: Input,
    /// What separates its columns.
    pub separator: u8,
    /// What ends its rows.
    pub line_end: LineEnd,
    /// Its header.
    pub header: Record,
    columns: Columns,
}

/// A row of the file.
pub struct Row {
    /// The line on which it begins.
    pub line: u64,
    /// The line that it had in the first file, if this one has the rejected rows of another.
    pub original: u64,
    /// The row as it is in the file.
    pub record: Record,
    /// What was cleaned in it.
    pub cleaned: Vec<&'static str>,
    /// The service will split the name in a different place than the columns.
    pub is_split_differently: bool,
}

/// What is sent of a row.
pub struct Contact {
    text: String,
    is_split_differently: bool,
    /// The contact that the service will make from it.
    pub parsed: NewContact,
}

impl Contact {
    /// The request's body.
    pub fn body(&self, workspace: &str) -> Value {
        json!({ "workspaceId": workspace, "name": self.text, "email": self.parsed.email.as_str() })
    }
}

/// The header that one of the separators gives.
struct Candidate {
    separator: u8,
    header: Record,
    line_end: LineEnd,
    columns: Result<Columns, NoHeader>,
}

/// Why there is no header.
enum NoHeader {
    /// The likeliest record lacks something.
    Missing(Missing),
    /// A contact comes before any header.
    Contact(u64),
}

impl Table {
    /// Finds the header, and with it the separator.
    ///
    /// # Errors
    ///
    /// A helpful sentence, if there is no header.
    pub fn find(input: Input, options: &ColumnOptions) -> Result<Self, String> {
        let mut head = Vec::new();
        input
            .text()
            .and_then(|text| text.take(HEAD_BYTES).read_to_end(&mut head))
            .map_err(|error| format!("{} can't be read: {error}.", input.shown()))?;
        let said = separator_line(&head);
        let mut candidates: Vec<Candidate> = match said {
            Some(separator) => vec![candidate(&head, separator, options)],
            None => SEPARATORS
                .map(|(separator, _)| candidate(&head, separator, options))
                .into(),
        };
        // The separator that gives a contact's columns, or else the one with the most helpful error.
        candidates.sort_by_key(|candidate| {
            let is_contact = matches!(candidate.columns, Err(NoHeader::Contact(_)));
            (candidate.columns.is_ok(), is_contact, candidate.header.fields().len())
        });
        let Some(candidate) = candidates.pop() else {
            return Err(format!("{} is empty.", input.shown()));
        };
        let columns = candidate
            .columns
            .map_err(|reason| format!("{}: {}", input.shown(), complaint(&reason, &candidate.header)))?;
        Ok(Self {
            input,
            separator: candidate.separator,
            line_end: candidate.line_end,
            header: candidate.header,
            columns,
        })
    }

    /// Reads the file to its end, and counts its rows.
    ///
    /// # Errors
    ///
    /// It can't be read to its end, or has no rows: a sentence.
    pub fn check(&self) -> Result<u64, String> {
        let mut rows = 0;
        for row in self.rows() {
            let _ = row.map_err(|error| format!("{}: {error}. Nothing was sent.", self.input.shown()))?;
            rows += 1;
        }
        if rows == 0 {
            return Err(format!(
                "{} has a header on line {}, but no rows.",
                self.input.shown(),
                self.header.line
            ));
        }
        Ok(rows)
    }

    /// The rows that aren't blank, each with its contact or the reason why there is none. Ends after the first error.
    pub fn rows(&self) -> impl Iterator<Item = Result<(Row, Result<Contact, String>), Unreadable>> + '_ {
        let mut records = self.input.text().map(|text| Records::new(text, self.separator));
        let mut ended = false;
        std::iter::from_fn(move || {
            while !ended {
                let record = match &mut records {
                    Ok(records) => records.read(),
                    Err(error) => Err(Unreadable::Io(io::Error::new(error.kind(), error.to_string()))),
                };
                let row = match record {
                    Ok(None) => return None,
                    Ok(Some(record)) if record.line <= self.header.line || record.is_blank() => continue,
                    Ok(Some(record)) => match self.swallowing_quote(&record) {
                        Some(line) => Err(Unreadable::Quote { line }),
                        None => Ok(self.row(record)),
                    },
                    Err(error) => Err(error),
                };
                ended = row.is_err();
                return Some(row);
            }
            None
        })
    }

    /// What the file is, and what its columns are taken for: two lines.
    pub fn shown(&self, rows: u64) -> String {
        let separators = SEPARATORS.iter().find(|(separator, _)| *separator == self.separator);
        let header = match self.header.line {
            1 => "header on line 1".to_owned(),
            line => format!("header on line {line}, the lines above it are skipped"),
        };
        format!(
            "{}: {}, {}, separated by {}, {header}.\nColumns: {}",
            self.input.shown(),
            crate::terminal::count(rows, "row"),
            self.input.encoding_shown(),
            separators.map_or("another character", |(_, name)| name),
            self.columns.shown(),
        )
    }

    /// Whether the file has the rejected rows of another.
    pub fn is_rejected(&self) -> bool {
        let title = |index| columns::shown(self.header.field(index));
        title(0) == REJECTED_COLUMNS[0] && title(1) == REJECTED_COLUMNS[1]
    }

    /// Where the columns of the first file begin.
    pub fn own_columns(&self) -> usize {
        if self.is_rejected() { REJECTED_COLUMNS.len() } else { 0 }
    }

    /// The line of a quote that opens a cell with whole rows in it: it was closed by the quote of another cell. Such a row is a
    /// line within the cell that has the header's number of fields, and an address where the header has it.
    fn swallowing_quote(&self, record: &Record) -> Option<u64> {
        let width = self.header.fields().len();
        let email = self.columns.emails.first()?.index;
        let is_row = |line: &[u8]| {
            let fields: Vec<&[u8]> = line.trim_ascii_end().split(|&byte| byte == self.separator).collect();
            fields.len() == width && clean::is_address(fields[email])
        };
        let swallows = |(field, _): &&(usize, Range<u64>)| {
            let mut lines = record.field(*field).split(|byte| matches!(byte, b'\r' | b'\n'));
            lines.next();
            lines.any(is_row)
        };
        record.spans().iter().find(swallows).map(|(_, lines)| lines.start)
    }

    fn row(&self, record: Record) -> (Row, Result<Contact, String>) {
        let original = self
            .is_rejected()
            .then(|| str::from_utf8(record.field(0)).ok()?.trim().parse().ok())
            .flatten();
        let mut cleaned = Vec::new();
        let contact = self.contact(&record, &mut cleaned);
        let row = Row {
            line: record.line,
            original: original.unwrap_or(record.line),
            cleaned,
            is_split_differently: contact.as_ref().is_ok_and(|contact| contact.is_split_differently),
            record,
        };
        (row, contact)
    }

    fn contact(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<Contact, String> {
        if let Some(fault) = record.fault {
            return Err(fault.to_owned());
        }
        let width = self.header.fields().len();
        // Spreadsheets leave out empty fields at the end, or add some. Extra fields that aren't empty come from a stray separator.
        if record.fields().iter().skip(width).any(|field| !field.is_empty()) {
            return Err(format!(
                "the row has {} cells, but the header has {width}: quote the cell that contains a separator",
                record.fields().len()
            ));
        }
        let name = self.name(record, cleaned)?;
        let email = self.email(record, cleaned)?;
        let separator = char::from(self.separator);
        let doubts = [
            clean::doubt_about_name(&name.text, separator),
            clean::doubt_about_email(&email),
        ];
        if doubts.iter().any(Option::is_some) {
            return Err(doubts.into_iter().flatten().collect::<Vec<_>>().join("; "));
        }
        // Any workspace will do: it is the same for all rows, and was checked with the options.
        let body = json!({ "workspaceId": uuid::Uuid::nil(), "name": name.text, "email": email }).to_string();
        match NewContact::parse(body.as_bytes()) {
            Ok(parsed) => Ok(Contact {
                text: name.text,
                is_split_differently: name.is_split_differently,
                parsed,
            }),
            Err(InvalidBody::Fields(faults)) => {
                let empty = [
                    (name.text.is_empty(), "name", "there is no name"),
                    (email.is_empty(), "email", "there is no address"),
                ];
                let words = |fault: &str| {
                    let instead = empty
                        .iter()
                        .find(|(is_empty, member, _)| *is_empty && fault.starts_with(member));
                    instead.map_or(fault.to_owned(), |(.., words)| (*words).to_owned())
                };
                Err(faults.into_iter().map(words).collect::<Vec<_>>().join("; "))
            }
            Err(_) => Err("the row can't be sent as a request".to_owned()),
        }
    }

    fn name(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<Text, String> {
        let columns = &self.columns;
        let mut cell = |column: &Option<Column>| cell(record, column.as_ref(), Kind::Name, cleaned);
        let full = cell(&columns.name)?;
        if !full.is_empty() {
            return Ok(as_it_is(full));
        }
        let parts = Parts {
            first: cell(&columns.first)?,
            middle: cell(&columns.middle)?,
            particle: cell(&columns.particle)?,
            last: cell(&columns.last)?,
            second_last: cell(&columns.second_last)?,
            suffix: cell(&columns.suffix)?,
        };
        for part in [&parts.first, &parts.middle, &parts.last, &parts.second_last] {
            if let Some(doubt) = clean::doubt_about_name(part, char::from(self.separator)) {
                return Err(doubt.to_owned());
            }
        }
        let (first, last) = (&parts.first, &parts.last);
        if columns.first_may_be_full && first.ends_with(&format!(" {last}")) {
            return Ok(as_it_is(parts.first));
        }
        if columns.last_may_be_full && (last.starts_with(&format!("{first} ")) || last.ends_with(&format!(", {first}")))
        {
            return Ok(as_it_is(parts.last));
        }
        Ok(parts.text())
    }

    /// The first address that isn't empty.
    fn email(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<String, String> {
        for column in &self.columns.emails {
            let email = cell(record, Some(column), Kind::Email, cleaned)?;
            if !email.is_empty() {
                return Ok(email);
            }
        }
        Ok(String::new())
    }
}

fn as_it_is(text: String) -> Text {
    Text {
        text,
        is_split_differently: false,
    }
}

fn cell(
    record: &Record,
    column: Option<&Column>,
    kind: Kind,
    cleaned: &mut Vec<&'static str>,
) -> Result<String, String> {
    let Some(column) = column else {
        return Ok(String::new());
    };
    let text = str::from_utf8(record.field(column.index))
        .map_err(|_| "the row has bytes that are not UTF-8: write the name or the address again".to_owned())?;
    let cell = clean::clean(text, kind);
    cleaned.extend(cell.cleaned);
    Ok(cell.text)
}

/// Excel's `sep=;` above the header.
fn separator_line(head: &[u8]) -> Option<u8> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    let (key, rest) = line.split_at_checked(4)?;
    let rest = rest.strip_suffix(b"\"").unwrap_or(rest);
    (key.eq_ignore_ascii_case(b"sep=") && rest.len() == 1 && rest[0] != b'"').then(|| rest[0])
}

fn candidate(head: &[u8], separator: u8, options: &ColumnOptions) -> Candidate {
    let mut records = Records::new(head, separator);
    let mut widest = Record::default();
    let mut above = 0;
    let mut columns = Err(NoHeader::Missing(Missing::Name));
    // A record that can't be read has no header. The error is reported when the whole file is checked.
    while let Ok(Some(record)) = records.read()
        && above < TITLE_RECORDS
    {
        if record.is_blank() || record.line == 1 && separator_line(&record.raw).is_some() {
            continue;
        }
        above += 1;
        if record.fields().len() > 1 && record.fields().iter().any(|field| clean::is_address(field)) {
            if widest.fields().len() <= 1 {
                columns = Err(NoHeader::Contact(record.line));
            }
            break;
        }
        let found = Columns::of(record.fields(), options);
        let is_header = found.is_ok();
        if is_header || record.fields().len() > widest.fields().len() {
            columns = found.map_err(NoHeader::Missing);
            widest = record;
        }
        if is_header {
            break;
        }
    }
    Candidate {
        separator,
        line_end: records.line_end().unwrap_or(LineEnd::Lf),
        header: widest,
        columns,
    }
}

fn complaint(reason: &NoHeader, header: &Record) -> String {
    let titles: Vec<String> = header.fields().iter().map(|title| columns::shown(title)).collect();
    // A cell with an address isn't a title, and must not be shown.
    let there_are = if titles.iter().any(|title| title.contains('@')) {
        format!("line {} doesn't look like a header", header.line)
    } else {
        format!("the columns are {}", columns::listed(&titles))
    };
    match reason {
        NoHeader::Contact(line) => format!(
            "line {line} is a contact, but there is no header above it: add a line with the columns' titles, such as name and email."
        ),
        NoHeader::Missing(Missing::Named(title)) => {
            format!("there is no column {}; {there_are}.", crate::terminal::shortened(title))
        }
        NoHeader::Missing(Missing::Name) => format!(
            "which column has the name? Set it with --name-column, or with --first-name-column and --last-name-column; {there_are}."
        ),
        NoHeader::Missing(Missing::Email) => {
            format!("which column has the address? Set it with --email-column; {there_are}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Result<Table, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("contacts.csv");
        std::fs::write(&path, text).unwrap();
        Table::find(Input::open(&path, None)?, &ColumnOptions::default())
    }

    #[test]
    fn a_header_is_found_below_49_lines_and_any_blank_ones() {
        let title = "x".repeat(40);
        let header = |titles: usize, blank: usize| {
            let text = format!(
                "{}{}name,email\nAnn,ann@acme.de\n",
                format!("{title}\n").repeat(titles),
                "\n".repeat(blank)
            );
            find(&text).map(|table| table.header.line)
        };
        assert_eq!(header(0, 0), Ok(1));
        assert_eq!(header(49, 100), Ok(150));
        assert!(header(50, 0).is_err());
        // A line of one cell is a title, even if it is an address.
        assert_eq!(find("ann@acme.de\nname,email\n").unwrap().header.line, 2);
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

    #[test]
    fn only_both_titles_make_a_file_of_rejected_rows() {
        for (header, is_rejected) in [
            ("rejected line,rejected because,name,email", true),
            ("rejected line,why,name,email", false),
            ("line,rejected because,name,email", false),
        ] {
            let table = find(&format!("{header}\n7,because,Ann,ann@acme.de\n")).unwrap();
            assert_eq!(table.is_rejected(), is_rejected, "{header}");
        }
    }
}
