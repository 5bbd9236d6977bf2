//! The report: progress, the summary, and the command that imports the rejected rows once they are fixed.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tools::note;

use crate::{
    rejects::Rejects,
    sender::Outcome,
    table::{Row, Table},
    terminal::{count, quoted, say, time},
};

/// How often progress is printed if there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How many different reasons are listed; the file has them all.
const MOST_REASONS: usize = 10;
/// How many names are listed that are stored differently from the columns.
const MOST_SPLITS: usize = 20;
/// The bar's width. The line of progress beside it fits on a terminal of 80 columns.
const BAR: &str = "{bar:10} {wide_msg}";
/// The results of rows. The first two are those that are in.
const RESULTS: [&str; 5] = ["created", "existing", "conflicts", "rejected", "not sent"];

/// Notes about rows that are stored.
#[derive(Default)]
pub struct Notices {
    cleaned: BTreeMap<&'static str, u64>,
    /// The names that are split differently from the columns: how many, and the first ones with their lines.
    splits: u64,
    shown_splits: Vec<String>,
}

impl Notices {
    /// Adds the notes about a row.
    pub fn add(&mut self, row: &Row) {
        let Ok(contact) = &row.contact else {
            return;
        };
        for what in &row.cleaned {
            *self.cleaned.entry(what).or_default() += 1;
        }
        if let Some(split) = contact.split_differently() {
            self.splits += 1;
            self.shown_splits.push(format!("  line {}: {split}", row.line));
            self.shown_splits.truncate(MOST_SPLITS);
        }
    }

    /// What was cleaned: a line, if anything was.
    pub fn cleaned(&self) -> Option<String> {
        let cells = |(what, cells): (&&str, &u64)| format!("{what} ({})", count(*cells, "cell"));
        let cleaned = self.cleaned.iter().map(cells).collect::<Vec<_>>().join(", ");
        (!cleaned.is_empty()).then(|| format!("Cleaned: {cleaned}."))
    }

    /// What is stored where the columns said something else: a line each.
    fn splits(&self) -> Vec<String> {
        let title = format!("Split differently from the columns, {}:", count(self.splits, "name"));
        let more = self.splits - self.shown_splits.len() as u64;
        let mut lines = self.shown_splits.clone();
        lines.splice(..0, (self.splits > 0).then_some(title));
        lines.extend((more > 0).then(|| format!("  and {} more", HumanCount(more))));
        lines
    }
}

/// The results of the rows so far.
pub struct Report<'a> {
    table: &'a Table,
    file: &'a Path,
    rows: u64,
    counts: [u64; RESULTS.len()],
    /// Why rows were rejected, and how many for each reason.
    reasons: BTreeMap<String, u64>,
    notices: Notices,
    rejects: Rejects<'a>,
    /// The bar that a terminal shows.
    pub bar: ProgressBar,
    last_line: Option<Instant>,
    /// The last error that the bar's terminal was told.
    trouble: Option<String>,
}

