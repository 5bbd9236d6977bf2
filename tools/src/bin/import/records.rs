//! Splits text into records: CSV by RFC 4180, strict where a lenient reader would guess.
//!
//! After an unclosed quote, a CSV library makes one field of everything up to the next quote: rows disappear without an error.
//! Here, a quote that isn't closed where it should be is an error of the file, with its line.
//!
//! - A field is quoted if a quote is its first character; within it, two quotes are one. Any other quote is data.
//! - In a file that writes all of its quotes so, a field is quoted too if a quote is its first character after spaces. In any
//!   other file, such a quote is an error of the row.
//! - A quoted field spans at most [`MAX_LINES`] lines and [`MAX_FIELD`] bytes; what is longer was never closed.
//! - Text between a closing quote and the next separator is an error of the row. If the field contains a line break, the quote
//!   that closed it was meant to open another field, and it is an error of the file.
//! - A record ends as the first one does: with a line feed (and a carriage return before it), or with a carriage return alone. In
//!   a file of line feeds, a lone carriage return ends a record too, but the records on both sides of it are invalid.

use std::io::{self, BufRead, BufReader, Read};

/// The most lines in one field: even a long note has fewer.
const MAX_LINES: u64 = 100;
/// The most bytes in one field.
const MAX_FIELD: usize = 64 * 1024;
/// The most bytes in one record, so that the import's memory is limited whatever the file contains.
const MAX_RECORD: usize = 1024 * 1024;

/// The most cells in one record: as many columns as a spreadsheet has.
const MAX_CELLS: usize = 16_384;

/// What is wrong with a record of more cells. Those that are too many aren't kept.
pub const MANY_CELLS: &str = "the row has more than 16,384 cells";
const TORN: &str = "a carriage return within the row breaks it in two: quote the cell, or remove the carriage return";
const SPACED: &str = "there are spaces before a quote: remove them, or quote the whole cell";
const MISQUOTED: &str = "a quoted cell contains a quote: double it (\"\")";

/// A record, as it is in the file and by its fields.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its text without the line end.
    pub raw: Vec<u8>,
    /// Its fields without their quotes.
    pub fields: Vec<Vec<u8>>,
    /// What is wrong with it as a record.
    pub problem: Option<&'static str>,
    /// Which fields have line breaks in them, and on which lines they begin.
    pub spans: Vec<(usize, u64)>,
    /// Whether one of its fields is quoted after spaces.
    is_spaced: bool,
    /// Where each field begins in `raw`.
    starts: Vec<usize>,
}

impl Record {
    /// A field, or nothing where the record has no such field.
    pub fn field(&self, index: usize) -> &[u8] {
        self.fields.get(index).map_or(&[], Vec::as_slice)
    }

    /// The text from a field on.
    pub fn raw_from(&self, field: usize) -> &[u8] {
        self.starts.get(field).map_or(&[], |&start| &self.raw[start..])
    }

    /// Whether there is nothing in it: an empty line, or one of separators.
    pub fn is_blank(&self) -> bool {
        self.fields.iter().all(|field| field.trim_ascii().is_empty())
    }
}

/// Why a file can't be read any further.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The quote that opens on this line isn't closed.
    #[error("the quote that opens a cell on line {0} isn't closed where the cell ends: close it, or remove it")]
    Quote(u64),
    /// The record that begins on this line has no end.
    #[error("the row that begins on line {0} is longer than 1 MiB")]
    Long(u64),
    /// An error of the operating system.
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
}

/// The records of a text.
pub struct Records<R> {
    input: BufReader<R>,
    separator: u8,
    line: u64,
    /// What ended the first record, if it had an end: `\n`, `\r\n` or `\r`.
    pub line_end: Option<&'static [u8]>,
    /// The record before ended with a lone carriage return.
    is_torn: bool,
    /// Whether a quote after spaces opens a field.
    pub opens_after_spaces: bool,
}

