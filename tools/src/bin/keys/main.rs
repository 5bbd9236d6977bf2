//! `keys`: issues, lists and revokes the API keys of a deployment, and tells it which workspaces there are.
//!
//! A key exists here only from when it is made until it is printed, and again on standard input when it is revoked. It is never
//! an argument, so it is in no shell history and no process list. Only its hash is stored (`docs/contract.md#5-api-keys`).

mod api_key;
mod command_line;
mod connection;
mod output;
mod tables;

use std::{
    io::{self, IsTerminal as _, stdin},
    process, slice,
};

use clap::Parser as _;
use create_contact::api_key::KeyHash;
use serde_json::json;
use tools::{is_key_among_arguments, note};
use uuid::Uuid;

use crate::{
    command_line::{Command, CommandLine, Issue, TenantCommand, WorkspaceCommand},
    output::{key_table, print, workspace_table},
    tables::Tables,
};

/// Why a command failed: a message for the operator.
#[derive(Debug)]
pub struct Refusal(String);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // This comes before anything else reads the command line, because an error message could repeat the key.
    if is_key_among_arguments() {
        note(
            "Don't pass a key on the command line: it may now be in the shell's history. Pass it on standard input: keys revoke < FILE",
        );
        process::exit(2);
    }
    let done = execute(CommandLine::parse()).await;
    if let Err(Refusal(message)) = &done {
        note(message);
    }
    // Doesn't wait for a name look-up that still runs on another thread.
    process::exit(done.is_err().into());
}

async fn execute(CommandLine { options, command }: CommandLine) -> Result<(), Refusal> {
    let json = options.json;
    match command {
        Command::Issue(wanted) => issue(json, &Tables::open(options).await?, wanted).await,
        Command::Revoke { name } => {
            // Read before any call to AWS, so that an empty standard input is reported first.
            let name = name.map_or_else(key_on_standard_input, Ok)?;
            let key = Tables::open(options).await?.revoke(&name).await?;
            let table = key_table(slice::from_ref(&key));
            let text = format!("Revoked: the key's next request is refused.\n\n{table}");
            print(json, &json!(key), text)
        }
        Command::List => {
            let keys = Tables::open(options).await?.keys().await?;
            print(json, &json!(keys), key_table(&keys))
        }
        Command::Workspace(WorkspaceCommand::Add { tenant, id }) => {
            let id = id.unwrap_or_else(Uuid::now_v7);
            let workspace = Tables::open(options).await?.add_workspace(id, tenant).await?;
            print(json, &json!(workspace), workspace_table(slice::from_ref(&workspace)))
        }
        Command::Workspace(WorkspaceCommand::List) => {
            let workspaces = Tables::open(options).await?.workspaces().await?;
            print(json, &json!(workspaces), workspace_table(&workspaces))
        }
        Command::Tenant(TenantCommand::New) => {
            let id = Uuid::now_v7();
            print(json, &json!({ "tenantId": id }), id.to_string())
        }
    }
}

/// Issues a key. It is alone on standard output, so that a script can read it.
async fn issue(json: bool, tables: &Tables, wanted: Issue) -> Result<(), Refusal> {
    check_workspace(tables, &wanted).await?;
    let key = api_key::generate(wanted.test);
    let hash = KeyHash::of(key.as_bytes()).expect("a key that this tool makes is well-formed");
    let stored = tables.add_key(&hash, wanted).await?;
    let mut shown = json!(stored);
    shown["key"] = json!(key);
    if let Err(refusal) = print(json, &shown, key) {
        return Err(tables.withdraw(&stored, refusal).await);
    }
    if !json {
        let expiry = match stored.expires_at {
            None => " It never expires: --expires sets a time.",
            Some(_) => "",
        };
        note(format_args!(
            "\nThis key is shown only once: only its hash is stored.{expiry}\n\n{}",
            key_table(slice::from_ref(&stored))
        ));
    }
    Ok(())
}

/// Refuses a workspace that the tenant doesn't have, and warns if it has none.
async fn check_workspace(tables: &Tables, wanted: &Issue) -> Result<(), Refusal> {
    let tenant = wanted.tenant;
    if let Some(id) = wanted.workspace {
        return match tables.workspace(id).await? {
            Some(workspace) if workspace.belongs_to(tenant) => Ok(()),
            Some(_) => Err(Refusal(format!("Workspace {id} belongs to another tenant."))),
            None => Err(Refusal(format!(
                "There is no workspace {id}. Add it first: keys workspace add --tenant {tenant} {id}"
            ))),
        };
    }
    if !tables.workspaces().await?.iter().any(|one| one.belongs_to(tenant)) {
        note(format_args!(
            "Warning: tenant {tenant} has no workspace, so every request with this key gets 404. Add one: keys workspace add --tenant {tenant}"
        ));
    }
    Ok(())
}

/// The hash of the key on standard input.
fn key_on_standard_input() -> Result<String, Refusal> {
    if stdin().is_terminal() {
        note("Paste the key, then press Enter and Ctrl-D:");
    }
    let input =
        io::read_to_string(stdin()).map_err(|error| Refusal(format!("Standard input can't be read: {error}.")))?;
    api_key::hash_of_key_in(&input).ok_or_else(|| {
        Refusal("There is no key on standard input. A key is sf_live_v1_ or sf_test_v1_ followed by 24 to 128 letters or digits. To revoke a key that you don't have: keys revoke KEY_ID, or keys revoke HASH".to_owned())
    })
}
