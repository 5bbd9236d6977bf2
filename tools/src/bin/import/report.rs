//! The report: progress, the summary, and the command that imports the rejected rows once they are fixed.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use tools::note;

use crate::{
    options::{DEFAULT_GIVE_UP_AFTER, Options},
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

/// How many rows there were, and their results.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    created: u64,
    existing: u64,
    conflicts: u64,
    rejected: u64,
    not_sent: u64,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Created => &mut self.created,
            Outcome::Existing => &mut self.existing,
            Outcome::Conflict(_) => &mut self.conflicts,
            Outcome::Rejected(_) => &mut self.rejected,
            Outcome::NotSent(_) => &mut self.not_sent,
        } += 1;
    }

    fn all(self) -> u64 {
        self.created + self.existing + self.not_in()
    }

    /// How many rows were not imported.
    fn not_in(self) -> u64 {
        self.conflicts + self.rejected + self.not_sent
    }
}

/// Notes about rows that are stored.
#[derive(Default)]
pub struct Notices {
    cleaned: BTreeMap<&'static str, u64>,
    /// Lines, and the names stored for them.
    split_differently: Vec<(u64, String)>,
    split_differently_more: u64,
}

impl Notices {
    /// Adds the notes about a row.
    pub fn add(&mut self, row: &Row) {
        for what in &row.cleaned {
            *self.cleaned.entry(what).or_default() += 1;
        }
        if let Some(split) = &row.split_differently {
            if self.split_differently.len() < MOST_SPLITS {
                self.split_differently.push((row.line, split.clone()));
            } else {
                self.split_differently_more += 1;
            }
        }
    }

    /// Prints what was cleaned.
    pub fn say_cleaned(&self) {
        if !self.cleaned.is_empty() {
            let what: Vec<String> = self
                .cleaned
                .iter()
                .map(|(what, cells)| format!("{what} ({})", count(*cells, "cell")))
                .collect();
            say(format_args!("Cleaned: {}.", what.join(", ")));
        }
    }

    /// What is stored where the columns said something else: a line each.
    fn split_differently(&self) -> Vec<String> {
        let names = self.split_differently.len() as u64 + self.split_differently_more;
        let title = format!("Split differently from the columns, {}:", count(names, "name"));
        let lines = self
            .split_differently
            .iter()
            .map(|(line, split)| format!("  line {line}: {split}"));
        let more = (self.split_differently_more > 0)
            .then(|| format!("  and {}", HumanCount(self.split_differently_more)) + " more");
        let all = [title].into_iter().chain(lines).chain(more);
        all.take(if names == 0 { 0 } else { usize::MAX }).collect()
    }
}

/// The results of the rows so far.
pub struct Report<'a> {
    table: &'a Table,
    options: &'a Options,
    rows: u64,
    counts: Counts,
    /// Why rows were rejected, and how many for each reason.
    reasons: BTreeMap<String, u64>,
    notices: Notices,
    rejects: Rejects<'a>,
    /// The bar that a terminal shows.
    pub bar: ProgressBar,
    began: Instant,
    last_line: Option<Instant>,
    /// The last error that the bar's terminal was told.
    trouble: Option<String>,
}

