//! The file as a table: its rows as contacts.

use std::{fmt::Display, io::Read};

use create_contact::{email::Email, name::Name};
use serde_json::{Value, json};

use crate::{
    clean::{self, Cleaned, Kind},
    columns::{self, Column, PARTS},
    header::{Header, SEPARATORS},
    input::Input,
    names::{self, Parts, other_half, with_comma},
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

const NOT_UTF_8: &str = "the row has bytes that are not UTF-8: write the name or the address again";

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
    pub cleaned: Cleaned,
    /// The contact, or why there is none.
    pub contact: Result<Contact, String>,
}

/// What is sent of a row.
pub struct Contact {
    text: String,
    is_split_differently: bool,
    /// The name that the service will make from it.
    pub name: Name,
    /// The address.
    pub email: Email,
}

impl Contact {
    /// First and last name as they are stored, to show.
    pub fn split(&self) -> String {
        let first = self.name.first();
        match self.name.last() {
            Some(last) => format!("first name \"{first}\", last name \"{last}\""),
            None => format!("first name \"{first}\", no last name"),
        }
    }

    /// The same, if the service splits the name in a different place than the columns.
    pub fn split_differently(&self) -> Option<String> {
        self.is_split_differently.then(|| self.split())
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
        let (input, header) = (&self.input, &self.header);
        let mut separators = SEPARATORS
            .iter()
            .filter(|(separator, _)| *separator == header.separator);
        let separator = separators.next().map_or("another character", |(_, name)| name);
        let (rows, encoding) = (count(rows, "row"), &input.encoding_shown);
        let (line, columns) = (header.record.line, header.columns.shown());
        let skipped = if line > 1 {
            ", the lines above it are skipped"
        } else {
            ""
        };
        format!(
            "{}: {rows}, {encoding}, separated by {separator}, header on line {line}{skipped}.\nColumns: {columns}",
            input.shown
        )
    }

    /// Where the columns of the first file begin, if this one has the rejected rows of another.
    pub fn own_columns(&self) -> usize {
        let titles = [0, 1].map(|index| columns::shown(self.header.record.field(index)));
        if titles == REJECTED_COLUMNS { 2 } else { 0 }
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
        let mut cleaned = Cleaned::new();
        Row {
            line: record.line,
            original: (own > 0).then(original).flatten().unwrap_or(record.line),
            text: record.raw_from(own).to_vec(),
            contact: self.contact(record, &mut cleaned),
            cleaned,
        }
    }

    fn contact(&self, record: &Record, cleaned: &mut Cleaned) -> Result<Contact, String> {
        if let Some(problem) = record.problem {
            return Err(problem.to_owned());
        }
        let width = self.header.record.fields.len();
        // Spreadsheets leave out empty fields at the end, or add some. Extra fields that aren't empty come from a stray separator.
        if record.fields.iter().skip(width).any(|field| !field.is_empty()) {
            return Err(format!(
                "the row has {} cells, but the header has {width}: quote the cell that contains a separator",
                record.fields.len()
            ));
        }
        let (text, is_split_differently) = self.name(record, cleaned)?;
        let email = self.email(record, cleaned)?;
        let name = parsed(&text, Kind::Name, "name", Name::parse);
        match (name, parsed(&email, Kind::Email, "email", Email::parse)) {
            (Ok(name), Ok(email)) => Ok(Contact {
                text,
                is_split_differently,
                name,
                email,
            }),
            (Err(name), Err(email)) => Err(format!("{name}; {email}")),
            (Err(problem), _) | (_, Err(problem)) => Err(problem),
        }
    }

    fn name(&self, record: &Record, cleaned: &mut Cleaned) -> Result<(String, bool), String> {
        let columns = &self.header.columns;
        let mut cell = |role: Role| cell(record, columns.get(role), Kind::Name, cleaned);
        let full = cell(Role::Name)?;
        if columns.name_comes_first && !full.is_empty() {
            return Ok((self.full_name(full)?, false));
        }
        let mut parts = Parts::new();
        for role in PARTS {
            let part = cell(role)?;
            // A placeholder says that there is none. There must be a first or a last name.
            let is_nothing = role != Role::First && role != Role::Last && is_placeholder(&part);
            parts.insert(role, if is_nothing { String::new() } else { part });
        }
        let [first, last] = [Role::First, Role::Last].map(|role| parts[&role].clone());
        if first.is_empty() && last.is_empty() && !full.is_empty() {
            return Ok((self.full_name(full)?, false));
        }
        let mut words = [Role::First, Role::Middle, Role::Last, Role::SecondLast].iter();
        if let Some(doubt) = words.find_map(|role| clean::doubt(&parts[role], Kind::Name)) {
            return Err(doubt);
        }
        // The half that no other column has, if a column of first or last names may have full names.
        let half = match columns.may_be_full {
            Some(Role::First) => other_half(&first, &last).map(|half| (Role::First, half)),
            Some(_) => other_half(&last, &first).map(|half| (Role::Last, half)),
            // First names without last names, and full names that may have them.
            None if columns.get(Role::Last).is_none() && !full.is_empty() && full != first => {
                Some((Role::Last, other_half(&full, &first).ok_or(CONTRADICTION)?))
            }
            None => None,
        };
        parts.extend(half);
        Ok(names::text(&parts))
    }

    /// A full name as the service reads it: with a comma after a last name that comes first. A name in other letters than its
    /// title, such as `John Smith` under `氏名`, is left as it is.
    fn full_name(&self, full: String) -> Result<String, &'static str> {
        let is_latin = |text: &str| text.contains(|c: char| c.is_ascii_alphabetic());
        match self.header.columns.get(Role::Name) {
            Some(column) if column.meaning.is_last_first && (is_latin(&column.title) || !is_latin(&full)) => {
                with_comma(&full).ok_or(LAST_FIRST)
            }
            _ => Ok(full),
        }
    }

    /// The first address that isn't empty. A placeholder is only reported where there is no other.
    fn email(&self, record: &Record, cleaned: &mut Cleaned) -> Result<String, String> {
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

fn cell(record: &Record, column: Option<&Column>, kind: Kind, cleaned: &mut Cleaned) -> Result<String, String> {
    let cell = column.map_or(&[][..], |column| record.field(column.index));
    let text = str::from_utf8(cell).map_err(|_| NOT_UTF_8)?;
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
