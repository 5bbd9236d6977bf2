//! What an import leaves behind when something stops it: the file of rejected rows, the report, and how a later run continues.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, http::StatusCode};
use futures_util::{StreamExt as _, stream};
use harness::fixture;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::{Barrier, Notify},
};
use uuid::Uuid;

use crate::{
    CONTACT, KEY, LocalRun, WORKSPACE, at_a_terminal, faulty_with, file, into, picture::screen, rejected, rejects,
    rows, stub, summary,
};

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// All files of rejected rows in a folder, with the lines of their rows.
fn all_rejects(directory: &Path) -> Vec<(PathBuf, Vec<usize>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_rejects = |path: &PathBuf| path.to_string_lossy().contains(".rejected");
    let is_visible = |path: &PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
    entries
        .filter(is_rejects)
        .filter(is_visible)
        .map(|path| {
            let lines = csv::ReaderBuilder::new()
                .flexible(true)
                .from_path(&path)
                .unwrap()
                .into_records();
            (path, lines.map(|record| record.unwrap()[0].parse().unwrap()).collect())
        })
        .collect()
}

fn interrupt(child: &Child) {
    let id = child.id().unwrap().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn the_rejects_file_is_never_overwritten_follows_no_link_and_has_the_inputs_mode() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("contacts.tsv");
    fs::write(&path, "name\temail\nA\tnobody\nB\tb@acme.de\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    let precious = directory.path().join("precious");
    fs::write(&precious, "mine").unwrap();
    symlink(&precious, directory.path().join("contacts.tsv.rejected-2.csv")).unwrap();

    for expected in [
        "contacts.tsv.rejected.csv",
        "contacts.tsv.rejected-3.csv",
        "contacts.tsv.rejected-4.csv",
    ] {
        let output = into(&url, &path).output().await.unwrap();
        assert_eq!(summary(&output)["rejected"], 1);
        assert!(said(&output.stdout).contains(expected), "{}", said(&output.stdout));
        let expected = directory.path().join(expected);
        let content = fs::read_to_string(&expected).unwrap();
        assert!(
            content.starts_with("rejected line\t\"rejected because\"\tname\temail\n2\t\"email must"),
            "{content}"
        );
        assert!(content.ends_with("\"\tA\tnobody\n"), "{content}");
        assert_eq!(fs::metadata(&expected).unwrap().permissions().mode() & 0o777, 0o640);
    }
    assert_eq!(fs::read_to_string(precious).unwrap(), "mine");
    // The input, what was there, and three files: nothing else is left.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 6);
}

#[tokio::test]
async fn the_report_ends_with_the_command_that_imports_the_fixed_rows() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("my contacts.csv");
    fs::write(&path, "n,m,e\nA,B,nobody\n").unwrap();
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    let mut command = into(&url, &path);
    command.args([
        "--first-name-column",
        "n",
        "--last-name-column",
        "m",
        "--email-column",
        "e",
    ]);
    command.args(["--encoding", "latin1", "--give-up-after", "90s"]);
    let output = command.output().await.unwrap();
    assert_eq!(summary(&output)["rejected"], 1);
    let fixed = rejects(&path);
    fs::write(
        &fixed,
        fs::read_to_string(&fixed).unwrap().replace("nobody", "a@acme.de"),
    )
    .unwrap();
    let shown = said(&output.stdout);
    let line = shown.lines().find(|line| line.contains(".rejected.csv")).unwrap();
    let again = Command::new("sh")
        .args(["-c", line])
        .env("CONTACTS_API_KEY", KEY)
        .output()
        .await
        .unwrap();
    assert_eq!(summary(&again)["created"], 1, "{line}");
    assert!(line.ends_with(
        "--first-name-column n --last-name-column m --email-column e --encoding latin1 --give-up-after 90s"
    ));
}

