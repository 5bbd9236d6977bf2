//! What an import would do, without doing it: for `--dry-run`, and before the question at a terminal.

use std::io::{self, Write as _};

use crate::{
    duplicates::{Duplicates, First},
    report::Notices,
    table::{Row, Table},
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
        let stored = |row: Row| {
            let contact = row.contact.ok()?;
            Some(format!(
                "  line {}: {}, email {}",
                row.line,
                contact.split(),
                contact.email.as_str()
            ))
        };
        table.rows().filter_map(stored).take(SHOWN).for_each(say);
        let (duplicates, mut notices) = (Duplicates::default(), Notices::default());
        let (mut rejected, mut conflicts, mut repeated) = (0, 0, 0);
        let mut notes = 0;
        for row in table.rows() {
            let mut texts = Vec::new();
            match &row.contact {
                Err(reason) => {
                    rejected += 1;
                    texts.push(format!("rejected: {reason}"));
                }
                Ok(contact) => {
                    notices.add(&row);
                    texts.extend(row.cleaned.iter().map(|what| format!("cleaned: {what}")));
                    texts.extend(
                        contact
                            .is_split_differently
                            .then(|| format!("split differently: {}", contact.split())),
                    );
                    match duplicates.add(contact, row.line).first {
                        None => {}
                        Some(First {
                            line,
                            has_same_name: true,
                        }) => {
                            repeated += 1;
                            texts.push(format!("the same contact as on line {line}"));
                        }
                        Some(First { line, .. }) => {
                            conflicts += 1;
                            texts.push(format!("conflict: line {line} has this address under another name"));
                        }
                    }
                }
            }
            for text in &texts {
                notes += 1;
                if notes <= most_notes {
                    say(format_args!("line {}: {text}", row.line));
                }
            }
        }
        if notes > most_notes {
            say(format_args!(
                "and {} more: --dry-run shows them all",
                notes - most_notes
            ));
        }
        notices.cleaned().iter().for_each(say);
        let rows = count(rows, "row");
        Self {
            rejected,
            conflicts,
            totals: format!(
                "{rows}: {rejected} would be rejected, {conflicts} would conflict with an earlier row, {repeated} would be found as \
                 existing."
            ),
        }
    }
}
