//! The file as a table: its rows as contacts.

use std::{
    io::{self, Read},
    ops::Range,
};

use create_contact::new_contact::{InvalidBody, NewContact};
use serde_json::{Value, json};

use crate::{
    clean::{self, Kind},
    columns::{self, Column, Columns},
    header::{Header, SEPARATORS},
    input::Input,
    names::{Parts, Text, other_half, with_comma},
    options::ColumnOptions,
    placeholders::is_placeholder,
    records::{LineEnd, Record, Records, Unreadable, opens_after_spaces},
    titles::{Role, is_last_first},
};

/// The columns that a file of rejected rows has before those of its input. They come first, because a row with too many
/// fields would hide columns at the end.
pub const REJECTED_COLUMNS: [&str; 2] = ["rejected line", "rejected because"];

const LAST_FIRST: &str =
    "the last name comes first in this column, but it isn't clear where it ends: write a comma after it";

const CONTRADICTION: &str = "the full name doesn't have the first name in it: correct one of them, or say with --name-column which \
                             column to use";

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
    opens_after_spaces: bool,
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
    /// First and last name as they are stored, if the service splits the name in a different place than the columns.
    pub split_differently: Option<String>,
}

/// What is sent of a row.
pub struct Contact {
    text: String,
    is_split_differently: bool,
    /// The contact that the service will make from it.
    pub parsed: NewContact,
}

impl Contact {
    /// First and last name as they are stored, for people.
    pub fn split(&self) -> String {
        let name = &self.parsed.name;
        match name.last() {
            Some(last) => format!("first name \"{}\", last name \"{last}\"", name.first()),
            None => format!("first name \"{}\", no last name", name.first()),
        }
    }

    /// The request's body.
    pub fn body(&self, workspace: &str) -> Value {
        json!({ "workspaceId": workspace, "name": self.text, "email": self.parsed.email.as_str() })
    }
}

impl Table {
    /// Finds the header, and with it the separator.
    ///
    /// # Errors
    ///
    /// A helpful message, if there is no header.
    pub fn find(input: Input, options: &ColumnOptions) -> Result<Self, String> {
        let header = Header::find(&input, options)?;
        let text = input.text();
        Ok(Self {
            opens_after_spaces: text.is_ok_and(|text| opens_after_spaces(text, header.separator)),
            input,
            separator: header.separator,
            line_end: header.line_end,
            header: header.record,
            columns: header.columns,
        })
    }

    /// Reads the file to its end, and counts its rows.
    ///
    /// # Errors
    ///
    /// It can't be read to its end, has no rows, or only half of the names: a message.
    pub fn check(&self) -> Result<u64, String> {
        let mut rows = 0;
        let mut candidates = vec![
            false;
            if self.columns.missing.is_some() {
                self.header.fields().len()
            } else {
                0
            }
        ];
        for row in self.rows() {
            let (row, _) = row.map_err(|error| format!("{}: {error}. Nothing was sent.", self.input.shown()))?;
            rows += 1;
            for (is_candidate, field) in candidates.iter_mut().zip(row.record.fields()) {
                *is_candidate |= may_be_name(field);
            }
        }
        if rows == 0 {
            return Err(format!(
                "{} has a header on line {}, but no rows.",
                self.input.shown(),
                self.header.line
            ));
        }
        let unused = self
            .columns
            .unused
            .iter()
            .filter(|column| column.index >= self.own_columns());
        let candidates: Vec<&Column> = unused
            .filter(|column| candidates.get(column.index) == Some(&true))
            .collect();
        if !candidates.is_empty() {
            return Err(format!(
                "{}: {}",
                self.input.shown(),
                self.columns.question(&candidates)
            ));
        }
        Ok(rows)
    }

    /// The records of a text in this table's format.
    pub fn records<R: Read>(&self, text: R) -> Records<R> {
        Records::new(text, self.separator).opening_after_spaces(self.opens_after_spaces)
    }