#[tokio::test]
async fn the_input_may_be_a_pipe() {
    let directory = TempDir::new().unwrap();
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    let mut command = into(&url, Path::new("/dev/stdin"));
    let mut child = command
        .stdin(Stdio::piped())
        .current_dir(directory.path())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"name,email\nA,a@acme.de\nB,nobody\n").await.unwrap();
    pipe.write_all(b"C,c@acme.de\n").await.unwrap();
    drop(pipe);
    let counts = summary(&child.wait_with_output().await.unwrap());
    assert_eq!((counts["created"], counts["rejected"]), (2, 1));
    let written = directory.path().join("import.rejected.csv");
    assert!(
        fs::read_to_string(&written).unwrap().contains("\nB,nobody")
            || fs::read_to_string(&written).unwrap().contains(",B,nobody")
    );
    assert_eq!(fs::metadata(written).unwrap().permissions().mode() & 0o777, 0o600);

    let mut command = into(&url, Path::new("/dev/null"));
    let output = command.current_dir(directory.path()).output().await.unwrap();
    assert_eq!(said(&output.stderr), "/dev/null is empty.\n");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_rejects_file_that_can_not_be_created_stops_the_import_with_the_reason() {
    let directory = TempDir::new().unwrap();
    // With `.rejected.csv`, the name is too long for a file system.
    let path = directory.path().join(format!("{}.csv", "x".repeat(246)));
    fs::write(&path, "name,email\nA,nobody\nB,b@acme.de\n").unwrap();
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    let output = into(&url, &path).output().await.unwrap();
    let counts = summary(&output);
    assert_eq!(counts["rejected"], 1);
    assert_eq!(counts.values().sum::<usize>(), 2);
    let shown = said(&output.stdout);
    let why = format!("{} can't be written: File name too long", path.display());
    assert!(shown.contains(&why), "{shown}");
    assert!(shown.contains("no row is in it"), "{shown}");
}

#[tokio::test]
async fn a_full_disk_says_how_far_the_rejects_file_got_and_stops_the_import() {
    let directory = TempDir::new().unwrap();
    let bad: Vec<String> = (0..200).map(|n| format!("A,nobody{n}")).collect();
    let path = file(
        &directory,
        format!("name,email\n{}\n{}", bad.join("\n"), "B,b@acme.de\n"),
    );
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    // A file can't grow over 4 KiB here, which the writer is told as it is of a full disk.
    let mut command = Command::new("sh");
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{}' '{}' --url {url} --workspace {WORKSPACE}",
        env!("CARGO_BIN_EXE_import"),
        path.display()
    );
    let output = command
        .args(["-c", &script])
        .env("CONTACTS_API_KEY", KEY)
        .output()
        .await
        .unwrap();
    let counts = summary(&output);
    assert_eq!(counts.values().sum::<usize>(), 201);
    let written = rejected(&path, b',');
    let last = written.last().unwrap().0;
    assert_eq!(
        written.iter().map(|(line, ..)| *line).collect::<Vec<_>>(),
        (2..=last).collect::<Vec<_>>()
    );
    assert!((20..200).contains(&written.len()), "{}", written.len());
    let shown = said(&output.stdout);
    assert!(shown.contains(&format!("it is complete up to line {last}")), "{shown}");
    let unwritten = counts["rejected"] + counts["not sent"] - written.len();
    assert!(
        shown.contains(&format!("{unwritten} rows could not be written to it")),
        "{shown}"
    );
}

#[tokio::test]
async fn a_closed_standard_output_is_no_panic_and_changes_no_exit_code() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\nA,a@acme.de\n");
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    for arguments in [&[][..], &["--dry-run"]] {
        let mut child = into(&url, &path).args(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output.stderr));
        assert!(!said(&output.stderr).contains("panic"));
    }
}

#[tokio::test]
async fn a_500_that_stays_stops_the_import_after_a_few_rows() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1000));
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let url = stub(move |number, _| {
        seen.store(number, Ordering::SeqCst);
        (StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"The service failed."}"#)
    })
    .await;
    let output = into(&url, &path).output().await.unwrap();
    assert_eq!(summary(&output)["not sent"], 1000);
    assert!(said(&output.stdout).contains("the service fails on every row (500): The service failed."));
    assert!(requests.load(Ordering::SeqCst) <= 16, "{requests:?}");
}

#[tokio::test]
async fn an_error_that_goes_away_costs_no_row() {
    for status in [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        let directory = TempDir::new().unwrap();
        let path = file(&directory, rows(10));
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let url = stub(move |_, body| {
            if seen.lock().unwrap().insert(body.to_vec()) {
                (status, "")
            } else {
                (StatusCode::CREATED, CONTACT)
            }
        })
        .await;
        let output = into(&url, &path).output().await.unwrap();
        assert_eq!(summary(&output)["created"], 10, "{status}");
    }
}

