//! The CSV file: what separates its columns, which of them matter, its rows.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator, Writer, WriterBuilder};
use encoding_rs::Encoding;
use encoding_rs_io::DecodeReaderBytesBuilder;
use serde_json::{Value, json};

use crate::options::Options;

/// Enough for any header.
const HEAD_BYTES: u64 = 64 * 1024;
const DELIMITERS: [u8; 3] = *b",;\t";
const UTF_8_BOM: &[u8] = b"\xef\xbb\xbf";
/// What the file of rejected rows has before the columns of its input; after them, a row with too many fields would hide it.
const REJECTED_COLUMNS: [&str; 2] = ["rejected line", "rejected because"];

/// A CSV file with a header that has the columns of a contact.
pub struct Table {
    path: PathBuf,
    encoding: Option<&'static Encoding>,
    byte_order_mark: bool,
    delimiter: u8,
    terminator: Terminator,
    header: ByteRecord,
    columns: Columns,
}

struct Columns {
    name: NameColumns,
    email: usize,
}

enum NameColumns {
    Full(usize),
    FirstAndLast(usize, usize),
}

/// A row of the file.
pub struct Row {
    /// The line on which it begins; the header is line 1.
    pub line: u64,
    /// All its fields.
    pub fields: ByteRecord,
    /// The contact in it, or why there is none.
    pub contact: Result<Contact, String>,
}

/// What is sent of a row.
pub struct Contact {
    name: String,
    email: String,
}

impl Contact {
    /// The request's body.
    pub fn body(&self, workspace_id: &str) -> Value {
        json!({ "workspaceId": workspace_id, "name": self.name, "email": self.email })
    }
}

impl Table {
    /// Reads the file's head.
    pub fn open(options: &Options) -> Result<Self, String> {
        let path = &options.file;
        let broken = |error: io::Error| unreadable(path, &error);
        let mut raw = Vec::new();
        let file = File::open(path).map_err(broken)?;
        file.take(HEAD_BYTES).read_to_end(&mut raw).map_err(broken)?;
        let mut head = Vec::new();
        decoded(raw.as_slice(), options.encoding)
            .read_to_end(&mut head)
            .map_err(broken)?;

        let mut headers = DELIMITERS
            .map(|delimiter| {
                let mut header = ByteRecord::new();
                // What is no record has no columns either, and that is said below.
                let _ = read_record(&mut reader(delimiter, head.as_slice()), &mut header);
                (delimiter, header)
            })
            .into_iter()
            .map(|(delimiter, header)| (columns(&header, options), delimiter, header))
            .collect::<Vec<_>>();
        // The one that makes columns of a contact, else the one that makes most columns: its complaint is the best.
        headers.sort_by_key(|(columns, _, header)| (columns.is_ok(), header.len()));
        let (columns, delimiter, header) = headers.pop().ok_or("there are delimiters")?;
        let columns = columns.map_err(|reason| format!("{}: {reason}", path.display()))?;
        let first_line = head.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default();
        Ok(Self {
            path: path.clone(),
            encoding: options.encoding,
            byte_order_mark: raw.starts_with(UTF_8_BOM) || raw.starts_with(b"\xff\xfe") || raw.starts_with(b"\xfe\xff"),
            delimiter,
            terminator: if first_line.ends_with(b"\r\n") {
                Terminator::CRLF
            } else {
                Terminator::Any(b'\n')
            },
            header,
            columns,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the rows, without those that have nothing in them; a file that can't be read on ends with a row that says so.
    pub fn rows(&self) -> Result<impl Iterator<Item = Row> + '_, String> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        let mut reader = reader(self.delimiter, decoded(file, self.encoding));
        // The header, which was looked at before.
        let mut ended = read_record(&mut reader, &mut ByteRecord::new()).is_err();
        Ok(std::iter::from_fn(move || {
            loop {
                if ended {
                    return None;
                }
                let mut fields = ByteRecord::new();
                let contact = match read_record(&mut reader, &mut fields) {
                    Ok(false) => return None,
                    Ok(true) if fields.iter().all(|field| field.trim_ascii().is_empty()) => continue,
                    Ok(true) => self.contact(&fields),
                    Err(error) => {
                        ended = true;
                        Err(format!("the file can't be read from here on: {error}"))
                    }
                };
                // Where the reader says that a record begins, empty lines may still come.
                let within = fields.iter().flatten().filter(|&&byte| byte == b'\n').count() as u64;
                let line = reader.position().line().saturating_sub(1 + within);
                return Some(Row { line, fields, contact });
            }
        }))
    }

    fn contact(&self, fields: &ByteRecord) -> Result<Contact, String> {
        // Spreadsheets leave out empty fields at the end, or add some. More that is not empty is a stray delimiter.
        if fields.iter().skip(self.header.len()).any(|field| !field.is_empty()) {
            return Err(format!(
                "the row has {} fields and the header {}: a field that holds the delimiter needs quotes",
                fields.len(),
                self.header.len()
            ));
        }
        let field = |column: usize| {
            str::from_utf8(fields.get(column).unwrap_or_default())
                .map(str::trim)
                .map_err(|_| "the row is not UTF-8: say what the file is with --encoding, such as latin1".to_owned())
        };
        let name = match self.columns.name {
            NameColumns::Full(column) => field(column)?.to_owned(),
            NameColumns::FirstAndLast(first, last) => full_name(field(first)?, field(last)?),
        };
        let email = field(self.columns.email)?.to_owned();
        Ok(Contact { name, email })
    }

    /// Where the rows that don't get in are written.
    pub fn rejected_path(&self) -> PathBuf {
        self.path.with_extension("rejected.csv")
    }

    /// A file for rows that don't get in, in this file's format.
    pub fn rejected(&self) -> Result<Rejected<'_>, String> {
        let path = self.rejected_path();
        let broken = |error: csv::Error| format!("{} can't be written: {error}", path.display());
        let mut file = File::create(&path).map_err(|error| broken(error.into()))?;
        if self.byte_order_mark {
            io::Write::write_all(&mut file, UTF_8_BOM).map_err(|error| broken(error.into()))?;
        }
        let writer = WriterBuilder::new()
            .delimiter(self.delimiter)
            .terminator(self.terminator)
            .flexible(true)
            .from_writer(file);
        let mut rejected = Rejected { table: self, writer };
        rejected.record(&self.header, REJECTED_COLUMNS).map_err(broken)?;
        Ok(rejected)
    }
}

/// The file of the rows that don't get in.
pub struct Rejected<'a> {
    table: &'a Table,
    writer: Writer<File>,
}

