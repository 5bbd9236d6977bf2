//! Files as products and people make them, each against the real service: what is reported, stored and rejected.
//!
//! `corpus/expected.json` says what a person expects of each file. Python's `csv` module counts the records as a second opinion.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command as Process, Output, Stdio},
};

use encoding_rs::{Encoding, UTF_8};
use harness::fixture;
use serde::Deserialize;
use tempfile::TempDir;
use uuid::Uuid;
use yore::code_pages::{CP437, CP850};

use crate::{KEY, LocalRun, import, rejects};

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
    python: Option<Python>,
}

/// How another program reads the file.
#[derive(Deserialize)]
struct Python {
    encoding: String,
    delimiter: String,
    /// Records that are no rows: the header and what is above it.
    above: usize,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// How many records each of these files has, by Python: without and with quotes after spaces.
pub fn counted_by_python(files: &[(PathBuf, &str, &str)]) -> Vec<[usize; 2]> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/count_records.py");
    let mut python = Process::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let list = serde_json::to_vec(files).unwrap();
    python.stdin.take().unwrap().write_all(&list).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_the_corpus_gives_the_report_the_rejects_and_the_contacts_that_a_person_expects() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(corpus.join("expected.json")).unwrap()).unwrap();
    let expected: BTreeSet<&str> = cases.iter().map(|case| case.file.as_str()).collect();
    assert!(expected.len() > 120);
    for entry in fs::read_dir(&corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_case = name != "expected.json" && name != ".gitattributes";
        assert!(!is_case || expected.contains(name.as_str()), "nobody expects {name}");
    }

    let local = LocalRun::start().await;
    for case in &cases {
        run(case, &corpus, &local).await;
    }

    let files: Vec<(PathBuf, &str, &str)> = cases
        .iter()
        .filter_map(|case| {
            let python = case.python.as_ref()?;
            Some((
                corpus.join(&case.file),
                python.encoding.as_str(),
                python.delimiter.as_str(),
            ))
        })
        .collect();
    let counted = counted_by_python(&files);
    let own = cases
        .iter()
        .filter_map(|case| Some((case, case.python.as_ref()?.above)));
    for ((case, above), counted) in own.zip(counted) {
        assert!(counted.contains(&(case.rows + above)), "{}", case.file);
    }
}

async fn run(case: &Case, corpus: &Path, local: &LocalRun) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join(&case.file);
    fs::copy(corpus.join(&case.file), &path).unwrap();
    let workspace = Uuid::new_v4().to_string();
    fixture::put_workspace(
        &local.engine.client(),
        &LocalRun::tables(),
        &workspace,
        fixture::DEMO_TENANT,
    )
    .await;

    let dry = import(&path)
        .arg("--dry-run")
        .args(&case.options)
        .output()
        .await
        .unwrap();
    let output = import(&path)
        .args(["--url", &local.url, "--workspace", &workspace])
        .args(&case.options)
        .output()
        .await
        .unwrap();
    let shown = format!("{}: {}\n{}", case.file, text(&output.stdout), text(&output.stderr));
    assert!(!shown.contains(KEY), "{shown}");
    assert!(!shown.contains("defect"), "{shown}");
    for said in [&dry.stdout, &dry.stderr, &output.stdout, &output.stderr] {
        let harmful = |c: char| tools::is_harmful(c) && c != '\n';
        assert!(!text(said).contains(harmful), "{shown}");
    }

    if let Some(error) = &case.error {
        for output in [&output, &dry] {
            assert_eq!(output.status.code(), Some(1), "{shown}");
            assert!(text(&output.stderr).contains(error.as_str()), "{shown}");
            assert_eq!(text(&output.stderr).lines().count(), 1, "{shown}");
            assert_eq!(text(&output.stdout), "", "{shown}");
        }
    } else {
        check_report(case, &output, &dry, &shown);
    }
    let found = local.stored_in(&workspace).await;
    assert_eq!(found, case.stored, "{shown}");
    check_rejects(case, &path, &shown);
}

fn check_report(case: &Case, output: &Output, dry: &Output, shown: &str) {
    let counts = crate::summary(output);
    assert_eq!(counts.values().sum::<usize>(), case.rows, "{shown}");
    for (what, count) in &counts {
        assert_eq!(*count, case.counts.get(what).copied().unwrap_or(0), "{what}: {shown}");
    }
    for message in &case.says {
        assert!(text(&output.stdout).contains(message), "{message}: {shown}");
    }
    let last = text(&dry.stdout).lines().last().unwrap().to_owned();
    let s = if case.rows == 1 { "" } else { "s" };
    let expected = format!(
        "{} row{s}: {} would be rejected, {} would conflict with an earlier row",
        case.rows, counts["rejected"], counts["conflicts"]
    );
    assert!(last.starts_with(&expected), "{last}: {shown}");
    assert_eq!(dry.status.code(), output.status.code(), "{shown}");
}