#[tokio::test]
async fn once_the_service_has_taken_a_row_32_are_sent_at_once() {
    const AT_ONCE: usize = 32;
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1 + 3 * AT_ONCE));
    let (arrived, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (in_progress, all_there) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(AT_ONCE)));
    let highest = Arc::clone(&most);
    let router = Router::new().fallback(move || {
        let is_first = arrived.fetch_add(1, Ordering::SeqCst) == 0;
        let (in_progress, all_there, most) = (Arc::clone(&in_progress), Arc::clone(&all_there), Arc::clone(&most));
        async move {
            if !is_first {
                most.fetch_max(in_progress.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                all_there.wait().await;
                in_progress.fetch_sub(1, Ordering::SeqCst);
            }
            (StatusCode::CREATED, CONTACT)
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let counts = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!(counts["created"], 1 + 3 * AT_ONCE);
    assert_eq!(highest.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn a_service_that_is_gone_in_the_middle_is_waited_for_and_then_given_up() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(500));
    let url = stub(|number, _| match number {
        1..=100 => (StatusCode::CREATED, CONTACT),
        _ => (StatusCode::SERVICE_UNAVAILABLE, ""),
    })
    .await;
    let mut command = into(&url, &path);
    let output = command.args(["--give-up-after", "2s"]).output().await.unwrap();
    let counts = summary(&output);
    assert_eq!(counts["created"], 100);
    assert_eq!(counts["not sent"], 400);
    let shown = said(&output.stdout);
    assert!(
        shown.contains("the service has accepted no row for 2s (--give-up-after): the service responds with 503"),
        "{shown}"
    );
    let progress = said(&output.stderr);
    assert!(progress.contains("; retrying for "), "{progress}");
    assert!(!progress.contains("18446744073709551615"), "{progress}");
    assert!(
        !progress.lines().any(|line| line.starts_with("0 of 500 rows")),
        "{progress}"
    );
    assert_eq!(rejected(&path, b',').len(), 400);
}

#[tokio::test]
async fn a_retry_after_of_years_does_not_hold_the_import() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(3));
    let url =
        raw_server("HTTP/1.1 429 Too Many Requests\r\nretry-after: 4294967295\r\ncontent-length: 0\r\n\r\n").await;
    let mut command = into(&url, &path);
    let output = command.args(["--give-up-after", "1s"]).output().await.unwrap();
    assert_eq!(summary(&output)["not sent"], 3);
    let shown = said(&output.stdout);
    assert!(
        shown.contains("no row for 1s (--give-up-after): the service responds with 429"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_a_server_says_reaches_the_terminal_without_its_control_characters() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let url = stub(|_, _| {
        (
            StatusCode::FORBIDDEN,
            "{\"error\":\"\\u001b]0;evil\\u0007No\\r\\n\\u202e.\"}",
        )
    })
    .await;
    let output = into(&url, &path).output().await.unwrap();
    assert_eq!(summary(&output)["not sent"], 1);
    assert!(said(&output.stdout).contains("the service responded with 403: \u{fffd}]0;evil\u{fffd}No"));
    let is_harmful = |c: char| tools::is_harmful(c) && c != '\n';
    assert!(!said(&output.stdout).contains(is_harmful));
    assert!(!fs::read_to_string(rejects(&path)).unwrap().contains(is_harmful));
}

/// A response whose body comes in these pieces, and has no end.
fn in_pieces(pieces: &[String]) -> String {
    let pieces = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()));
    format!(
        "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n{}",
        pieces.collect::<String>()
    )
}

#[tokio::test]
async fn a_response_is_read_to_its_end_up_to_a_size_that_no_contact_has() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let contact = [
        format!(r#"{{"resolutionStatus":"created","name":"{}"#, "x".repeat(2_000)),
        r#""}"#.to_owned(),
    ];
    let url = raw_server(format!("{}0\r\n\r\n", in_pieces(&contact))).await;
    assert_eq!(summary(&into(&url, &path).output().await.unwrap())["created"], 1);

    let url = raw_server(in_pieces(&vec![" ".repeat(1_000); 100])).await;
    let output = into(&url, &path).output().await.unwrap();
    assert_eq!(summary(&output)["not sent"], 1);
    assert!(said(&output.stdout).contains("this isn't the contacts service"));
}

/// A server that gives every request the same bytes.
async fn raw_server(response: impl Into<String>) -> String {
    let response: String = response.into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let response = response.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_proxy_from_the_environment_never_sees_the_key() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let proxy = stub(move |_, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        (StatusCode::CREATED, CONTACT)
    })
    .await;
    let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
    let mut command = into(&url, &path);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, &proxy);
    }
    assert_eq!(summary(&command.output().await.unwrap())["created"], 1);
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_first_of_two_rows_with_one_address_is_decided_before_the_second_is_sent() {
    let directory = TempDir::new().unwrap();
    let path = file(
        &directory,
        "name,email\nZoë,zoe@acme.de\nA,a@acme.de\nFirst,x@acme.de\nSecond,X@acme.de\nB,b@acme.de\n",
    );
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let url = stub(move |number, body| {
        let body = said(&body);
        let is = |name: &str| body.contains(name);
        seen.lock().unwrap().push(body.clone());
        match number {
            // The first one has to come again.
            _ if is("First")
                && seen
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|body| body.contains("First"))
                    .count()
                    < 3 =>
            {
                (StatusCode::SERVICE_UNAVAILABLE, "")
            }
            _ if is("Second") => (StatusCode::CONFLICT, r#"{"error":"There is another name."}"#),
            _ => (StatusCode::CREATED, CONTACT),
        }
    })
    .await;
    let counts = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!((counts["created"], counts["conflicts"]), (4, 1));
    let (line, reason, _) = rejected(&path, b',').remove(0);
    assert_eq!(line, 5);
    assert_eq!(
        reason,
        "the service says: There is another name. In the file, line 4 has the same address."
    );
    let order = order.lock().unwrap();
    let last_first = order.iter().rposition(|body| body.contains("First")).unwrap();
    let second = order.iter().position(|body| body.contains("Second")).unwrap();
    assert!(last_first < second, "{order:?}");
}

