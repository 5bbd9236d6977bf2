//! The pages are accurate: their links and citations resolve, their lists match the code, and README's commands do what it shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use harness::openapi::OpenApi;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file below these, by its path from the root.
fn texts(places: &[&str]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let mut waiting: Vec<PathBuf> = places.iter().map(|place| root().join(place)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            // What is built or installed there is not ours.
            let ours = |path: &PathBuf| {
                !["target", "node_modules", ".ci/tools"]
                    .iter()
                    .any(|end| path.ends_with(end))
            };
            waiting.extend(entries.filter(ours));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            texts.insert(name, text);
        }
    }
    texts
}

fn pages() -> BTreeMap<String, String> {
    let mut pages = texts(&[
        "README.md",
        "CONTRIBUTING.md",
        "docs",
        "benches/README.md",
        "data/README.md",
    ]);
    pages.retain(|path, _| path.ends_with(".md"));
    pages
}

/// A page without its code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let fence = line.starts_with("```");
        is_code ^= fence;
        !is_code && !fence && !line.starts_with("    ")
    })
}

/// The anchors that GitHub makes from a page's headings, and the page's own.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(page) {
        if let Some(heading) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')) {
            let slug = heading.trim().to_lowercase().replace(' ', "-");
            let is_new = anchors.insert(
                slug.chars()
                    .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
                    .collect(),
            );
            assert!(is_new, "two headings give the anchor #{slug}");
        }
        if let Some((_, rest)) = line.split_once("<a id=\"") {
            anchors.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    anchors
}

/// Every text between two strings.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let rests = text.split(before).skip(1);
    rests.filter_map(|rest| Some(rest.split_once(after)?.0)).collect()
}

/// Every text in backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_link_resolves() {
    let mut count = 0;
    for (path, page) in pages() {
        let directory = root().join(&path).parent().unwrap().to_owned();
        for link in prose(&page).flat_map(|line| between(line, "](", ")")) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                root().join(&path)
            } else {
                directory.join(file)
            };
            assert!(target.exists(), "{path}: {link}");
            if !anchor.is_empty() {
                let target = fs::read_to_string(target).unwrap();
                assert!(anchors(&target).contains(anchor), "{path}: {link}");
            }
            count += 1;
        }
    }
    assert!(count >= 30, "{count} links found");
}

#[test]
fn every_citation_of_a_page_resolves() {
    let mut count = 0;
    let places = [
        "src",
        "tests",
        "tools",
        "examples",
        "benches",
        ".ci",
        "docs",
        "data",
        "README.md",
        "CONTRIBUTING.md",
        "template.yaml",
        "openapi.yaml",
    ];
    for (path, text) in texts(&places) {
        let cited = text.match_indices("docs/").filter_map(|(at, _)| {
            let end =
                text[at..].find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '/' | '-' | '_' | '.' | '#'));
            let citation = text[at..end.map_or(text.len(), |end| at + end)].trim_end_matches('.');
            citation
                .split_once(".md")
                .map(|(page, anchor)| (format!("{page}.md"), anchor))
        });
        for (page, anchor) in cited {
            let target = read_page(&page).unwrap_or_else(|| panic!("{path} cites {page}"));
            if let Some(anchor) = anchor.strip_prefix('#') {
                assert!(anchors(&target).contains(anchor), "{path} cites {page}#{anchor}");
            }
            count += 1;
        }
    }
    assert!(count >= 10, "{count} citations found");
}

fn read_page(page: &str) -> Option<String> {
    fs::read_to_string(root().join(page)).ok()
}

#[test]
fn the_test_that_each_fault_names_exists() {
    let code: String = texts(&["src", "tests"]).into_values().collect();
    let page = read("docs/faults.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what happens") && !line.starts_with("| ---"))
        .collect();
    for row in &rows {
        let test = row.trim_end_matches(" |").rsplit_once("| ").unwrap().1;
        assert!(code_spans(test).count() > 0 || test == "the same test", "{row}");
    }
    // In the rows and in the text.
    let is_test = |name: &&str| name.matches('_').count() >= 3 && name.chars().all(|c| !c.is_ascii_uppercase());
    for name in code_spans(&page).filter(is_test) {
        assert!(code.contains(&format!("fn {name}(")), "{name}");
    }
    assert!(rows.len() >= 20, "{} rows found", rows.len());
}

#[test]
fn readme_can_be_read_in_two_minutes() {
    assert!(read("README.md").lines().count() <= 140);
}

#[test]
fn readme_lists_every_status_with_a_sentence_of_the_service() {
    let document = OpenApi::load(&root().join("openapi.yaml")).unwrap();
    let mut listed = BTreeSet::new();
    for row in read("README.md").lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let Ok(status) = cells[0].parse::<u16>() else { continue };
        listed.insert(status);
        if status >= 400 {
            // The examples are what the service really sends: tests/openapi.rs sends their requests.
            let examples = document.answers[&status].examples.values();
            let sentences: Vec<&str> = examples.map(|body| body["error"].as_str().unwrap()).collect();
            assert!(sentences.contains(&cells[2].trim_matches('`')), "{row}: {sentences:?}");
        }
    }
    assert_eq!(listed, document.answers.keys().copied().collect());
}

