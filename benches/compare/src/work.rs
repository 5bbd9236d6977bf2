//! The bodies and events that cost most, and the search for them. `docs/contract.md` says how much one may cost.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::{
    dynamodb::{Authority, DynamoDb, WORKSPACE},
    lambda::{Function, Program, event_with_body},
    measure::number_to_float,
};

/// The largest body that the service reads.
const BODY_BYTES: usize = 65_536;
/// How many bodies the search lists.
const LISTED: usize = 40;
const CANDIDATES: u32 = 20_000;
const TIME: Duration = Duration::from_mins(4);

/// A text in compact form: units, and how often each is repeated.
type Pieces = Vec<(String, usize)>;

/// A request body, sent as text or in base64.
#[derive(Clone)]
pub struct Body {
    pieces: Pieces,
    base64: bool,
}

impl Body {
    /// The HTTP API's event with this body.
    pub fn event(&self) -> String {
        let text = unfold(&self.pieces);
        if self.base64 {
            event_with_body(&STANDARD.encode(text), true)
        } else {
            event_with_body(&text, false)
        }
    }
}

fn unfold(pieces: &[(String, usize)]) -> String {
    pieces.iter().map(|(unit, times)| unit.repeat(*times)).collect()
}

/// Units longer than this are cut in [`describe`].
const SHOWN: usize = 24;

/// The pieces as `unit × repeats`, ASCII only, without the parts that every body has.
pub fn describe(body: &Body) -> String {
    let mut text = String::new();
    for (unit, times) in &body.pieces {
        if unit.contains(WORKSPACE) {
            continue;
        }
        let unit: String = unit.escape_default().collect::<String>().replace("\\\"", "\"");
        let cut: String = unit.chars().take(SHOWN).collect();
        let more = if cut.len() < unit.len() { "…" } else { "" };
        let _ = write!(text, "{}`{cut}{more}`", if text.is_empty() { "" } else { ", " });
        if *times > 1 {
            let _ = write!(text, " × {times}");
        }
    }
    text + if body.base64 { ", in base64" } else { "" }
}

/// Reads the list: a line of JSON for each body.
pub fn read(path: &Path) -> io::Result<Vec<Body>> {
    let line = |line: &str| -> Option<Body> {
        let value: Value = serde_json::from_str(line).ok()?;
        let piece = |piece: &Value| {
            let times = usize::try_from(piece[1].as_u64()?).ok()?;
            Some((piece[0].as_str()?.to_owned(), times))
        };
        Some(Body {
            pieces: value["body"].as_array()?.iter().map(piece).collect::<Option<_>>()?,
            base64: value["base64"].as_bool()?,
        })
    };
    let bodies: Option<Vec<Body>> = fs::read_to_string(path)?.lines().map(line).collect();
    bodies.ok_or_else(|| io::Error::other(format!("{} has a line that isn't a body", path.display())))
}

fn write(path: &Path, bodies: &[Body]) -> io::Result<()> {
    let lines: String = bodies
        .iter()
        .map(|body| json!({"body": body.pieces, "base64": body.base64}).to_string() + "\n")
        .collect();
    fs::write(path, lines)
}

/// Lambda's limit for an event.
const LARGE: usize = 6_000_000;
/// The two sizes of an event are this far apart.
const GROWTH: usize = 10;

/// Reads the list of events: a line of JSON for each, with what it is, its text, and the unit that is repeated in place of the `…`.
/// Returns what each is, and its text in a tenth of the size and in the whole.
pub fn large_events(path: &Path) -> io::Result<Vec<(String, [String; 2])>> {
    let line = |line: &str| {
        let event: Value = serde_json::from_str(line)?;
        let [what, text, unit] = ["what", "event", "unit"].map(|member| event[member].as_str().unwrap_or_default());
        let sizes = [LARGE / GROWTH, LARGE].map(|size| text.replace('…', &unit.repeat(size / unit.len().max(1))));
        Ok((what.to_owned(), sizes))
    };
    fs::read_to_string(path)?.lines().map(line).collect()
}

/// What one body or event of the lists costs.
pub struct Work {
    ordinary: u64,
    /// What, and its cost in ordinary requests; the costliest first.
    bodies: Vec<(String, f64)>,
    /// What, instructions for each byte, and the whole's instructions by those of a tenth.
    events: Vec<(String, f64, f64)>,
}

/// In ordinary requests (`docs/contract.md`, section 1).
const MOST_FOR_A_BODY: f64 = 10.0;
/// Instructions for a byte of a large event.
const MOST_FOR_A_BYTE: f64 = 150.0;
/// The instructions of 6 MB by those of 0.6 MB. In proportion it would be 10.
const MOST_GROWTH: f64 = 12.0;
/// Instructions for a byte that come on top, because receiving takes more or fewer reads and copies each time.
const RECEIVING: f64 = 1.0;