impl<'a> Report<'a> {
    /// An empty report on this many rows of a file.
    pub fn new(table: &'a Table, file: &'a Path, rows: u64) -> Self {
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            table,
            file,
            rows,
            counts: [0; RESULTS.len()],
            reasons: BTreeMap::new(),
            notices: Notices::default(),
            rejects: Rejects::new(table),
            bar: ProgressBar::new(rows).with_style(style),
            last_line: None,
            trouble: None,
        }
    }

    /// Counts a row. If it wasn't imported, it is written to the file first.
    ///
    /// # Errors
    ///
    /// The row can't be written, so the import has to stop.
    pub fn row(&mut self, row: &Row, outcome: &Outcome) -> Result<(), String> {
        let (result, reason) = match outcome {
            Outcome::Created => (0, None),
            Outcome::Existing => (1, None),
            Outcome::Conflict(reason) => (2, Some(reason)),
            Outcome::Rejected(reason) => (3, Some(reason)),
            Outcome::NotSent(reason) => (4, Some(reason)),
        };
        self.counts[result] += 1;
        if let Outcome::Rejected(reason) = outcome {
            add_reason(&mut self.reasons, reason);
        }
        let Some(reason) = reason else {
            self.notices.add(row);
            return Ok(());
        };
        self.rejects.write(row, reason)
    }

    /// How many rows were not imported.
    fn not_in(&self) -> u64 {
        self.counts[2..].iter().sum()
    }

    /// Shows how many rows have a result, written or not, and the error that the others wait for.
    pub fn tick(&mut self, done: u64, trouble: Option<(String, Duration)>) {
        let (trouble, left) = trouble.unzip();
        let line = progress(done, self.rows, self.bar.elapsed(), self.not_in(), left);
        if self.bar.is_hidden() {
            if self.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
                self.last_line = Some(Instant::now());
                note([line].into_iter().chain(trouble).collect::<Vec<_>>().join(": "));
            }
        } else {
            // The reason may be longer than the bar's line, so it has lines of its own.
            if let Some(trouble) = trouble.filter(|trouble| self.trouble.as_ref() != Some(trouble)) {
                self.bar.suspend(|| note(&trouble));
                self.trouble = Some(trouble);
            }
            self.bar.set_position(done);
            self.bar.set_message(line);
        }
    }

    /// Prints the summary. Returns whether all rows were imported.
    ///
    /// # Errors
    ///
    /// The file has changed since it was checked.
    pub fn finish(self, stopped: Option<&str>) -> Result<bool, String> {
        self.bar.finish_and_clear();
        let (read, not_in) = (self.counts.iter().sum(), self.not_in());
        say(format_args!("{} of {}", count(read, "row"), self.table.input.shown));
        for (result, number) in RESULTS.iter().zip(self.counts) {
            say(format_args!("{result:>11}  {}", HumanCount(number)));
        }
        for (reason, rows) in &self.reasons {
            say(format_args!("Rejected, {}: {reason}.", count(*rows, "row")));
        }
        self.notices.cleaned().iter().for_each(say);
        self.notices.splits().iter().for_each(say);
        if let Some(reason) = stopped {
            say(format_args!("The import stopped: {}.", reason.trim_end_matches('.')));
        }
        let (files, broken) = self.rejects.finish();
        if !files.is_empty() {
            say("The other rows are in a file, each with its line and the reason. To import them once they are fixed:");
            for file in &files {
                say(format_args!("  {}", command(self.file, file)));
            }
        }
        if let Some((reason, unwritten)) = broken {
            let rows = count(unwritten, "row");
            say(format_args!(
                "{reason}. {rows} could not be written to it: run the same import again."
            ));
        }
        let rows = self.rows;
        if read != rows {
            return Err(format!(
                "The file changed while it was imported: it had {rows} rows at first, and {read} were read. Run the import again."
            ));
        }
        Ok(not_in == 0)
    }
}

/// The command that imports another file in the same way.
fn command(this: &Path, other: &Path) -> String {
    let words = env::args_os().map(|word| if word == this { other.into() } else { word });
    let quoted = |word: OsString| quoted(&word.to_string_lossy()).into_owned();
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// Counts a reason, if it is one of the first different ones.
fn add_reason(reasons: &mut BTreeMap<String, u64>, reason: &str) {
    if reasons.len() < MOST_REASONS || reasons.contains_key(reason) {
        *reasons.entry(reason.to_owned()).or_default() += 1;
    }
}

/// A line of progress; `retrying` is the time until an error ends the import.
#[expect(clippy::cast_precision_loss)]
fn progress(done: u64, rows: u64, elapsed: Duration, not_in: u64, retrying: Option<Duration>) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    // Infinite as long as nothing is done.
    let left = Duration::try_from_secs_f64(rows.saturating_sub(done) as f64 / rate).ok();
    let parts = [
        Some(format!("{} of {}", HumanCount(done), count(rows, "row"))),
        retrying.is_none().then(|| format!(", {rate:.0}/s")),
        left.filter(|_| retrying.is_none())
            .map(|left| format!(", {} left", time(left))),
        (not_in > 0).then(|| format!(", {} not imported", HumanCount(not_in))),
        retrying.map(|left| format!("; retrying for {}", time(left))),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_has_the_rate_and_the_time_left() {
        let progress = |done, retrying| progress(done, 1_100, Duration::from_secs(20), 3, retrying);
        assert_eq!(
            progress(100, None),
            "100 of 1,100 rows, 5/s, 3m 20s left, 3 not imported"
        );
        assert_eq!(progress(0, None), "0 of 1,100 rows, 0/s, 3 not imported");
        assert_eq!(
            progress(0, Some(Duration::from_secs(299))),
            "0 of 1,100 rows, 3 not imported; retrying for 4m 59s"
        );
    }

    #[test]
    fn progress_of_a_million_rows_fits_on_80_columns_beside_the_bar() {
        let bar = "{bar:10} ";
        assert!(BAR.starts_with(bar));
        for retrying in [None, Some(Duration::from_secs(299))] {
            let line = progress(900_000, 1_000_000, Duration::from_secs(200_000), 123_456, retrying);
            assert!(10 + 1 + line.len() <= 80, "{line}");
        }
    }

    #[test]
    fn the_first_ten_reasons_are_counted() {
        let mut reasons = BTreeMap::new();
        for number in (0..12).chain(0..12) {
            add_reason(&mut reasons, &format!("reason {number}"));
        }
        assert_eq!(reasons.len(), 10);
        assert!((0..10).all(|number| reasons[&format!("reason {number}")] == 2));
    }
}
