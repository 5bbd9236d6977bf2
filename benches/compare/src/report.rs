//! The tables and the picture, and their places in README.md, benches/README.md and docs/operations.md.

use std::{fmt::Write as _, fs, io, path::Path};

use crate::measure::{Figures, Growth, Load, Sample};

/// The three programs, in the order of the table's columns.
pub struct Comparison {
    pub floor: Figures,
    pub typical: Figures,
    pub ours: Figures,
}

/// A bound on a row: on the figure itself, or on its ratio to another program's.
enum Must {
    OfFloor(f64),
    OfTypical(f64),
    AtMost(f64),
}

/// The table of the issue's figures, with what was demanded of each and whether it holds.
pub fn table(all: &Comparison, arm64_size: Option<f64>, growth: &Growth) -> String {
    let mut table = "\
| | floor | typical | create-contact | ÷ floor | ÷ typical | must | held |
| --- | --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    let mut row = |what: &str, figure: fn(&Figures) -> &Sample, digits: usize, musts: &[Must]| {
        let [floor, typical, ours] = [&all.floor, &all.typical, &all.ours].map(figure);
        if ours.is_empty() {
            let _ = writeln!(table, "| {what} | – | – | – | – | – | – | not measured |");
            return;
        }
        let of = |other: &Sample| ours.median() / other.median();
        let (mut demands, mut held) = (Vec::new(), true);
        for must in musts {
            let (value, bound, demand) = match must {
                Must::OfFloor(bound) => (of(floor), *bound, format!("≤ {bound:.1} × floor")),
                Must::OfTypical(bound) => (of(typical), *bound, format!("≤ {bound:.2} of typical")),
                Must::AtMost(bound) => (ours.median(), *bound, format!("≤ {bound}")),
            };
            demands.push(demand);
            held &= value <= bound;
        }
        let held = match (musts.is_empty(), held) {
            (true, _) => "",
            (_, true) => "yes",
            (_, false) => "**no**",
        };
        let ratio = |other: &Sample, digits: usize| {
            // The floor calls no database.
            if other.median() > 0.0 {
                format!("{:.digits$}", of(other))
            } else {
                String::new()
            }
        };
        let _ = writeln!(
            table,
            "| {what} | {} | {} | {} | {} | {} | {} | {held} |",
            spread(floor, digits),
            spread(typical, digits),
            spread(ours, digits),
            ratio(floor, 2),
            ratio(typical, 3),
            demands.join(", "),
        );
    };
    row(
        "CPU from exec to the first 201, ms",
        |figures| &figures.cold_cpu,
        1,
        &[Must::OfFloor(2.0), Must::OfTypical(0.15)],
    );
    row(
        "the same, with a look-up of DynamoDB's host, ms",
        |figures| &figures.cold_cpu_by_name,
        1,
        &[],
    );
    row(
        "CPU of a warm request, µs",
        |figures| &figures.warm_cpu,
        0,
        &[Must::OfTypical(0.5)],
    );
    row(
        "wall time from exec to the first 201 with the CPU of 128 MB, ms",
        |figures| &figures.slow_cold_wall,
        0,
        &[Must::OfTypical(0.15)],
    );
    row(
        "peak memory after 1,000 requests, MB",
        |figures| &figures.memory,
        1,
        &[Must::AtMost(10.0)],
    );
    row(
        "DynamoDB calls a request",
        |figures| &figures.calls,
        0,
        &[Must::AtMost(2.0)],
    );
    row("executable on this machine, MB", |figures| &figures.size, 1, &[]);
    table + &own_rows(arm64_size, growth)
}

/// The four figures that README.md shows; benches/README.md has them all.
pub fn headline(all: &Comparison) -> String {
    let mut table = "| median | create-contact | *typical* |\n| --- | --- | --- |\n".to_owned();
    let mut row = |what: &str, figure: fn(&Figures) -> &Sample, digits: usize, unit: &str| {
        let [ours, typical] = [&all.ours, &all.typical].map(|figures| {
            let sample = figure(figures);
            if sample.is_empty() {
                "not measured".to_owned()
            } else {
                format!("{:.digits$} {unit}", sample.median())
            }
        });
        let _ = writeln!(table, "| {what} | {ours} | {typical} |");
    };
    row(
        "CPU time from start to first response",
        |figures| &figures.cold_cpu,
        1,
        "ms",
    );
    row(
        "time from start to first response, with the CPU share of 128 MB",
        |figures| &figures.slow_cold_wall,
        0,
        "ms",
    );
    row("CPU time of a warm request", |figures| &figures.warm_cpu, 0, "µs");
    row("peak memory", |figures| &figures.memory, 1, "MB");
    table
}

