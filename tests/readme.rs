//! What README shows is true: what its first command prints, what its curl line gets, and the service's messages.
//!
//! `.ci/check_repository.sh` checks the links of all pages.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use harness::service::openapi;
use serde_json::Value;

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// README's block of code that begins so, without its indentation.
fn block(beginning: &str) -> String {
    let readme = readme();
    let from = readme.find(&format!("    {beginning}")).expect(beginning);
    let lines = readme[from..].lines();
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    let lines: Vec<&str> = lines.map(|line| line.get(4..).unwrap_or_default()).collect();
    lines.join("\n").trim_end().to_owned()
}

struct LocalRun(Child);

impl Drop for LocalRun {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn readmes_first_command_and_its_curl_line_do_what_readme_shows() {
    // `cargo test` builds the examples.
    let example = Path::new(env!("CARGO_BIN_EXE_create-contact")).with_file_name("examples/local");
    let run = Command::new(&example)
        .args(["--port", "0"])
        .stdout(Stdio::piped())
        .spawn();
    let mut run = LocalRun(run.expect("cargo build --example local"));
    let shown = block("create-contact listens on");
    // Open to the end, because each request prints a line.
    let mut lines = BufReader::new(run.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let printed: Vec<String> = lines.by_ref().take(shown.lines().count()).collect();
    let printed = printed.join("\n");
    // The ports are this run's.
    let port_after = |text: &str, before: &str| -> String {
        let (_, rest) = text.split_once(before).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect()
    };
    let mut expected = shown.clone();
    for before in ["listens on http://127.0.0.1:", "DynamoDB    http://127.0.0.1:"] {
        expected = expected.replace(&port_after(&shown, before), &port_after(&printed, before));
    }
    assert_eq!(printed, expected);

    let command = printed.split("\n\n").find(|part| part.starts_with("curl ")).unwrap();
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test needs curl: {problem}");
    let response = String::from_utf8(output.stdout).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("a response");
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    let mut body: Value = serde_json::from_str(body).unwrap();
    let mut shown: Value = serde_json::from_str(&block("{\"id\"")).unwrap();
    for own in ["id", "createdAt", "updatedAt"] {
        assert!(body[own].take().is_string() && shown[own].take().is_string(), "{own}");
    }
    assert_eq!(body, shown);
}

#[test]
fn readme_lists_every_status_with_a_message_of_the_service() {
    let document = openapi();
    let mut listed = BTreeSet::new();
    for row in readme().lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let Ok(status) = cells[0].parse::<u16>() else { continue };
        listed.insert(status);
        if status >= 400 {
            // The examples are what the service really sends: tests/openapi.rs sends their requests.
            let examples = document.responses[&status].examples.values();
            let messages: Vec<&str> = examples.map(|body| body["error"].as_str().unwrap()).collect();
            assert!(messages.contains(&cells[2].trim_matches('`')), "{row}: {messages:?}");
        }
    }
    assert_eq!(listed, document.responses.keys().copied().collect());
}
