//! The file as a table: its rows as contacts.

use std::{fmt::Display, io::Read};

use create_contact::{email::Email, name::Name};
use serde_json::{Value, json};

use crate::{
    clean::{self, Kind},
    columns::{self, Column},
    header::{Header, SEPARATORS},
    input::Input,
    names::{Parts, Text, other_half, with_comma},
    options::ColumnOptions,
    placeholders::is_placeholder,
    records::{Record, Records, Unreadable, opens_after_spaces},
    terminal::count,
    titles::Role,
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
    /// Its header.
    pub header: Header,
    opens_after_spaces: bool,
}

/// A row of the file.
pub struct Row {
    /// The line on which it begins.
    pub line: u64,
    /// The line that it had in the first file, if this one has the rejected rows of another.
    pub original: u64,
    /// Its text in the file, without the columns that a file of rejected rows adds.
    pub text: Vec<u8>,
    /// What was cleaned in it.
    pub cleaned: Vec<&'static str>,
    /// The contact, or why there is none.
    pub contact: Result<Contact, String>,
}

/// What is sent of a row.
pub struct Contact {
    text: String,
    /// The service splits the name in a different place than the columns.
    pub is_split_differently: bool,
    /// The name that the service will make from it.
    pub name: Name,
    /// The address.
    pub email: Email,
}

impl Contact {
    /// First and last name as they are stored, for people.
    pub fn split(&self) -> String {
        let first = self.name.first();
        match self.name.last() {
            Some(last) => format!("first name \"{first}\", last name \"{last}\""),
            None => format!("first name \"{first}\", no last name"),
        }
    }

    /// The request's body.
    pub fn body(&self, workspace: &str) -> Value {
        json!({ "workspaceId": workspace, "name": self.text, "email": self.email.as_str() })
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
        let opens_after_spaces = opens_after_spaces(input.text()?, header.separator);
        Ok(Self {
            input,
            header,
            opens_after_spaces,
        })
    }

    /// Reads the file to its end, and counts its rows.
    ///
    /// # Errors
    ///
    /// It can't be read to its end, has no rows, or only half of the names: a message.
    pub fn check(&self) -> Result<u64, String> {
        let (shown, columns) = (&self.input.shown, &self.header.columns);
        let mut rows = 0;
        let mut candidates: Vec<&Column> = Vec::new();
        let mut unused: Vec<&Column> = columns.unused.iter().collect();
        unused.retain(|column| columns.missing.is_some() && column.index >= self.own_columns());
        for record in self.row_records()? {
            let record = record.map_err(|error| format!("{shown}: {error}. Nothing was sent."))?;
            rows += 1;
            candidates.extend(unused.extract_if(.., |column| may_be_name(record.field(column.index))));
        }
        candidates.sort_by_key(|column| column.index);
        if rows == 0 {
            let line = self.header.record.line;
            return Err(format!("{shown} has a header on line {line}, but no rows."));
        }
        if !candidates.is_empty() {
            return Err(format!("{shown}: {}", columns.question(&candidates)));
        }
        Ok(rows)
    }

    /// The records of a text in this table's format.
    pub fn records<R: Read>(&self, text: R) -> Records<R> {
        let mut records = Records::new(text, self.header.separator);
        records.opens_after_spaces = self.opens_after_spaces;
        records
    }

