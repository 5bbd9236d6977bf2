//! Imports contacts from a CSV file. Each row is sent as a request until its result is known.
//!
//! | module | knows |
//! | --- | --- |
//! | [`options`] | the command line |
//! | [`input`], [`encoding`] | bytes to text: encodings, and files that aren't text |
//! | [`records`] | text to records |
//! | [`titles`], [`columns`] | what each title says; which column is what for a contact |
//! | [`header`], [`table`] | where the header is; records to rows |
//! | [`clean`], [`placeholders`], [`misread`] | cells: what is cleaned, what is rejected |
//! | [`names`] | which text to send as the name |
//! | [`duplicates`] | rows with the same address |
//! | [`sender`] | sending a row, with retries |
//! | [`rejects`], [`report`] | the results of the rows |
//! | [`preview`] | the same without sending |
//!
//! The whole file is checked before anything is sent. Then its rows are read and sent as a stream, several at once. Rows aren't
//! kept, so a file may have any length. A row may be sent any number of times (`docs/contract.md#3-the-same-contact-twice`), so
//! an import can be interrupted and run again.

mod clean;
mod columns;
mod duplicates;
mod encoding;
mod header;
mod input;
mod misread;
mod names;
mod options;
mod placeholders;
mod preview;
mod records;
mod rejects;
mod report;
mod sender;
mod table;
mod terminal;
mod titles;

use std::{
    cell::Cell,
    env,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use clap::Parser as _;
use create_contact::api_key::KeyHash;
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, interval_at, sleep},
};
use tools::{is_key_among_arguments, is_loopback, note};

use crate::{
    duplicates::{Duplicates, Place},
    input::Input,
    options::Options,
    report::Report,
    sender::{CONCURRENCY, Outcome, Sender},
    table::{Contact, Table},
    terminal::{say, time},
};

const KEY_VARIABLE: &str = "CONTACTS_API_KEY";
const NOT_A_KEY: &str =
    "That isn't an API key. A key is sf_live_v1_ or sf_test_v1_ followed by 24 to 128 letters or digits.";
/// How many rows may be read beyond the first one without a result: a row that is retried delays the report, not other rows.
const WINDOW: usize = 256;
/// How often progress is shown on a terminal.
const TICK: Duration = Duration::from_secs(1);
/// How long an interrupted import waits for the responses to what it has sent.
const GRACE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    if is_key_among_arguments() {
        note(format_args!(
            "There is an API key among the arguments, where other users of this machine can read it. Put it into {KEY_VARIABLE}, or \
             pipe it into standard input."
        ));
        return ExitCode::from(2);
    }
    let options = Options::try_parse().unwrap_or_else(|error| error.exit());
    let are_all_in = run(&options).unwrap_or_else(|error| {
        note(error);
        false
    });
    ExitCode::from(u8::from(!are_all_in))
}

/// Returns whether every row was imported.
fn run(options: &Options) -> Result<bool, String> {
    let target = match (&options.url, options.workspace) {
        (Some(url), Some(workspace)) if !options.dry_run => Some((url.clone(), workspace, api_key()?)),
        _ => None,
    };
    let input = Input::open(&options.file, options.encoding)?;
    let table = Table::find(input, &options.columns)?;
    let rows = table.check()?;
    say(table.shown(rows));
    let Some((url, workspace, key)) = target else {
        return Ok(preview::dry_run(&table, rows));
    };
    let can_ask = io::stdin().is_terminal() && io::stdout().is_terminal();
    if can_ask && !options.yes && !preview::confirm(&table, rows) {
        return Ok(false);
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        note("The key goes over the network unencrypted: the URL begins with http://.");
    }
    note(format_args!("Sending the rows to {url}, up to {CONCURRENCY} at once."));
    let sender = Sender::new(url, workspace.to_string(), options.give_up_after, &key)?;
    import(&table, &sender, Report::new(&table, &options.file, rows))
}

