//! The command line: what can be asked for, and how.

use chrono::TimeDelta;
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use tools::is_harmful;
use uuid::Uuid;

use crate::api_key;

const ABOUT: &str = "Issues, lists and revokes API keys of create-contact, and adds and lists workspaces.";

const EXAMPLES: &str = "\
A tenant owns workspaces and keys, and is itself only an id. Before the first contact, run:

  keys tenant new
  keys workspace add --tenant TENANT
  keys issue --tenant TENANT --label \"CRM import\" --expires 90d

`keys issue` prints only the key to standard output, so a script can read it: KEY=$(keys issue --tenant TENANT)

To replace a key: issue a new one, have the caller use it, then revoke the old one. Its next request is refused.

  keys list
  keys revoke key_abcdefghijklmnop

For AWS, region and credentials are found as the AWS CLI finds them (AWS_PROFILE, aws sso login, the environment). The
tables' names are the stack's outputs ApiKeysTableName and WorkspacesTableName. For the local run:

  keys --endpoint-url http://127.0.0.1:PORT list

The endpoint is --endpoint-url, or AWS_ENDPOINT_URL_DYNAMODB, or AWS_ENDPOINT_URL, in this order. An endpoint on this
machine gets made-up credentials.

Time: a call to DynamoDB ends within 7 seconds, retries included, and a command within 30 seconds if DynamoDB doesn't
respond. Getting credentials may take up to 60 seconds more.

Exit codes: 0 done; 1 refused or failed, and standard error says why; 2 the command line is wrong.";

#[derive(Parser)]
#[command(name = "keys", version, about = ABOUT, after_help = EXAMPLES)]
pub struct CommandLine {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args)]
pub struct Options {
    /// The table of the keys
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "API_KEYS_TABLE",
        value_parser = NonEmptyStringValueParser::new(),
        default_value = "ApiKeysTable"
    )]
    pub api_keys_table: String,
    /// The table of the workspaces
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "WORKSPACES_TABLE",
        value_parser = NonEmptyStringValueParser::new(),
        default_value = "WorkspacesTable"
    )]
    pub workspaces_table: String,
    /// Another endpoint, for example the local run's
    #[arg(long, global = true, value_name = "URL", env = "AWS_ENDPOINT_URL_DYNAMODB")]
    pub endpoint_url: Option<String>,
    /// Print JSON, for scripts
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Issue a key, and print it: it is shown only once
    Issue(Issue),
    /// Revoke a key: its next request is refused
    #[command(
        long_about = "Revoke a key: its next request is refused.\n\nIdentify it by its key id or by the first digits of its hash, as \
                            `keys list` shows them. Without an argument the key is read from standard input: the key alone, or \
                            everything that `keys issue` printed."
    )]
    Revoke {
        /// The key's id, or at least eight digits of its hash; if absent, the key is read from standard input
        #[arg(value_name = "KEY_ID|HASH", value_parser = api_key::name)]
        name: Option<String>,
    },
    /// Show the keys that exist: never a key itself, but its id and the first digits of its hash
    List,
    /// Add or list workspaces
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Create tenant ids
    #[command(subcommand)]
    Tenant(TenantCommand),
}

#[derive(Args)]
pub struct Issue {
    /// The tenant that the key belongs to
    #[arg(long, value_name = "UUID")]
    pub tenant: Uuid,
    /// A description of the key: 1 to 100 characters
    #[arg(long, value_name = "TEXT", value_parser = label)]
    pub label: Option<String>,
    /// Restrict the key to one workspace
    #[arg(long, value_name = "UUID")]
    pub workspace: Option<Uuid>,
    /// What the key may do; can be given more than once
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        default_value = "contacts:write",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub scopes: Vec<String>,
    /// How long the key is valid (90d, 12h, 30m); if absent, it never expires
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub expires: Option<TimeDelta>,
    /// Make a key that people recognise as a test key; the service treats it like any other
    #[arg(long)]
    pub test: bool,
}

#[derive(Subcommand)]
pub enum WorkspaceCommand {
    /// Add a workspace to a tenant; one that the tenant already has stays as it is
    Add {
        /// The tenant that it belongs to
        #[arg(long, value_name = "UUID")]
        tenant: Uuid,
        /// The workspace's id on the platform; if absent, a new one is made
        #[arg(value_name = "UUID")]
        id: Option<Uuid>,
    },
    /// Show the workspaces
    List,
}

#[derive(Subcommand)]
pub enum TenantCommand {
    /// Make an id for a new tenant; nothing is stored
    New,
}

fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_label = (1..=100).contains(&text.chars().count()) && !text.chars().any(is_harmful);
    is_label
        .then(|| text.to_owned())
        .ok_or_else(|| "a label has 1 to 100 characters and no control characters".to_owned())
}

fn lifetime(text: &str) -> Result<TimeDelta, String> {
    let lifetime = humantime::parse_duration(text).ok().map(TimeDelta::from_std);
    // A hundred years. Nobody means a longer one.
    let allowed = TimeDelta::seconds(1)..=TimeDelta::days(36_525);
    lifetime
        .and_then(Result::ok)
        .filter(|lifetime| allowed.contains(lifetime))
        .ok_or_else(|| "a time such as 90d, 12h or 30m, up to a hundred years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_second_to_a_hundred_years() {
        assert_eq!(lifetime("90d"), Ok(TimeDelta::days(90)));
        assert_eq!(lifetime("12h"), Ok(TimeDelta::hours(12)));
        assert_eq!(lifetime("30m"), Ok(TimeDelta::minutes(30)));
        for text in ["", "d", "90", "0d", "1ms", "-1d", "90é", "36526d", "99999999999d"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_label_is_a_text_of_1_to_100_characters_without_control_characters() {
        assert_eq!(label(" CRM import, Zürich "), Ok("CRM import, Zürich".to_owned()));
        assert!(label(&"ü".repeat(100)).is_ok());
        for text in ["", " ", "a\nb", "a\u{1b}[2J", "a\u{9b}b", &"ü".repeat(101)] {
            assert!(label(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        CommandLine::command().debug_assert();
    }
}
