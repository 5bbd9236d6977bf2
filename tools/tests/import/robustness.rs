//! What an import does when something goes wrong: what it retries, what it leaves behind, and how a later run continues.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, http::StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
    sync::{Barrier, Notify},
};

use crate::{
    BROKEN, CREATED, KEY, StubResponse, WORKSPACE, at_a_terminal, file, imported, into, picture::screen, rejected,
    rejects, rows, serve, stub, summary, text,
};

#[tokio::test]
async fn the_rejects_file_is_never_overwritten_follows_no_link_and_has_the_inputs_mode() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("contacts.tsv");
    fs::write(&path, "name\temail\nA\tnobody\nB\tb@acme.de\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let url = stub(|_, _| CREATED).await;
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
        assert!(text(output.stdout).contains(expected), "{expected}");
        let expected = directory.path().join(expected);
        let content = fs::read_to_string(&expected).unwrap();
        let head = "rejected line\t\"rejected because\"\tname\temail\n2\t\"email must";
        assert!(
            content.starts_with(head) && content.ends_with("\"\tA\tnobody\n"),
            "{content}"
        );
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
    let options = "--first-name-column n --last-name-column m --email-column e --encoding latin1 --give-up-after 90s";
    let mut command = into(&stub(|_, _| CREATED).await, &path);
    let output = command.args(options.split(' ')).output().await.unwrap();
    assert_eq!(summary(&output)["rejected"], 1);
    let fixed = fs::read_to_string(rejects(&path))
        .unwrap()
        .replace("nobody", "a@acme.de");
    fs::write(rejects(&path), fixed).unwrap();
    let shown = text(output.stdout);
    let line = shown.lines().find(|line| line.contains(".rejected.csv")).unwrap();
    assert!(line.ends_with(options), "{line}");
    let mut shell = Command::new("sh");
    let again = shell
        .args(["-c", line])
        .env("CONTACTS_API_KEY", KEY)
        .output()
        .await
        .unwrap();
    assert_eq!(summary(&again)["created"], 1, "{line}");
}

#[tokio::test]
async fn the_input_may_be_a_pipe() {
    let directory = TempDir::new().unwrap();
    let url = stub(|_, _| CREATED).await;
    let mut command = into(&url, Path::new("/dev/stdin"));
    let mut child = command.stdin(Stdio::piped()).current_dir(&directory).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"name,email\nA,a@acme.de\nB,nobody\n").await.unwrap();
    pipe.write_all(b"C,c@acme.de\n").await.unwrap();
    drop(pipe);
    let counts = summary(&child.wait_with_output().await.unwrap());
    assert_eq!((counts["created"], counts["rejected"]), (2, 1));
    let written = directory.path().join("import.rejected.csv");
    assert_eq!(rejected(&written)[0].2, ["B", "nobody"]);
    assert_eq!(fs::metadata(written).unwrap().permissions().mode() & 0o777, 0o600);

    let output = into(&url, Path::new("/dev/null")).output().await.unwrap();
    assert_eq!(text(output.stderr), "/dev/null is empty.\n");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn a_rejects_file_that_can_not_be_created_stops_the_import_with_the_reason() {
    let directory = TempDir::new().unwrap();
    // With `.rejected.csv`, the name is too long for a file system.
    let path = directory.path().join(format!("{}.csv", "x".repeat(246)));
    fs::write(&path, "name,email\nA,nobody\nB,b@acme.de\n").unwrap();
    let output = into(&stub(|_, _| CREATED).await, &path).output().await.unwrap();
    let counts = summary(&output);
    assert_eq!((counts["rejected"], counts.values().sum::<usize>()), (1, 2));
    let shown = text(output.stdout);
    let why = format!("{} can't be written: File name too long", path.display());
    assert!(shown.contains(&why) && shown.contains("no row is in it"), "{shown}");
}

#[tokio::test]
async fn a_full_disk_says_how_far_the_rejects_file_got_and_stops_the_import() {
    let directory = TempDir::new().unwrap();
    let bad: String = (0..200).map(|n| format!("A,nobody{n}\n")).collect();
    let path = file(&directory, format!("name,email\n{bad}B,b@acme.de\n"));
    let url = stub(|_, _| CREATED).await;
    // A file can't grow over 4 KiB here, which the writer is told as it is of a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec '{}' '{}' --url {url} --workspace {WORKSPACE}",
        env!("CARGO_BIN_EXE_import"),
        path.display()
    );
    let mut shell = Command::new("sh");
    let output = shell
        .args(["-c", &script])
        .env("CONTACTS_API_KEY", KEY)
        .output()
        .await
        .unwrap();
    let counts = summary(&output);
    assert_eq!(counts.values().sum::<usize>(), 201);
    let lines: Vec<usize> = rejected(&rejects(&path)).into_iter().map(|(line, ..)| line).collect();
    assert!(
        (20..200).contains(&lines.len()) && lines.iter().copied().eq(2..lines.len() + 2),
        "{lines:?}"
    );
    let shown = text(output.stdout);
    let unwritten = counts["rejected"] + counts["not sent"] - lines.len();
    for said in [
        format!("it is complete up to line {}", lines.len() + 1),
        format!("{unwritten} rows could not be written to it"),
    ] {
        assert!(shown.contains(&said), "{shown}");
    }
}