/// Where the reader is in a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// After spaces at the beginning of a field.
    Spaces,
    Plain,
    Quoted,
    /// After a quote in a quoted field: it closes the field, or is the first of two.
    Closed,
    /// After spaces behind the closing quote.
    Done,
}

/// How many records without a quote after spaces show that a file doesn't write its quotes so.
const WITHOUT_SPACES: usize = 1_000;

/// Whether a file writes its quotes after spaces, as in `a, "b"`: all that are so open fields that close again.
pub fn opens_after_spaces(text: impl Read, separator: u8) -> bool {
    let mut records = Records::new(text, separator);
    records.opens_after_spaces = true;
    let (mut is_spaced, mut read) = (false, 0);
    while is_spaced || read <= WITHOUT_SPACES {
        match records.read() {
            Ok(Some(record)) if record.problem != Some(MISQUOTED) => is_spaced |= record.is_spaced,
            Ok(None) => return is_spaced,
            _ => return false,
        }
        read += 1;
    }
    false
}

impl<R: Read> Records<R> {
    /// The records of a text with this separator.
    pub fn new(text: R, separator: u8) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, text),
            separator,
            line: 1,
            line_end: None,
            is_torn: false,
            opens_after_spaces: false,
        }
    }

    /// Reads the next record; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Record>, Unreadable> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let mut record = Record {
            line: self.line,
            problem: std::mem::take(&mut self.is_torn).then_some(TORN),
            ..Record::default()
        };
        while self.read_field(&mut record)? {}
        Ok(Some(record))
    }

    /// Reads a field. Returns whether the record continues.
    fn read_field(&mut self, record: &mut Record) -> Result<bool, Unreadable> {
        use State::{Closed, Done, Plain, Quoted, Spaces, Start};
        let (opened, start) = (self.line, record.raw.len());
        let (mut field, mut state) = (Vec::new(), Start);
        let continues = loop {
            let Some(byte) = self.next()? else {
                if state == Quoted {
                    return Err(Unreadable::Quote(opened));
                }
                break false;
            };
            if state != Quoted && matches!(byte, b'\r' | b'\n') {
                self.end_record(byte, record)?;
                break false;
            }
            record.raw.push(byte);
            if record.raw.len() > MAX_RECORD {
                return Err(Unreadable::Long(record.line));
            }
            if state != Quoted && byte == self.separator {
                break true;
            }
            let (next, is_text) = match (state, byte) {
                (Start, b'"') => (Quoted, false),
                (Spaces, b'"') if self.opens_after_spaces => {
                    record.is_spaced = true;
                    field.clear();
                    (Quoted, false)
                }
                (Spaces, b'"') => {
                    record.problem.get_or_insert(SPACED);
                    (Plain, true)
                }
                (Start | Spaces, b' ') => (Spaces, true),
                (Quoted, b'"') => (Closed, false),
                (Closed, b'"') => (Quoted, true),
                (Closed | Done, b' ') if self.opens_after_spaces => (Done, false),
                (Closed | Done, _) if self.line > opened => return Err(Unreadable::Quote(opened)),
                (Closed | Done, _) => {
                    record.problem.get_or_insert(MISQUOTED);
                    (Plain, true)
                }
                (Quoted, _) => {
                    let ends_line = byte == b'\n' || byte == b'\r' && self.peek()? != Some(b'\n');
                    self.line += u64::from(ends_line);
                    (Quoted, true)
                }
                (Start | Spaces | Plain, _) => (Plain, true),
            };
            field.extend(is_text.then_some(byte));
            state = next;
            if state == Quoted && (self.line - opened >= MAX_LINES || field.len() > MAX_FIELD) {
                return Err(Unreadable::Quote(opened));
            }
        };
        if field.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            record.spans.push((record.fields.len(), opened));
        }
        if record.fields.len() < MAX_CELLS {
            record.fields.push(field);
            record.starts.push(start);
        } else {
            record.problem.get_or_insert(MANY_CELLS);
        }
        Ok(continues)
    }

    fn end_record(&mut self, byte: u8, record: &mut Record) -> Result<(), Unreadable> {
        self.line += 1;
        let line_end: &[u8] = match byte {
            b'\n' => b"\n",
            _ if self.peek()? == Some(b'\n') => {
                self.next()?;
                b"\r\n"
            }
            _ => b"\r",
        };
        if *self.line_end.get_or_insert(line_end) != b"\r" && line_end == b"\r" {
            self.is_torn = true;
            record.problem.get_or_insert(TORN);
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        self.input.consume(byte.iter().len());
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Record>, Unreadable> {
        let mut records = Records::new(text.as_bytes(), b',');
        let mut read = Vec::new();
        while let Some(record) = records.read()? {
            read.push(record);
        }
        Ok(read)
    }

    /// Each record's line, and its fields with `|` between them.
    fn records(text: &str) -> Vec<(u64, String)> {
        let read = read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        read.iter()
            .map(|record| (record.line, String::from_utf8(record.fields.join(&b'|')).unwrap()))
            .collect()
    }

    #[test]
    fn records_are_those_of_rfc_4180() {
        for (text, expected) in [
            ("", &[][..]),
            ("a,b\nc,d\n", &[(1, "a|b"), (2, "c|d")]),
            ("a,b\r\nc,d", &[(1, "a|b"), (2, "c|d")]),
            ("a,b\rc,d\r", &[(1, "a|b"), (2, "c|d")]),
            ("\n\na,\n", &[(1, ""), (2, ""), (3, "a|")]),
            ("\"a,b\",\"c\"\"d\"\n", &[(1, "a,b|c\"d")]),
            ("\"a\r\nb\",c\nd\n", &[(1, "a\r\nb|c"), (3, "d")]),
            ("\"a\rb\",c\rd\r", &[(1, "a\rb|c"), (3, "d")]),
            ("\"\",\"\"\n", &[(1, "|")]),
            ("5\" pipe,a\"b\"\n", &[(1, "5\" pipe|a\"b\"")]),
            (" \"a\",b\n", &[(1, " \"a\"|b")]),
            (",", &[(1, "|")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|&(line, text)| (line, text.to_owned())).collect();
            assert_eq!(records(text), expected, "{text:?}");
        }
    }

    /// Whatever quotes, line ends, separators and spaces come together.
    #[test]
    fn any_text_has_the_records_of_another_parser_or_is_refused() {
        let pieces = [
            "a", "b c", ",", ",", "\"", "\"\"", "\"x\"", "\n", "\r\n", "\r", " ", "é", "'",
        ];
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut compared = 0;
        for _ in 0..5_000 {
            let length = random.usize(1..60);
            let text: String = (0..length).map(|_| pieces[random.usize(..pieces.len())]).collect();
            let Ok(read) = read(&text) else {
                assert!(text.contains('"'), "{text:?}");
                continue;
            };
            // The other parser gives no record for an empty line.
            let read: Vec<_> = read.into_iter().filter(|record| !record.raw.is_empty()).collect();
            let mut other = csv::ReaderBuilder::new();
            let other = other.has_headers(false).flexible(true).from_reader(text.as_bytes());
            let other: Vec<_> = other.into_byte_records().map(Result::unwrap).collect();
            assert_eq!(read.len(), other.len(), "{seed}: {text:?}");
            for (record, other) in read.iter().zip(&other).filter(|(record, _)| record.problem.is_none()) {
                assert!(record.fields.iter().eq(other), "{seed}: {text:?}");
                compared += 1;
            }
        }
        assert!(compared > 1_000, "{compared}");
    }

    #[test]
    fn a_quote_that_is_not_closed_is_an_error_with_its_line() {
        let long = format!("a,\"{}\",b\n", "x".repeat(65_537));
        let lines = format!("a\n\"{}\",b\n", "x\n".repeat(100));
        for (text, line) in [
            ("a,b\n\"c,d\ne,f\n", 2),
            ("a,\"b\nc,\"d\"\n", 1),
            ("a,b\n\n1,\"", 3),
            (&long, 1),
            (&lines, 2),
        ] {
            assert!(
                matches!(read(text), Err(Unreadable::Quote(found)) if found == line),
                "{text:?}"
            );
        }
        assert_eq!(read(&format!("\"{}\",b\n", "x\n".repeat(99))).unwrap().len(), 1);
        assert_eq!(read(&format!("\"{}\",b\n", "x".repeat(65_536))).unwrap().len(), 1);
    }

    #[test]
    fn a_record_without_an_end_does_not_fill_the_memory() {
        let of = |length: usize| read(&format!("a\n{}", "b,".repeat(length / 2)));
        assert!(of(1_048_576).is_ok());
        assert!(matches!(of(1_048_578), Err(Unreadable::Long(2))));
    }

    #[test]
    fn of_a_row_with_too_many_cells_only_the_text_is_kept() {
        let of = |commas: usize| read(&format!("{}\nnext\n", ",".repeat(commas))).unwrap();
        assert_eq!((of(16_383)[0].problem, of(16_383)[0].fields.len()), (None, 16_384));
        for commas in [16_384, 1_000_000] {
            let read = of(commas);
            assert_eq!((read[0].problem, read[0].fields.len()), (Some(MANY_CELLS), 16_384));
            assert_eq!((read[0].raw.len(), read[1].line), (commas, 2));
        }
    }

    #[test]
    fn a_row_that_would_have_to_be_guessed_has_a_fault() {
        let problems = |text| -> Vec<_> { read(text).unwrap().into_iter().map(|record| record.problem).collect() };
        assert_eq!(problems("\"a \"b\" c\",d\ne,f\n"), [Some(MISQUOTED), None]);
        assert_eq!(problems("a,b\nc\rd,e\nf,g\n"), [None, Some(TORN), Some(TORN), None]);
        assert_eq!(problems("a,b\rc,d\ne,f\r\n"), [None, None, None]);
    }

    #[test]
    fn a_quote_after_spaces_opens_a_field_where_the_whole_file_writes_it_so() {
        for (text, expected) in [
            ("a, \"b\"\nc, \"d\" \n", true),
            ("a, \"b,c\"\nd,e\n", true),
            ("a,\"b\"\n", false),
            ("a, \"b\" c\nd, \"e\"\n", false),
            ("a, \"b\nc,d\n", false),
        ] {
            assert_eq!(opens_after_spaces(text.as_bytes(), b','), expected, "{text:?}");
        }
        let many = |rows: usize| format!("{}a, \"b\"\n", "a,b\n".repeat(rows));
        assert!(opens_after_spaces(many(1_000).as_bytes(), b','));
        assert!(!opens_after_spaces(many(1_001).as_bytes(), b','));
        let mut records = Records::new(&b"a,  \"b, \"\"c\"\"\" , d\n"[..], b',');
        records.opens_after_spaces = true;
        let record = records.read().unwrap().unwrap();
        assert_eq!(record.fields, [&b"a"[..], b"b, \"c\"", b" d"]);
        assert_eq!(record.problem, None);
        assert_eq!(read("a, \"b\"\n").unwrap()[0].problem, Some(SPACED));
    }

    #[test]
    fn a_record_keeps_its_text_as_it_is_in_the_file() {
        let text = "\"3\",\"why \"\"so\"\"\", \"a \"b\"\" ,\"c\nd\"\r\nnext\r\n";
        let record = &read(text).unwrap()[0];
        assert_eq!(record.raw, b"\"3\",\"why \"\"so\"\"\", \"a \"b\"\" ,\"c\nd\"");
        assert_eq!(record.raw_from(2), b" \"a \"b\"\" ,\"c\nd\"");
        assert_eq!(record.raw_from(9), b"");
        assert_eq!(record.spans, [(3, 1)]);
        // The last record of a file may have no line end.
        assert_eq!(read("a\n\"b\nc\"").unwrap()[1].spans, [(0, 2)]);
    }
}
