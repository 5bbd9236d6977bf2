//! The file of the rows that could not be imported. It is never overwritten or deleted, and it is complete up to the last row
//! that was reported.
//!
//! Each row is written immediately and in one piece, as it is in the input, with its line and the reason in front. While an
//! import runs, there is an empty file with the extension `.unfinished` next to its file. If the import is killed, that file stays.
//! The next run of the same import then writes only the rows that aren't in the files of killed runs. So each row is in exactly
//! one file.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, BufReader, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    table::{REJECTED_COLUMNS, Row, Table},
    terminal::shortened,
};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The highest number of files for one input.
const MOST_FILES: u32 = 10_000;

/// The file of the rows that weren't imported, created with the first such row.
pub struct Rejects<'a> {
    table: &'a Table,
    open: Option<Open>,
    /// Files of killed runs of this import, and the rows in them.
    earlier_files: Vec<PathBuf>,
    earlier_rows: HashSet<u64>,
    hasher: RandomState,
    /// The line of the last row that was written.
    last_line: Option<u64>,
    /// Why no more rows are written.
    broken: Option<String>,
    unwritten: u64,
}

struct Open {
    path: PathBuf,
    file: File,
    /// The length of the file up to the last complete row.
    length: u64,
}

impl<'a> Rejects<'a> {
    /// Prepares for this input, without creating a file.
    pub fn new(table: &'a Table) -> Self {
        let mut rejects = Self {
            table,
            open: None,
            earlier_files: Vec::new(),
            earlier_rows: HashSet::new(),
            hasher: RandomState::new(),
            last_line: None,
            broken: None,
            unwritten: 0,
        };
        if table.input.is_regular {
            rejects.find_unfinished();
        }
        rejects
    }

    /// Writes a row and the reason. After the first failure nothing more is written, and only that failure is returned.
    ///
    /// # Errors
    ///
    /// A message, the first time that a row can't be written.
    pub fn write(&mut self, row: &Row, reason: &str) -> Result<(), String> {
        if self.broken.is_some() {
            self.unwritten += 1;
            return Ok(());
        }
        let own = row.record.raw_from(self.table.own_columns());
        let line = self.line(&row.original.to_string(), reason, own);
        if self.earlier_rows.contains(&self.hasher.hash_one(&line)) {
            return Ok(());
        }
        match self.append(&line) {
            Ok(()) => {
                self.last_line = Some(row.original);
                Ok(())
            }
            Err(error) => {
                self.unwritten += 1;
                let message = self.failure(&error);
                self.broken = Some(message.clone());
                Err(message)
            }
        }
    }

    /// Syncs the file to disk. Returns the files with the rows that weren't imported, those of killed runs first.
    pub fn finish(&mut self) -> Vec<PathBuf> {
        let mut files = std::mem::take(&mut self.earlier_files);
        if let Some(open) = self.open.take() {
            if let Err(error) = open.file.sync_all() {
                self.broken
                    .get_or_insert(format!("{} may be incomplete: {error}", shown(&open.path)));
            }
            files.push(open.path);
        }
        for path in &files {
            // If this empty file is left behind, the next run only reads a finished file without need.
            let _ = fs::remove_file(marker(path));
        }
        files
    }

    /// Why the file is not complete, and how many rows it lacks.
    pub fn broken(&self) -> Option<(&str, u64)> {
        self.broken.as_deref().map(|message| (message, self.unwritten))
    }

    fn failure(&self, error: &io::Error) -> String {
        let path = self
            .open
            .as_ref()
            .map_or_else(|| self.base(), |open| open.path.clone().into_os_string());
        let path = shown(Path::new(&path));
        match self.last_line {
            Some(line) => format!("{path} can no longer be written: {error}; it is complete up to line {line}"),
            None => format!("{path} can't be written: {error}; no row is in it"),
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            let (path, file) = create(self.base_path(), self.table.input.mode)?;
            let open = self.open.insert(Open { path, file, length: 0 });
            open.write(&head(self.table))?;
        }
        self.open.as_mut().map_or(Ok(()), |open| open.write(line))
    }

    /// The path that the file's name is made from: the input's, or for a pipe one in the current folder.
    fn base(&self) -> OsString {
        if self.table.input.is_regular {
            self.table.input.path().as_os_str().to_owned()
        } else {
            OsString::from("import")
        }
    }

    fn base_path(&self) -> impl Iterator<Item = PathBuf> + use<> {
        names(self.base())
    }

    /// A row as it is written.
    fn line(&self, line: &str, reason: &str, own: &[u8]) -> Vec<u8> {
        line_of(self.table, line, reason, own)
    }

    fn find_unfinished(&mut self) {
        for path in self.base_path() {
            if fs::symlink_metadata(&path).is_err() {
                break;
            }
            if is_unfinished(&path) && self.remember(&path).is_ok() {
                self.earlier_files.push(path);
            }
        }
    }

    /// Remembers the rows of a killed run's file.
    fn remember(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        // An import that is still running has locked it.
        if file.try_lock_shared().is_err() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut records = self.table.records(BufReader::new(file));
        while let Ok(Some(record)) = records.read() {
            let mut line = record.raw;
            line.extend_from_slice(self.table.line_end.bytes());
            self.earlier_rows.insert(self.hasher.hash_one(&line));
        }
        Ok(())
    }
}

impl Open {
    /// Writes whole rows, or nothing.
    fn write(&mut self, rows: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(rows);
        match written {
            Ok(()) => self.length += rows.len() as u64,
            // If the disk is full, a part of the row may have been written.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// The names that a file of rejected rows may have. It gets the first free one.
fn names(base: OsString) -> impl Iterator<Item = PathBuf> {
    (1..MOST_FILES).map(move |number| {
        let mut name = base.clone();
        match number {
            1 => name.push(".rejected.csv"),
            number => name.push(format!(".rejected-{number}.csv")),
        }
        PathBuf::from(name)
    })
}

/// Creates the first of the files that doesn't exist. Never opens an existing one, and doesn't follow symbolic links.
fn create(names: impl Iterator<Item = PathBuf>, mode: u32) -> io::Result<(PathBuf, File)> {
    for path in names {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                file.set_permissions(fs::Permissions::from_mode(mode))?;
                // If these fail, the next run after a kill writes the same rows again, but loses none.
                let _ = file.lock();
                let _ = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(marker(&path));
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many such files"))
}

fn marker(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}

fn is_unfinished(path: &Path) -> bool {
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file(path) && is_file(&marker(path))
}

fn head(table: &Table) -> Vec<u8> {
    let [line, because] = REJECTED_COLUMNS;
    let header = line_of(table, line, because, table.header.raw_from(table.own_columns()));
    // A UTF-16 file is written as UTF-8, with a byte order mark.
    if table.input.has_byte_order_mark() || table.input.encoding.is_utf_16() {
        [BYTE_ORDER_MARK, &header].concat()
    } else {
        header
    }
}

fn line_of(table: &Table, line: &str, reason: &str, own: &[u8]) -> Vec<u8> {
    let mut text = line.as_bytes().to_vec();
    text.push(table.separator);
    text.extend_from_slice(format!("\"{}\"", reason.replace('"', "\"\"")).as_bytes());
    text.push(table.separator);
    text.extend_from_slice(own);
    let mut text = match str::from_utf8(&text) {
        Ok(text) => table.input.encoding.encode(text),
        // A row of a UTF-8 file whose bytes are not UTF-8 stays as it is.
        Err(_) => text,
    };
    text.extend_from_slice(table.line_end.bytes());
    text
}

fn shown(path: &Path) -> String {
    shortened(&path.display().to_string())
}
