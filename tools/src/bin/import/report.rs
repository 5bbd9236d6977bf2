//! What becomes of the rows: progress, the summary, and the file of those that didn't get in.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::{
    sender::Outcome,
    table::{Rejected, Row, Table},
};

/// How often there is a line where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What became of the rows so far.
pub struct Report<'a> {
    table: &'a Table,
    created: u64,
    existing: u64,
    conflicts: u64,
    rejected: u64,
    not_sent: u64,
    /// From the first row that didn't get in.
    file: Option<Rejected<'a>>,
    bar: ProgressBar,
    last_line: Instant,
}

impl<'a> Report<'a> {
    /// Nothing yet, of this many rows.
    pub fn new(table: &'a Table, rows: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {per_sec} {eta} left, {msg}");
        let bar = ProgressBar::new(rows);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            table,
            created: 0,
            existing: 0,
            conflicts: 0,
            rejected: 0,
            not_sent: 0,
            file: None,
            bar,
            last_line: Instant::now(),
        }
    }

    /// Counts a row, and keeps it if it didn't get in.
    pub fn row(&mut self, row: &Row, outcome: Outcome) -> Result<(), String> {
        let (count, reason) = match outcome {
            Outcome::Created => (&mut self.created, None),
            Outcome::Existing => (&mut self.existing, None),
            Outcome::Conflict(reason) => (&mut self.conflicts, Some(reason)),
            Outcome::Rejected(reason) => (&mut self.rejected, Some(reason)),
            Outcome::NotSent(reason) => (&mut self.not_sent, Some(reason)),
        };
        *count += 1;
        self.bar.inc(1);
        if let Some(reason) = reason {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(self.table.rejected()?),
            };
            file.write(row, &reason)?;
        }
        Ok(())
    }

    /// Shows how far the import is, and what is in its way.
    pub fn tick(&mut self, trouble: Option<&str>) {
        let waiting = trouble
            .map(|trouble| format!("; trying again: {trouble}"))
            .unwrap_or_default();
        let counts = format!(
            "{} created, {} existing, {} conflicts, {} rejected{waiting}",
            HumanCount(self.created),
            HumanCount(self.existing),
            HumanCount(self.conflicts),
            HumanCount(self.rejected),
        );
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!(
                "{} of {} rows, {:.0} a second, {} s left: {counts}",
                HumanCount(self.bar.position()),
                HumanCount(self.bar.length().unwrap_or_default()),
                self.bar.per_sec(),
                self.bar.eta().as_secs(),
            );
        }
        self.bar.set_message(counts);
    }

    /// Says what became of all rows; whether they are all in.
    pub fn finish(mut self, stopped: Option<&str>) -> Result<bool, String> {
        self.bar.finish_and_clear();
        let path = self.table.rejected_path();
        println!(
            "{} rows of {}",
            HumanCount(self.bar.position()),
            self.table.path().display()
        );
        for (what, count) in [
            ("created", self.created),
            ("existing", self.existing),
            ("conflicts", self.conflicts),
            ("rejected", self.rejected),
            ("not sent", self.not_sent),
        ] {
            println!("{what:>11}  {}", HumanCount(count));
        }
        if let Some(reason) = stopped {
            println!("The import stopped: {}.", reason.trim_end_matches('.'));
        }
        let Some(mut file) = self.file.take() else {
            // One of an earlier run would speak of rows that are in now.
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(format!("{} can't be removed: {error}", path.display()))
                }
                _ => Ok(true),
            };
        };
        file.finish()?;
        println!(
            "The rows that didn't get in are in {}, each with its line and the reason.",
            path.display()
        );
        Ok(false)
    }
}
