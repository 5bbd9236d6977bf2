//! What an import would do, without doing it: for `--dry-run`, and before the question at a terminal.

use std::io::{self, Write as _};

use crate::{
    duplicates::Duplicates,
    report::Notices,
    table::Table,
    terminal::{count, say},
};

/// How many contacts are shown as they would be stored.
const SHOWN: usize = 5;
/// How many notes about single rows come before the question.
const MOST_NOTES: usize = 10;

/// Checks every row with the service's own rules. Returns whether all of them would be imported, as far as the file shows.
pub fn dry_run(table: &Table, rows: u64) -> bool {
    let (rejected, conflicts, totals) = show(table, rows, usize::MAX);
    say(format_args!("{totals} Nothing was sent."));
    rejected == 0 && conflicts == 0
}

/// Shows the same, and asks whether to import.
pub fn confirm(table: &Table, rows: u64) -> bool {
    let (rejected, _, totals) = show(table, rows, MOST_NOTES);
    say(totals);
    // If standard output is closed, nobody sees the question, and there is no answer.
    let mut out = io::stdout();
    let _ = write!(out, "Import {}? [y/N] ", count(rows - rejected, "row"));
    let _ = out.flush();
    let mut answer = String::new();
    let is_read = io::stdin().read_line(&mut answer).is_ok();
    let is_yes = is_read && ["y", "yes"].contains(&&*answer.trim().to_lowercase());
    if !is_yes {
        say("Nothing was sent.");
    }
    is_yes
}

/// Shows contacts as they would be stored, and notes about rows. Returns how many rows would be rejected, how many would conflict,
/// and the totals in words.
fn show(table: &Table, rows: u64, most_notes: usize) -> (u64, u64, String) {
    say("As they would be stored:");
    let valid = table.rows().filter_map(|row| Some((row.line, row.contact.ok()?)));
    for (line, contact) in valid.take(SHOWN) {
        say(format_args!(
            "  line {line}: {}, email {}",
            contact.split(),
            contact.email.as_str()
        ));
    }
    let (duplicates, mut notices) = (Duplicates::default(), Notices::default());
    let (mut rejected, mut conflicts, mut repeated) = (0, 0, 0);
    let mut notes = 0;
    for row in table.rows() {
        notices.add(&row);
        let mut texts: Vec<String> = row.cleaned.iter().map(|what| format!("cleaned: {what}")).collect();
        match &row.contact {
            Err(reason) => {
                rejected += 1;
                texts = vec![format!("rejected: {reason}")];
            }
            Ok(contact) => {
                texts.extend(
                    contact
                        .split_differently()
                        .map(|split| format!("split differently: {split}")),
                );
                let place = duplicates.add(contact, row.line);
                duplicates.decide(place, false);
                if let Some(line) = place.first {
                    texts.push(if place.has_same_name {
                        repeated += 1;
                        format!("the same contact as on line {line}")
                    } else {
                        conflicts += 1;
                        format!("conflict: line {line} has this address under another name")
                    });
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
        let more = notes - most_notes;
        say(format_args!("and {more} more: --dry-run shows them all"));
    }
    notices.cleaned().iter().for_each(say);
    let rows = count(rows, "row");
    let totals = format!(
        "{rows}: {rejected} would be rejected, {conflicts} would conflict with an earlier row, {repeated} would be found as existing."
    );
    (rejected, conflicts, totals)
}
