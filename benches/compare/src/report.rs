//! The tables and the picture, and their places in README.md and benches/README.md.

use std::{fmt::Write as _, fs, io, path::Path};

use crate::{
    EARLIER,
    measure::{Figures, Sample},
};

/// The programs, in the order of the table's columns.
pub struct Comparison {
    pub floor: Figures,
    pub typical: Figures,
    /// `typical`, built without AWS-LC's CPU-jitter entropy.
    pub tuned: Figures,
    /// The function as of an earlier commit.
    pub earlier: Figures,
    pub ours: Figures,
}

/// A bound on a row: on the figure itself, or on its ratio to another program's.
enum Must {
    OfTypical(f64),
    OfTuned(f64),
    OfEarlier(f64),
    AtMost(f64),
}

/// One figure of each program.
struct Row {
    what: &'static str,
    figure: fn(&Figures) -> &Sample,
    digits: usize,
    musts: &'static [Must],
}

const ROWS: [Row; 9] = [
    row("ready: CPU from exec, ms", |figures| &figures.ready_cpu, 1, &[]),
    row("first request: CPU, ms", |figures| &figures.first_cpu, 2, &[]),
    row(
        "first request: wall time at 128 MB, ms",
        |figures| &figures.limited[0].first,
        1,
        &[Must::OfTuned(0.1)],
    ),
    row(
        "first request: wall time at 256 MB, ms",
        |figures| &figures.limited[1].first,
        1,
        &[],
    ),
    row(
        "both: CPU from exec to the first 201, ms",
        |figures| &figures.cold_cpu,
        1,
        &[Must::OfTuned(0.55), Must::OfEarlier(1.05)],
    ),
    row(
        "warm request: CPU, µs",
        |figures| &figures.warm_cpu,
        0,
        &[Must::OfTypical(0.5), Must::OfEarlier(0.97)],
    ),
    row(
        "warm request: wall time at 128 MB, ms",
        |figures| &figures.limited[0].warm,
        1,
        &[],
    ),
    row(
        "peak memory after 1,000 requests, MB",
        |figures| &figures.memory,
        1,
        &[Must::AtMost(9.0)],
    ),
    row("executable on this machine, MB", |figures| &figures.size, 1, &[]),
];

const fn row(what: &'static str, figure: fn(&Figures) -> &Sample, digits: usize, musts: &'static [Must]) -> Row {
    Row {
        what,
        figure,
        digits,
        musts,
    }
}

/// The table of figures, with each one's limit and whether it holds.
pub fn table(all: &Comparison, arm64_size: Option<f64>, delay: &Sample) -> String {
    let mut table = format!(
        "\
| | floor | typical | tuned | {EARLIER} | create-contact | ÷ typical | ÷ tuned | ÷ {EARLIER} | limit | holds |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"
    );
    for row in &ROWS {
        let columns = [&all.floor, &all.typical, &all.tuned, &all.earlier, &all.ours].map(row.figure);
        let [_, typical, tuned, earlier, ours] = columns;
        let of = |other: &Sample| ours.median() / other.median();
        let (mut demands, mut held) = (Vec::new(), true);
        for must in row.musts {
            let (value, bound, demand) = match must {
                Must::OfTypical(bound) => (of(typical), *bound, format!("≤ {bound} of typical")),
                Must::OfTuned(bound) => (of(tuned), *bound, format!("≤ {bound} of tuned")),
                Must::OfEarlier(bound) => (of(earlier), *bound, format!("≤ {bound} of {EARLIER}")),
                Must::AtMost(bound) => (ours.median(), *bound, format!("≤ {bound}")),
            };
            demands.push(demand);
            held &= value <= bound;
        }
        let _ = write!(table, "| {} |", row.what);
        for column in columns {
            let _ = write!(table, " {} |", spread(column, row.digits));
        }
        for other in [typical, tuned, earlier] {
            let _ = write!(table, " {:.3} |", of(other));
        }
        let held = if demands.is_empty() { "" } else { yes_or_no(held) };
        let _ = writeln!(table, " {} | {held} |", demands.join(", "));
    }
    // What the other programs don't have.
    let mut own_row = |what: &str, figure: Option<f64>, digits: usize, bound: f64| {
        let (figure, held) = match figure {
            Some(figure) => (format!("{figure:.digits$}"), yes_or_no(figure <= bound)),
            None => ("–".to_owned(), "not measured"),
        };
        let _ = writeln!(table, "| {what} | | | | | {figure} | | | | ≤ {bound} | {held} |");
    };
    own_row("executable for arm64, stripped, MB", arm64_size, 1, 6.0);
    let slowest = delay.quantile(1.0);
    own_row(
        "delay of ready if the database hangs, slowest, ms",
        Some(slowest),
        0,
        300.0,
    );
    table
}

fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "**no**" }
}

/// A row of the README's table: label, figure, digits and unit.
type Headline = (&'static str, fn(&Figures) -> &Sample, usize, &'static str);

const HEADLINES: [Headline; 4] = [
    (
        "first request after a start, with the CPU share of 128 MB",
        |figures| &figures.limited[0].first,
        1,
        "ms",
    ),
    (
        "CPU time from start to first response",
        |figures| &figures.cold_cpu,
        1,
        "ms",
    ),
    ("CPU time of a warm request", |figures| &figures.warm_cpu, 0, "µs"),
    ("peak memory", |figures| &figures.memory, 1, "MB"),
];

/// The figures that README.md shows; benches/README.md has them all.
pub fn headline(all: &Comparison) -> String {
    let mut table = "| median | create-contact | *tuned* | *typical* |\n| --- | --- | --- | --- |\n".to_owned();
    for (what, figure, digits, unit) in HEADLINES {
        let value = |sample: &Sample| format!("{:.digits$} {unit}", sample.median());
        let [ours, tuned, typical] = [&all.ours, &all.tuned, &all.typical].map(|figures| value(figure(figures)));
        let _ = writeln!(table, "| {what} | {ours} | {tuned} | {typical} |");
    }
    table + "\n*Tuned* is *typical*, built with `AWS_LC_SYS_NO_JITTER_ENTROPY=1`: without AWS-LC's slow start."
}

/// The median, and the quartiles where there is a spread.
fn spread(sample: &Sample, digits: usize) -> String {
    let [low, median, high] =
        [sample.quantile(0.25), sample.median(), sample.quantile(0.75)].map(|value| format!("{value:.digits$}"));
    if low == high {
        median
    } else {
        format!("{median} ({low}–{high})")
    }
}

/// Bars for the headlines, each to its own scale. The background is transparent, and the
/// text has the colour that the reader's light or dark scheme needs.
pub fn picture(all: &Comparison) -> String {
    const BAR: f64 = 420.0;
    let mut bars = String::new();
    let programs = [
        ("create-contact", "#1098ad", &all.ours),
        ("tuned", "#c9803c", &all.tuned),
        ("typical", "#d9a066", &all.typical),
    ];
    let mut y = 20.0;
    for (title, figure, digits, unit) in HEADLINES {
        let _ = writeln!(bars, r#"<text x="10" y="{y}" font-weight="bold">{title}</text>"#);
        let medians = programs.map(|(_, _, figures)| figure(figures).median());
        let longest = medians.into_iter().fold(0.0, f64::max);
        for ((name, colour, _), value) in programs.into_iter().zip(medians) {
            y += 26.0;
            let width = value / longest * BAR;
            let _ = writeln!(
                bars,
                r#"<text x="10" y="{y}">{name}</text><rect x="120" y="{:.0}" width="{width:.1}" height="18" fill="{colour}"/><text x="{:.1}" y="{y}">{value:.digits$} {unit}</text>"#,
                y - 14.0,
                width + 128.0,
            );
        }
        y += 40.0;
    }
    let height = y - 26.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" font-family="sans-serif" font-size="13" role="img">
<title>The first request after a start, CPU times and memory: create-contact, tuned and typical</title>
<style>text {{ fill: #1f2328 }} @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} }}</style>
{bars}</svg>
"#
    )
}

/// Puts text between a pair of markers in a page; without them, prints a warning and leaves the page alone.
pub fn write_block(page: &Path, marker: &str, text: &str) -> io::Result<()> {
    println!("{text}");
    let (begin, end) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->"));
    let old = fs::read_to_string(page).unwrap_or_default();
    let parts = old
        .split_once(&begin)
        .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    if let Some((before, after)) = parts {
        return fs::write(page, format!("{before}{begin}\n{text}\n{end}{after}"));
    }
    eprintln!(
        "{} has no {} … {end}: it stays as it is",
        page.display(),
        begin.trim_end()
    );
    Ok(())
}