impl Work {
    /// By the instructions of an ordinary request, of each body, and of each event's two sizes.
    pub fn new(ordinary: u64, bodies: &[(Body, u64)], events: Vec<(String, [u64; 2])>) -> Self {
        let mut bodies: Vec<_> = bodies
            .iter()
            .map(|(body, count)| (describe(body), number_to_float(*count) / number_to_float(ordinary)))
            .collect();
        bodies.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let bytes = number_to_float(LARGE as u64);
        let events = events
            .into_iter()
            .map(|(what, counts)| {
                let [small, large] = counts.map(number_to_float);
                (what, large / bytes, (large - RECEIVING * bytes) / small)
            })
            .collect();
        let work = Self {
            ordinary,
            bodies,
            events,
        };
        println!("{}", work.table());
        work
    }

    /// Whether none costs too much.
    pub fn held(&self) -> bool {
        self.bodies.iter().all(|(_, requests)| *requests <= MOST_FOR_A_BODY)
            && self
                .events
                .iter()
                .all(|(_, of_a_byte, growth)| *of_a_byte <= MOST_FOR_A_BYTE && *growth <= MOST_GROWTH)
    }

    /// The costliest bodies, and the events.
    pub fn table(&self) -> String {
        let mut table = format!(
            "An ordinary request: {} instructions. The ten costliest of {} bodies:\n\n| body | ordinary requests |\n| --- | --- |\n",
            self.ordinary,
            self.bodies.len()
        );
        for (body, requests) in self.bodies.iter().take(10) {
            let _ = writeln!(table, "| {} | {requests:.1} |", body.replace('|', "\\|"));
        }
        let _ = write!(
            table,
            "\nLimit: {MOST_FOR_A_BODY}. Events of 6 MB:\n\n| event | instructions a byte | 6 MB ÷ 0.6 MB |\n| --- | --- | --- |\n"
        );
        for (what, of_a_byte, growth) in &self.events {
            let _ = writeln!(table, "| {what} | {of_a_byte:.1} | {growth:.1} |");
        }
        let _ = write!(
            table,
            "\nLimits: {MOST_FOR_A_BYTE} instructions a byte, and {MOST_GROWTH}."
        );
        table
    }
}

/// What a gap of a template is filled with.
#[derive(Clone, Copy)]
enum Gap {
    /// The inside of a string.
    Text,
    /// Members of an object, each with a comma after it.
    Members,
    /// Anything.
    Json,
}

