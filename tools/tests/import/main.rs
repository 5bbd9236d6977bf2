//! The import: against a stub where the service's responses matter, and against the local run behind faults.

mod corpus;
mod picture;
mod robustness;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{Response, StatusCode},
};
use harness::engine::{Engine, Tables};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

const KEY: &str = "sf_test_v1_LocalDemoKeyLocalDemoKey";
const WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000001";
const CONTACT: &str = r#"{"resolutionStatus":"unresolved"}"#;
/// As many requests as the import sends at once.
const CONCURRENCY: usize = 32;

/// Random numbers. The seed is printed, and gives the same numbers again.
fn random() -> fastrand::Rng {
    let seed = env::var("IMPORT_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("IMPORT_SEED={seed}");
    fastrand::Rng::with_seed(seed)
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
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let shown = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!shown.contains(KEY), "{shown}");
    assert!(!shown.contains("defect"), "{shown}");
    let counts: BTreeMap<String, usize> = text
        .lines()
        .filter_map(|line| line.rsplit_once("  "))
        .filter_map(|(what, count)| Some((what.trim().to_owned(), count.replace(',', "").parse().ok()?)))
        .collect();
    assert_eq!(counts.len(), 5, "{shown}");
    let all_in = counts["conflicts"] + counts["rejected"] + counts["not sent"] == 0;
    assert_eq!(output.status.code(), Some(i32::from(!all_in)), "{shown}");
    counts
}

/// Each rejected row: its line, the reason, its own fields.
fn rejected(file: &Path, delimiter: u8) -> Vec<(usize, String, Vec<String>)> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_path(rejects(file))
        .unwrap()
        .records()
        .map(|record| {
            let record = record.unwrap();
            let own = record.iter().skip(2).map(str::to_owned).collect();
            (record[0].parse().unwrap(), record[1].to_owned(), own)
        })
        .collect()
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

