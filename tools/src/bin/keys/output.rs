//! What the operator sees: tables for people, JSON for scripts.

use std::io::{Write as _, stdout};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Refusal,
    api_key::Prefix,
    tables::{ApiKey, Workspace},
};

pub fn tenant(as_json: bool, id: Uuid) -> Result<(), Refusal> {
    if as_json {
        return json(&json!({ "tenantId": id }));
    }
    print(&id.to_string())
}

/// The one time that a key is shown.
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
    let table = table(KEY_COLUMNS, &[key_row(stored)]);
    print(&format!(
        "{key}\n\nThis is the only time that the key is shown: only its hash is stored.\n\n{table}"
    ))
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
        return print("There are no keys. keys issue makes one.");
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
        return print("There are no workspaces. keys workspace add makes one.");
    }
    let rows: Vec<_> = workspaces.iter().map(workspace_row).collect();
    print(&table(WORKSPACE_COLUMNS, &rows))
}

const KEY_COLUMNS: [&str; 5] = ["HASH", "TENANT", "SCOPES", "WORKSPACE", "EXPIRES"];
const WORKSPACE_COLUMNS: [&str; 2] = ["WORKSPACE", "TENANT"];

fn key_row(key: &ApiKey) -> [String; 5] {
    let expires = match key.expires_at.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
        None => "never".to_owned(),
        Some(instant) => {
            let expired = if instant <= Utc::now() { " (expired)" } else { "" };
            format!("{}{expired}", instant.format("%Y-%m-%d %H:%M UTC"))
        }
    };
    [
        key.key_hash.chars().take(Prefix::SHOWN).collect(),
        key.tenant_id.clone().unwrap_or_else(|| "none".to_owned()),
        key.scopes.join(" "),
        key.workspace_id.clone().unwrap_or_else(|| "all".to_owned()),
        expires,
    ]
}

fn workspace_row(workspace: &Workspace) -> [String; 2] {
    [workspace.workspace_id.clone(), workspace.tenant_id.clone()]
}

/// Lines of columns, each as wide as its widest cell.
fn table<const N: usize>(columns: [&str; N], rows: &[[String; N]]) -> String {
    let header = columns.map(str::to_owned);
    let lines: Vec<_> = std::iter::once(&header).chain(rows).collect();
    let widths: [usize; N] = std::array::from_fn(|at| {
        lines
            .iter()
            .map(|line| line[at].chars().count())
            .max()
            .unwrap_or_default()
    });
    let render = |line: &&[String; N]| {
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
    let text = serde_json::to_string_pretty(value).map_err(|error| Refusal::new(format!("No JSON: {error}.")))?;
    print(&text)
}

/// A closed pipe (`keys list | head`) is a reason to stop, and none to panic.
fn print(text: &str) -> Result<(), Refusal> {
    writeln!(stdout(), "{text}").map_err(|error| Refusal::new(format!("Standard output can't be written: {error}.")))
}
