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
    env, fmt,
    io::{IsTerminal as _, Read as _, stderr, stdin},
    pin::pin,
    process::ExitCode,
};

use chrono::{SecondsFormat, Utc};
use clap::Parser as _;
use create_contact::api_key::KeyHash;
use futures_util::FutureExt as _;
use tokio::{runtime, signal::ctrl_c};
use tools::{is_key_among_arguments, note, printable};
use uuid::Uuid;

use crate::{
    api_key::KeyName,
    command_line::{Command, CommandLine, Issue, Options, TenantCommand, WorkspaceCommand},
    connection::Connection,
    tables::{ApiKey, Attribute, Expiry, Tables, Workspace},
};

/// More than any input that contains one key.
const LONGEST_INPUT: u64 = 64 * 1024;

/// Why a command failed: a message for the operator.
#[derive(Debug)]
pub struct Refusal(String);

impl Refusal {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn main() -> ExitCode {
    // This comes before anything else reads the command line, because an error message could repeat the key.
    if is_key_among_arguments() {
        note(
            "Don't pass a key on the command line: it may now be in the shell's history. Pass it on standard input: keys revoke < FILE",
        );
        return ExitCode::from(2);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            // It may quote what a server said.
            note(printable(&refusal.0));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Refusal> {
    let CommandLine { options, command } = CommandLine::parse();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Refusal::new(format!("The program can't start: {error}.")))?;
    let done = runtime.block_on(execute(options, command));
    // Doesn't wait for a name look-up that still runs on another thread.
    runtime.shutdown_background();
    done
}

async fn execute(options: Options, command: Command) -> Result<(), Refusal> {
    let json = options.json;
    match command {
        Command::Issue(wanted) => issue(json, &tables(options).await?, wanted).await,
        Command::Revoke { name } => {
            // Read before any call to AWS, so that an empty standard input is reported first.
            let name = which_key(name.as_deref())?;
            let key = tables(options).await?.revoke(&name).await?;
            output::revoked(json, &key).map_err(|refusal| Refusal::new(format!("The key was revoked. {refusal}")))
        }
        Command::List => output::keys(json, &tables(options).await?.keys().await?),
        Command::Workspace(WorkspaceCommand::Add { tenant, id }) => {
            let id = id.unwrap_or_else(Uuid::now_v7);
            if !tables(options).await?.add_workspace(id, tenant).await? {
                note("The tenant has this workspace already; nothing was changed.");
            }
            let workspace = Workspace {
                workspace_id: id.to_string(),
                tenant_id: Attribute::Is(tenant.to_string()),
            };
            output::workspace_added(json, &workspace)
                .map_err(|refusal| Refusal::new(format!("Workspace {id} is stored. {refusal}")))
        }
        Command::Workspace(WorkspaceCommand::List) => {
            output::workspaces(json, &tables(options).await?.workspaces().await?)
        }
        Command::Tenant(TenantCommand::New) => output::tenant(json, Uuid::now_v7()),
    }
}

async fn tables(options: Options) -> Result<Tables, Refusal> {
    let endpoint_url = options
        .endpoint_url
        .into_iter()
        .chain(env::var("AWS_ENDPOINT_URL"))
        .find(|url| !url.is_empty());
    let connection = Connection::open(endpoint_url).await?;
    Ok(Tables::new(
        connection,
        options.api_keys_table,
        options.workspaces_table,
    ))
}

async fn issue(json: bool, tables: &Tables, wanted: Issue) -> Result<(), Refusal> {
    if output::is_lost().unwrap_or_default() {
        return Err(Refusal::new(
            "Standard output is closed or /dev/null, so the key would be lost; nothing was issued.",
        ));
    }
    check_workspace(tables, &wanted).await?;
    let key = api_key::generate(wanted.test);
    let hash = KeyHash::of(key.as_bytes())
        .ok_or_else(|| Refusal::new("The new key is malformed. This is a defect of this tool."))?;
    let now = Utc::now();
    let stored = ApiKey {
        key_id: Attribute::Is(api_key::generate_key_id()),
        label: wanted.label.into(),
        key_hash: hash.as_str().to_owned(),
        tenant_id: Attribute::Is(wanted.tenant.to_string()),
        scopes: Attribute::Is(wanted.scopes),
        workspace_id: wanted.workspace.map(|id| id.to_string()).into(),
        created_at: Attribute::Is(now.to_rfc3339_opts(SecondsFormat::Millis, true)),
        expires_at: wanted.expires.map(|lifetime| Expiry(now + lifetime)).into(),
    };
    // From here on Ctrl-C waits, so that no key is stored that nobody has seen.
    let mut interrupt = pin!(ctrl_c());
    let _ = interrupt.as_mut().now_or_never();
    tables.add_key(&stored).await?;
    if interrupt.now_or_never().is_some() {
        return Err(tables.withdraw(&stored, Refusal::new("Interrupted.")).await);
    }
    if let Err(refusal) = output::issued(json, &key, &stored) {
        return Err(tables.withdraw(&stored, refusal).await);
    }
    Ok(())
}

/// Refuses a workspace that the tenant doesn't have, and warns if it has none.
async fn check_workspace(tables: &Tables, wanted: &Issue) -> Result<(), Refusal> {
    let tenant = wanted.tenant;
    if let Some(id) = wanted.workspace {
        return match tables.workspace(id).await? {
            Some(workspace) if workspace.belongs_to(tenant) => Ok(()),
            Some(_) => Err(Refusal::new(format!("Workspace {id} belongs to another tenant."))),
            None => Err(Refusal::new(format!(
                "There is no workspace {id}. Add it first: keys workspace add --tenant {tenant} {id}"
            ))),
        };
    }
    match tables.has_workspace(tenant).await? {
        Some(true) => {}
        Some(false) => note(format_args!(
            "Warning: tenant {tenant} has no workspace, so every request with this key gets 404. Add one: keys workspace add --tenant {tenant}"
        )),
        None => note(format_args!(
            "Warning: whether tenant {tenant} has a workspace could not be checked."
        )),
    }
    Ok(())
}

/// The key to revoke: by the name that was given, or by the key on standard input.
fn which_key(name: Option<&str>) -> Result<KeyName, Refusal> {
    if let Some(name) = name {
        return KeyName::parse(name);
    }
    if stdin().is_terminal() && stderr().is_terminal() {
        note("Paste the key, then press Enter and Ctrl-D:");
    }
    let mut input = Vec::new();
    stdin()
        .take(LONGEST_INPUT)
        .read_to_end(&mut input)
        .map_err(|error| Refusal::new(format!("Standard input can't be read: {error}.")))?;
    KeyName::of_key_in(&String::from_utf8_lossy(&input)).ok_or_else(|| {
        Refusal::new(
            "There is no key on standard input. A key is sf_live_v1_ or sf_test_v1_ followed by 24 to 128 letters or digits. To revoke a key that you don't have: keys revoke KEY_ID, or keys revoke HASH",
        )
    })
}