#[tokio::test]
async fn a_row_is_not_sent_before_an_earlier_one_with_its_address_and_another_name() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, "name,email\nFirst,x@acme.de\nSecond,x@acme.de\n");
    let url = stub(|_, body| {
        if said(&body).contains("First") {
            (StatusCode::BAD_REQUEST, r#"{"error":"Not like this."}"#)
        } else {
            (StatusCode::CREATED, CONTACT)
        }
    })
    .await;
    let counts = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!((counts["rejected"], counts["not sent"]), (1, 1));
    assert_eq!(
        rejected(&path, b',')[1].1,
        "not sent: line 2 has the same address and wasn't imported: import that row first"
    );
}

#[tokio::test]
async fn the_rejects_file_has_the_inputs_line_ends_and_byte_order_mark() {
    for mark in ["", "\u{feff}"] {
        for end in ["\n", "\r\n", "\r"] {
            let directory = TempDir::new().unwrap();
            let path = file(&directory, format!("{mark}name,email{end}A,nobody{end}"));
            let url = stub(|_, _| (StatusCode::CREATED, CONTACT)).await;
            assert_eq!(summary(&into(&url, &path).output().await.unwrap())["rejected"], 1);
            let written = fs::read_to_string(rejects(&path)).unwrap();
            let header = format!("{mark}rejected line,\"rejected because\",name,email{end}2,");
            assert!(written.starts_with(&header), "{written:?}");
            assert!(written.ends_with(&format!(",A,nobody{end}")), "{written:?}");
        }
    }
}

#[tokio::test]
async fn ctrl_c_is_acknowledged_at_once_and_a_second_one_still_gives_the_report() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(50));
    let arrived = Arc::new(Notify::new());
    let seen = Arc::clone(&arrived);
    // It accepts a request and never responds.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut streams = Vec::new();
        loop {
            streams.push(listener.accept().await.unwrap());
            seen.notify_one();
        }
    });
    let mut child = into(&url, &path).spawn().unwrap();
    arrived.notified().await;
    interrupt(&child);
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = progress
            .next_line()
            .await
            .unwrap()
            .expect("it says that it was interrupted");
        if line.starts_with("Interrupted: waiting up to 10s") {
            break;
        }
    }
    interrupt(&child);
    let output = child.wait_with_output().await.unwrap();
    let counts = summary(&output);
    assert_eq!(counts["not sent"], 50);
    let rows = rejected(&path, b',');
    assert_eq!(rows.len(), 50);
    // It didn't wait for the responses.
    assert!(
        rows.iter()
            .any(|(_, reason, _)| reason.starts_with("sent, but the import stopped")),
        "{rows:?}"
    );
    assert!(said(&output.stdout).contains("The import stopped: the import was interrupted."));
}