/// Bodies with gaps, which are `…`. `W` is a workspace id.
const TEMPLATES: [(&str, Gap); 11] = [
    (r#"{"workspaceId":"W","email":"a@b.de","name":"…"}"#, Gap::Text),
    (r#"{"workspaceId":"W","name":"Ann Lee","email":"…"}"#, Gap::Text),
    (r#"{"workspaceId":"W","name":"Ann Lee","email":"…@acme.de"}"#, Gap::Text),
    (r#"{"workspaceId":"W","name":"Ann Lee","email":"a@….de"}"#, Gap::Text),
    (r#"{"workspaceId":"W","name":"…","email":"a@….de"}"#, Gap::Text),
    (r#"{"workspaceId":"W","x":"…","name":"…","email":"a@….de"}"#, Gap::Text),
    (r#"{"name":"Ann Lee","email":"a@b.de","workspaceId":"…"}"#, Gap::Text),
    (
        r#"{"workspaceId":"W","name":"Ann Lee","email":"a@b.de","…":1}"#,
        Gap::Text,
    ),
    (
        r#"{…"workspaceId":"W","name":"Ann Lee","email":"a@b.de"}"#,
        Gap::Members,
    ),
    (
        r#"{"workspaceId":"W","name":"Ann Lee","email":"a@b.de","x":…}"#,
        Gap::Json,
    ),
    ("…", Gap::Json),
];

/// What names and addresses are made of, in the contract's rules and in Unicode's, and JSON's escapes of it.
#[rustfmt::skip]
const TEXT: &[&str] = &[
    "a", "A", "x", "7", "é", "ß", "Ⱥ", "İ", "Σ", "山", "😀", " ", "  ", "\u{a0}", "\u{2003}", "\u{3000}", "\u{2800}", ".",
    "..", "-", "--", "'", "’", "_", "@", "&", "/", ",", ", ", " ,", "،", "，", ",&", ", &", ",MBA", ", MD", ", Jr.",
    ", M.A.", ", CISM", " Jr", " III", " PhD", " MBA", " & ", " van", " von", " de", " de la", " y ", " e ", " E", " und ",
    " Dr.", " Herr", "St. ", "'t ", "Berg- ", "(", ")", " (x)", " (née x)", "((", "))", ") (", "M.A. ", "a. ", "a ",
    "\u{ad}", "\u{200b}", "\u{200c}", "\u{200d}", "\u{2060}", "\u{feff}", "\u{61c}", "\u{180e}", "\u{600}", "\u{fe0f}",
    "\u{e0061}", "\u{202e}", "\u{fffd}", "\u{301}", "\u{323}", "\u{345}", "\u{334}", "\u{301}\u{323}\u{334}",
    "\u{1d16d}\u{1d165}", "\u{345}\u{301}\u{5b0}\u{323}", "\u{344}", "\u{958}", "\u{fb2c}", "\u{1d160}", "\u{1f82}",
    "\u{2126}", "\u{f900}", "\u{1100}\u{1161}\u{11a8}", "\u{ac01}", "\u{d55c}", "\u{9c7}\u{9be}", "\u{1161}", "\u{fdfa}",
    "\u{fb03}", "\u{2f800}", "\u{5d0}", "\u{661}", "\u{640}", "\u{1806}", "\u{3002}", "\u{ff0e}", "\u{1e9e}", "\u{3c2}",
    "xn--", "xn--a", "xn--a-", ".xn--", "xn--80ak6aa92e.", "xn--e1afmkfd.", "xn--99999999", "xn--0zwm56d", "-xn--", ".a",
    "a.", "é.", "例え.", "a-b.", r"\u0061", r"\u0600", r"\u0301", r"\u0323\u0301", r"\ud83d\ude00", r"\ud800", r"\udc00",
    r"\\", r#"\""#, r"\n", r"\u0000", r"\/", r"\u002c", r"\ufdfa", "\u{7f}", "\u{85}",
];

/// What objects are made of.
#[rustfmt::skip]
const MEMBERS: &[&str] = &[
    r#""":1,"#, r#""a":1,"#, r#""name":"x","#, r#""n\u0061me":"x","#, r#""email":[[[]]],"#, r#""workspaceId":0,"#,
    r#""\u0000":null,"#, r#""\ud800":"\udc00","#, r#""x":1.5e300,"#, r#""x":1e-9999,"#, r#""x":{"name":{}},"#,
    r#""x":[1,2,3],"#, r#""é":"\"","#, r#""Name":true,"#, "\t\n ", r#""name":123456789,"#,
    r#""tenantId":"0198c1a5-6f00-7000-8000-000000000001","#,
];

/// What JSON is made of, valid or not.
#[rustfmt::skip]
const JSON: &[&str] = &[
    "[", "]", "{", "}", r#"{"a":"#, r#"[{"a":"#, "[[],", "1", "1,", "-", "0.", "e", "1e9", "1.5e-300,", "9", "null",
    "null,", "true,", "\"", r#""","#, r#""a","#, r#""\u0061","#, r#""\n","#, r"\", " ", "\n", ":", ",", "\u{feff}", "é",
    "{},", "[],", r#"{"name":"#, r#""name":"#, "/*", "NaN", r#""\ud800","#, "\u{0}",
];

impl Gap {
    fn atoms(self) -> &'static [&'static str] {
        match self {
            Self::Text => TEXT,
            Self::Members => MEMBERS,
            Self::Json => JSON,
        }
    }
}

/// A candidate of the search: which template, and what fills its gaps.
#[derive(Clone)]
struct Candidate {
    template: usize,
    gaps: Vec<Pieces>,
    base64: bool,
}

const TIMES: [usize; 12] = [1, 1, 2, 3, 7, 20, 31, 60, 100, 198, 1000, BODY_BYTES];

impl Candidate {
    fn random(random: &mut Rng) -> Self {
        let template = random.usize(..TEMPLATES.len());
        let gaps = TEMPLATES[template].0.matches('…').count();
        let mut candidate = Self {
            template,
            gaps: vec![Pieces::new(); gaps],
            base64: random.u8(..8) == 0,
        };
        for gap in 0..gaps {
            for _ in 0..random.usize(1..=4) {
                let piece = candidate.piece(random);
                candidate.gaps[gap].push(piece);
            }
        }
        candidate
    }

    fn piece(&self, random: &mut Rng) -> (String, usize) {
        let atoms = TEMPLATES[self.template].1.atoms();
        let length = [1, 1, 1, 2, 2, 3][random.usize(..6)];
        let unit = (0..length).map(|_| atoms[random.usize(..atoms.len())]).collect();
        (unit, TIMES[random.usize(..TIMES.len())])
    }

    /// The same with a piece more, less or changed.
    fn mutated(&self, random: &mut Rng) -> Self {
        let mut new = self.clone();
        for _ in 0..random.usize(1..=2) {
            let piece = new.piece(random);
            let gap = random.usize(..new.gaps.len());
            let pieces = &mut new.gaps[gap];
            let place = random.usize(..=pieces.len());
            match (random.u8(..5), pieces.get_mut(place)) {
                (0, Some(_)) => drop(pieces.remove(place)),
                (1, Some(old)) => old.0 = piece.0,
                (2, Some(old)) => old.1 = piece.1,
                (3, Some(old)) => old.0 += &piece.0,
                _ => pieces.insert(place, piece),
            }
        }
        new
    }

    /// The body, which is cut to the size that the service reads: the piece that takes most room is repeated less often.
    fn body(&self) -> Body {
        let fixed = TEMPLATES[self.template].0.replace('W', WORKSPACE);
        let mut pieces = Pieces::new();
        for (place, fixed) in fixed.split('…').enumerate() {
            if let Some(before) = place.checked_sub(1) {
                pieces.extend(self.gaps[before].iter().cloned());
            }
            pieces.push((fixed.to_owned(), 1));
        }
        loop {
            let size: usize = pieces.iter().map(|(unit, times)| unit.len() * times).sum();
            let Some((unit, times)) = pieces.iter_mut().max_by_key(|(unit, times)| unit.len() * times) else {
                break;
            };
            let Some(excess) = size.checked_sub(BODY_BYTES + 1) else {
                break;
            };
            // No piece but the largest is cut to nothing.
            *times -= (excess / unit.len() + 1).min(times.div_ceil(2));
        }
        Body {
            pieces,
            base64: self.base64,
        }
    }

    /// Of the candidates that are alike, the search keeps one.
    fn kind(&self) -> (usize, String) {
        let largest = self
            .gaps
            .iter()
            .flatten()
            .max_by_key(|(unit, times)| unit.len() * times);
        let unit = largest.map_or("", |(unit, _)| unit);
        (self.template, unit.chars().take(2).collect())
    }
}

/// Searches the bodies that cost most CPU, and writes them and the number of candidates. The bodies follow from the seed, but
/// for the noise of what they cost.
pub fn search(executable: &Path, authority: &Authority, seed: u64, list: &Path) -> io::Result<()> {
    let database = DynamoDb::start(authority)?;
    let program = Program::new(&[&executable.display().to_string()], &database, &authority.ca);
    let function = Function::start(&program)?;
    let cost = |body: &Body| -> io::Result<Duration> {
        let event = body.event();
        let before = function.cpu()?;
        function.invoke(event);
        Ok(function.cpu()?.saturating_sub(before))
    };
    let mut random = Rng::with_seed(seed);
    let mut best: HashMap<(usize, String), (Duration, Candidate)> = HashMap::new();
    let mut kinds = Vec::new();
    let started = Instant::now();
    let mut tried = 0;
    while tried < CANDIDATES && started.elapsed() < TIME {
        tried += 1;
        let candidate = if kinds.is_empty() || random.u8(..4) == 0 {
            Candidate::random(&mut random)
        } else {
            // The costlier of a few.
            let kind = (0..4)
                .map(|_| &kinds[random.usize(..kinds.len())])
                .max_by_key(|&kind| best[kind].0);
            best[kind.expect("four")].1.mutated(&mut random)
        };
        let (kind, body) = (candidate.kind(), candidate.body());
        let before = best.get(&kind).map_or(Duration::ZERO, |(cost, _)| *cost);
        let mut now = cost(&body)?;
        if now > before {
            // Once more, because other processes disturb.
            now = now.min(cost(&body)?);
        }
        if now > before {
            if before.is_zero() {
                kinds.push(kind.clone());
            }
            best.insert(kind, (now, candidate));
        }
    }
    let mut best: Vec<_> = best.into_values().collect();
    best.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
    best.truncate(LISTED);
    let ordinary = Body {
        pieces: vec![(
            format!(r#"{{"workspaceId":"{WORKSPACE}","name":"Ann Lee","email":"ann@b.de"}}"#),
            1,
        )],
        base64: false,
    };
    let mut ordinary = (0..21).map(|_| cost(&ordinary)).collect::<io::Result<Vec<_>>>()?;
    ordinary.sort();
    println!(
        "seed {seed}: {tried} candidates in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    for (cost, candidate) in &best {
        let requests = cost.as_secs_f64() / ordinary[10].as_secs_f64();
        println!("{requests:.1} requests: {}", describe(&candidate.body()));
    }
    write(
        list,
        &best.iter().map(|(_, candidate)| candidate.body()).collect::<Vec<_>>(),
    )
}