fn check_rejects(case: &Case, path: &Path, shown: &str) {
    let Ok(bytes) = fs::read(rejects(path)) else {
        assert!(case.rejected.is_empty(), "{shown}");
        return;
    };
    let python = case.python.as_ref().unwrap();
    let label = case.options.iter().skip_while(|option| *option != "--encoding").nth(1);
    let content = match label.map(String::as_str) {
        Some("cp850") => CP850.decode(&bytes),
        Some("cp437") => CP437.decode(&bytes),
        label => {
            let encoding = label.map_or(UTF_8, |label| Encoding::for_label(label.as_bytes()).unwrap());
            encoding.decode(&bytes).0
        }
    };
    let mut found = csv::ReaderBuilder::new()
        .delimiter(python.delimiter.as_bytes()[0])
        .flexible(true)
        .from_reader(content.as_bytes());
    let found: Vec<csv::StringRecord> = found.records().map(Result::unwrap).collect();
    assert_eq!(found.len(), case.rejected.len(), "{shown}");
    for (found, (line, reason, cells)) in found.iter().zip(&case.rejected) {
        assert_eq!(found[0], line.to_string(), "{shown}");
        assert!(found[1].contains(reason.as_str()), "{found:?}: {shown}");
        if let Some(cells) = cells {
            assert!(found.iter().skip(2).eq(cells), "{found:?}: {shown}");
        }
    }
}

/// Text that is CSV by accident: every kind of quote, line end, separator and space.
fn mess(random: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 18] = [
        "a",
        "b c",
        ",",
        ",",
        ",",
        "\"",
        "\"\"",
        "\"x\"",
        "\n",
        "\n",
        "\r\n",
        "\r",
        " ",
        "k@acme.de",
        "é",
        ";",
        "\t",
        "'",
    ];
    let body: String = (0..random.usize(1..60))
        .map(|_| *random.choice(&PIECES).unwrap())
        .collect();
    format!("name,email,note\n{body}")
}

#[tokio::test]
async fn the_number_of_rows_is_pythons_whatever_mess_a_file_is_or_the_file_is_refused() {
    let mut random = crate::random();
    let directory = TempDir::new().unwrap();
    let (mut files, mut own, mut refused) = (Vec::new(), Vec::new(), 0);
    for number in 0..400 {
        let path = directory.path().join(format!("{number}.csv"));
        let content = mess(&mut random);
        fs::write(&path, &content).unwrap();
        let output = import(&path).arg("--dry-run").output().await.unwrap();
        let error = text(&output.stderr);
        if error.contains("the quote that opens a cell") {
            assert!(content.contains('"'), "{content:?}");
            refused += 1;
            continue;
        }
        let rows = if error.contains("no rows") {
            0
        } else {
            assert_eq!(error, "", "{content:?}");
            let line = text(&output.stdout).lines().last().unwrap().to_owned();
            line.split(' ').next().unwrap().parse().unwrap()
        };
        own.push((rows, content));
        files.push((path, "utf-8", ","));
    }
    println!("{refused} refused");
    assert!(own.len() > 100);
    for ((rows, content), counted) in own.iter().zip(counted_by_python(&files)) {
        // The header is one more.
        assert!(counted.contains(&(rows + 1)), "{content:?}");
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/import.md")).unwrap();
    let local = LocalRun::start().await;
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("examples")).unwrap();
    let sample = Path::new("examples/contacts.csv");
    fs::copy(root.join(sample), directory.path().join(sample)).unwrap();
    let as_shown = |output: &Output| {
        text(&output.stdout)
            .replace(&local.url, "http://127.0.0.1:3000")
            .replace(env!("CARGO_BIN_EXE_import"), "target/debug/import")
    };

    let mut dry = import(sample);
    let dry = dry
        .arg("--dry-run")
        .current_dir(directory.path())
        .output()
        .await
        .unwrap();
    assert_eq!(as_shown(&dry), block(&page, "examples/contacts.csv: 8 rows"));

    let mut run = import(sample);
    // The README's first contact is in the first workspace.
    run.args([
        "--url",
        &local.url,
        "--workspace",
        "0198c1a5-6f00-7000-8000-000000000002",
    ]);
    let run = run.current_dir(directory.path()).output().await.unwrap();
    let shown = block(&page, "8 rows of examples");
    assert!(as_shown(&run).ends_with(&shown), "{}", as_shown(&run));
}