impl Rejected<'_> {
    /// Writes a row and why it is here.
    pub fn write(&mut self, row: &Row, reason: &str) -> Result<(), String> {
        self.record(&row.fields, [&row.line.to_string(), reason])
            .map_err(|error| self.broken(&error))
    }

    /// Makes sure that all is written.
    pub fn finish(&mut self) -> Result<(), String> {
        self.writer.flush().map_err(|error| self.broken(&error.into()))
    }

    fn broken(&self, error: &csv::Error) -> String {
        format!("{} can't be written: {error}", self.table.rejected_path().display())
    }

    fn record(&mut self, fields: &ByteRecord, why: [&str; 2]) -> csv::Result<()> {
        // The input may be the rejected rows of an earlier import, mended.
        let is_rejected = self.table.header.get(0) == Some(REJECTED_COLUMNS[0].as_bytes());
        let own = fields.iter().skip(if is_rejected { REJECTED_COLUMNS.len() } else { 0 });
        let mut record = ByteRecord::new();
        for field in why.map(str::as_bytes).into_iter().chain(own) {
            match (self.table.encoding, str::from_utf8(field)) {
                (Some(encoding), Ok(text)) => record.push_field(&encoding.encode(text).0),
                _ => record.push_field(field),
            }
        }
        self.writer.write_byte_record(&record)
    }
}

/// The comma keeps the two apart as the file has them: the service splits `Last, First` at it and stores `First Last`.
fn full_name(first: &str, last: &str) -> String {
    if first.is_empty() || last.is_empty() {
        format!("{first}{last}")
    } else if first.contains(',') || last.contains(',') {
        format!("{first} {last}")
    } else {
        format!("{last}, {first}")
    }
}

fn columns(header: &ByteRecord, options: &Options) -> Result<Columns, String> {
    let titles: Vec<String> = header
        .iter()
        .map(|title| plain(&String::from_utf8_lossy(title)))
        .collect();
    let one_of = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| titles.iter().position(|title| title == name))
    };
    let named = |name: &str| {
        let plain = plain(name);
        titles
            .iter()
            .position(|title| *title == plain)
            .ok_or_else(|| format!("there is no column {name}; there are {}", listed(header)))
    };
    let email = match &options.email_column {
        Some(name) => named(name)?,
        None => one_of(&["email", "e mail", "mail", "email address", "e mail address"]).ok_or_else(|| {
            format!(
                "which column has the address? Say it with --email-column; there are {}",
                listed(header)
            )
        })?,
    };
    let full = match &options.name_column {
        Some(name) => Some(named(name)?),
        None => one_of(&["name", "full name", "fullname"]),
    };
    let first_and_last = one_of(&["first name", "firstname"]).zip(one_of(&["last name", "lastname"]));
    let name = match (full, first_and_last) {
        (Some(column), _) => NameColumns::Full(column),
        (None, Some((first, last))) => NameColumns::FirstAndLast(first, last),
        (None, None) => {
            return Err(format!(
                "which column has the name? Say it with --name-column; there are {}",
                listed(header)
            ));
        }
    };
    Ok(Columns { name, email })
}

/// `First_Name`, `first-name` and `First  Name` are one title.
fn plain(title: &str) -> String {
    let words = title.split(|c: char| c.is_whitespace() || c == '_' || c == '-');
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join(" ")
}

fn listed(header: &ByteRecord) -> String {
    let titles: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
    titles.join(" | ")
}

/// A reader of lines that end with a line feed, as the last one does too: only then does it count them right.
fn reader<R: Read>(delimiter: u8, read: R) -> Reader<io::Chain<R, &'static [u8]>> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .from_reader(read.chain(b"\n"))
}

/// Reads a record without the carriage return that its line may have at its end.
fn read_record<R: Read>(reader: &mut Reader<R>, record: &mut ByteRecord) -> csv::Result<bool> {
    let is_one = reader.read_byte_record(record)?;
    if let Some(last) = record.len().checked_sub(1)
        && let Some(field) = record[last].strip_suffix(b"\r").map(<[u8]>::to_vec)
    {
        record.truncate(last);
        record.push_field(&field);
    }
    Ok(is_one)
}

/// The file as UTF-8. Without an encoding, a UTF-8 or UTF-16 byte order mark decides, else bytes stay as they are, so that one
/// that is no UTF-8 costs its row and not the file.
fn decoded<R: Read>(read: R, encoding: Option<&'static Encoding>) -> impl Read {
    DecodeReaderBytesBuilder::new()
        .encoding(encoding)
        .utf8_passthru(true)
        .strip_bom(true)
        .build(read)
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} can't be read: {error}", path.display())
}
