//! What the operator sees: tables for people, JSON for scripts.

use std::io::{self, Write as _, stdout};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use tools::{is_harmful, note, printable};
use uuid::Uuid;

use crate::{
    Refusal,
    api_key::KeyName,
    tables::{ApiKey, Attribute, Workspace},
};

pub fn tenant(as_json: bool, id: Uuid) -> Result<(), Refusal> {
    if as_json {
        return json(&json!({ "tenantId": id }));
    }
    print(&id.to_string())
}

/// Shows a key. It can't be shown again. It is alone on standard output, so that a script can read it.
pub fn issued(as_json: bool, key: &str, stored: &ApiKey) -> Result<(), Refusal> {
    if as_json {
        #[derive(Serialize)]
        struct Issued<'a> {
            key: &'a str,
            #[serde(flatten)]
            stored: &'a ApiKey,
        }
        return json(&Issued { key, stored });
    }
    print(key)?;
    let table = table(KEY_COLUMNS, &[key_row(stored)]);
    let expiry = match stored.expires_at {
        Attribute::Absent => " It never expires: --expires sets a time.",
        _ => "",
    };
    note(format_args!(
        "\nThis key is shown only once: only its hash is stored.{expiry}\n\n{table}"
    ));
    Ok(())
}

pub fn revoked(as_json: bool, key: &ApiKey) -> Result<(), Refusal> {
    if as_json {
        return json(key);
    }
    let table = table(KEY_COLUMNS, &[key_row(key)]);
    print(&format!("Revoked: the key's next request is refused.\n\n{table}"))
}

pub fn keys(as_json: bool, keys: &[ApiKey]) -> Result<(), Refusal> {
    if as_json {
        return json(&keys);
    }
    if keys.is_empty() {
        return print("There are no keys. To issue one: keys issue");
    }
    let rows: Vec<_> = keys.iter().map(key_row).collect();
    print(&table(KEY_COLUMNS, &rows))
}

pub fn workspace_added(as_json: bool, workspace: &Workspace) -> Result<(), Refusal> {
    if as_json {
        return json(workspace);
    }
    print(&table(WORKSPACE_COLUMNS, &[workspace_row(workspace)]))
}

pub fn workspaces(as_json: bool, workspaces: &[Workspace]) -> Result<(), Refusal> {
    if as_json {
        return json(&workspaces);
    }
    if workspaces.is_empty() {
        return print("There are no workspaces. To add one: keys workspace add");
    }
    let rows: Vec<_> = workspaces.iter().map(workspace_row).collect();
    print(&table(WORKSPACE_COLUMNS, &rows))
}

/// Whether output is discarded: standard output is `/dev/null`, which Rust also opens in place of a closed one.
pub fn is_lost() -> io::Result<bool> {
    use std::{
        fs::{self, File},
        os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    };
    let output = File::from(stdout().as_fd().try_clone_to_owned()?).metadata()?;
    // Only devices have a number other than zero.
    Ok(output.rdev() != 0 && output.rdev() == fs::metadata("/dev/null")?.rdev())
}

const KEY_COLUMNS: [&str; 8] = [
    "KEY ID",
    "HASH",
    "TENANT",
    "SCOPES",
    "WORKSPACE",
    "CREATED",
    "EXPIRES",
    "LABEL",
];
const WORKSPACE_COLUMNS: [&str; 2] = ["WORKSPACE", "TENANT"];

fn key_row(key: &ApiKey) -> [String; 8] {
    let instant = |instant: &DateTime<Utc>| instant.format("%Y-%m-%d %H:%M UTC").to_string();
    [
        cell(&key.key_id, "none", String::clone),
        key.key_hash.chars().take(KeyName::DIGITS).collect(),
        cell(&key.tenant_id, "none", String::clone),
        cell(&key.scopes, "none", |scopes| scopes.join(" ")),
        cell(&key.workspace_id, "all", String::clone),
        cell(&key.created_at, "unknown", |text| match text.parse() {
            Ok(created) => instant(&created),
            Err(_) => "unreadable".to_owned(),
        }),
        cell(&key.expires_at, "never", |expiry| {
            let expired = if expiry.0 <= Utc::now() { " (expired)" } else { "" };
            format!("{}{expired}", instant(&expiry.0))
        }),
        cell(&key.label, "none", String::clone),
    ]
}

fn workspace_row(workspace: &Workspace) -> [String; 2] {
    [
        workspace.workspace_id.clone(),
        cell(&workspace.tenant_id, "none", String::clone),
    ]
}

fn cell<T>(attribute: &Attribute<T>, absent: &str, show: impl FnOnce(&T) -> String) -> String {
    match attribute {
        Attribute::Absent => absent.to_owned(),
        Attribute::Unreadable => "unreadable".to_owned(),
        Attribute::Is(value) => show(value),
    }
}

/// Lines of columns, each as wide as its widest cell.
fn table<const N: usize>(columns: [&str; N], rows: &[[String; N]]) -> String {
    let header = columns.map(str::to_owned);
    let lines: Vec<_> = std::iter::once(&header)
        .chain(rows)
        .map(|line| line.each_ref().map(|cell| printable(cell)))
        .collect();
    let widths: [usize; N] = std::array::from_fn(|at| {
        lines
            .iter()
            .map(|line| line[at].chars().count())
            .max()
            .unwrap_or_default()
    });
    let render = |line: &[String; N]| {
        let cells: Vec<_> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(render).collect::<Vec<_>>().join("\n")
}

fn json(value: &impl Serialize) -> Result<(), Refusal> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Refusal::new(format!("The output can't be written as JSON: {error}.")))?;
    // JSON allows most of what harms a terminal unescaped.
    let text: String = text
        .chars()
        .map(|c| match c {
            c if is_harmful(c) && c != '\n' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    print(&text)
}

/// A closed pipe (`keys list | head`) ends the tool without a panic.
fn print(text: &str) -> Result<(), Refusal> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Refusal::new(format!("Standard output can't be written: {error}.")))
}