/// The figures that the other programs don't have.
fn own_rows(arm64_size: Option<f64>, growth: &Growth) -> String {
    let mut rows = String::new();
    let mut own_row = |what: &str, value: Option<String>, holds: bool, must: &str| {
        let (value, held) = match (value, holds) {
            (None, _) => ("–".to_owned(), "not measured"),
            (Some(value), true) => (value, "yes"),
            (Some(value), false) => (value, "**no**"),
        };
        let _ = writeln!(rows, "| {what} | | | {value} | | | {must} | {held} |");
    };
    own_row(
        "executable for arm64, stripped, MB",
        arm64_size.map(|size| format!("{size:.1}")),
        arm64_size.is_some_and(|size| size <= 7.0),
        "≤ 7",
    );
    for (what, ratios) in [
        (
            "warm CPU with 1,000,000 stored contacts, by that with 100",
            &growth.stored_contacts,
        ),
        (
            "warm CPU of a 200-character name, by that of a short one",
            &growth.long_name,
        ),
    ] {
        own_row(what, Some(spread(ratios, 2)), ratios.median() <= 1.05, "≤ 1.05");
    }
    rows
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

pub fn load_table(loads: &[Load]) -> String {
    let mut table = "\
| invocations at once | requests a second | p50, ms | p99, ms | CPU of a request, µs |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    for load in loads {
        let _ = writeln!(
            table,
            "| {} | {:.0} | {:.1} | {:.1} | {:.0} |",
            load.concurrency,
            load.requests_a_second,
            load.latency.median(),
            load.latency.quantile(0.99),
            load.cpu,
        );
    }
    table
}

/// Bars for the cold start and the warm request of the three programs, each pair of three to its own scale.
pub fn picture(all: &Comparison) -> String {
    const BAR: f64 = 420.0;
    let mut picture = concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 250" font-family="sans-serif" font-size="13" role="img">"#,
        "\n<title>CPU time of a cold start and of a warm request: floor, create-contact, typical</title>\n",
        r#"<rect width="640" height="250" fill="white"/>"#,
        "\n",
    )
    .to_owned();
    let cold: fn(&Figures) -> &Sample = |figures| &figures.cold_cpu;
    let warm: fn(&Figures) -> &Sample = |figures| &figures.warm_cpu;
    let charts = [
        ("CPU from exec to the first 201", "ms", 1, cold),
        ("CPU of a warm request", "µs", 0, warm),
    ];
    let mut y = 24.0;
    for (title, unit, digits, figure) in charts {
        let _ = writeln!(picture, r#"<text x="10" y="{y}" font-weight="bold">{title}</text>"#);
        let programs = [
            ("floor", "#9aa5b1", &all.floor),
            ("create-contact", "#0b7285", &all.ours),
            ("typical", "#c9803c", &all.typical),
        ];
        let longest = programs
            .iter()
            .map(|(_, _, figures)| figure(figures).median())
            .fold(0.0, f64::max);
        for (name, colour, figures) in programs {
            y += 26.0;
            let value = figure(figures).median();
            let width = value / longest * BAR;
            let _ = writeln!(
                picture,
                r#"<text x="10" y="{y}">{name}</text><rect x="120" y="{:.0}" width="{width:.1}" height="18" fill="{colour}"/><text x="{:.1}" y="{y}">{value:.digits$} {unit}</text>"#,
                y - 14.0,
                width + 128.0,
            );
        }
        y += 42.0;
    }
    picture.push_str("</svg>\n");
    picture
}

/// Puts text between a pair of markers in a page; without them, says so and leaves the page alone.
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