impl<'a> Report<'a> {
    /// An empty report on this many rows.
    pub fn new(table: &'a Table, options: &'a Options, rows: u64) -> Self {
        let bar = ProgressBar::new(rows);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        Self {
            table,
            options,
            rows,
            counts: Counts::default(),
            reasons: BTreeMap::new(),
            notices: Notices::default(),
            rejects: Rejects::new(table),
            bar,
            began: Instant::now(),
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
        let written = match outcome {
            Outcome::Created | Outcome::Existing => {
                self.notices.add(row);
                Ok(())
            }
            Outcome::Conflict(reason) | Outcome::Rejected(reason) | Outcome::NotSent(reason) => {
                self.rejects.write(row, reason)
            }
        };
        self.counts.add(outcome);
        if let Outcome::Rejected(reason) = outcome {
            add_reason(&mut self.reasons, reason);
        }
        written
    }

    /// Shows how many rows have a result, written or not, and the error that the others wait for.
    pub fn tick(&mut self, done: u64, trouble: Option<(String, Duration)>) {
        let left = trouble.as_ref().map(|(_, left)| *left);
        let line = progress(done, self.rows, self.began.elapsed(), self.counts.not_in(), left);
        let trouble = trouble.map(|(trouble, _)| trouble);
        if self.bar.is_hidden() {
            let since_last_line = self.last_line.map(|last| last.elapsed());
            if since_last_line.is_none_or(|since| since >= LINE_EVERY) {
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
    /// The counts don't add up, which would be a defect here, or the file has changed since it was checked.
    pub fn finish(mut self, read: u64, stopped: Option<&str>) -> Result<bool, String> {
        self.bar.finish_and_clear();
        let counts = self.counts;
        say(format_args!("{} of {}", count(read, "row"), self.table.input.shown()));
        for (what, number) in [
            ("created", counts.created),
            ("existing", counts.existing),
            ("conflicts", counts.conflicts),
            ("rejected", counts.rejected),
            ("not sent", counts.not_sent),
        ] {
            say(format_args!("{what:>11}  {}", HumanCount(number)));
        }
        for (reason, rows) in &self.reasons {
            say(format_args!("Rejected, {}: {reason}.", count(*rows, "row")));
        }
        self.notices.say_cleaned();
        self.notices.split_differently().iter().for_each(say);
        if let Some(reason) = stopped {
            say(format_args!("The import stopped: {}.", reason.trim_end_matches('.')));
        }
        let files = self.rejects.finish();
        if !files.is_empty() {
            say("The other rows are in a file, each with its line and the reason. To import them once they are fixed:");
            for path in &files {
                say(format_args!("  {}", self.command(&path.to_string_lossy())));
            }
        }
        if let Some((reason, unwritten)) = self.rejects.broken() {
            say(format_args!(
                "{reason}. {} could not be written to it: run the same import again.",
                count(unwritten, "row")
            ));
        }
        if counts.all() != read {
            return Err(format!(
                "This is a defect of the import: it read {read} rows and has results for {}.",
                counts.all()
            ));
        }
        if read != self.rows {
            return Err(format!(
                "The file changed while it was imported: it had {} rows at first, and {read} were read. Run the import again.",
                self.rows
            ));
        }
        Ok(counts.not_in() == 0)
    }

    /// The command that imports another file in the same way.
    fn command(&self, file: &str) -> String {
        let program = env::args().next().unwrap_or_else(|| "import".to_owned());
        let mut words = vec![program, file.to_owned()];
        let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
        let options = self.options;
        if let Some(url) = &options.url {
            option("--url", url.as_str().trim_end_matches("/api/contacts"));
        }
        if let Some(workspace) = options.workspace {
            option("--workspace", &workspace.to_string());
        }
        for (name, title) in options.columns.arguments() {
            option(name, title);
        }
        if let Some(label) = &options.encoding {
            option("--encoding", &label.name);
        }
        if options.give_up_after != DEFAULT_GIVE_UP_AFTER {
            option("--give-up-after", &format!("{}s", options.give_up_after.as_secs()));
        }
        words.extend(options.yes.then(|| "--yes".to_owned()));
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
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
    let mut line = format!("{} of {}", HumanCount(done), count(rows, "row"));
    if retrying.is_none() {
        line += &format!(", {rate:.0}/s");
        // Infinite as long as nothing is done.
        if let Ok(left) = Duration::try_from_secs_f64(rows.saturating_sub(done) as f64 / rate) {
            line += &format!(", {} left", time(left));
        }
    }
    if not_in > 0 {
        line += &format!(", {} not imported", HumanCount(not_in));
    }
    if let Some(left) = retrying {
        line += &format!("; retrying for {}", time(left));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Record;

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

    #[test]
    fn of_many_names_that_are_split_differently_twenty_are_listed() {
        let lines = |rows: u64| {
            let mut notices = Notices::default();
            for line in 1..=rows {
                notices.add(&Row {
                    line,
                    original: line,
                    record: Record::default(),
                    cleaned: Vec::new(),
                    split_differently: Some("first name \"Mary\"".to_owned()),
                });
            }
            notices.split_differently()
        };
        assert_eq!(lines(0), [""; 0]);
        let one = [
            "Split differently from the columns, 1 name:",
            "  line 1: first name \"Mary\"",
        ];
        assert_eq!(lines(1), one);
        assert_eq!(lines(20).len(), 21);
        assert_eq!(lines(22).len(), 22);
        assert_eq!(lines(22)[21], "  and 2 more");
    }
}
