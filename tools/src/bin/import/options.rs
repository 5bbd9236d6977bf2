//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use reqwest::Url;
use uuid::Uuid;

use crate::{encoding::Encoding, titles::Role};

const EXAMPLES: &str = "\
The API key comes from the environment variable CONTACTS_API_KEY, or else from standard input. Never pass it as an argument.

  import contacts.csv --dry-run
  import contacts.csv --url https://API-ID.execute-api.REGION.amazonaws.com --workspace UUID

Separator, header row and columns are recognised, and so are UTF-8 and UTF-16. Rows that weren't imported are written to FILE.rejected.csv, each with
its line and the reason; the report ends with the command that imports them once they are fixed. Running the same import again
is always safe: contacts that are already there are found, not created twice.

Exit codes: 0 every row is in; 1 some aren't, or the file can't be imported; 2 the command line is wrong.";

/// Imports contacts from a CSV file, and reports each row that wasn't imported, with its line and the reason.
#[derive(Parser)]
#[command(name = "import", version, after_help = EXAMPLES)]
pub struct Options {
    /// The CSV file; a pipe or /dev/stdin is fine too
    pub file: PathBuf,
    /// The service's URL, with or without /api/contacts
    #[arg(long, value_parser = operation, required_unless_present = "dry_run")]
    pub url: Option<Url>,
    /// The workspace that gets the contacts
    #[arg(long, value_name = "UUID", required_unless_present = "dry_run")]
    pub workspace: Option<Uuid>,
    /// Check every row, show what would be stored, send and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Import without asking; the question only comes at a terminal
    #[arg(long)]
    pub yes: bool,
    /// Where the columns are, if their titles aren't recognised
    #[command(flatten)]
    pub columns: ColumnOptions,
    /// The file's encoding, such as windows-1252, macintosh, cp850 or cp437; a byte order mark takes precedence
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub encoding: Option<Encoding>,
    /// How long to keep trying when the service stops responding (90s, 5m, 1h)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub give_up_after: Duration,
}

/// Columns by their titles. The other columns are still recognised.
#[derive(Debug, Default, clap::Args)]
pub struct ColumnOptions {
    /// The title of the column of full names, which come before names in parts
    #[arg(long = "name-column", value_name = "TITLE")]
    pub name: Option<String>,
    /// The title of the column of first names
    #[arg(long = "first-name-column", value_name = "TITLE")]
    pub first: Option<String>,
    /// The title of the column of middle names
    #[arg(long = "middle-name-column", value_name = "TITLE")]
    pub middle: Option<String>,
    /// The title of the column of what comes before last names, such as "van der"
    #[arg(long = "last-name-prefix-column", value_name = "TITLE")]
    pub particle: Option<String>,
    /// The title of the column of last names
    #[arg(long = "last-name-column", value_name = "TITLE")]
    pub last: Option<String>,
    /// The title of the column of second last names
    #[arg(long = "second-last-name-column", value_name = "TITLE")]
    pub second_last: Option<String>,
    /// The title of the column of what follows last names, such as "Jr."
    #[arg(long = "suffix-column", value_name = "TITLE")]
    pub suffix: Option<String>,
    /// The title of the column of addresses; may be repeated: the first one that isn't empty is used
    #[arg(long = "email-column", value_name = "TITLE")]
    pub emails: Vec<String>,
}

impl ColumnOptions {
    /// The titles that the options give, each with the role of its column.
    pub fn titles(&self) -> Vec<(Role, &str)> {
        let names = [
            (Role::Name, &self.name),
            (Role::First, &self.first),
            (Role::Middle, &self.middle),
            (Role::Particle, &self.particle),
            (Role::Last, &self.last),
            (Role::SecondLast, &self.second_last),
            (Role::Suffix, &self.suffix),
        ];
        let names = names
            .into_iter()
            .filter_map(|(role, title)| Some((role, title.as_deref()?)));
        let emails = self.emails.iter().map(|title| (Role::Email, title.as_str()));
        emails.chain(names).collect()
    }
}

fn operation(text: &str) -> Result<Url, &'static str> {
    let text = text.trim_end_matches('/');
    let base = text.strip_suffix("/api/contacts").unwrap_or(text);
    let url = Url::parse(&format!("{base}/api/contacts")).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or("it must be an http:// or https:// URL")?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no user name, password, query or fragment");
    }
    Ok(url)
}

fn encoding(name: &str) -> Result<Encoding, &'static str> {
    Encoding::for_label(name)
        .ok_or("there is no such encoding; use for example windows-1252, macintosh, cp850 or utf-16le")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    // A week is longer than any import.
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| (1..=604_800).contains(&time.as_secs()))
        .ok_or("it must be a time such as 90s, 5m or 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_the_apis_with_or_without_its_path() {
        for text in [
            "https://acme.de",
            "https://acme.de/",
            "https://acme.de/api/contacts",
            "https://acme.de/api/contacts/",
        ] {
            assert_eq!(
                operation(text).unwrap().as_str(),
                "https://acme.de/api/contacts",
                "{text}"
            );
        }
        for text in [
            "acme.de",
            "ftp://acme.de",
            "https://user@acme.de",
            "https://:password@acme.de",
            "https://acme.de?query",
            "https://acme.de#fragment",
        ] {
            assert!(operation(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_second_to_a_week() {
        for (text, seconds) in [
            ("1s", Some(1)),
            ("90s", Some(90)),
            ("5m", Some(300)),
            ("168h", Some(604_800)),
            ("169h", None),
            ("0s", None),
            ("999ms", None),
            ("5", None),
        ] {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