    /// The rows that aren't blank. Ends before the first error, which [`Self::check`] has reported.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let records = self.row_records().into_iter().flatten().map_while(Result::ok);
        records.map(|record| self.row(&record))
    }

    /// The records below the header that aren't blank.
    fn row_records(&self) -> Result<impl Iterator<Item = Result<Record, Unreadable>> + '_, String> {
        let mut records = self.records(self.input.text()?);
        let records = std::iter::from_fn(move || records.read().transpose());
        Ok(records.filter_map(|record| match record {
            Ok(record) if record.line <= self.header.record.line || record.is_blank() => None,
            Ok(record) => Some(match self.swallowing_quote(&record) {
                Some(line) => Err(Unreadable::Quote(line)),
                None => Ok(record),
            }),
            error => Some(error),
        }))
    }

    /// What the file is, and what its columns are taken for: two lines.
    pub fn shown(&self, rows: u64) -> String {
        let separators = SEPARATORS
            .iter()
            .find(|(separator, _)| *separator == self.header.separator);
        let header = match self.header.record.line {
            1 => "header on line 1".to_owned(),
            line => format!("header on line {line}, the lines above it are skipped"),
        };
        format!(
            "{}: {}, {}, separated by {}, {header}.\nColumns: {}",
            self.input.shown,
            count(rows, "row"),
            self.input.encoding_shown(),
            separators.map_or("another character", |(_, name)| name),
            self.header.columns.shown(),
        )
    }

    /// Where the columns of the first file begin, if this one has the rejected rows of another.
    pub fn own_columns(&self) -> usize {
        let titles = [0, 1].map(|index| columns::shown(self.header.record.field(index)));
        if titles == REJECTED_COLUMNS {
            REJECTED_COLUMNS.len()
        } else {
            0
        }
    }

    /// The line of a quote that opens a cell with whole rows in it: it was closed by the quote of another cell. Such a row is a
    /// line within the cell that has the header's number of fields, and an address where the header has it.
    fn swallowing_quote(&self, record: &Record) -> Option<u64> {
        let width = self.header.record.fields.len();
        let email = self.header.columns.emails.first()?.index;
        let is_row = |line: &[u8]| {
            let separator = |byte: &u8| *byte == self.header.separator;
            let fields: Vec<&[u8]> = line.trim_ascii_end().split(separator).collect();
            fields.len() == width && clean::is_address(fields[email])
        };
        let swallows = |(field, _): &&(usize, u64)| {
            let lines = record.field(*field).split(|byte| matches!(byte, b'\r' | b'\n'));
            lines.skip(1).any(is_row)
        };
        record.spans.iter().find(swallows).map(|(_, line)| *line)
    }

    fn row(&self, record: &Record) -> Row {
        let own = self.own_columns();
        let original = || str::from_utf8(record.field(0)).ok()?.trim().parse().ok();
        let mut cleaned = Vec::new();
        Row {
            line: record.line,
            original: (own > 0).then(original).flatten().unwrap_or(record.line),
            text: record.raw_from(own).to_vec(),
            contact: self.contact(record, &mut cleaned),
            cleaned,
        }
    }

    fn contact(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<Contact, String> {
        if let Some(fault) = record.fault {
            return Err(fault.to_owned());
        }
        let width = self.header.record.fields.len();
        // Spreadsheets leave out empty fields at the end, or add some. Extra fields that aren't empty come from a stray separator.
        if record.fields.iter().skip(width).any(|field| !field.is_empty()) {
            return Err(format!(
                "the row has {} cells, but the header has {width}: quote the cell that contains a separator",
                record.fields.len()
            ));
        }
        let name = self.name(record, cleaned)?;
        let email = self.email(record, cleaned)?;
        match (
            parsed(&name.text, Kind::Name, "name", Name::parse),
            parsed(&email, Kind::Email, "email", Email::parse),
        ) {
            (Ok(parsed), Ok(email)) => Ok(Contact {
                text: name.text,
                is_split_differently: name.is_split_differently,
                name: parsed,
                email,
            }),
            (name, email) => {
                let problems = name.err().into_iter().chain(email.err());
                Err(problems.collect::<Vec<_>>().join("; "))
            }
        }
    }

    fn name(&self, record: &Record, cleaned: &mut Vec<&'static str>) -> Result<Text, String> {
        let columns = &self.header.columns;
        let mut cell = |role: Role| cell(record, columns.get(role), Kind::Name, cleaned);
        let full = cell(Role::Name)?;
        if columns.name_comes_first && !full.is_empty() {
            return self.full_name(full);
        }
        let (mut first, mut last) = (cell(Role::First)?, cell(Role::Last)?);
        if first.is_empty() && last.is_empty() && !full.is_empty() {
            return self.full_name(full);
        }
        // A placeholder says that there is none. There must be a first or a last name.
        let mut optional = |role: Role| cell(role).map(|text| if is_placeholder(&text) { String::new() } else { text });
        let (middle, second_last) = (optional(Role::Middle)?, optional(Role::SecondLast)?);
        let parts = [&first, &middle, &last, &second_last];
        if let Some(doubt) = parts.iter().find_map(|part| clean::doubt(part, Kind::Name)) {
            return Err(doubt);
        }
        match columns.may_be_full {
            Some(Role::First) => first = other_half(&first, &last).unwrap_or(first),
            Some(_) => last = other_half(&last, &first).unwrap_or(last),
            // First names without last names, and full names that may have them.
            None if columns.get(Role::Last).is_none() && !full.is_empty() && full != first => {
                last = other_half(&full, &first).ok_or(CONTRADICTION)?;
            }
            None => {}
        }
        let parts = Parts {
            first,
            middle,
            prefix: optional(Role::Prefix)?,
            particle: optional(Role::Particle)?,
            last,
            second_last,
            suffix: optional(Role::Suffix)?,
        };
        Ok(parts.text())
    }

    /// A full name as the service reads it: with a comma after a last name that comes first. A name in other letters than its
    /// title, such as `John Smith` under `氏名`, is left as it is.
    fn full_name(&self, full: String) -> Result<Text, String> {
        let is_latin = |text: &str| text.contains(|c: char| c.is_ascii_alphabetic());
        let is_last_first =
            |column: &Column| column.meaning.is_last_first && (is_latin(&column.title) || !is_latin(&full));
        let text = if self.header.columns.get(Role::Name).is_some_and(is_last_first) {
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
        for column in &self.header.columns.emails {
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

/// A name or an address as the service reads it, or what is wrong with it.
fn parsed<T, E: Display>(text: &str, kind: Kind, member: &str, parse: fn(&str) -> Result<T, E>) -> Result<T, String> {
    if text.is_empty() {
        return Err(format!("there is no {kind}"));
    }
    match clean::doubt(text, kind) {
        Some(doubt) => Err(doubt),
        None => parse(text).map_err(|problem| format!("{member} {problem}")),
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
    let cell = column.map_or(&[][..], |column| record.field(column.index));
    let text = str::from_utf8(cell)
        .map_err(|_| "the row has bytes that are not UTF-8: write the name or the address again")?;
    Ok(clean::clean(text, kind, cleaned))
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
            assert_eq!(table.own_columns() > 0, is_rejected, "{header}");
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
