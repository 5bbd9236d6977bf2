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
    fs::{self, File, OpenOptions, Permissions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    table::{REJECTED_COLUMNS, Row, Table},
    terminal::shown,
};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The file of the rows that weren't imported, created with the first such row.
pub struct Rejects<'a> {
    table: &'a Table,
    /// The file, and its length up to the last complete row.
    open: Option<(File, u64)>,
    /// Files of killed runs of this import, and then the file of this one.
    files: Vec<PathBuf>,
    /// The rows of killed runs.
    earlier: HashSet<u64>,
    hasher: RandomState,
    /// The line of the last row that was written.
    last_line: Option<u64>,
    /// Why no more rows are written, and how many were not.
    broken: Option<(String, u64)>,
}

impl<'a> Rejects<'a> {
    /// Prepares for this input, without creating a file.
    pub fn new(table: &'a Table) -> Self {
        let mut rejects = Self {
            table,
            open: None,
            files: Vec::new(),
            earlier: HashSet::new(),
            hasher: RandomState::new(),
            last_line: None,
            broken: None,
        };
        let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
        for path in rejects.paths().take_while(|path| fs::symlink_metadata(path).is_ok()) {
            let is_unfinished = table.input.is_regular && is_file(&path) && is_file(&marker(&path));
            if is_unfinished && rejects.remember(&path).is_ok() {
                rejects.files.push(path);
            }
        }
        rejects
    }

    /// Writes a row and the reason. After the first failure nothing more is written, and only that failure is returned.
    ///
    /// # Errors
    ///
    /// A message, the first time that a row can't be written.
    pub fn write(&mut self, row: &Row, reason: &str) -> Result<(), String> {
        if let Some((_, unwritten)) = &mut self.broken {
            *unwritten += 1;
            return Ok(());
        }
        let line = self.line(&row.original.to_string(), reason, &row.text);
        if self.earlier.contains(&self.hasher.hash_one(&line)) {
            return Ok(());
        }
        if let Err(error) = self.append(&line) {
            let path = self.files.last().filter(|_| self.open.is_some());
            let path = shown(path.unwrap_or(&self.table.input.base));
            let message = match self.last_line {
                Some(line) => format!("{path} can no longer be written: {error}; it is complete up to line {line}"),
                None => format!("{path} can't be written: {error}; no row is in it"),
            };
            self.broken = Some((message.clone(), 1));
            return Err(message);
        }
        self.last_line = Some(row.original);
        Ok(())
    }

    /// Syncs the file to disk. Returns the files with the rows that weren't imported, those of killed runs first. And why the last
    /// one is not complete, and how many rows it lacks.
    pub fn finish(mut self) -> (Vec<PathBuf>, Option<(String, u64)>) {
        if let Some((file, _)) = &self.open
            && let (Err(error), Some(path)) = (file.sync_all(), self.files.last())
        {
            let message = format!("{} may be incomplete: {error}", shown(path));
            self.broken.get_or_insert((message, 0));
        }
        for path in &self.files {
            // If this empty file is left behind, the next run only reads a finished file without need.
            let _ = fs::remove_file(marker(path));
        }
        (self.files, self.broken)
    }

    /// Writes whole rows, or nothing.
    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut text = line.to_vec();
        if self.open.is_none() {
            self.open = Some((self.create()?, 0));
            text.splice(..0, self.head());
        }
        let Some((file, length)) = &mut self.open else {
            return Ok(());
        };
        let written = file.write_all(&text);
        match written {
            Ok(()) => *length += text.len() as u64,
            // If the disk is full, a part of the row may have been written.
            Err(_) => file.set_len(*length)?,
        }
        written
    }

    /// The names that the file may have. It gets the first free one.
    fn paths(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let base = self.table.input.base.clone().into_os_string();
        (1_u64..).map(move |number| {
            let mut name = base.clone();
            match number {
                1 => name.push(".rejected.csv"),
                number => name.push(format!(".rejected-{number}.csv")),
            }
            PathBuf::from(name)
        })
    }

    /// Creates the first of the files that doesn't exist. Never opens an existing one, and doesn't follow symbolic links.
    fn create(&mut self) -> io::Result<File> {
        let create = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut paths = self.paths();
        let (file, path) = loop {
            let path = paths.next().unwrap_or_default();
            match create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => break (file?, path),
            }
        };
        file.set_permissions(Permissions::from_mode(self.table.input.mode))?;
        // If these fail, the next run after a kill writes the same rows again, but loses none.
        let _ = file.lock();
        let _ = create(&marker(&path));
        self.files.push(path);
        Ok(file)
    }

    /// Remembers the rows of a killed run's file.
    fn remember(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        // An import that is still running has locked it.
        file.try_lock_shared()?;
        let mut records = self.table.records(file);
        while let Ok(Some(record)) = records.read() {
            let line = [&record.raw, self.table.header.line_end].concat();
            self.earlier.insert(self.hasher.hash_one(line));
        }
        Ok(())
    }

    fn head(&self) -> Vec<u8> {
        let (input, header) = (&self.table.input, &self.table.header.record);
        // A UTF-16 file is written as UTF-8, with a byte order mark.
        let is_marked = input.byte_order_mark > 0 || input.encoding.is_utf_16();
        let mark = if is_marked { BYTE_ORDER_MARK } else { b"" };
        let own = header.raw_from(self.table.own_columns());
        [mark, &self.line(REJECTED_COLUMNS[0], REJECTED_COLUMNS[1], own)].concat()
    }

    /// A row as it is written.
    fn line(&self, line: &str, reason: &str, own: &[u8]) -> Vec<u8> {
        let separator = char::from(self.table.header.separator);
        let reason = reason.replace('"', "\"\"");
        let text = [format!("{line}{separator}\"{reason}\"{separator}").as_bytes(), own].concat();
        let mut text = match str::from_utf8(&text) {
            Ok(text) => self.table.input.encoding.encode(text),
            // A row of a UTF-8 file whose bytes are not UTF-8 stays as it is.
            Err(_) => text,
        };
        text.extend_from_slice(self.table.header.line_end);
        text
    }
}

/// The empty file that says that an import hasn't finished with its file.
fn marker(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".unfinished");
    path.with_file_name(name)
}