/// A service whose responses come from a closure. It gets the number of the request, from 1.
async fn stub(answer: impl Fn(usize, Bytes) -> (StatusCode, &'static str) + Clone + Send + Sync + 'static) -> String {
    let requests = Arc::new(AtomicUsize::new(0));
    let router = Router::new().fallback(move |request: Request| {
        let (answer, number) = (answer.clone(), requests.fetch_add(1, Ordering::SeqCst) + 1);
        async move {
            assert_eq!(request.uri().path(), "/api/contacts");
            assert_eq!(request.headers()["authorization"], format!("Bearer {KEY}"));
            let (status, body) = answer(number, to_bytes(request.into_body(), usize::MAX).await.unwrap());
            Response::builder().status(status).body(Body::from(body)).unwrap()
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_file_is_read_as_people_have_it_and_its_rejected_rows_come_back_in_its_own_format() {
    const UTF_8: &str = "name,email\n\"García, José\",jose@acme.de\nZoë,zoe@acme.de\n";
    let latin_1 = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<u8>>();
    let utf_16: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(UTF_8.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let files: [(&str, Vec<u8>, &[&str]); 7] = [
        ("UTF-8", UTF_8.into(), &[]),
        ("no last line feed", UTF_8.trim_end().into(), &[]),
        ("UTF-16", utf_16, &[]),
        ("Latin-1", latin_1(UTF_8), &["--encoding", "latin1"]),
        (
            "a byte order mark, semicolons, CRLF, notes of two lines, empty lines and rows",
            "\u{feff}E-Mail;Note;Name\r\n\r\njose@acme.de;\"a\r\nb, c\";García, José\r\n;;\r\n \r\nzoe@acme.de;;Zoë\r\n".into(),
            &[],
        ),
        ("tabs", "id\tMAIL\tFull Name\n1\tjose@acme.de\tGarcía, José\n2\t zoe@acme.de\tZoë\t\n".into(), &[]),
        (
            "columns by name",
            "name,email,Contact,Address\n-,-,\"García, José\",jose@acme.de\n-,-,Zoë,zoe@acme.de\n".into(),
            &["--name-column", "contact", "--email-column", "Address"],
        ),
    ];
    let expected: BTreeSet<_> = [("García, José", "jose@acme.de"), ("Zoë", "zoe@acme.de")]
        .map(|(name, email)| serde_json::json!({"workspaceId": WORKSPACE, "name": name, "email": email}).to_string())
        .into();
    for (what, content, options) in files {
        let directory = TempDir::new().unwrap();
        let mut path = file(&directory, content);
        // The rows that a first service rejects are the file for the second, which rejects them again, and so on.
        for status in [StatusCode::BAD_REQUEST, StatusCode::BAD_REQUEST, StatusCode::CREATED] {
            let bodies = Arc::new(Mutex::new(BTreeSet::new()));
            let seen = Arc::clone(&bodies);
            let url = stub(move |_, body| {
                seen.lock()
                    .unwrap()
                    .insert(serde_json::from_slice::<Value>(&body).unwrap().to_string());
                (
                    status,
                    if status == 201 {
                        CONTACT
                    } else {
                        r#"{"error":"Not this one, Zoë."}"#
                    },
                )
            })
            .await;
            let output = into(&url, &path).args(options).output().await.unwrap();
            let counts = summary(&output);
            assert_eq!(*bodies.lock().unwrap(), expected, "{what}");
            assert_eq!(counts[if status == 201 { "created" } else { "rejected" }], 2, "{what}");
            let rejected = rejects(&path);
            assert_eq!(rejected.exists(), status != 201, "{what}");
            path = rejected;
        }
    }
}

#[tokio::test]
async fn a_dry_run_judges_every_row_and_sends_and_writes_nothing() {
    let directory = TempDir::new().unwrap();
    let path = file(
        &directory,
        "name,email,phone\nHenrik Larsen,henrik@acme.de,1\n,nobody,2\n\"two\nlines\",a@localhost,3\na,b,c,d\n\
         Zoë,mailto:zoe@acme.de,\nHenrik Larsen,HENRIK@acme.de,\nH. Larsen,henrik@acme.de,\n",
    );
    let output = import(&path)
        .arg("--dry-run")
        .env_remove("CONTACTS_API_KEY")
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        shown.replace(&*path.to_string_lossy(), "contacts.csv"),
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
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    let path = file(&directory, "name,email\nHenrik Larsen,henrik@acme.de\n");
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let url = stub(move |number, _| {
        seen.store(number, Ordering::SeqCst);
        (StatusCode::CREATED, CONTACT)
    })
    .await;
    let output = into(&url, &path).arg("--dry-run").output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_mistake_in_the_command_is_said_and_nothing_is_sent() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "title,address\na,b\n");
    let said = |output: Output| String::from_utf8(output.stderr).unwrap();
    let output = into("http://127.0.0.1:1", &path).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(output).contains("the columns are \"title\", \"address\""));
    for (arguments, message) in [
        (&["--url", "http://127.0.0.1:1"][..], "--workspace <UUID>"),
        (&["--workspace", WORKSPACE], "--url <URL>"),
        (&["--url", "ftp://acme.de"], "it must be an http:// or https:// URL"),
        (&["--url", "http://user:password@acme.de"], "no user name, password"),
        (&["--workspace", "1"], "invalid value '1' for '--workspace <UUID>'"),
        (&["--encoding", "latin"], "there is no such encoding"),
        (&["--give-up-after", "0s"], "it must be a time such as"),
        (&["--give-up-after", "5"], "it must be a time such as"),
        (
            &["--name-column", "a", "--name-column", "b"],
            "cannot be used multiple times",
        ),
        (&["--dry-run", "--dry-run"], "cannot be used multiple times"),
        (&["--nme-column", "a"], "unexpected argument"),
        (&["other.csv"], "unexpected argument"),
        (&["--url"], "a value is required"),
        (&["--key", KEY], "There is an API key among the arguments"),
        (
            &["--url", &format!("https://{KEY}@acme.de")],
            "There is an API key among the arguments",
        ),
        (&[KEY], "There is an API key among the arguments"),
    ] {
        let output = import(&path).args(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        let said = said(output);
        assert!(said.contains(message), "{said}");
        assert!(!said.contains(KEY), "{said}");
    }
    let path = file(&directory, "name,email\na,b@acme.de\n");
    for (key, message) in [
        ("", "That isn't an API key"),
        ("sf_test_v1_short", "That isn't an API key"),
    ] {
        let output = into("http://127.0.0.1:1", &path)
            .env("CONTACTS_API_KEY", key)
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(output).contains(message));
    }
}

#[tokio::test]
async fn a_key_that_would_go_over_the_network_unencrypted_is_said_so() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let here = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    for (url, expected) in [
        ("http://nowhere.invalid", true),
        ("https://nowhere.invalid", false),
        (&here, false),
    ] {
        let output = into(url, &path).args(["--give-up-after", "1s"]).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said.contains("The key goes over the network unencrypted"),
            expected,
            "{said}"
        );
    }
}

/// The same command at a terminal.
fn at_a_terminal(import: &Command, columns: u16) -> Command {
    let import = import.as_std();
    let words = [import.get_program()].into_iter().chain(import.get_args());
    let command: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let command = format!("stty cols {columns}; exec {}", command.join(" "));
    let mut script = Command::new("script");
    if let Some(directory) = import.get_current_dir() {
        script.current_dir(directory);
    }
    script
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("CONTACTS_API_KEY", KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    script
}

/// Runs an import at a terminal, and answers its question once it has asked.
async fn answered(import: &Command, columns: u16, answer: &str) -> Output {
    let mut child = at_a_terminal(import, columns).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stdout = Vec::new();
    while screen.read_buf(&mut stdout).await.unwrap() > 0 {
        if stdout.ends_with(b"[y/N] ") {
            keyboard.write_all(answer.as_bytes()).await.unwrap();
        }
    }
    let status = child.wait().await.unwrap();
    Output {
        status,
        stdout,
        stderr: Vec::new(),
    }
}

#[tokio::test]
async fn a_key_is_not_asked_for_at_a_terminal() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let mut script = at_a_terminal(&into("http://127.0.0.1:1", &path), 80);
    let output = script
        .env_remove("CONTACTS_API_KEY")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("There is no API key: set CONTACTS_API_KEY"), "{shown}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn at_a_terminal_an_import_shows_what_it_would_do_and_asks() {
    let directory = TempDir::new().unwrap();
    let bad = "A,nobody\n".repeat(12);
    let path = file(&directory, format!("name,email\nAnn Lee,mailto:ann@acme.de\n{bad}"));
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let url = stub(move |number, _| {
        seen.store(number, Ordering::SeqCst);
        (StatusCode::CREATED, CONTACT)
    })
    .await;
    let import = into(&url, &path);
    for answer in ["\n", "n\n", "nonsense\n", "\u{4}"] {
        let output = answered(&import, 80, answer).await;
        let shown = String::from_utf8(output.stdout).unwrap();
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
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert_eq!(requests.load(Ordering::SeqCst), 0, "{answer:?}");
        assert!(!rejects(&path).exists(), "{answer:?}");
    }
    let output = answered(&import, 80, "Y\n").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("created  1"), "{shown}");
    assert_eq!(requests.load(Ordering::SeqCst), 1);

    let mut import = into(&url, &path);
    let output = answered(import.arg("--yes"), 80, "").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("created  1") && !shown.contains("[y/N]"), "{shown}");
    assert!(shown.contains(" --yes\r\n"), "{shown}");
}

