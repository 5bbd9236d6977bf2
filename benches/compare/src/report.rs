//! The tables and the picture, and their places in README.md and benches/README.md.

use std::{fmt::Write as _, fs, io, path::Path};

use crate::measure::{FaultyStarts, Figures, Growth, Load, Sample};

/// The three programs, in the order of the table's columns.
pub struct Comparison {
    pub floor: Figures,
    pub typical: Figures,
    pub ours: Figures,
}

/// A bound on a row: on the figure itself, or on its ratio to another program's.
enum Must {
    OfTypical(f64),
    AtMost(f64),
}

/// One figure of each program.
struct Row {
    what: &'static str,
    figure: fn(&Figures) -> Sample,
    digits: usize,
    musts: &'static [Must],
}

const ROWS: [Row; 16] = [
    Row {
        what: "ready: CPU from exec, ms",
        figure: |figures| figures.ready_cpu.clone(),
        digits: 1,
        musts: &[],
    },
    Row {
        what: "ready: wall time from exec, ms",
        figure: |figures| figures.ready_wall.clone(),
        digits: 1,
        musts: &[],
    },
    Row {
        what: "first request: CPU, ms",
        figure: |figures| figures.first_cpu.clone(),
        digits: 2,
        musts: &[],
    },
    Row {
        what: "first request: CPU ÷ CPU of a warm request",
        figure: |figures| figures.first_cpu.times(1000.0 / figures.warm_cpu.median()),
        digits: 1,
        musts: &[Must::AtMost(2.5)],
    },
    Row {
        what: "first request: wall time at 128 MB, ms",
        figure: |figures| figures.limited[0].first.clone(),
        digits: 1,
        musts: &[Must::OfTypical(0.015)],
    },
    Row {
        what: "first request: wall time at 256 MB, ms",
        figure: |figures| figures.limited[1].first.clone(),
        digits: 1,
        musts: &[],
    },
    Row {
        what: "both: CPU from exec to the first 201, ms",
        figure: |figures| figures.cold_cpu.clone(),
        digits: 1,
        musts: &[Must::OfTypical(0.15)],
    },
    Row {
        what: "both, with a DNS lookup of DynamoDB's host, ms",
        figure: |figures| figures.cold_cpu_by_name.clone(),
        digits: 1,
        musts: &[],
    },
    Row {
        what: "warm request: CPU, µs",
        figure: |figures| figures.warm_cpu.clone(),
        digits: 0,
        musts: &[Must::OfTypical(0.5)],
    },
    Row {
        what: "warm request: wall time at 128 MB, ms",
        figure: |figures| figures.limited[0].warm.clone(),
        digits: 1,
        musts: &[],
    },
    Row {
        what: "warm request: wall time at 256 MB, ms",
        figure: |figures| figures.limited[1].warm.clone(),
        digits: 1,
        musts: &[],
    },
    Row {
        what: "peak memory after 1,000 requests, MB",
        figure: |figures| figures.memory.clone(),
        digits: 1,
        musts: &[Must::AtMost(10.0)],
    },
    Row {
        what: "DynamoDB calls of a start",
        figure: |figures| figures.calls_at_start.clone(),
        digits: 0,
        musts: &[Must::AtMost(1.0)],
    },
    Row {
        what: "DynamoDB calls of a request",
        figure: |figures| figures.calls.clone(),
        digits: 0,
        musts: &[Must::AtMost(2.0)],
    },
    Row {
        what: "log of a request, bytes",
        figure: |figures| figures.log.clone(),
        digits: 0,
        musts: &[],
    },
    Row {
        what: "executable on this machine, MB",
        figure: |figures| figures.size.clone(),
        digits: 1,
        musts: &[],
    },
];

/// The table of figures, with each one's bound and whether it is met.
pub fn table(all: &Comparison, arm64_size: Option<f64>, growth: &Growth, faulty: &FaultyStarts) -> String {
    let mut table = "\
| | floor | typical | create-contact | ÷ floor | ÷ typical | limit | met |
| --- | --- | --- | --- | --- | --- | --- | --- |
"
    .to_owned();
    for Row {
        what,
        figure,
        digits,
        musts,
    } in &ROWS
    {
        let [floor, typical, ours] = &[&all.floor, &all.typical, &all.ours].map(figure);
        if ours.is_empty() {
            let _ = writeln!(table, "| {what} | – | – | – | – | – | – | not measured |");
            continue;
        }
        let of = |other: &Sample| ours.median() / other.median();
        let (mut demands, mut held) = (Vec::new(), true);
        for must in *musts {
            let (value, bound, demand) = match must {
                Must::OfTypical(bound) => (of(typical), *bound, format!("≤ {bound} of typical")),
                Must::AtMost(bound) => (ours.median(), *bound, format!("≤ {bound}")),
            };
            demands.push(demand);
            held &= value <= bound;
        }
        let held = if musts.is_empty() { "" } else { yes_or_no(held) };
        let ratio = |other: &Sample, digits: usize| {
            // The floor calls no database, and only ours does so at its start.
            if other.median() > 0.0 {
                format!("{:.digits$}", of(other))
            } else {
                String::new()
            }
        };
        let _ = writeln!(
            table,
            "| {what} | {} | {} | {} | {} | {} | {} | {held} |",
            spread(floor, *digits),
            spread(typical, *digits),
            spread(ours, *digits),
            ratio(floor, 2),
            ratio(typical, 3),
            demands.join(", "),
        );
    }
    table + &own_rows(arm64_size, growth, faulty)
}