#[test]
fn readme_lists_the_contracts_variables() {
    let contract = read("docs/contract.md");
    let section = between(&contract, "### Environment variables\n", "\n## ")[0];
    let is_variable = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let variables: Vec<&str> = code_spans(section).filter(is_variable).collect();
    assert!(variables.len() >= 12, "{variables:?}");
    let readme = read("README.md");
    for variable in variables {
        assert!(readme.contains(&format!("`{variable}`")), "{variable}");
    }
}

/// The local run on a free port; it ends when this is dropped.
struct LocalRun {
    process: Child,
    /// What it prints before the first request.
    announcement: String,
}

impl LocalRun {
    /// `cargo test` builds the examples.
    fn start() -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_create-contact"));
        let example = binary.parent().unwrap().join("examples/local");
        let mut process = Command::new(&example)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; cargo build --example local", example.display()));
        let (lines, read) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        // This reads to the end, because later lines must go somewhere.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut run = Self {
            process,
            announcement: String::new(),
        };
        while !run.announcement.ends_with("Ctrl-C to stop.\n") {
            let line = read
                .recv_timeout(Duration::from_mins(1))
                .unwrap_or_else(|_| panic!("an old build? cargo build --example local: {}", run.announcement));
            run.announcement += &line;
            run.announcement.push('\n');
        }
        run
    }
}

impl Drop for LocalRun {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The text with every port of this machine replaced.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut replaced = parts.next().unwrap().to_owned();
    for part in parts {
        replaced += "127.0.0.1:PORT";
        replaced += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    replaced
}

/// README's blocks of code, without their indentation.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let last = blocks.last_mut().unwrap();
        if let Some(code) = line.strip_prefix("    ") {
            *last += code;
            *last += "\n";
        } else if line.is_empty() && !last.is_empty() && lines.peek().is_some_and(|next| next.starts_with("    ")) {
            *last += "\n";
        } else if !last.is_empty() {
            blocks.push(String::new());
        }
    }
    blocks
}

#[test]
fn readmes_first_command_prints_what_readme_shows_and_the_curl_line_gets_the_response() {
    let run = LocalRun::start();
    let blocks = blocks(&read("README.md"));
    let shown = blocks
        .iter()
        .find(|block| block.starts_with("create-contact listens on"))
        .unwrap();
    assert_eq!(without_ports(&run.announcement), without_ports(shown));

    let from = run.announcement.find("curl ").unwrap();
    let command = run.announcement[from..].split("\n\n").next().unwrap();
    let output = Command::new("sh").args(["-c", command]).output().expect("curl");
    let response = String::from_utf8(output.stdout).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").expect("a response");
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    let mut body: Value = serde_json::from_str(body).unwrap();
    let shown = blocks.iter().find(|block| block.starts_with("{\"id\"")).unwrap();
    let mut shown: Value = serde_json::from_str(shown).unwrap();
    for own in ["id", "createdAt", "updatedAt"] {
        assert!(body[own].take().is_string() && shown[own].take().is_string(), "{own}");
    }
    assert_eq!(body, shown);
}

/// The modules of `src` that a file uses: the names after `crate::`, in braces or without.
fn used_modules(code: &str) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut used = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let (list, is_list) = after.strip_prefix('{').map_or((after, false), |list| (list, true));
        let mut depth = 0;
        let mut name = String::new();
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 && is_list => used.extend([std::mem::take(&mut name)]),
                c if depth == 0 && (c.is_ascii_lowercase() || c == '_') && !name.ends_with(':') => name.push(c),
                ':' if depth == 0 => name.push(':'),
                c if is_list || c.is_ascii_alphanumeric() => {}
                _ => break,
            }
        }
        used.insert(name);
    }
    used.into_iter()
        .map(|name| name.trim_end_matches(':').to_owned())
        .collect()
}

#[test]
fn no_module_of_the_function_is_used_by_one_that_it_uses() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, code) in texts(&["src"]) {
        let module = path.split('/').nth(1).unwrap().trim_end_matches(".rs").to_owned();
        uses.entry(module).or_default().extend(used_modules(&code));
    }
    uses.retain(|module, _| module != "lib" && module != "main");
    let modules: BTreeSet<String> = uses.keys().cloned().collect();
    for (module, used) in &mut uses {
        used.retain(|name| modules.contains(name) && name != module);
    }
    assert!(
        uses["http"].contains("store") && uses["store"].contains("item"),
        "{uses:?}"
    );
    // Remove modules that use no other module that is left. What remains at the end is a cycle.
    while let Some(leaf) = uses
        .iter()
        .find(|(_, used)| used.is_empty())
        .map(|(module, _)| module.clone())
    {
        uses.remove(&leaf);
        for used in uses.values_mut() {
            used.remove(&leaf);
        }
    }
    assert!(uses.is_empty(), "these use each other: {uses:?}");
}
