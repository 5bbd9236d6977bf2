//! What an import would do, without doing it.

use crate::{
    duplicates::Duplicates,
    report::Notices,
    table::{Contact, Table},
    terminal::{count, say},
};

/// How many contacts are shown as they would be stored.
const SHOWN: usize = 5;

/// Checks every row with the service's own rules. Returns whether all of them would be imported, as far as the file shows.
pub fn dry_run(table: &Table, rows: u64) -> bool {
    say("As they would be stored:");
    let valid = table.rows().filter_map(Result::ok);
    let valid = valid.filter_map(|(row, contact)| Some((row.line, contact.ok()?)));
    for (line, contact) in valid.take(SHOWN) {
        say(format_args!("  line {line}: {}", stored(&contact)));
    }
    let (mut duplicates, mut notices) = (Duplicates::default(), Notices::default());
    let (mut rejected, mut conflicts, mut repeated) = (0, 0, 0);
    for (row, contact) in table.rows().filter_map(Result::ok) {
        notices.add(&row);
        let line = row.line;
        for what in &row.cleaned {
            say(format_args!("line {line}: cleaned: {what}"));
        }
        match contact {
            Err(reason) => {
                rejected += 1;
                say(format_args!("line {line}: rejected: {reason}"));
            }
            Ok(contact) => {
                if row.is_split_differently {
                    say(format_args!("line {line}: split differently: {}", split(&contact)));
                }
                if let Some(earlier) = duplicates.add(duplicates.address(&contact), &contact, line) {
                    let first = earlier.line;
                    if earlier.has_same_name {
                        repeated += 1;
                        say(format_args!("line {line}: the same contact as on line {first}"));
                    } else {
                        conflicts += 1;
                        say(format_args!(
                            "line {line}: conflict: line {first} has this address under another name"
                        ));
                    }
                }
            }
        }
    }
    notices.say();
    say(format_args!(
        "{}: {rejected} would be rejected, {conflicts} would conflict with an earlier row, {repeated} would be found as \
         existing. Nothing was sent.",
        count(rows, "row")
    ));
    rejected == 0 && conflicts == 0
}

fn stored(contact: &Contact) -> String {
    format!("{}, email {}", split(contact), contact.parsed.email.as_str())
}

fn split(contact: &Contact) -> String {
    let name = &contact.parsed.name;
    match name.last() {
        Some(last) => format!("first name \"{}\", last name \"{last}\"", name.first()),
        None => format!("first name \"{}\", no last name", name.first()),
    }
}