/// The most CPU that a start with its first request may take, relative to an earlier build that made no call at the start.
const COLD_CPU_OF_EARLIER: f64 = 1.10;

/// The same figures beside those of an earlier build.
pub fn earlier_table(earlier: &Figures, now: &Figures) -> String {
    let mut table = "\
| | earlier | now | now ÷ earlier |
| --- | --- | --- | --- |
"
    .to_owned();
    for Row {
        what, figure, digits, ..
    } in &ROWS
    {
        let [earlier, now] = &[earlier, now].map(figure);
        if !now.is_empty() && earlier.median() > 0.0 {
            let ratio = now.median() / earlier.median();
            let [earlier, now] = [earlier, now].map(|sample| spread(sample, *digits));
            let _ = writeln!(table, "| {what} | {earlier} | {now} | {ratio:.2} |");
        }
    }
    let held = now.cold_cpu.median() <= COLD_CPU_OF_EARLIER * earlier.cold_cpu.median();
    let _ = write!(
        table,
        "\nLimit: CPU from exec to the first 201 is at most {COLD_CPU_OF_EARLIER:.2} times that of the earlier build. Met: {}.",
        yes_or_no(held)
    );
    table
}

fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "**no**" }
}

/// A row of the README's table: label, figure, digits and unit.
type Headline = (&'static str, fn(&Figures) -> &Sample, usize, &'static str);

/// The four figures that README.md shows; benches/README.md has them all.
pub fn headline(all: &Comparison) -> String {
    let figures: [Headline; 4] = [
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
    let mut table = "| median | create-contact | *typical* |\n| --- | --- | --- |\n".to_owned();
    for (what, figure, digits, unit) in figures {
        let value = |sample: &Sample| {
            if sample.is_empty() {
                "not measured".to_owned()
            } else {
                format!("{:.digits$} {unit}", sample.median())
            }
        };
        let [ours, typical] = [&all.ours, &all.typical].map(|figures| value(figure(figures)));
        let _ = writeln!(table, "| {what} | {ours} | {typical} |");
    }
    table
}

/// The figures that the other programs don't have.
fn own_rows(arm64_size: Option<f64>, growth: &Growth, faulty: &FaultyStarts) -> String {
    let mut rows = String::new();
    let mut own_row = |what: &str, value: Option<String>, holds: bool, must: &str| {
        let (value, held) = match value {
            None => ("–".to_owned(), "not measured"),
            Some(value) => (value, yes_or_no(holds)),
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
            "warm CPU with 1,000,000 stored contacts ÷ with 100",
            &growth.stored_contacts,
        ),
        (
            "warm CPU with a name of 200 characters ÷ with a short one",
            &growth.long_name,
        ),
    ] {
        own_row(what, Some(spread(ratios, 2)), ratios.median() <= 1.05, "≤ 1.05");
    }
    for (what, later) in [
        ("hangs", &faulty.hangs),
        ("refuses connections", &faulty.refuses),
        ("has a name that doesn't resolve", &faulty.does_not_resolve),
    ] {
        own_row(
            &format!("delay of ready if the database {what}, ms (slowest)"),
            Some(format!("{:.0} ({:.0})", later.median(), later.quantile(1.0))),
            later.quantile(1.0) <= 300.0,
            "≤ 300",
        );
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

/// Bars for the first and for a warm request of the three programs, each group of three to its own scale.
pub fn picture(all: &Comparison) -> String {
    const BAR: f64 = 420.0;
    let mut picture = concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 250" font-family="sans-serif" font-size="13" role="img">"#,
        "\n<title>The first request after a start, and the CPU time of a warm request: floor, create-contact, typical</title>\n",
        r#"<rect width="640" height="250" fill="white"/>"#,
        "\n",
    )
    .to_owned();
    let first: fn(&Figures) -> &Sample = |figures| &figures.limited[0].first;
    let warm: fn(&Figures) -> &Sample = |figures| &figures.warm_cpu;
    let charts = [
        (
            "First request after a start, wall time with the CPU share of 128 MB",
            "ms",
            1,
            first,
        ),
        ("CPU of a warm request", "µs", 0, warm),
    ];
    let mut y = 24.0;
    for (title, unit, digits, figure) in charts {
        if figure(&all.ours).is_empty() {
            continue;
        }
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
