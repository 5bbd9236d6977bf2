//! The command line.

use std::{ffi::OsString, path::PathBuf};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use reqwest::Url;
use uuid::{Uuid, fmt::Hyphenated};

pub const USAGE: &str = "\
Imports contacts from a CSV file.

Usage: import FILE --url URL --workspace ID [options]
       import FILE --dry-run [options]

The API key is read from the environment variable CONTACTS_API_KEY, else from standard input.

  --url URL            where the service is, with or without /api/contacts
  --workspace ID       the workspace that gets the contacts
  --dry-run            judge every row by the service's rules, send and write nothing
  --name-column NAME   the column of full names (name; or first name and last name)
  --email-column NAME  the column of addresses (email, e-mail or mail)
  --encoding NAME      the file's encoding, such as latin1 (UTF-8, or what a byte order mark says)
  --help               this page

The file has a header; commas, semicolons or tabs between columns are found by themselves. Rows that don't get in are
written to FILE.rejected.csv, in the same format, each with its line and the reason: mend them and import that file. An
import can be interrupted with Ctrl-C and run again: contacts that are there already are found, not made twice. The exit
code is 0 if every row is in, 1 if not, 2 for a mistake in the command.
";

/// What the command line asks for.
pub struct Options {
    /// The CSV file.
    pub file: PathBuf,
    /// Where its rows go; nowhere in a dry run.
    pub destination: Option<Destination>,
    /// The column of full names, by its header.
    pub name_column: Option<String>,
    /// The column of addresses, by its header.
    pub email_column: Option<String>,
    /// The file's encoding; UTF-8, or what its byte order mark says.
    pub encoding: Option<&'static Encoding>,
}

/// Where contacts are created.
pub struct Destination {
    /// The operation's URL.
    pub url: Url,
    /// The workspace.
    pub workspace: String,
}

impl Options {
    /// `None` asks for help.
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, String> {
        let (mut file, mut url, mut workspace, mut dry_run) = (None, None, None, false);
        let (mut name_column, mut email_column, mut encoding) = (None, None, None);
        while let Some(argument) = arguments.next() {
            let Some(option) = argument.to_str().filter(|text| text.starts_with('-')) else {
                if file.replace(PathBuf::from(argument)).is_some() {
                    return Err("One file at a time.".to_owned());
                }
                continue;
            };
            let mut value = || {
                let value = arguments.next().ok_or_else(|| format!("{option} needs a value."))?;
                value
                    .into_string()
                    .map_err(|_| format!("{option}'s value is not Unicode."))
            };
            match option {
                "--url" => url = Some(operation(&value()?)?),
                "--workspace" => workspace = Some(workspace_id(&value()?)?),
                "--dry-run" => dry_run = true,
                "--name-column" => name_column = Some(value()?),
                "--email-column" => email_column = Some(value()?),
                "--encoding" => encoding = Some(encoding_of(&value()?)?),
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("There is no option {option}.")),
            }
        }
        let destination = match (dry_run, url, workspace) {
            (true, ..) => None,
            (false, Some(url), Some(workspace)) => Some(Destination { url, workspace }),
            (false, None, _) => return Err("--url is missing: where the service is.".to_owned()),
            (false, _, None) => return Err("--workspace is missing: which workspace gets the contacts.".to_owned()),
        };
        Ok(Some(Self {
            file: file.ok_or("Which file?")?,
            destination,
            name_column,
            email_column,
            encoding,
        }))
    }
}

fn operation(text: &str) -> Result<Url, String> {
    let text = text.trim_end_matches('/');
    let base = text.strip_suffix("/api/contacts").unwrap_or(text);
    Url::parse(&format!("{base}/api/contacts"))
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| format!("{text} is no http:// or https:// URL."))
}

fn workspace_id(text: &str) -> Result<String, String> {
    let id: Hyphenated = text
        .parse()
        .map_err(|_| "--workspace takes a UUID in its hyphenated form.".to_owned())?;
    Ok(Uuid::from(id).to_string())
}

fn encoding_of(label: &str) -> Result<&'static Encoding, String> {
    let encoding = Encoding::for_label(label.as_bytes())
        .ok_or_else(|| format!("There is no encoding {label}; latin1, windows-1252 and iso-8859-15 are some."))?;
    if [UTF_16LE, UTF_16BE].contains(&encoding) {
        return Err("A UTF-16 file is recognised by its byte order mark: leave --encoding out.".to_owned());
    }
    Ok(encoding)
}
