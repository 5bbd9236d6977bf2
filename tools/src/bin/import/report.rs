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
/// How many line numbers a sentence lists.
const MOST_LINES: usize = 20;

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

/// Notes about rows, whatever their results.
#[derive(Default)]
pub struct Notices {
    cleaned: BTreeMap<&'static str, u64>,
    split_differently: Vec<u64>,
    split_differently_more: u64,
}

impl Notices {
    /// Adds the notes about a row.
    pub fn add(&mut self, row: &Row) {
        for what in &row.cleaned {
            *self.cleaned.entry(what).or_default() += 1;
        }
        if row.is_split_differently {
            if self.split_differently.len() < MOST_LINES {
                self.split_differently.push(row.line);
            } else {
                self.split_differently_more += 1;
            }
        }
    }

    /// Prints the notes.
    pub fn say(&self) {
        if !self.cleaned.is_empty() {
            let what: Vec<String> = self
                .cleaned
                .iter()
                .map(|(what, cells)| format!("{what} ({})", count(*cells, "cell")))
                .collect();
            say(format_args!("Cleaned: {}.", what.join(", ")));
        }
        if let Some(sentence) = self.split_differently() {
            say(sentence);
        }
    }

    fn split_differently(&self) -> Option<String> {
        let lines: Vec<String> = self.split_differently.iter().map(u64::to_string).collect();
        let more = match self.split_differently_more {
            0 => String::new(),
            more => format!(" and {} more", HumanCount(more)),
        };
        let all = lines.len() as u64 + self.split_differently_more;
        (all > 0).then(|| {
            format!(
                "Split differently: for {} the service's last name differs from the column's: {} {}{more}.",
                count(all, "name"),
                if all == 1 { "line" } else { "lines" },
                lines.join(", "),
            )
        })
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
    bar: ProgressBar,
    began: Instant,
    last_line: Option<Instant>,
}

impl<'a> Report<'a> {
    /// An empty report on this many rows.
    pub fn new(table: &'a Table, options: &'a Options, rows: u64) -> Self {
        let bar = ProgressBar::new(rows);
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {msg}") {
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
        }
    }

    /// Counts a row. If it wasn't imported, it is written to the file first.
    ///
    /// # Errors
    ///
    /// The row can't be written, so the import has to stop.
    pub fn row(&mut self, row: &Row, outcome: &Outcome) -> Result<(), String> {
        let written = match outcome {
            Outcome::Created | Outcome::Existing => Ok(()),
            Outcome::Conflict(reason) | Outcome::Rejected(reason) | Outcome::NotSent(reason) => {
                self.rejects.write(row, reason)
            }
        };
        self.counts.add(outcome);
        if let Outcome::Rejected(reason) = outcome {
            add_reason(&mut self.reasons, reason);
        }
        self.notices.add(row);
        written
    }

    /// Shows how many rows have a result, written or not, and the error that the others wait for.
    pub fn tick(&mut self, done: u64, trouble: Option<&str>) {
        let line = progress(done, self.rows, self.began.elapsed(), self.counts.not_in(), trouble);
        let since_last_line = self.last_line.map(|last| last.elapsed());
        if line_is_due(self.bar.is_hidden(), since_last_line) {
            self.last_line = Some(Instant::now());
            note(&line);
        }
        self.bar.set_position(done);
        self.bar.set_message(line);
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
        self.notices.say();
        if let Some(reason) = stopped {
            say(format_args!("The import stopped: {}.", reason.trim_end_matches('.')));
        }
        let files = self.rejects.finish();
        if !files.is_empty() {
            say(
                "The rows that weren't imported are in a file, each with its line and the reason. Once they are fixed, this imports them:",
            );
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
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// Counts a reason, if it is one of the first different ones.
fn add_reason(reasons: &mut BTreeMap<String, u64>, reason: &str) {
    if reasons.len() < MOST_REASONS || reasons.contains_key(reason) {
        *reasons.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Whether progress is printed as a line: at a terminal, the bar shows it.
fn line_is_due(bar_is_hidden: bool, since_last_line: Option<Duration>) -> bool {
    bar_is_hidden && since_last_line.is_none_or(|since| since >= LINE_EVERY)
}

/// A line of progress.
#[expect(clippy::cast_precision_loss)]
fn progress(done: u64, rows: u64, elapsed: Duration, not_in: u64, trouble: Option<&str>) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    // Infinite as long as nothing is done.
    let left = Duration::try_from_secs_f64(rows.saturating_sub(done) as f64 / rate);
    let left = left.map_or_else(
        |_| "time left not known yet".to_owned(),
        |left| format!("{} left", time(left)),
    );
    let trouble = trouble.map(|trouble| format!("; {trouble}")).unwrap_or_default();
    format!(
        "{} of {}, {rate:.0} a second, {left}; {} not imported so far{trouble}",
        HumanCount(done),
        count(rows, "row"),
        HumanCount(not_in),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Record;

    #[test]
    fn progress_has_the_rate_and_the_time_left() {
        let progress = |done, trouble| progress(done, 1_100, Duration::from_secs(20), 3, trouble);
        assert_eq!(
            progress(100, None),
            "100 of 1,100 rows, 5 a second, 3m 20s left; 3 not imported so far"
        );
        assert_eq!(
            progress(0, Some("retrying")),
            "0 of 1,100 rows, 0 a second, time left not known yet; 3 not imported so far; retrying"
        );
    }

    #[test]
    fn progress_is_a_line_every_five_seconds_unless_there_is_a_bar() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert!(line_is_due(true, None));
        assert!(!line_is_due(true, seconds(4)));
        assert!(line_is_due(true, seconds(5)));
        assert!(!line_is_due(false, None));
        assert!(!line_is_due(false, seconds(5)));
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
    fn of_many_lines_twenty_are_listed_and_the_others_counted() {
        let notices = |rows: u64| {
            let mut notices = Notices::default();
            for line in 1..=rows {
                notices.add(&Row {
                    line,
                    original: line,
                    record: Record::default(),
                    cleaned: Vec::new(),
                    is_split_differently: true,
                });
            }
            notices.split_differently()
        };
        assert_eq!(notices(0), None);
        let sentence = |names: &str, lines: &str| {
            format!("Split differently: for {names} the service's last name differs from the column's: {lines}.")
        };
        assert_eq!(notices(1), Some(sentence("1 name", "line 1")));
        let twenty = (1..=20).map(|line| line.to_string()).collect::<Vec<_>>().join(", ");
        assert_eq!(notices(20), Some(sentence("20 names", &format!("lines {twenty}"))));
        assert_eq!(
            notices(22),
            Some(sentence("22 names", &format!("lines {twenty} and 2 more")))
        );
    }
}
