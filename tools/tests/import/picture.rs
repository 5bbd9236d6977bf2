//! The picture at the beginning of docs/import.md: what an import shows at a terminal.

use std::{env, fmt::Write as _, fs};

use crate::{LocalService, answered, root};

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
    while lines.pop_if(|line| line.is_empty()).is_some() {}
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
    let local = LocalService::start().await;
    let (_directory, command) = local.sample();
    let (_, shown) = answered(&command, COLUMNS, "y\n").await;

    // The lines wrap where they do with the page's URL and program.
    let screen = screen(local.as_on_the_page(&shown).as_bytes(), COLUMNS);
    let picture = svg(&[&COMMAND.map(str::to_owned)[..], &screen].concat());
    let path = root().join("docs/import.svg");
    if env::var_os("NEW_PICTURE").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    let message = "NEW_PICTURE=1 cargo test -p tools --test import picture draws it again";
    assert_eq!(fs::read_to_string(path).unwrap_or_default(), picture, "{message}");
}
