//! Imports contacts from a CSV file: one request a row, until what became of each row is known.
//!
//! Rows stream from [`table`] through [`sender`], some at once, into [`report`]; none is kept, so a file may be of any length.
//! A row may be sent any number of times (contract, section 3), which is why a run can be interrupted and run again.

mod options;
mod report;
mod sender;
mod table;

use std::{
    env,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use create_contact::{
    api_key::KeyHash,
    new_contact::{InvalidBody, NewContact},
};
use futures_util::{StreamExt as _, stream};

use crate::{
    options::{Destination, Options, USAGE},
    report::Report,
    sender::{Outcome, Sender},
    table::{Contact, Row, Table},
};

const KEY_VARIABLE: &str = "CONTACTS_API_KEY";
/// Requests at once. What the service doesn't take it refuses with 429, and then most of these wait.
const CONCURRENCY: usize = 32;

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let all_in = Table::open(&options).and_then(|table| match &options.destination {
        Some(destination) => import(&table, destination),
        None => check(&table),
    });
    match all_in {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends every row; whether all of them are in.
#[tokio::main(flavor = "current_thread")]
async fn import(table: &Table, destination: &Destination) -> Result<bool, String> {
    let key = api_key()?;
    let total = table.rows()?.count();
    let sender = Sender::new(destination, &key)?;
    let mut report = Report::new(table, total as u64);
    let interrupt = async {
        // Without a handler there is nothing to wait for, and Ctrl-C ends the process as ever.
        if tokio::signal::ctrl_c().await.is_ok() {
            sender.stop("the import was interrupted");
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("Left at once: what became of the last rows is not known. Run the import again.");
            std::process::exit(130);
        }
        std::future::pending::<()>().await;
    };
    let sent = async {
        let rows = stream::iter(table.rows()?);
        let mut outcomes = rows
            .map(|row| async {
                let outcome = match &row.contact {
                    Ok(contact) => sender.send(contact).await,
                    Err(reason) => Outcome::Rejected(reason.clone()),
                };
                (row, outcome)
            })
            .buffer_unordered(CONCURRENCY);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                next = outcomes.next() => match next {
                    Some((row, outcome)) => report.row(&row, outcome)?,
                    None => break Ok::<_, String>(()),
                },
                _ = tick.tick() => report.tick(sender.trouble().as_deref()),
            }
        }
    };
    tokio::select! {
        sent = sent => sent?,
        () = interrupt => {}
    }
    report.finish(sender.stopped().as_deref())
}

/// Judges every row by the service's own rules; whether all of them may be sent.
fn check(table: &Table) -> Result<bool, String> {
    let (mut rows, mut invalid) = (0_u64, 0_u64);
    for Row { line, contact, .. } in table.rows()? {
        rows += 1;
        if let Err(reason) = contact.and_then(|contact| valid(&contact)) {
            invalid += 1;
            println!("line {line}: {reason}");
        }
    }
    println!("{rows} rows, {invalid} of them invalid. Nothing was sent.");
    Ok(invalid == 0)
}

fn valid(contact: &Contact) -> Result<(), String> {
    // Any workspace will do: it is the same for all rows, and was looked at with the options.
    let body = contact.body("00000000-0000-0000-0000-000000000000");
    match NewContact::parse(body.to_string().as_bytes()) {
        Ok(_) => Ok(()),
        Err(InvalidBody::Fields(faults)) => Err(faults.join("; ") + "."),
        Err(_) => Err("the row makes no request".to_owned()),
    }
}

fn api_key() -> Result<String, String> {
    let key = match env::var(KEY_VARIABLE) {
        Ok(key) => key,
        Err(_) if io::stdin().is_terminal() => {
            return Err(format!(
                "There is no API key: set {KEY_VARIABLE}, or pipe the key into standard input."
            ));
        }
        Err(_) => io::stdin().lines().next().and_then(Result::ok).ok_or(format!(
            "There is no API key, neither in {KEY_VARIABLE} nor on standard input."
        ))?,
    };
    let key = key.trim();
    if KeyHash::of(key.as_bytes()).is_none() {
        return Err(
            "The API key is not one: it is sf_live_v1_ or sf_test_v1_ and 24 to 128 letters or digits.".to_owned(),
        );
    }
    Ok(key.to_owned())
}