#[tokio::test]
async fn a_closed_standard_output_neither_panics_nor_changes_the_exit_code() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory, rows(1));
    let url = stub(|_, _| CREATED).await;
    for arguments in [&[][..], &["--dry-run"]] {
        let mut child = into(&url, &path).args(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        let said = text(output.stderr);
        assert!(output.status.code() == Some(0) && !said.contains("panic"), "{said}");
    }
}

#[tokio::test]
async fn a_transient_error_costs_no_row() {
    for response in [(500, ""), (429, ""), (408, ""), (503, ""), BROKEN] {
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let imported = imported(rows(10), &[], move |_, body| {
            if seen.lock().unwrap().insert(body) {
                response
            } else {
                CREATED
            }
        });
        assert_eq!(imported.await.counts()["created"], 10, "{response:?}");
    }
}

#[tokio::test]
async fn once_the_service_has_accepted_a_row_32_are_sent_at_once() {
    const AT_ONCE: usize = 32;
    let directory = TempDir::new().unwrap();
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
            (StatusCode::CREATED, CREATED.1)
        }
    });
    let path = file(&directory, rows(1 + 3 * AT_ONCE));
    let counts = summary(&into(&serve(router).await, &path).output().await.unwrap());
    assert_eq!(
        (counts["created"], highest.load(Ordering::SeqCst)),
        (1 + 3 * AT_ONCE, AT_ONCE)
    );
}

#[tokio::test]
async fn a_service_that_is_gone_in_the_middle_is_waited_for_and_then_given_up() {
    let imported = imported(rows(500), &["--give-up-after", "2s"], |number, _| match number {
        1..=100 => CREATED,
        _ => (503, ""),
    });
    let imported = imported.await;
    let counts = imported.counts();
    assert_eq!((counts["created"], counts["not sent"]), (100, 400));
    let why = "the service has accepted no row for 2s (--give-up-after): the service responds with 503";
    assert!(imported.shown.contains(why), "{}", imported.shown);
    let said = &imported.said;
    assert!(
        said.contains("; retrying for ") && !said.contains("\n0 of 500 rows"),
        "{said}"
    );
    assert_eq!(imported.rejected().len(), 400);
}