#[tokio::test]
async fn progress_and_the_hint_after_ctrl_c_have_a_line_each_on_a_terminal_of_80_columns() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(50));
    // It accepts connections and never responds.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut command = into(&url, &path);
    let mut child = at_a_terminal(command.arg("--yes"), 80).spawn().unwrap();
    let (mut keyboard, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut lines_with = async |words: &str| loop {
        let lines = screen(&shown, 80);
        if lines.iter().any(|line| line.contains(words)) {
            break lines;
        }
        assert!(output.read_buf(&mut shown).await.unwrap() > 0, "{words}: {lines:?}");
    };
    let lines = lines_with("0 of 50 rows, 0/s").await;
    assert!(lines.last().unwrap().ends_with("0 of 50 rows, 0/s"), "{lines:?}");
    keyboard.write_all(b"\x03").await.unwrap();
    let hint = "Interrupted: waiting up to 10s for responses. Ctrl-C again stops at once.";
    let lines = lines_with(hint).await;
    assert!(lines.contains(&hint.to_owned()), "{lines:?}");
    keyboard.write_all(b"\x03").await.unwrap();
    let lines = lines_with("The import stopped: the import was interrupted.").await;
    assert!(lines.contains(&hint.to_owned()), "{lines:?}");
}

const KILLS: usize = 20;

/// A file of valid, invalid and conflicting rows; the lines of those that don't get in.
fn mixed_rows(random: &mut fastrand::Rng) -> (String, Vec<usize>, usize) {
    let (mut text, mut bad, mut valid) = ("name,email\n".to_owned(), Vec::new(), 0);
    for line in 2..102 {
        match random.usize(0..10) {
            0 => {
                bad.push(line);
                text.push_str("Ann,nobody\n");
            }
            1 if valid > 0 => {
                bad.push(line);
                // The first valid row's address is v0's.
                text.push_str("Another Name,v0@acme.de\n");
            }
            _ => {
                text.push_str(&format!("Valid Row,v{valid}@acme.de\n"));
                valid += 1;
            }
        }
    }
    (text, bad, valid)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_a_random_moment_and_run_again_each_row_is_stored_once_or_in_one_rejects_file() {
    let local = LocalRun::start().await;
    let mut random = crate::random();
    let seeds: Vec<u64> = (0..KILLS).map(|_| random.u64(..)).collect();
    let killed: Vec<Option<usize>> = stream::iter(seeds)
        .map(|seed| kill_and_run_again(&local, fastrand::Rng::with_seed(seed)))
        .buffer_unordered(4)
        .collect()
        .await;
    println!("requests before each kill: {killed:?}");
    assert!(killed.iter().flatten().count() > KILLS / 2);
}

/// Kills an import when some requests have come, and runs it again; how many they were, unless it had ended before.
async fn kill_and_run_again(local: &LocalRun, mut random: fastrand::Rng) -> Option<usize> {
    let workspace = Uuid::new_v4().to_string();
    fixture::put_workspace(
        &local.engine.client(),
        &LocalRun::tables(),
        &workspace,
        fixture::DEMO_TENANT,
    )
    .await;
    let (text, bad, valid) = mixed_rows(&mut random);
    let directory = TempDir::new().unwrap();
    let path = file(&directory, &text);
    // Each valid row needs one at least.
    let requests = random.usize(1..valid);
    let reached = Arc::new(Notify::new());
    let (notify, count) = (Arc::clone(&reached), Arc::new(AtomicUsize::new(0)));
    let (url, ..) = faulty_with(local.url.clone(), move || {
        if count.fetch_add(1, Ordering::SeqCst) + 1 == requests {
            notify.notify_one();
        }
    })
    .await;
    let import = || {
        let mut command = crate::import(&path);
        command.args(["--url", &url, "--workspace", &workspace]);
        command
    };
    let mut child = import().spawn().unwrap();
    reached.notified().await;
    // The rest of the rows may have been faster than this.
    let _ = child.start_kill();
    let was_killed = child.wait().await.unwrap().code().is_none();
    let output = import().output().await.unwrap();
    let counts = summary(&output);
    assert_eq!(counts["created"] + counts["existing"], valid, "{text}");
    assert_eq!(counts["rejected"] + counts["conflicts"], bad.len(), "{text}");
    assert_eq!(local.stored_in(&workspace).await.len(), valid, "{text}");

    let mut lines = Vec::new();
    for (path, of_file) in all_rejects(directory.path()) {
        assert!(of_file.is_sorted(), "{of_file:?}");
        assert!(
            !was_killed || said(&output.stdout).contains(&*path.to_string_lossy()),
            "{}",
            path.display()
        );
        lines.extend(of_file);
    }
    lines.sort_unstable();
    if !was_killed {
        lines.dedup();
    }
    assert_eq!(lines, bad, "{text}");
    let names = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
    was_killed.then_some(requests)
}