#[tokio::test]
async fn the_report_lists_twenty_names_that_are_stored_differently_from_the_columns() {
    let directory = TempDir::new().unwrap();
    let path = file(
        &directory,
        format!(
            "first name,last name,email\nMary,Ann Jr.,m@acme.de\n{}",
            (0..22)
                .map(|n| format!(",Larsen Berg,l{n}@acme.de\n"))
                .collect::<String>()
        ),
    );
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    let output = into(&url, &path).output().await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for lines in [
        "Split differently from the columns, 22 names:\n  line 3: first name \"Larsen\", last name \"Berg\"\n",
        "  line 22: first name \"Larsen\", last name \"Berg\"\n  and 2 more\n",
    ] {
        assert!(shown.contains(lines), "{shown}");
    }
}

#[tokio::test]
async fn the_key_may_come_on_standard_input() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\nHenrik Larsen,henrik@acme.de\n");
    let key = directory.path().join("key");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    let url = stub(|_, _| (StatusCode::OK, CONTACT)).await;
    let mut command = into(&url, &path);
    command
        .env_remove("CONTACTS_API_KEY")
        .stdin(fs::File::open(key).unwrap());
    assert_eq!(summary(&command.output().await.unwrap())["existing"], 1);
}

#[tokio::test]
async fn an_answer_that_every_row_would_get_stops_the_import_at_once() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1000));
    for (status, body, reason) in [
        (
            401,
            r#"{"error":"The API key is not valid."}"#,
            "responded with 401: The API key is not valid.",
        ),
        (
            403,
            r#"{"error":"It lacks contacts:write."}"#,
            "responded with 403: It lacks contacts:write.",
        ),
        (
            404,
            r#"{"error":"Workspace not found"}"#,
            "responded with 404: Workspace not found.",
        ),
        (301, "", "responded with 301: 301 Moved Permanently."),
        (200, "<html>", "this isn't the contacts service"),
    ] {
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let url = stub(move |number, _| {
            seen.store(number, Ordering::SeqCst);
            (StatusCode::from_u16(status).unwrap(), body)
        })
        .await;
        let output = into(&url, &path).output().await.unwrap();
        assert_eq!(summary(&output)["not sent"], 1000, "{status}");
        assert!(requests.load(Ordering::SeqCst) <= CONCURRENCY, "{status}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(reason), "{text}");
        assert_eq!(rejected(&path, b',').len(), 1000);
    }
}

