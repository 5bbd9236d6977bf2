//! What an import would do, without doing it: for `--dry-run`, and before the question at a terminal.

use std::io::{self, Write as _};

use crate::{
    duplicates::Duplicates,
    report::Notices,
    table::{Contact, Table},
    terminal::{count, say},
};

/// How many contacts are shown as they would be stored.
const SHOWN: usize = 5;
/// How many notes about single rows come before the question.
const MOST_NOTES: usize = 10;

/// Checks every row with the service's own rules. Returns whether all of them would be imported, as far as the file shows.
pub fn dry_run(table: &Table, rows: u64) -> bool {
    let preview = Preview::show(table, rows, usize::MAX);
    say(format_args!("{} Nothing was sent.", preview.totals));
    preview.rejected == 0 && preview.conflicts == 0
}

/// Shows the same, and asks whether to import.
pub fn confirm(table: &Table, rows: u64) -> bool {
    let preview = Preview::show(table, rows, MOST_NOTES);
    say(&preview.totals);
    // If standard output is closed, nobody sees the question, and there is no answer.
    let mut out = io::stdout();
    let _ = write!(out, "Import {}? [y/N] ", count(rows - preview.rejected, "row"));
    let _ = out.flush();
    let mut answer = String::new();
    let is_yes =
        io::stdin().read_line(&mut answer).is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if !is_yes {
        say("Nothing was sent.");
    }
    is_yes
}

struct Preview {
    rejected: u64,
    conflicts: u64,
    totals: String,
}

impl Preview {
    fn show(table: &Table, rows: u64, most_notes: usize) -> Self {
        say("As they would be stored:");
        let valid = table.rows().filter_map(Result::ok);
        let valid = valid.filter_map(|(row, contact)| Some((row.line, contact.ok()?)));
        for (line, contact) in valid.take(SHOWN) {
            say(format_args!("  line {line}: {}", stored(&contact)));
        }
        let (mut duplicates, mut notices) = (Duplicates::default(), Notices::default());
        let (mut rejected, mut conflicts, mut repeated) = (0, 0, 0);
        let mut notes = 0;
        let mut note = |line: u64, text: String| {
            notes += 1;
            if notes <= most_notes {
                say(format_args!("line {line}: {text}"));
            }
        };
        for (row, contact) in table.rows().filter_map(Result::ok) {
            let line = row.line;
            let contact = match contact {
                Ok(contact) => contact,
                Err(reason) => {
                    rejected += 1;
                    note(line, format!("rejected: {reason}"));
                    continue;
                }
            };
            notices.add(&row);
            for what in &row.cleaned {
                note(line, format!("cleaned: {what}"));
            }
            if let Some(split) = &row.split_differently {
                note(line, format!("split differently: {split}"));
            }
            if let Some(earlier) = duplicates.add(duplicates.address(&contact), &contact, line) {
                let first = earlier.line;
                if earlier.has_same_name {
                    repeated += 1;
                    note(line, format!("the same contact as on line {first}"));
                } else {
                    conflicts += 1;
                    note(
                        line,
                        format!("conflict: line {first} has this address under another name"),
                    );
                }
            }
        }
        if notes > most_notes {
            say(format_args!(
                "and {} more: --dry-run shows them all",
                notes - most_notes
            ));
        }
        notices.say_cleaned();
        Self {
            rejected,
            conflicts,
            totals: format!(
                "{}: {rejected} would be rejected, {conflicts} would conflict with an earlier row, {repeated} would be found \
                 as existing.",
                count(rows, "row")
            ),
        }
    }
}

fn stored(contact: &Contact) -> String {
    format!("{}, email {}", contact.split(), contact.parsed.email.as_str())
}
