//! What the operator sees: tables at a terminal, JSON for scripts.

use std::io::{Write as _, stdout};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tools::{is_harmful, printable};

use crate::{
    Refusal,
    api_key::SHOWN_DIGITS,
    tables::{ApiKey, Workspace},
};

/// Prints one of both. A closed pipe (`keys list | head`) ends the tool without a panic.
pub fn print(as_json: bool, json: &Value, mut text: String) -> Result<(), Refusal> {
    if as_json {
        // JSON allows most of what harms a terminal unescaped.
        let escape = |c| match c {
            c if is_harmful(c) && c != '\n' => format!("\\u{:04x}", u32::from(c)),
            c => c.to_string(),
        };
        text = format!("{json:#}").chars().map(escape).collect();
    }
    let mut stdout = stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Refusal(format!("Standard output can't be written: {error}.")))
}

pub fn key_table(keys: &[ApiKey]) -> String {
    let header = [
        "KEY ID",
        "HASH",
        "TENANT",
        "SCOPES",
        "WORKSPACE",
        "CREATED",
        "EXPIRES",
        "LABEL",
    ];
    table(header, keys.iter().map(key_row))
}

fn key_row(key: &ApiKey) -> [String; 8] {
    let cell = |attribute: &Option<String>, absent: &str| attribute.clone().unwrap_or_else(|| absent.to_owned());
    let expires_at = cell(&key.expires_at, "never");
    let is_expired = expires_at.parse().is_ok_and(|at: DateTime<Utc>| at <= Utc::now());
    [
        cell(&key.key_id, "none"),
        key.key_hash.chars().take(SHOWN_DIGITS).collect(),
        cell(&key.tenant_id, "none"),
        key.scopes.as_ref().map_or("none".to_owned(), |scopes| scopes.join(" ")),
        cell(&key.workspace_id, "all"),
        cell(&key.created_at, "unknown"),
        if is_expired {
            expires_at + " (expired)"
        } else {
            expires_at
        },
        cell(&key.label, "none"),
    ]
}

pub fn workspace_table(workspaces: &[Workspace]) -> String {
    let row = |workspace: &Workspace| {
        let tenant_id = workspace.tenant_id.as_deref().unwrap_or("none");
        [workspace.workspace_id.clone(), tenant_id.to_owned()]
    };
    table(["WORKSPACE", "TENANT"], workspaces.iter().map(row))
}

/// Lines of columns, each as wide as its widest cell.
fn table<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let lines: Vec<_> = std::iter::once(header.map(str::to_owned))
        .chain(rows)
        .map(|line| line.map(|cell| printable(&cell)))
        .collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|at| width(at).unwrap_or_default());
    let render = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(render).collect::<Vec<_>>().join("\n")
}
