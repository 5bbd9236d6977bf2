//! `keys`: hands out, lists and revokes the API keys of a deployment, and tells it which workspaces there are.
//!
//! A key exists here between the operating system's randomness and the operator's screen, and once more on standard input
//! when it is revoked. It is in no argument, so in no shell history and no process list, and what is stored is its hash
//! (contract, section 5).

mod api_key;
mod connection;
mod output;
mod tables;

use std::{
    fmt,
    io::{IsTerminal as _, Read as _, stderr, stdin},
    process::ExitCode,
};

use chrono::{TimeDelta, Utc};
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use create_contact::api_key::KeyHash;
use uuid::Uuid;

use crate::{
    api_key::{Kind, Prefix},
    connection::Connection,
    tables::{ApiKey, Tables, Workspace},
};

const ABOUT: &str = "Hands out, lists and revokes API keys of create-contact, and tells it which workspaces there are.";

const EXAMPLES: &str = "\
A tenant owns workspaces and keys; all it needs is an id. So the way to a first contact is:

  keys tenant new
  keys workspace add --tenant TENANT
  keys issue --tenant TENANT --expires 90d

To replace a key: issue a new one, have the caller use it, then revoke the old one. Its next request is refused.

  keys list
  keys revoke 5e884898

Against AWS, region and credentials come from where the AWS CLI has them (AWS_PROFILE, aws sso login, the environment), and
the tables' names from the stack's outputs ApiKeysTableName and WorkspacesTableName. Against the local run:

  keys --endpoint-url http://127.0.0.1:PORT list

Exit codes: 0 done; 1 refused or failed, and standard error says why; 2 the command line is wrong.";

#[derive(Parser)]
#[command(name = "keys", version, about = ABOUT, after_help = EXAMPLES)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Options {
    /// The table of the keys
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "API_KEYS_TABLE",
        value_parser = NonEmptyStringValueParser::new(),
        default_value = "ApiKeysTable"
    )]
    api_keys_table: String,
    /// The table of the workspaces
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "WORKSPACES_TABLE",
        value_parser = NonEmptyStringValueParser::new(),
        default_value = "WorkspacesTable"
    )]
    workspaces_table: String,
    /// Another endpoint, the local run's for instance; one on this machine is asked without real credentials
    #[arg(long, global = true, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB")]
    endpoint_url: Option<String>,
    /// Print JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key and print it, this once
    Issue(Issue),
    /// End a key with its next request
    #[command(
        long_about = "End a key with its next request.\n\nBy the first digits of its hash, as `keys list` shows \
                            them, or by the key itself, which is read from standard input."
    )]
    Revoke {
        /// At least eight digits of the key's hash; without them the key is read from standard input
        #[arg(value_name = "HASH")]
        prefix: Option<String>,
    },
    /// Show the keys that exist: never a key itself, but the first digits of its hash
    List,
    /// Add or list workspaces
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Make tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
}

#[derive(Args)]
struct Issue {
    /// The tenant that the key belongs to
    #[arg(long, value_name = "UUID")]
    tenant: Uuid,
    /// Restrict the key to one workspace
    #[arg(long, value_name = "UUID")]
    workspace: Option<Uuid>,
    /// What the key may do; may stand more than once
    #[arg(long = "scope", value_name = "SCOPE", default_value = "contacts:write", value_parser = scope)]
    scopes: Vec<String>,
    /// When the key ends by itself: in so many days, hours or minutes (90d, 12h, 30m)
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<TimeDelta>,
    /// Make a key that people can tell for a test key; the service makes no difference
    #[arg(long)]
    test: bool,
}

#[derive(Subcommand)]
enum WorkspaceCommand {
    /// Add a workspace to a tenant
    Add {
        /// The tenant that it belongs to
        #[arg(long, value_name = "UUID")]
        tenant: Uuid,
        /// The workspace's id on the platform; a new one without it
        #[arg(value_name = "UUID")]
        id: Option<Uuid>,
    },
    /// Show the workspaces
    List,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Make an id for a new tenant; nothing is stored
    New,
}

/// Why a command was not done: a sentence for the operator.
#[derive(Debug)]
pub struct Refusal(String);