/// A server that gives every request the same bytes.
async fn raw_server(response: String) -> String {
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
async fn no_response_holds_the_import_however_long_it_is_or_asks_to_wait() {
    let chunked = |pieces: &[&str]| {
        let pieces = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()));
        let head = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{}", pieces.collect::<String>())
    };
    let name = format!(r#"{{"resolutionStatus":"created","name":"{}"#, "x".repeat(2_000));
    let wait = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 4294967295\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (response, result, said) in [
        (chunked(&[&name, r#""}"#]) + "0\r\n\r\n", "created", "created  1"),
        // It has no end.
        (
            chunked(&[&*" ".repeat(1_000); 100]),
            "not sent",
            "this isn't the contacts service",
        ),
        (
            wait,
            "not sent",
            "no row for 1s (--give-up-after): the service responds with 429",
        ),
    ] {
        let directory = TempDir::new().unwrap();
        let mut command = into(&raw_server(response).await, &file(&directory, rows(1)));
        let output = command.args(["--give-up-after", "1s"]).output().await.unwrap();
        assert_eq!(summary(&output)[result], 1, "{said}");
        assert!(text(output.stdout).contains(said), "{said}");
    }
}

#[tokio::test]
async fn what_a_server_says_reaches_the_terminal_without_its_control_characters() {
    let evil = "{\"error\":\"\\u001b]0;evil\\u0007No\\r\\n\\u202e.\"}";
    let imported = imported(rows(1), &[], |_, _| (403, evil)).await;
    assert!(
        imported
            .shown
            .contains("the service responded with 403: \u{fffd}]0;evil\u{fffd}No")
    );
    let written = fs::read_to_string(rejects(&imported.path)).unwrap();
    assert!(!(imported.shown + &written).contains(|c: char| tools::is_harmful(c) && c != '\n'));
}

#[tokio::test]
async fn a_proxy_from_the_environment_never_sees_the_key() {
    let directory = TempDir::new().unwrap();
    let proxy = stub(|_, _| panic!("the proxy sees a request")).await;
    let mut command = into(&stub(|_, _| CREATED).await, &file(&directory, rows(1)));
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, &proxy);
    }
    assert_eq!(summary(&command.output().await.unwrap())["created"], 1);
}

#[tokio::test]
async fn the_first_of_two_rows_with_one_address_is_decided_before_the_second_is_sent() {
    let content = "name,email\nZoë,zoe@acme.de\nA,a@acme.de\nFirst,x@acme.de\nSecond,X@acme.de\nB,b@acme.de\n";
    let order = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&order);
    let imported = imported(content, &[], move |_, body| {
        let mut order = seen.lock().unwrap();
        if body.contains("Second") {
            order.push('2');
            return (409, r#"{"error":"There is another name."}"#);
        }
        order.extend(body.contains("First").then_some('1'));
        // The first one has to come again.
        if body.contains("First") && order.len() < 3 {
            (503, "")
        } else {
            CREATED
        }
    });
    let imported = imported.await;
    let counts = imported.counts();
    assert_eq!((counts["created"], counts["conflicts"]), (4, 1));
    let reason = "the service says: There is another name. In the file, line 4 has the same address.";
    let own = ["Second", "X@acme.de"].map(str::to_owned).to_vec();
    assert_eq!(imported.rejected(), [(5, reason.to_owned(), own)]);
    assert_eq!(*order.lock().unwrap(), "1112");
}

#[tokio::test]
async fn a_row_is_not_sent_before_an_earlier_one_with_its_address_and_another_name() {
    let content = "name,email\nFirst,x@acme.de\nSecond,x@acme.de\nFirst,X@acme.de\n";
    let imported = imported(content, &[], |number, _| {
        if number == 1 {
            (400, r#"{"error":"Not like this."}"#)
        } else {
            CREATED
        }
    });
    let imported = imported.await;
    let counts = imported.counts();
    assert_eq!((counts["rejected"], counts["not sent"], counts["created"]), (1, 1, 1));
    let reason = "not sent: line 2 has the same address and wasn't imported: import that row first";
    assert_eq!(imported.rejected()[1].1, reason);
}

#[tokio::test]
async fn the_rejects_file_has_the_inputs_line_ends_and_byte_order_mark() {
    for (mark, end) in ["", "\u{feff}"]
        .into_iter()
        .flat_map(|mark| ["\n", "\r\n", "\r"].map(|end| (mark, end)))
    {
        let imported = imported(format!("{mark}name,email{end}A,nobody{end}"), &[], |_, _| CREATED).await;
        let written = fs::read_to_string(rejects(&imported.path)).unwrap();
        let header = format!("{mark}rejected line,\"rejected because\",name,email{end}2,");
        assert!(written.starts_with(&header), "{written:?}");
        assert!(written.ends_with(&format!(",A,nobody{end}")), "{written:?}");
    }
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
    // The terminal shows ^C where the cursor is. A second one ends the wait, and there is a report all the same.
    keyboard.write_all(b"\x03").await.unwrap();
    let lines = lines_with("The import stopped: the import was interrupted.").await;
    assert!(lines.iter().any(|line| line.starts_with(hint)), "{lines:?}");
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
    let rows = rejected(&rejects(&path));
    assert_eq!(rows.len(), 50);
    assert!(
        rows.iter()
            .any(|(_, reason, _)| reason.starts_with("sent, but the import stopped")),
        "{rows:?}"
    );
}

/// A service with the contract's rules for the same contact, in memory. One request in eight meets a fault.
#[derive(Clone, Default)]
struct Service {
    /// Names by address.
    contacts: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Service {
    fn respond(&self, number: usize, body: &str) -> StubResponse {
        let body: Value = serde_json::from_str(body).unwrap();
        let member = |name: &str| body[name].as_str().unwrap().to_owned();
        let (email, name) = (member("email").to_lowercase(), member("name"));
        let fault = (number % 8 == 3).then_some(number / 8 % 5);
        match fault {
            Some(0) => return (429, r#"{"message":"Too Many Requests"}"#),
            Some(1) => return (503, r#"{"error":"Not now."}"#),
            Some(2) => return BROKEN,
            _ => {}
        }
        let mut contacts = self.contacts.lock().unwrap();
        let is_new = !contacts.contains_key(&email);
        let is_same = *contacts.entry(email).or_insert(name.clone()) == name;
        // The contact is written, and the response is lost.
        match fault {
            Some(3) => (503, r#"{"error":"Not now."}"#),
            Some(_) => BROKEN,
            None if is_new => CREATED,
            None if is_same => (200, CREATED.1),
            None => (409, r#"{"error":"There is another name."}"#),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_faults_each_valid_row_of_2_000_is_stored_once_and_each_bad_one_is_named() {
    let mut content = "name,note,email\n".to_owned();
    let (mut line, mut bad, mut expected) = (2, BTreeSet::new(), BTreeMap::new());
    for row in 0..2000 {
        let address = |row: usize| format!("Ana.{row}@acme-{row}.de");
        let name = format!("Ana{row} de la Cruz");
        let (name, email) = match row {
            _ if row % 50 == 7 => (name, format!("ana.{row}")),
            _ if row % 100 == 13 => (String::new(), address(row)),
            // An earlier row again, and one with an earlier address under another name.
            _ if row % 250 == 99 => (format!("Ana{} de la Cruz", row - 50), address(row - 50).to_uppercase()),
            _ if row % 250 == 211 => (name, address(row - 100)),
            _ => (name, address(row)),
        };
        let note = if row % 10 == 0 { "\"two,\nlines\"" } else { "" };
        content.push_str(&format!("{name},{note},{email}\n"));
        if row % 50 == 7 || name.is_empty() || row % 250 == 211 {
            bad.insert(line);
        } else {
            expected.insert(email.to_lowercase(), name);
        }
        line += if note.is_empty() { 1 } else { 2 };
    }
    let service = Service::default();
    let of = service.clone();
    let url = stub(move |number, body| of.respond(number, &body)).await;
    let directory = TempDir::new().unwrap();
    let path = file(&directory, content);
    let counts = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!(
        (counts["conflicts"], counts["rejected"], counts["not sent"]),
        (8, bad.len() - 8, 0)
    );
    assert_eq!(*service.contacts.lock().unwrap(), expected);
    let named: BTreeSet<usize> = rejected(&rejects(&path)).into_iter().map(|(line, ..)| line).collect();
    assert_eq!(named, bad);

    // The same file once more: nothing new.
    let again = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!(
        (again["created"], again["existing"]),
        (0, counts["created"] + counts["existing"])
    );
    assert_eq!(*service.contacts.lock().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_a_random_moment_and_run_again_each_row_is_stored_once_or_in_one_rejects_file() {
    const KILLS: usize = 20;
    let mut random = crate::random();
    let mut killed = 0;
    for _ in 0..KILLS {
        killed += usize::from(kill_and_run_again(&mut random).await);
    }
    assert!(killed > KILLS / 2, "{killed}");
}

/// Kills an import of valid, invalid and conflicting rows when some requests have come, and runs it again. Returns whether it was
/// killed: it may have been faster.
async fn kill_and_run_again(random: &mut fastrand::Rng) -> bool {
    let (mut content, mut bad, mut valid) = ("name,email\n".to_owned(), Vec::new(), 0);
    for line in 2..102 {
        let kind = random.usize(0..10);
        match kind {
            0 => content.push_str("Ann,nobody\n"),
            // The first valid row's address is v0's.
            1 if valid > 0 => content.push_str("Another Name,v0@acme.de\n"),
            _ => content.push_str(&format!("Valid Row,v{valid}@acme.de\n")),
        }
        let is_bad = kind == 0 || kind == 1 && valid > 0;
        bad.extend(is_bad.then_some(line));
        valid += usize::from(!is_bad);
    }
    let directory = TempDir::new().unwrap();
    let path = file(&directory, &content);
    // Each valid row needs one at least.
    let requests = random.usize(1..valid);
    let (service, reached) = (Service::default(), Arc::new(Notify::new()));
    let (of, notify) = (service.clone(), Arc::clone(&reached));
    let url = stub(move |number, body| {
        if number == requests {
            notify.notify_one();
        }
        of.respond(number, &body)
    });
    let url = url.await;
    let mut child = into(&url, &path).spawn().unwrap();
    reached.notified().await;
    // The rest of the rows may have been faster than this.
    let _ = child.start_kill();
    let was_killed = child.wait().await.unwrap().code().is_none();
    let output = into(&url, &path).output().await.unwrap();
    let counts = summary(&output);
    assert_eq!(counts["created"] + counts["existing"], valid, "{content}");
    assert_eq!(counts["rejected"] + counts["conflicts"], bad.len(), "{content}");
    assert_eq!(service.contacts.lock().unwrap().len(), valid, "{content}");

    let mut lines = Vec::new();
    let files = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for written in files.filter(|written| *written != path) {
        let name = written.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("contacts.csv.rejected"), "{name}");
        assert!(!was_killed || text(output.stdout.clone()).contains(name), "{name}");
        let of_file: Vec<usize> = rejected(&written).into_iter().map(|(line, ..)| line).collect();
        assert!(of_file.is_sorted(), "{of_file:?}");
        lines.extend(of_file);
    }
    lines.sort_unstable();
    if !was_killed {
        lines.dedup();
    }
    assert_eq!(lines, bad, "{content}");
    was_killed
}