#[tokio::test]
async fn a_service_that_never_answers_stops_the_import_with_the_reason() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\nHenrik Larsen,henrik@acme.de\n");
    // Bound, but not listening: no other program gets the port, and connections are refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let output = into(&url, &path).output().await.unwrap();
    assert_eq!(summary(&output)["not sent"], 1);
    assert!(String::from_utf8(output.stdout).unwrap().contains("Connection refused"));
}

#[tokio::test]
async fn a_service_that_never_answers_is_tried_five_times() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\nHenrik Larsen,henrik@acme.de\n");
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let output = into(&url, &path).output().await.unwrap();
    assert_eq!(summary(&output)["not sent"], 1);
    assert_eq!(connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_row_at_which_the_service_fails_every_time_is_rejected_and_the_others_get_in() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\nA,a@acme.de\nB,b@acme.de\nC,c@acme.de\n");
    let url = stub(|_, body| {
        if body.windows(9).any(|bytes| bytes == b"b@acme.de") {
            (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"The service failed."}"#)
        } else {
            (StatusCode::CREATED, CONTACT)
        }
    })
    .await;
    let counts = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!((counts["created"], counts["rejected"]), (2, 1));
    assert_eq!(rejected(&path, b',')[0].0, 3);
}

#[tokio::test]
async fn an_interrupted_import_ends_what_is_under_way_says_what_is_left_and_can_go_on() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(3000));
    let process = Arc::new(OnceLock::new());
    let answered = Arc::new(AtomicUsize::new(0));
    let (to, seen) = (Arc::clone(&process), Arc::clone(&answered));
    let url = stub(move |number, _| {
        if number == 100 {
            let id: &u32 = to.get().unwrap();
            let sent = std::process::Command::new("kill")
                .args(["-INT", &id.to_string()])
                .status();
            assert!(sent.unwrap().success());
        }
        seen.fetch_add(1, Ordering::SeqCst);
        (StatusCode::CREATED, CONTACT)
    })
    .await;
    let child = into(&url, &path).spawn().unwrap();
    process.set(child.id().unwrap()).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let counts = summary(&output);
    assert_eq!(counts["created"], answered.load(Ordering::SeqCst));
    assert_eq!(counts["created"] + counts["not sent"], 3000);
    assert!(counts["not sent"] > 0);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("the import was interrupted")
    );

    let left = rejects(&path);
    let again = summary(&into(&url, &left).output().await.unwrap());
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
    let (process, peak) = (Arc::new(OnceLock::<u32>::new()), Arc::new(OnceLock::<usize>::new()));
    let (of, seen) = (Arc::clone(&process), Arc::clone(&peak));
    let url = stub(move |number, _| {
        if number == rows {
            let status = fs::read_to_string(format!("/proc/{}/status", of.get().unwrap())).unwrap();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
            seen.set(peak.trim_end_matches("kB").trim().parse().unwrap()).unwrap();
        }
        (StatusCode::CREATED, CONTACT)
    })
    .await;
    let child = into(&url, &path).spawn().unwrap();
    process.set(child.id().unwrap()).unwrap();
    let counts = summary(&child.wait_with_output().await.unwrap());
    assert_eq!(counts["created"], rows);
    *peak.get().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat_over_20_000_rows() {
    let note = "x".repeat(200);
    let (few, many) = (peak_of(1_000, &note).await, peak_of(20_000, &note).await);
    println!("peak of 1,000 rows: {few} KiB, of 20,000: {many} KiB");
    // The file has more than 4 MiB. What may grow is the table of the addresses that were seen: up to 0.8 MB (`duplicates.rs`).
    assert!(many < few + 3 * 1024, "{few} KiB, then {many} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_depend_on_the_number_of_cells() {
    // More rows than the import has in hand at once.
    let (one, many) = (
        peak_of(300, &"x".repeat(16_000)).await,
        peak_of(300, &",".repeat(16_000)).await,
    );
    println!("peak of rows with one long cell: {one} KiB, with many empty ones: {many} KiB");
    assert!(many < one + 8 * 1024, "{one} KiB, then {many} KiB");
}

/// `cargo run --example local`, as a user starts it.
struct LocalRun {
    url: String,
    engine: Engine,
    _process: Child,
}

impl LocalRun {
    async fn start() -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_import")).parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "create-contact", "--example", "local"]);
        if programs.ends_with("release") {
            build.arg("--release");
        }
        // What cargo says of this test would make build scripts run again.
        for (name, _) in env::vars() {
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                build.env_remove(name);
            }
        }
        assert!(build.status().await.unwrap().success());
        let mut process = Command::new(programs.join("examples/local"))
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = async |what: &str| loop {
            let line = lines.next_line().await.unwrap().expect("the local run starts");
            if let Some((_, rest)) = line.split_once(what) {
                break rest.trim().to_owned();
            }
        };
        let url = after("listens on ").await;
        let engine = Engine::at(&after("DynamoDB ").await);
        // It writes a line for each request, which must be read.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            url,
            engine,
            _process: process,
        }
    }

    /// The names of its tables.
    fn tables() -> Tables {
        let [contacts, api_keys, workspaces] = ["ContactsTable", "ApiKeysTable", "WorkspacesTable"].map(str::to_owned);
        Tables {
            contacts,
            api_keys,
            workspaces,
        }
    }

    /// First and last names of a workspace's contacts, by `emailKey`.
    async fn stored_in(&self, workspace: &str) -> BTreeMap<String, (String, Option<String>)> {
        let query = self.engine.client().query().table_name("ContactsTable");
        let query = query
            .key_condition_expression("workspaceId = :id")
            .expression_attribute_values(":id", AttributeValue::S(workspace.to_owned()));
        let page = query.send().await.unwrap();
        assert_eq!(page.last_evaluated_key, None);
        let text = |item: &HashMap<String, AttributeValue>, name: &str| {
            item.get(name).map(|value| value.as_s().unwrap().clone())
        };
        let contacts = page.items().iter().map(|item| {
            let names = (text(item, "firstName").unwrap(), text(item, "lastName"));
            (text(item, "emailKey").unwrap(), names)
        });
        contacts.collect()
    }

    /// The names in the contacts table, by `emailKey`.
    async fn stored(&self) -> BTreeMap<String, String> {
        let client = self.engine.client();
        let mut stored = BTreeMap::new();
        let mut start = None;
        loop {
            let page = client.scan().table_name("ContactsTable").set_exclusive_start_key(start);
            let page = page.send().await.unwrap();
            for item in page.items() {
                let text = |name: &str| item[name].as_s().unwrap().clone();
                assert_eq!(stored.insert(text("emailKey"), text("name")), None);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                // The local run begins with a contact of its own.
                assert!(stored.remove("ada@analytical-engines.co.uk").is_some());
                return stored;
            }
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// API Gateway throttles.
    Throttled,
    /// 503 before anything happens.
    Unavailable,
    /// The contact is written, and the response is 503.
    UnavailableAfterwards,
    /// The connection breaks before anything happens.
    Broken,
    /// The contact is written, and the connection breaks within the response.
    BrokenAfterwards,
}

const FAULTS: [Fault; 5] = [
    Fault::Throttled,
    Fault::Unavailable,
    Fault::UnavailableAfterwards,
    Fault::Broken,
    Fault::BrokenAfterwards,
];

/// A listener that resets each seventh connection instead of serving it.
struct Resetting {
    listener: TcpListener,
    connections: usize,
    resets: Arc<AtomicUsize>,
}

impl axum::serve::Listener for Resetting {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, client) = self.listener.accept().await.unwrap();
            self.connections += 1;
            if !self.connections.is_multiple_of(7) {
                return (stream, client);
            }
            // Closed with time to linger of none, a connection is reset.
            stream.set_zero_linger().unwrap();
            self.resets.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A layer in front of a service that lets one request in eight meet a fault; its URL, and how often each fault came.
async fn faulty(service: String) -> (String, Arc<Mutex<BTreeMap<Fault, usize>>>, Arc<AtomicUsize>) {
    faulty_with(service, || {}).await
}

/// The same, and hears of each request.
async fn faulty_with(
    service: String,
    heard: impl Fn() + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<BTreeMap<Fault, usize>>>, Arc<AtomicUsize>) {
    let met = Arc::new(Mutex::new(BTreeMap::new()));
    let resets = Arc::new(AtomicUsize::new(0));
    let requests = Arc::new(AtomicUsize::new(0));
    let client = reqwest_client();
    let faults = Arc::clone(&met);
    let router = Router::new().fallback(move |request: Request| {
        heard();
        let number = requests.fetch_add(1, Ordering::SeqCst);
        let fault = (number % 8 == 3).then(|| FAULTS[number / 8 % FAULTS.len()]);
        if let Some(fault) = fault {
            *faults.lock().unwrap().entry(fault).or_insert(0) += 1;
        }
        let (client, url) = (client.clone(), format!("{service}{}", request.uri()));
        async move {
            let broken = || Body::from_stream(futures_util::stream::once(async { Err::<Bytes, _>("broken") }));
            let answer = |status: u16, body: Body| Response::builder().status(status).body(body).unwrap();
            match fault {
                Some(Fault::Throttled) => return answer(429, Body::from(r#"{"message":"Too Many Requests"}"#)),
                Some(Fault::Unavailable) => {
                    let mut unavailable = answer(503, Body::from(r#"{"error":"Not now."}"#));
                    unavailable.headers_mut().insert("retry-after", 1.into());
                    return unavailable;
                }
                Some(Fault::Broken) => return answer(200, broken()),
                Some(Fault::UnavailableAfterwards | Fault::BrokenAfterwards) | None => {}
            }
            let (parts, body) = request.into_parts();
            let response = client
                .post(url)
                .header("authorization", &parts.headers["authorization"])
                .header("content-type", &parts.headers["content-type"])
                .body(to_bytes(body, usize::MAX).await.unwrap())
                .send()
                .await
                .unwrap();
            let status = response.status().as_u16();
            let body = response.bytes().await.unwrap();
            match fault {
                Some(Fault::UnavailableAfterwards) => answer(503, Body::from(r#"{"error":"Not now."}"#)),
                Some(Fault::BrokenAfterwards) => answer(status, broken()),
                _ => answer(status, Body::from(body)),
            }
        }
    });
    let listener = Resetting {
        listener: TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
        connections: 0,
        resets: Arc::clone(&resets),
    };
    let url = format!("http://{}", listener.listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, met, resets)
}

fn reqwest_client() -> reqwest::Client {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_faults_each_valid_row_of_2_000_is_stored_once_and_each_bad_one_is_named() {
    let local = LocalRun::start().await;
    let (url, met, resets) = faulty(local.url.clone()).await;

    let directory = TempDir::new().unwrap();
    let mut text = "E-Mail;Note;Name\n".to_owned();
    let mut line = 2;
    let mut lines = Vec::new();
    let mut invalid = BTreeSet::new();
    let mut expected = BTreeMap::new();
    for row in 0..2000 {
        lines.push(line);
        let (mut name, mut email) = (format!("Ana{row} de la Cruz"), format!("Ana.{row}@acme-{row}.de"));
        let mut is_valid = true;
        if row % 50 == 7 {
            (email, is_valid) = (format!("ana.{row}"), false);
        }
        if row % 100 == 13 {
            (name, is_valid) = (String::new(), false);
        }
        // An earlier row again, and one more with its address under another name.
        if row % 250 == 99 {
            (name, email) = (
                format!("Ana{} de la Cruz", row - 50),
                format!("ANA.{0}@acme-{0}.de", row - 50),
            );
        }
        if row % 250 == 211 {
            email = format!("Ana.{0}@acme-{0}.de", row - 100);
        }
        let note = if row % 10 == 0 { "\"two;\nlines\"" } else { "" };
        writeln!(text, "{email};{note};{name}").unwrap();
        if is_valid {
            expected
                .entry(email.to_lowercase())
                .or_insert_with(Vec::new)
                .push((line, name));
        } else {
            invalid.insert(line);
        }
        line += if note.is_empty() { 1 } else { 2 };
    }
    let path = file(&directory, text);

    let counts = summary(&into(&url, &path).output().await.unwrap());
    println!("{counts:?}, {:?}, {resets:?} resets", met.lock().unwrap());
    assert_eq!(counts["rejected"], invalid.len());
    assert_eq!(counts["conflicts"], 8);
    assert_eq!(counts["created"] + counts["existing"], 2000 - invalid.len() - 8);
    assert_eq!(counts["not sent"], 0);
    assert_eq!(met.lock().unwrap().len(), FAULTS.len());
    assert!(resets.load(Ordering::SeqCst) > 0);

    // If an address has two names, the first to arrive is stored, and the row with the other name is the conflict.
    let stored = local.stored().await;
    let mut conflicts = BTreeSet::new();
    assert!(stored.keys().eq(expected.keys()));
    for (email, rows) in &expected {
        let others = rows.iter().filter(|(_, name)| *name != stored[email]);
        assert!(others.clone().count() < rows.len(), "{email}");
        conflicts.extend(others.map(|(line, _)| *line));
    }
    let named: BTreeSet<usize> = rejected(&path, b';').into_iter().map(|(line, ..)| line).collect();
    assert_eq!(named, invalid.union(&conflicts).copied().collect());

    // The same file once more, without faults: nothing new.
    let again = summary(&into(&local.url, &path).output().await.unwrap());
    assert_eq!(again["created"], 0);
    assert_eq!(again["existing"], counts["created"] + counts["existing"]);
    assert_eq!(local.stored().await, stored);
}

#[tokio::test]
async fn a_dry_run_shows_no_marks_of_direction() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name\u{200f},email\nAnn \u{200f}Lee,ann@acme.de\n");
    let output = import(&path).arg("--dry-run").output().await.unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("Lee"), "{shown}");
    assert!(!shown.contains('\u{200f}'), "{shown}");
}