/// Sends every row. Returns whether all were imported.
#[tokio::main(flavor = "current_thread")]
async fn import(table: &Table, sender: &Sender, mut report: Report<'_>) -> Result<bool, String> {
    // Before the first request: an import that has sent something never ends without its report.
    let unhandled = |error| format!("Ctrl-C can't be handled: {error}");
    let interrupt = signal(SignalKind::interrupt()).map_err(unhandled)?;
    let terminate = signal(SignalKind::terminate()).map_err(unhandled)?;
    let bar = report.bar.clone();
    let (duplicates, decided) = (Duplicates::default(), Cell::new(0));
    let outcomes = stream::iter(table.rows()).map(|row| {
        let contact = row.contact.as_ref().ok();
        let place = contact.map(|contact| duplicates.add(contact, row.original));
        let (duplicates, decided) = (&duplicates, &decided);
        async move {
            let outcome = match (&row.contact, place) {
                (Ok(contact), Some(place)) => send_in_turn(sender, duplicates, contact, place).await,
                (contact, _) => Outcome::Rejected(contact.as_ref().err().cloned().unwrap_or_default()),
            };
            decided.set(decided.get() + 1);
            (row, outcome)
        }
    });
    let mut outcomes = outcomes.buffered(WINDOW);
    let sent = async {
        let mut tick = interval_at(Instant::now() + TICK, TICK);
        loop {
            tokio::select! {
                next = outcomes.next() => match next {
                    Some((row, outcome)) => {
                        if let Err(reason) = report.row(&row, &outcome) {
                            sender.stop(&reason);
                        }
                    }
                    None => break,
                },
                _ = tick.tick() => report.tick(decided.get(), sender.trouble()),
            }
        }
    };
    tokio::select! {
        () = sent => {}
        () = stop([interrupt, terminate], sender, &bar) => {}
    }
    report.finish(sender.stopped().as_deref())
}

/// Sends a row after the first one with the same address, so that the first one in the file is stored.
async fn send_in_turn(sender: &Sender, duplicates: &Duplicates, contact: &Contact, place: Place) -> Outcome {
    let Some(line) = place.first else {
        let outcome = sender.send(contact).await;
        duplicates.decide(place, matches!(outcome, Outcome::NotSent(_) | Outcome::Rejected(_)));
        return outcome;
    };
    let is_first_in = duplicates.is_first_in(place).await;
    if !is_first_in && !place.has_same_name {
        return Outcome::NotSent(format!(
            "not sent: line {line} has the same address and wasn't imported: import that row first"
        ));
    }
    match sender.send(contact).await {
        Outcome::Conflict(reason) if !place.has_same_name => {
            Outcome::Conflict(format!("{reason} In the file, line {line} has the same address."))
        }
        outcome => outcome,
    }
}

/// After SIGINT or SIGTERM, nothing new is sent, and requests in progress get some time to finish, unless a second signal
/// arrives.
async fn stop(mut signals: [Signal; 2], sender: &Sender, bar: &ProgressBar) {
    let [interrupt, terminate] = &mut signals;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    sender.stop("the import was interrupted");
    // The bar must not write over it, and it has to fit on a line of 80 characters.
    bar.suspend(|| {
        let grace = time(GRACE);
        note(format_args!(
            "Interrupted: waiting up to {grace} for responses. Ctrl-C again stops at once."
        ));
    });
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = sleep(GRACE) => {}
    }
    sender.cut();
    // The remaining rows are quick: they are written as not sent.
    std::future::pending::<()>().await;
}

fn api_key() -> Result<String, String> {
    let key = match env::var(KEY_VARIABLE) {
        Ok(key) => Some(key),
        Err(_) if io::stdin().is_terminal() => None,
        Err(_) => io::stdin().lines().next().and_then(Result::ok),
    };
    let key = key.ok_or("There is no API key: set CONTACTS_API_KEY, or pipe the key into standard input.")?;
    let key = key.trim();
    KeyHash::of(key.as_bytes()).ok_or(NOT_A_KEY)?;
    Ok(key.to_owned())
}