    /// The rows that aren't blank, each with its contact or the reason why there is none. Ends after the first error.
    pub fn rows(&self) -> impl Iterator<Item = Result<(Row, Result<Contact, String>), Unreadable>> + '_ {
        let mut records = self.input.text().map(|text| self.records(text));
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
            split_differently: contact
                .as_ref()
                .ok()
                .filter(|contact| contact.is_split_differently)
                .map(Contact::split),
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
            Ok(_) if clean::is_address(name.text.as_bytes()) => {
                Err("the name is an address: a contact needs a name".to_owned())
            }
            Ok(parsed) => Ok(Contact {
                text: name.text,
                is_split_differently: name.is_split_differently,
                parsed,
            }),
            Err(InvalidBody::Members(problems)) => {
                let empty = [
                    (name.text.is_empty(), "name", "there is no name"),
                    (email.is_empty(), "email", "there is no address"),
                ];
                let words = |problem: &String| {
                    let instead = empty
                        .iter()
                        .find(|(is_empty, member, _)| *is_empty && problem.starts_with(member));
                    instead.map_or(problem.clone(), |(.., words)| (*words).to_owned())
                };
                Err(problems.iter().map(words).collect::<Vec<_>>().join("; "))
            }
            Err(_) => Err("the row can't be sent as a request".to_owned()),
        }
    }

    fn name(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<Text, String> {
        let columns = &self.columns;
        let mut cell = |role: Role| cell(record, columns.get(role), Kind::Name, cleaned);
        let full = cell(Role::Name)?;
        if columns.name_comes_first && !full.is_empty() {
            return self.full_name(full);
        }
        let (first, last) = (cell(Role::First)?, cell(Role::Last)?);
        // A placeholder says that there is none. There must be a first or a last name.
        let mut optional = |role: Role| cell(role).map(|text| if is_placeholder(&text) { String::new() } else { text });
        let mut parts = Parts {
            first,
            middle: optional(Role::Middle)?,
            prefix: optional(Role::Prefix)?,
            particle: optional(Role::Particle)?,
            last,
            second_last: optional(Role::SecondLast)?,
            suffix: optional(Role::Suffix)?,
        };
        if parts.first.is_empty() && parts.last.is_empty() && !full.is_empty() {
            return self.full_name(full);
        }
        for part in [&parts.first, &parts.middle, &parts.last, &parts.second_last] {
            if let Some(doubt) = clean::doubt_about_name(part, char::from(self.separator)) {
                return Err(doubt.to_owned());
            }
        }
        match columns.may_be_full {
            Some(Role::First) => {
                if let Some(first) = other_half(&parts.first, &parts.last) {
                    parts.first = first.to_owned();
                }
            }
            Some(_) => {
                if let Some(last) = other_half(&parts.last, &parts.first) {
                    parts.last = last.to_owned();
                }
            }
            // First names without last names, and full names that may have them.
            None if columns.get(Role::Last).is_none() && !full.is_empty() && full != parts.first => {
                other_half(&full, &parts.first)
                    .ok_or(CONTRADICTION)?
                    .clone_into(&mut parts.last);
            }
            None => {}
        }
        Ok(parts.text())
    }

    /// A full name as the service reads it: with a comma after a last name that comes first. A name in other letters than its
    /// title, such as `John Smith` under `氏名`, is left as it is.
    fn full_name(&self, full: String) -> Result<Text, String> {
        let title = self.columns.get(Role::Name).map_or("", |column| &column.title);
        let is_latin = |text: &str| text.contains(|c: char| c.is_ascii_alphabetic());
        let text = if is_last_first(title) && (is_latin(title) || !is_latin(&full)) {
            with_comma(&full).ok_or(LAST_FIRST)?
        } else {
            full
        };
        Ok(Text {
            text,
            is_split_differently: false,
        })
    }

    /// The first address that isn't empty. A placeholder is only reported where there is no other.
    fn email(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<String, String> {
        let mut placeholder = String::new();
        for column in &self.columns.emails {
            let email = cell(record, Some(column), Kind::Email, cleaned)?;
            if !email.contains('@') && is_placeholder(&email) {
                placeholder = email;
            } else if !email.is_empty() {
                return Ok(email);
            }
        }
        Ok(placeholder)
    }
}

/// Whether a cell may have a name, or half of one: words without digits.
fn may_be_name(cell: &[u8]) -> bool {
    let is_other = |c: char| c.is_numeric() || c == '@';
    str::from_utf8(cell).is_ok_and(|cell| cell.contains(char::is_alphabetic) && !cell.contains(is_other))
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

    #[test]
    fn first_names_alone_are_asked_about_if_another_column_may_have_the_last_names() {
        for (header, row, is_asked) in [
            ("first name,email,family", "Ann,ann@acme.de,Lee", true),
            ("first name,email,family", "Ann,ann@acme.de,", false),
            ("first name,email,phone", "Ann,ann@acme.de,+49 30", false),
            (
                "first name,email,since,other",
                "Ann,ann@acme.de,2 May 2025,bob@acme.de",
                false,
            ),
            ("first name,last name,email,town", "Ann,,ann@acme.de,Bonn", false),
            (
                "rejected line,rejected because,first name,email",
                "7,why,Ann,ann@acme.de",
                false,
            ),
        ] {
            let checked = find(&format!("{header}\n{row}\n")).unwrap().check();
            assert_eq!(checked.is_err(), is_asked, "{header}: {checked:?}");
        }
    }
}
