//! Files as products and people make them, each against the real service: what is reported, stored and rejected.
//!
//! `corpus/expected.json` says what a person expects of each file. Python's `csv` module counts the records as a second opinion.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use aws_sdk_dynamodb::types::AttributeValue;
use encoding_rs::Encoding;
use harness::fixture::DEMO_TENANT;
use serde::Deserialize;
use tempfile::TempDir;
use uuid::Uuid;
use yore::code_pages::{CP437, CP850};

use crate::{KEY, LocalService, import, rejects, root, summary, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    #[serde(default)]
    options: Vec<String>,
    /// What standard error says about a file that is refused. Nothing of such a file is sent.
    error: Option<String>,
    #[serde(default)]
    rows: usize,
    /// Those of the report's counts that aren't 0.
    #[serde(default)]
    counts: BTreeMap<String, usize>,
    /// First and last name by address.
    #[serde(default)]
    stored: BTreeMap<String, (String, Option<String>)>,
    #[serde(default)]
    rejected: Vec<(usize, String, Option<Vec<String>>)>,
    /// What else the report says.
    #[serde(default)]
    says: Vec<String>,
    format: Option<Format>,
}

/// How another parser reads the file.
#[derive(Deserialize)]
struct Format {
    encoding: String,
    delimiter: String,
    /// Records that are no rows: the header and what is above it.
    above: usize,
}

/// A text in the encoding with this name.
fn decoded(bytes: &[u8], encoding: &str) -> String {
    match encoding {
        "cp850" => CP850.decode(bytes).into_owned(),
        "cp437" => CP437.decode(bytes).into_owned(),
        label => Encoding::for_label(label.as_bytes())
            .unwrap()
            .decode(bytes)
            .0
            .into_owned(),
    }
}

/// The records of a text, as another parser reads them.
fn records(content: &str, delimiter: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new();
    let reader = reader
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter.as_bytes()[0]);
    let records = reader.from_reader(content.as_bytes()).into_records();
    records.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_the_corpus_gives_the_report_the_rejects_and_the_contacts_that_a_person_expects() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(corpus.join("expected.json")).unwrap()).unwrap();
    let expected: BTreeSet<&str> = cases.iter().map(|case| case.file.as_str()).collect();
    assert!(expected.len() > 120);
    // Beside them there are `expected.json` and `.gitattributes`.
    assert_eq!(
        fs::read_dir(&corpus).unwrap().count(),
        expected.len() + 2,
        "a file without a case"
    );

    let local = LocalService::start().await;
    for case in &cases {
        run(case, &corpus, &local).await;
    }
}

async fn run(case: &Case, corpus: &Path, local: &LocalService) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(&case.file);
    fs::copy(corpus.join(&case.file), &path).unwrap();
    let workspace = Uuid::new_v4().to_string();
    local.service.put_workspace(&workspace, DEMO_TENANT).await;

    let mut dry = import(&path);
    let dry = dry.arg("--dry-run").env_remove("CONTACTS_API_KEY").args(&case.options);
    let dry = dry.output().await.unwrap();
    let mut command = import(&path);
    let command = command.args(["--url", &local.url, "--workspace", &workspace]);
    let output = command.args(&case.options).output().await.unwrap();
    let [stdout, stderr, dry_stdout, dry_stderr] =
        [&output.stdout, &output.stderr, &dry.stdout, &dry.stderr].map(|said| text(said.clone()));
    let shown = format!("{}: {stdout}\n{stderr}\n{dry_stdout}\n{dry_stderr}", case.file);
    let is_harmful = |c: char| tools::is_harmful(c) && c != '\n';
    assert!(!shown.contains(KEY) && !shown.contains(is_harmful), "{shown}");

    if let Some(error) = &case.error {
        for output in [&output, &dry] {
            let said = text(output.stderr.clone());
            assert!(said.contains(error) && said.lines().count() == 1, "{shown}");
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{shown}");
        }
    } else {
        let counts = summary(&output);
        assert_eq!(counts.values().sum::<usize>(), case.rows, "{shown}");
        for (what, count) in &counts {
            assert_eq!(*count, case.counts.get(what).copied().unwrap_or(0), "{what}: {shown}");
        }
        for message in &case.says {
            assert!(stdout.contains(message), "{message}: {shown}");
        }
        let s = if case.rows == 1 { "" } else { "s" };
        let expected = format!(
            "{} row{s}: {} would be rejected, {} would conflict with an earlier row",
            case.rows, counts["rejected"], counts["conflicts"]
        );
        assert!(dry_stdout.lines().last().unwrap().starts_with(&expected), "{shown}");
        assert_eq!(dry.status.code(), output.status.code(), "{shown}");
        let format = case.format.as_ref().unwrap();
        let content = decoded(&fs::read(&path).unwrap(), &format.encoding);
        let mut records = records(&content, &format.delimiter);
        records.retain(|record| record.iter().any(|cell| !cell.trim_ascii().is_empty()));
        assert_eq!(records.len(), case.rows + format.above, "{shown}");
    }
    let mut stored = local.service.contacts().await;
    stored.retain(|contact| contact["workspaceId"].as_s() == Ok(&workspace));
    let stored = stored.iter().map(|contact| {
        let text = |name| {
            contact
                .get(name)
                .map(|value: &AttributeValue| value.as_s().unwrap().clone())
        };
        (
            text("emailKey").unwrap(),
            (text("firstName").unwrap(), text("lastName")),
        )
    });
    assert_eq!(stored.collect::<BTreeMap<_, _>>(), case.stored, "{shown}");
    check_rejects(case, &path, &shown);
}

fn check_rejects(case: &Case, path: &Path, shown: &str) {
    let Ok(bytes) = fs::read(rejects(path)) else {
        assert!(case.rejected.is_empty(), "{shown}");
        return;
    };
    let label = case.options.iter().skip_while(|option| *option != "--encoding").nth(1);
    let content = decoded(&bytes, label.map_or("utf-8", String::as_str));
    let found = records(&content, &case.format.as_ref().unwrap().delimiter);
    assert_eq!(found.len(), case.rejected.len() + 1, "{shown}");
    for (found, (line, reason, cells)) in found.iter().skip(1).zip(&case.rejected) {
        assert_eq!(found[0], line.to_string(), "{shown}");
        assert!(found[1].contains(reason.as_str()), "{found:?}: {shown}");
        if let Some(cells) = cells {
            assert!(found.iter().skip(2).eq(cells), "{found:?}: {shown}");
        }
    }
}

/// A page's indented block that begins so, without its indentation.
fn block(page: &str, beginning: &str) -> String {
    let from = page.find(&format!("    {beginning}")).unwrap();
    let lines = page[from..].lines().map_while(|line| line.strip_prefix("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_the_import_does() {
    let page = fs::read_to_string(root().join("docs/import.md")).unwrap();
    let local = LocalService::start().await;
    let (_directory, mut command) = local.sample();
    let output = command.output().await.unwrap();
    let shown = local.as_on_the_page(&text(output.stdout));
    assert!(shown.ends_with(&block(&page, "8 rows of examples")), "{shown}");
    let output = command.arg("--dry-run").output().await.unwrap();
    assert_eq!(text(output.stdout), block(&page, "examples/contacts.csv: 8 rows"));
}