impl Refusal {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let CommandLine { options, command } = CommandLine::parse();
    match run(options, command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options, command: Command) -> Result<(), Refusal> {
    let json = options.json;
    if let Command::Tenant(TenantCommand::New) = command {
        return output::tenant(json, Uuid::now_v7());
    }
    // Read before anything is asked of AWS: who pipes nothing in should hear that first.
    let prefix = match &command {
        Command::Revoke { prefix } => Some(which_key(prefix.as_deref())?),
        _ => None,
    };
    let connection = Connection::open(options.endpoint_url.filter(|url| !url.is_empty())).await?;
    let tables = Tables::new(connection, options.api_keys_table, options.workspaces_table);
    match command {
        Command::Issue(wanted) => issue(json, &tables, wanted).await,
        Command::Revoke { .. } => {
            let prefix = prefix.ok_or_else(|| Refusal::new("No key was given."))?;
            output::revoked(json, &tables.revoke(&prefix).await?)
        }
        Command::List => output::keys(json, &tables.keys().await?),
        Command::Workspace(WorkspaceCommand::Add { tenant, id }) => {
            let workspace = Workspace {
                workspace_id: id.unwrap_or_else(Uuid::now_v7).to_string(),
                tenant_id: tenant.to_string(),
            };
            tables.add_workspace(&workspace).await?;
            output::workspace_added(json, &workspace)
        }
        Command::Workspace(WorkspaceCommand::List) => output::workspaces(json, &tables.workspaces().await?),
        Command::Tenant(TenantCommand::New) => Ok(()),
    }
}

async fn issue(json: bool, tables: &Tables, wanted: Issue) -> Result<(), Refusal> {
    let tenant_id = wanted.tenant.to_string();
    if let Some(workspace_id) = wanted.workspace {
        match tables.workspace(workspace_id).await? {
            Some(workspace) if workspace.tenant_id == tenant_id => {}
            Some(_) => {
                return Err(Refusal::new(format!(
                    "Workspace {workspace_id} belongs to another tenant."
                )));
            }
            None => {
                return Err(Refusal::new(format!(
                    "There is no workspace {workspace_id}. Add it first: keys workspace add --tenant {tenant_id} {workspace_id}"
                )));
            }
        }
    }
    let kind = if wanted.test { Kind::Test } else { Kind::Live };
    let key = api_key::generate(kind)?;
    let hash = KeyHash::of(key.as_bytes()).ok_or_else(|| Refusal::new("The new key is malformed: a defect."))?;
    let stored = ApiKey {
        key_hash: hash.as_str().to_owned(),
        tenant_id: Some(tenant_id),
        scopes: wanted.scopes,
        workspace_id: wanted.workspace.map(|id| id.to_string()),
        expires_at: wanted.expires.map(|lifetime| (Utc::now() + lifetime).timestamp()),
    };
    tables.add_key(&stored).await?;
    output::issued(json, &key, &stored)
}

/// The key to revoke: by the prefix that was given, or by the key on standard input.
fn which_key(prefix: Option<&str>) -> Result<Prefix, Refusal> {
    if let Some(prefix) = prefix {
        return Prefix::parse(prefix);
    }
    if stdin().is_terminal() && stderr().is_terminal() {
        eprintln!("Paste the key, then press Enter and Ctrl-D:");
    }
    let mut text = String::new();
    stdin()
        .read_to_string(&mut text)
        .map_err(|error| Refusal::new(format!("Standard input can't be read: {error}.")))?;
    let hash = KeyHash::of(text.trim().as_bytes()).ok_or_else(|| {
        Refusal::new(
            "There is no key on standard input: sf_live_v1_ or sf_test_v1_ and 24 to 128 letters or digits. To revoke by hash: keys revoke HASH",
        )
    })?;
    Ok(Prefix::of(&hash))
}

fn scope(text: &str) -> Result<String, String> {
    let is_scope = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    is_scope
        .then(|| text.to_owned())
        .ok_or_else(|| "a scope is a word such as contacts:write; give --scope once for each".to_owned())
}

fn lifetime(text: &str) -> Result<TimeDelta, String> {
    let wrong = || "a whole number of days, hours or minutes, such as 90d, 12h or 30m".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let number = i64::from(number);
    let lifetime = match unit {
        "d" => TimeDelta::days(number),
        "h" => TimeDelta::hours(number),
        "m" => TimeDelta::minutes(number),
        _ => return Err(wrong()),
    };
    // A hundred years; the date after it would be one that nobody meant.
    let meant = lifetime > TimeDelta::zero() && lifetime <= TimeDelta::days(36_525);
    meant.then_some(lifetime).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_of_days_hours_or_minutes() {
        assert_eq!(lifetime("90d"), Ok(TimeDelta::days(90)));
        assert_eq!(lifetime("12h"), Ok(TimeDelta::hours(12)));
        assert_eq!(lifetime("30m"), Ok(TimeDelta::minutes(30)));
        for text in [
            "",
            "d",
            "90",
            "0d",
            "-1d",
            "1.5h",
            "90 d",
            "90D",
            "90é",
            "36526d",
            "99999999999d",
        ] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
    }
}
