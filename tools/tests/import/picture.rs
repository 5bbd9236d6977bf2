//! The picture at the beginning of docs/import.md: what an import shows at a terminal.

use std::{env, fmt::Write as _, fs, path::Path};

use tempfile::TempDir;

use crate::{LocalRun, answered, import};

const COLUMNS: u16 = 100;
const COMMAND: [&str; 2] = [
    "$ cargo run -p tools --bin import -- examples/contacts.csv \\",
    "    --url http://127.0.0.1:3000 --workspace 0198c1a5-6f00-7000-8000-000000000002",
];

/// The lines of a terminal after this output, without the blank ones below it.
pub fn screen(output: &[u8], columns: u16) -> Vec<String> {
    let mut terminal = vt100::Parser::new(60, columns, 0);
    terminal.process(output);
    let rows = terminal.screen().rows(0, columns);
    let mut lines: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
    lines.truncate(
        lines
            .iter()
            .rposition(|line| !line.is_empty())
            .map_or(0, |last| last + 1),
    );
    lines
}

/// Lines of text as a picture of a terminal.
fn svg(lines: &[String]) -> String {
    let (width, height) = (COLUMNS * 8 + 24, lines.len() * 18 + 24);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#1e1e2e\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\" fill=\"#e4e4ef\" xml:space=\"preserve\">\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let text = line.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(svg, "<text x=\"12\" y=\"{}\">{text}</text>", index * 18 + 26).unwrap();
    }
    svg + "</g>\n</svg>\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_picture_is_what_an_import_shows_at_a_terminal() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let local = LocalRun::start().await;
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("examples")).unwrap();
    let sample = Path::new("examples/contacts.csv");
    fs::copy(root.join(sample), directory.path().join(sample)).unwrap();
    let mut command = import(sample);
    command.args([
        "--url",
        &local.url,
        "--workspace",
        "0198c1a5-6f00-7000-8000-000000000002",
    ]);
    let output = answered(command.current_dir(directory.path()), COLUMNS, "y\n").await;

    // The lines wrap where they do with the page's URL and program.
    let shown = String::from_utf8(output.stdout).unwrap();
    let shown = shown
        .replace(&local.url, "http://127.0.0.1:3000")
        .replace(env!("CARGO_BIN_EXE_import"), "target/debug/import");
    let command = COMMAND.map(str::to_owned);
    let picture = svg(&[&command[..], &screen(shown.as_bytes(), COLUMNS)].concat());
    let path = root.join("docs/import.svg");
    if env::var_os("NEW_PICTURE").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap_or_default(),
        picture,
        "NEW_PICTURE=1 cargo test -p tools --test import picture draws it again"
    );
}
