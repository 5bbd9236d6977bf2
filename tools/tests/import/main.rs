//! The import: against a stub where the service's responses matter, and against the service.

mod corpus;
mod picture;
mod robustness;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::Response,
};
use harness::{
    fixture::{self, DEMO_KEY as KEY},
    gateway,
    service::Service,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};

const WORKSPACE: &str = fixture::DEMO_WORKSPACES[0];
const CREATED: StubResponse = (201, r#"{"resolutionStatus":"unresolved"}"#);
/// Breaks the connection.
const BROKEN: StubResponse = (0, "broken");
/// Never responds.
const HANG: StubResponse = (0, "hang");

fn text(bytes: impl Into<Vec<u8>>) -> String {
    String::from_utf8(bytes.into()).unwrap()
}

/// The import with the key in its environment, ready for more arguments.
fn import(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_import"));
    command
        .arg(file)
        .env("CONTACTS_API_KEY", KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn into(url: &str, file: &Path) -> Command {
    let mut command = import(file);
    command.args(["--url", url, "--workspace", WORKSPACE]);
    command
}

/// Its summary, by what it counts; the exit code must say whether all rows are in.
fn summary(output: &Output) -> BTreeMap<String, usize> {
    let stdout = text(output.stdout.clone());
    let shown = format!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!shown.contains(KEY), "{shown}");
    let count = |line: &str| {
        let (what, count) = line.rsplit_once("  ")?;
        Some((what.trim().to_owned(), count.replace(',', "").trim().parse().ok()?))
    };
    let counts: BTreeMap<String, usize> = stdout.lines().filter_map(count).collect();
    assert_eq!(counts.len(), 5, "{shown}");
    let all_in = counts["conflicts"] + counts["rejected"] + counts["not sent"] == 0;
    assert_eq!(output.status.code(), Some(i32::from(!all_in)), "{shown}");
    counts
}

/// Each rejected row: its line, the reason, its own fields.
fn rejected(file: &Path) -> Vec<(usize, String, Vec<String>)> {
    let mut reader = csv::ReaderBuilder::new();
    let records = reader.flexible(true).from_path(file).unwrap().into_records();
    let row = |record: csv::StringRecord| {
        let own = record.iter().skip(2).map(str::to_owned).collect();
        (record[0].parse().unwrap(), record[1].to_owned(), own)
    };
    records.map(Result::unwrap).map(row).collect()
}

/// The first file of rejected rows of an input.
fn rejects(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".rejected.csv");
    name.into()
}

fn file(directory: &TempDir, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join("contacts.csv");
    fs::write(&path, content).unwrap();
    path
}

fn rows(count: usize) -> String {
    let rows: Vec<String> = (0..count).map(|n| format!("A B,a{n}@acme.de")).collect();
    format!("name,email\n{}\n", rows.join("\n"))
}

/// A status and a body, or [`BROKEN`] or [`HANG`].
type StubResponse = (u16, &'static str);

/// A service whose responses come from a closure. It gets the number of the request, from 1, and its body.
async fn stub(respond: impl Fn(usize, String) -> StubResponse + Clone + Send + Sync + 'static) -> String {
    let requests = Arc::new(AtomicUsize::new(0));
    let router = Router::new().fallback(move |request: Request| {
        let (respond, number) = (respond.clone(), requests.fetch_add(1, Ordering::SeqCst) + 1);
        async move {
            assert_eq!(request.uri().path(), "/api/contacts");
            assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}"));
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            let (status, body) = match respond(number, text(body)) {
                BROKEN => {
                    let broken = futures_util::stream::once(async { Err::<Bytes, _>("broken") });
                    (200, Body::from_stream(broken))
                }
                HANG => std::future::pending().await,
                (status, body) => (status, Body::from(body)),
            };
            Response::builder().status(status).body(body).unwrap()
        }
    });
    serve(router).await
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// An import that has ended.
struct Imported {
    directory: TempDir,
    path: PathBuf,
    output: Output,
    shown: String,
    said: String,
    requests: usize,
}

impl Imported {
    fn counts(&self) -> BTreeMap<String, usize> {
        summary(&self.output)
    }

    fn rejected(&self) -> Vec<(usize, String, Vec<String>)> {
        rejected(&rejects(&self.path))
    }
}

/// Imports a file into a stub.
async fn imported(
    content: impl AsRef<[u8]>,
    arguments: &[&str],
    respond: impl Fn(usize, String) -> StubResponse + Clone + Send + Sync + 'static,
) -> Imported {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, content);
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let url = stub(move |number, body| {
        seen.fetch_max(number, Ordering::SeqCst);
        respond(number, body)
    });
    let output = into(&url.await, &path).args(arguments).output().await.unwrap();
    Imported {
        directory,
        path,
        shown: text(output.stdout.clone()),
        said: text(output.stderr.clone()),
        output,
        requests: requests.load(Ordering::SeqCst),
    }
}

/// Imports a file into a stub that knows the import's process. Returns the stub's URL too.
async fn watched(
    path: &Path,
    respond: impl Fn(u32, usize, String) -> StubResponse + Clone + Send + Sync + 'static,
) -> (String, Output) {
    let process = Arc::new(OnceLock::new());
    let of = Arc::clone(&process);
    let url = stub(move |number, body| respond(*of.get().unwrap(), number, body)).await;
    let child = into(&url, path).spawn().unwrap();
    process.set(child.id().unwrap()).unwrap();
    (url, child.wait_with_output().await.unwrap())
}

/// Sends a signal to a process.
fn signal(process: u32, signal: &str) {
    let mut kill = std::process::Command::new("kill");
    let status = kill.args(["-s", signal, &process.to_string()]).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_dry_run_judges_every_row_and_sends_and_writes_nothing() {
    let content = "name,email,phone\nHenrik Larsen,henrik@acme.de,1\n,nobody,2\n\"two\nlines\",a@localhost,3\na,b,c,d\n\
                   Zoë,mailto:zoe@acme.de,\nHenrik Larsen,HENRIK@acme.de,\nH. Larsen,henrik@acme.de,\n";
    let dry = imported(content, &["--dry-run"], |_, _| CREATED).await;
    assert_eq!(
        dry.shown.replace(&*dry.path.to_string_lossy(), "contacts.csv"),
        r#"contacts.csv: 7 rows, UTF-8, separated by commas, header on line 1.
Columns: full name "name", email "email". Not used: "phone".
As they would be stored:
  line 2: first name "Henrik", last name "Larsen", email henrik@acme.de
  line 7: first name "Zoë", no last name, email zoe@acme.de
  line 8: first name "Henrik", last name "Larsen", email HENRIK@acme.de
  line 9: first name "H.", last name "Larsen", email henrik@acme.de
line 3: rejected: there is no name; email must be an address such as jan@example.com
line 4: rejected: email must have an internet domain after the @, such as example.com
line 6: rejected: the row has 4 cells, but the header has 3: quote the cell that contains a separator
line 7: cleaned: mailto:
line 8: the same contact as on line 2
line 9: conflict: line 2 has this address under another name
Cleaned: mailto: (1 cell).
7 rows: 3 would be rejected, 1 would conflict with an earlier row, 1 would be found as existing. Nothing was sent.
"#
    );
    assert_eq!((dry.output.status.code(), dry.requests), (Some(1), 0));
    assert_eq!(fs::read_dir(dry.directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_mistake_in_the_command_gets_a_message_and_nothing_is_sent() {
    const HIDDEN: &str = "There is an API key among the arguments";
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\na,b@acme.de\n");
    for (arguments, message) in [
        (&["--url", "http://127.0.0.1:1"][..], "--workspace <UUID>"),
        (&["--workspace", WORKSPACE], "--url <URL>"),
        (&["--url", "ftp://acme.de"], "it must be an http:// or https:// URL"),
        (&["--workspace", "1"], "invalid value '1' for '--workspace <UUID>'"),
        (&["--encoding", "latin"], "there is no such encoding"),
        (&["--give-up-after", "5"], "it must be a time such as"),
        (&["other.csv"], "unexpected argument"),
        (&["--key", KEY], HIDDEN),
        (&["--url", &format!("https://{KEY}@acme.de")], HIDDEN),
    ] {
        let output = import(&path).args(arguments).output().await.unwrap();
        let said = text(output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message) && !said.contains(KEY), "{said}");
    }
    for key in ["", "sf_test_v1_short"] {
        let mut command = into("http://127.0.0.1:1", &path);
        let output = command.env("CONTACTS_API_KEY", key).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(output.stderr).contains("That isn't an API key"));
    }
}

#[tokio::test]
async fn an_unencrypted_url_of_another_machine_gets_a_warning() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let here = stub(|_, _| CREATED).await;
    for (url, expected) in [
        ("http://nowhere.invalid", true),
        ("https://nowhere.invalid", false),
        (&here, false),
    ] {
        let output = into(url, &path).args(["--give-up-after", "1s"]).output().await.unwrap();
        let said = text(output.stderr);
        assert_eq!(said.contains("over the network unencrypted"), expected, "{said}");
    }
}

/// The same command at a terminal.
fn at_a_terminal(import: &Command, columns: u16) -> Command {
    let import = import.as_std();
    let words = [import.get_program()].into_iter().chain(import.get_args());
    let command: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let command = format!("stty cols {columns}; exec {}", command.join(" "));
    let mut script = Command::new("script");
    script
        .current_dir(import.get_current_dir().unwrap_or(Path::new(".")))
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("CONTACTS_API_KEY", KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    script
}

/// Runs an import at a terminal, and answers its question once it has asked.
async fn answered(import: &Command, columns: u16, answer: &str) -> (Option<i32>, String) {
    let mut child = at_a_terminal(import, columns).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    while screen.read_buf(&mut shown).await.unwrap() > 0 {
        if shown.ends_with(b"[y/N] ") {
            keyboard.write_all(answer.as_bytes()).await.unwrap();
        }
    }
    (child.wait().await.unwrap().code(), text(shown))
}

#[tokio::test]
async fn without_the_variable_the_key_comes_from_standard_input_unless_it_is_a_terminal() {
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("key");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    let mut command = into(&stub(|_, _| (200, CREATED.1)).await, &file(&directory, rows(1)));
    let mut script = at_a_terminal(&command, 80);
    let command = command.env_remove("CONTACTS_API_KEY");
    let output = command.stdin(fs::File::open(&key).unwrap()).output().await.unwrap();
    assert_eq!(summary(&output)["existing"], 1);

    let script = script.env_remove("CONTACTS_API_KEY");
    let output = script.stdin(fs::File::open(key).unwrap()).output().await.unwrap();
    let shown = text(output.stdout);
    assert!(shown.contains("There is no API key: set CONTACTS_API_KEY"), "{shown}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn at_a_terminal_an_import_shows_what_it_would_do_and_asks() {
    let directory = TempDir::new().unwrap();
    let bad = "A,nobody\n".repeat(12);
    let path = file(&directory, format!("name,email\nAnn Lee,mailto:ann@acme.de\n{bad}"));
    let mut import = into(&stub(|_, _| CREATED).await, &path);
    for answer in ["\n", "n\n", "nonsense\n", "\u{4}"] {
        let (code, shown) = answered(&import, 80, answer).await;
        for part in [
            "line 2: first name \"Ann\", last name \"Lee\", email ann@acme.de",
            "line 2: cleaned: mailto:",
            "line 11: rejected: ",
            "and 3 more: --dry-run shows them all",
            "13 rows: 12 would be rejected, 0 would conflict with an earlier row, 0 would be found as existing.",
            "Import 1 row? [y/N] ",
            "Nothing was sent.",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("line 12: rejected"), "{shown}");
        // An import would report what it has created, and write the rejected rows.
        assert!(!shown.contains("created") && !rejects(&path).exists(), "{answer:?}");
        assert_eq!(code, Some(1), "{answer:?}");
    }
    let (_, shown) = answered(&import, 80, "Y\n").await;
    assert!(shown.contains("created  1"), "{shown}");
    let (_, shown) = answered(import.arg("--yes"), 80, "").await;
    assert!(shown.contains("created  1") && !shown.contains("[y/N]"), "{shown}");
    assert!(shown.contains(" --yes\r\n"), "{shown}");
}

#[tokio::test]
async fn the_report_lists_twenty_names_that_are_stored_differently_from_the_columns() {
    let last_names: String = (0..22).map(|n| format!(",Larsen Berg,l{n}@acme.de\n")).collect();
    let content = format!("first name,last name,email\nMary,Ann Jr.,m@acme.de\n{last_names}");
    let shown = imported(content, &[], |_, _| CREATED).await.shown;
    for lines in [
        "Split differently from the columns, 22 names:\n  line 3: first name \"Larsen\", last name \"Berg\"\n",
        "  line 22: first name \"Larsen\", last name \"Berg\"\n  and 2 more\n",
    ] {
        assert!(shown.contains(lines), "{shown}");
    }
}

#[tokio::test]
async fn a_response_that_every_row_would_get_stops_the_import_after_a_few() {
    const NO: &str = r#"{"error":"No."}"#;
    for (status, body, reason) in [
        (401, NO, "the service responded with 401: No."),
        (403, NO, "the service responded with 403: No."),
        (404, NO, "the service responded with 404: No."),
        (301, "", "the service responded with 301: 301 Moved Permanently."),
        (200, "<html>", "this isn't the contacts service"),
        (500, NO, "the service fails on every row (500): No."),
    ] {
        let imported = imported(rows(1000), &[], move |_, _| (status, body)).await;
        assert_eq!(imported.counts()["not sent"], 1000, "{status}");
        assert!(imported.requests <= 16, "{status}: {}", imported.requests);
        assert!(imported.shown.contains(reason), "{}", imported.shown);
        assert_eq!(imported.rejected().len(), 1000);
    }
}

#[tokio::test]
async fn a_service_that_never_responds_is_tried_five_times() {
    let imported = imported(rows(1), &[], |_, _| BROKEN).await;
    assert_eq!((imported.counts()["not sent"], imported.requests), (1, 5));
    assert!(
        imported.shown.contains("/api/contacts doesn't respond: "),
        "{}",
        imported.shown
    );
}

#[tokio::test]
async fn a_row_at_which_the_service_fails_every_time_is_rejected_and_the_others_get_in() {
    let fails = |body: &str| body.contains("a1@acme.de");
    let imported = imported(
        rows(3),
        &[],
        move |_, body| if fails(&body) { (500, "") } else { CREATED },
    )
    .await;
    let counts = imported.counts();
    assert_eq!((counts["created"], counts["rejected"]), (2, 1));
    assert_eq!(imported.rejected()[0].0, 3);
}

#[tokio::test]
async fn an_interrupted_import_finishes_its_requests_and_can_go_on() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(3000));
    let answered = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&answered);
    let (url, output) = watched(&path, move |process, number, _| {
        if number == 100 {
            signal(process, "INT");
        }
        seen.fetch_add(1, Ordering::SeqCst);
        CREATED
    })
    .await;
    let counts = summary(&output);
    assert_eq!(counts["created"], answered.load(Ordering::SeqCst));
    assert_eq!(counts["created"] + counts["not sent"], 3000);
    assert!(counts["not sent"] > 0);
    assert!(text(output.stdout).contains("the import was interrupted"));

    let again = summary(&into(&url, &rejects(&path)).output().await.unwrap());
    assert_eq!(again["created"], counts["not sent"]);
}

/// The peak of an import's memory in KiB: read when its last row arrives, while the process is still there.
async fn peak_of(rows: usize, note: &str) -> usize {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("contacts.csv");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    writeln!(file, "name,email,note").unwrap();
    for row in 0..rows {
        writeln!(file, "Ada Lovelace,a{row}@acme.de,{note}").unwrap();
    }
    file.into_inner().unwrap();
    let peak = Arc::new(OnceLock::new());
    let seen = Arc::clone(&peak);
    let (_, output) = watched(&path, move |process, number, _| {
        if number == rows {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            seen.set(peak.trim_end_matches("kB").trim().parse().unwrap()).unwrap();
        }
        CREATED
    })
    .await;
    assert_eq!(summary(&output)["created"], rows);
    *peak.get().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_depends_neither_on_the_number_of_rows_nor_of_cells() {
    let note = "x".repeat(200);
    // The larger file has more than 4 MiB. What may grow is the table of the addresses that were seen: up to 0.8 MB.
    // The second pair has more rows than the import has in hand at once.
    for (few, few_note, many, many_note, most) in [
        (1_000, &note, 20_000, &note, 3 * 1024),
        (300, &"x".repeat(16_000), 300, &",".repeat(16_000), 8 * 1024),
    ] {
        let (few, many) = (peak_of(few, few_note).await, peak_of(many, many_note).await);
        assert!(many < few + most, "{few} KiB, then {many} KiB");
    }
}

/// The service with the local run's tenant, workspaces and keys.
struct LocalService {
    url: String,
    service: Arc<Service>,
}

impl LocalService {
    async fn start() -> Self {
        // Beside this package's programs. Cargo gives a test the programs of its own package only.
        let function = Path::new(env!("CARGO_BIN_EXE_import")).with_file_name("create-contact");
        assert!(function.exists(), "cargo build makes the function that this test needs");
        let service = Arc::new(Service::start(&function.to_string_lossy()).await);
        fixture::put_demo(&service.client, &service.tables).await;
        let of = Arc::clone(&service);
        let router = Router::new().fallback(async move |request| gateway::handle(&of.runtime_api, request).await);
        let url = serve(router).await;
        Self { url, service }
    }

    /// Imports the sample as docs/import.md says, in a folder of its own.
    fn sample(&self) -> (TempDir, Command) {
        let sample = Path::new("examples/contacts.csv");
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("examples")).unwrap();
        fs::copy(root().join(sample), directory.path().join(sample)).unwrap();
        let mut import = import(sample);
        // The README's first contact is in the first workspace.
        import.args(["--url", &self.url, "--workspace", fixture::DEMO_WORKSPACES[1]]);
        import.current_dir(directory.path());
        (directory, import)
    }

    /// What is shown, with the page's URL and program.
    fn as_on_the_page(&self, shown: &str) -> String {
        let shown = shown.replace(&self.url, "http://127.0.0.1:3000");
        shown.replace(env!("CARGO_BIN_EXE_import"), "target/debug/import")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
