//! What an import does when something goes wrong: what it retries, what it leaves behind, and how a later run continues.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::ExitStatusExt as _,
    },
    path::Path,
    process::{Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    http::{StatusCode, header::RETRY_AFTER},
};
use futures_util::stream;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    sync::Barrier,
};

use crate::{
    BROKEN, CREATED, HANG, KEY, StubResponse, WORKSPACE, at_a_terminal, file, imported, into, picture::screen,
    rejected, rejects, rows, serve, signal, stub, summary, text, watched,
};

/// Runs a script with the key in its environment.
async fn shell(script: &str) -> Output {
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", script]).env("CONTACTS_API_KEY", KEY);
    shell.output().await.unwrap()
}

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

    for number in ["", "-3", "-4"] {
        let expected = directory.path().join(format!("contacts.tsv.rejected{number}.csv"));
        let output = into(&url, &path).output().await.unwrap();
        assert_eq!(summary(&output)["rejected"], 1);
        assert!(text(output.stdout).contains(expected.to_str().unwrap()), "{number}");
        let content = fs::read_to_string(&expected).unwrap();
        let head = "rejected line\t\"rejected because\"\tname\temail\n2\t\"email must";
        assert!(content.starts_with(head), "{content}");
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
    let options = "--first-name-column n --last-name-column m --email-column e --encoding latin1 --give-up-after 90s";
    let mut command = into(&stub(|_, _| CREATED).await, &path);
    let output = command.args(options.split(' ')).output().await.unwrap();
    assert_eq!(summary(&output)["rejected"], 1);
    let fixed = fs::read_to_string(rejects(&path)).unwrap();
    fs::write(rejects(&path), fixed.replace("nobody", "a@acme.de")).unwrap();
    let shown = text(output.stdout);
    let line = shown.lines().find(|line| line.contains(".rejected.csv")).unwrap();
    assert!(line.ends_with(options), "{line}");
    assert_eq!(summary(&shell(line).await)["created"], 1, "{line}");
}

#[tokio::test]
async fn the_input_may_be_a_pipe() {
    let directory = TempDir::new().unwrap();
    let url = stub(|_, _| CREATED).await;
    let mut command = into(&url, Path::new("/dev/stdin"));
    let mut child = command.stdin(Stdio::piped()).current_dir(&directory).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"name,email\nA,a@acme.de\nB,nobody\n").await.unwrap();
    drop(pipe);
    let counts = summary(&child.wait_with_output().await.unwrap());
    assert_eq!((counts["created"], counts["rejected"]), (1, 1));
    let written = directory.path().join("import.rejected.csv");
    assert_eq!(rejected(&written)[0].2, ["B", "nobody"]);
    assert_eq!(fs::metadata(written).unwrap().permissions().mode() & 0o777, 0o600);
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
    let output = shell(&script).await;
    let counts = summary(&output);
    assert_eq!(counts.values().sum::<usize>(), 201);
    let lines: Vec<usize> = rejected(&rejects(&path)).into_iter().map(|(line, ..)| line).collect();
    assert!((20..200).contains(&lines.len()), "{lines:?}");
    assert!(lines.iter().copied().eq(2..lines.len() + 2), "{lines:?}");
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
async fn once_the_service_has_accepted_a_row_32_are_sent_at_once() {
    const AT_ONCE: usize = 32;
    let directory = TempDir::new().unwrap();
    let (arrived, in_progress, most) = <(AtomicUsize, AtomicUsize, AtomicUsize)>::default();
    let counts = Arc::new((arrived, in_progress, most, Barrier::new(AT_ONCE)));
    let of = Arc::clone(&counts);
    let router = Router::new().fallback(async move || {
        let (arrived, in_progress, most, all_there) = &*of;
        if arrived.fetch_add(1, Ordering::SeqCst) > 0 {
            most.fetch_max(in_progress.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            all_there.wait().await;
            in_progress.fetch_sub(1, Ordering::SeqCst);
        }
        (StatusCode::CREATED, CREATED.1)
    });
    let path = file(&directory, rows(1 + 3 * AT_ONCE));
    let created = summary(&into(&serve(router).await, &path).output().await.unwrap())["created"];
    assert_eq!((created, counts.2.load(Ordering::SeqCst)), (1 + 3 * AT_ONCE, AT_ONCE));
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
    assert!(said.contains("; retrying for "), "{said}");
    assert!(!said.contains("\n0 of 500 rows"), "{said}");
    assert_eq!(imported.rejected().len(), 400);
}

#[tokio::test]
async fn no_response_holds_the_import_however_long_it_is_or_asks_to_wait() {
    let contact: fn() -> Body = || Body::from(format!(r#"{{"resolutionStatus":"","name":"{}"}}"#, "x".repeat(40_000)));
    let endless = || Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(" ".repeat(1_000))));
    let asks_to_wait = "no row for 1s (--give-up-after): the service responds with 429";
    for (status, retry_after, body, result, shown) in [
        (StatusCode::CREATED, 0, contact, "created", "created  1"),
        (
            StatusCode::CREATED,
            0,
            endless,
            "not sent",
            "this isn't the contacts service",
        ),
        (
            StatusCode::TOO_MANY_REQUESTS,
            u32::MAX,
            Body::empty,
            "not sent",
            asks_to_wait,
        ),
    ] {
        let directory = TempDir::new().unwrap();
        let response = async move || (status, [(RETRY_AFTER, retry_after.to_string())], body());
        let url = serve(Router::new().fallback(response)).await;
        let mut command = into(&url, &file(&directory, rows(1)));
        let output = command.args(["--give-up-after", "1s"]).output().await.unwrap();
        assert_eq!(summary(&output)[result], 1, "{shown}");
        assert!(text(output.stdout).contains(shown), "{shown}");
    }
}

#[tokio::test]
async fn what_a_server_says_reaches_the_terminal_without_its_control_characters() {
    let evil = "{\"error\":\"\\u001b]0;evil\\u0007No\\r\\n\\u202e.\"}";
    let imported = imported(rows(1), &[], |_, _| (403, evil)).await;
    let shown = "the service responded with 403: \u{fffd}]0;evil\u{fffd}No";
    assert!(imported.shown.contains(shown), "{}", imported.shown);
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
    let firsts = Arc::new(AtomicUsize::new(0));
    let imported = imported(content, &[], move |_, body| {
        if body.contains("Second") && firsts.load(Ordering::SeqCst) == 3 {
            (409, r#"{"error":"There is another name."}"#)
        } else if body.contains("First") && firsts.fetch_add(1, Ordering::SeqCst) < 2 {
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
}

#[tokio::test]
async fn a_row_is_not_sent_before_an_earlier_one_with_its_address_and_another_name() {
    let content = "name,email\nFirst,x@acme.de\nSecond,x@acme.de\nFirst,X@acme.de\n";
    let imported = imported(content, &[], |number, _| if number == 1 { (400, "") } else { CREATED }).await;
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
    let mut command = into(&stub(|_, _| HANG).await, &path);
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
    let are_sent = |(_, reason, _): &(_, String, _)| reason.starts_with("sent, but the import stopped");
    assert_eq!(rows.len(), 50);
    assert!(rows.iter().any(are_sent), "{rows:?}");
}

/// A service with the contract's rules for the same contact: names by address.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<BTreeMap<String, String>>>);

impl Service {
    fn respond(&self, body: &str) -> StubResponse {
        let body: Value = serde_json::from_str(body).unwrap();
        let member = |name: &str| body[name].as_str().unwrap().to_owned();
        let (email, name) = (member("email").to_lowercase(), member("name"));
        let mut contacts = self.0.lock().unwrap();
        match contacts.insert(email.clone(), name.clone()) {
            None => CREATED,
            Some(stored) if stored == name => (200, CREATED.1),
            Some(stored) => {
                contacts.insert(email, stored);
                (409, r#"{"error":"There is another name."}"#)
            }
        }
    }
}

/// Valid rows, some on two lines, rows with a problem, and rows with an earlier address under the same name or another. Returns the
/// lines of those that aren't imported too, and the contacts.
fn mixed(rows: usize) -> (String, Vec<usize>, BTreeMap<String, String>) {
    let (mut content, mut line) = ("name,note,email\n".to_owned(), 2);
    let (mut bad, mut contacts) = (Vec::new(), BTreeMap::new());
    let name = |row: usize| format!("Ana{row} de la Cruz");
    let address = |row: usize| format!("Ana.{row}@acme-{row}.de");
    for row in 0..rows {
        let first = row - row % 10;
        let (name, email, is_imported) = match row % 10 {
            3 => (name(row), format!("ana.{row}"), false),
            4 => (String::new(), address(row), false),
            5 => (name(first), address(first).to_uppercase(), true),
            7 => (name(row), address(first), false),
            _ => (name(row), address(row), true),
        };
        let note = if row % 10 == 2 { "\"two,\nlines\"" } else { "" };
        content.push_str(&format!("{name},{note},{email}\n"));
        if is_imported {
            contacts.insert(email.to_lowercase(), name);
        } else {
            bad.push(line);
        }
        line += note.lines().count().max(1);
    }
    (content, bad, contacts)
}

#[tokio::test(flavor = "multi_thread")]
async fn under_faults_each_valid_row_of_2_000_is_stored_once_and_each_bad_one_is_named() {
    let (content, bad, contacts) = mixed(2_000);
    let service = Service::default();
    let of = service.clone();
    let url = stub(move |number, body| match (number % 8, number / 8 % 7) {
        (3, 0) => (408, ""),
        (3, 1) => (429, r#"{"message":"Too Many Requests"}"#),
        (3, 2) => (500, r#"{"error":"It failed."}"#),
        (3, 3) => (503, r#"{"error":"Not now."}"#),
        (3, 4) => BROKEN,
        // The contact is written, and the response is lost.
        (3, 5 | 6) => {
            of.respond(&body);
            if number % 16 == 3 { BROKEN } else { (503, "") }
        }
        _ => of.respond(&body),
    });
    let url = url.await;
    let directory = TempDir::new().unwrap();
    let path = file(&directory, content);
    let counts = summary(&into(&url, &path).output().await.unwrap());
    let results = ["conflicts", "rejected", "not sent"].map(|result| counts[result]);
    assert_eq!(results, [200, 400, 0]);
    assert_eq!(*service.0.lock().unwrap(), contacts);
    let named = rejected(&rejects(&path)).into_iter().map(|(line, ..)| line);
    assert_eq!(named.collect::<Vec<_>>(), bad);

    // The same file once more: nothing new.
    let again = summary(&into(&url, &path).output().await.unwrap());
    assert_eq!((again["created"], again["existing"]), (0, 1_400));
    assert_eq!(*service.0.lock().unwrap(), contacts);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_run_again_each_row_is_stored_once_or_in_one_rejects_file() {
    let (content, bad, contacts) = mixed(100);
    let names = ["contacts.csv.rejected.csv", "contacts.csv.rejected-2.csv"];
    for (requests, files) in [(1, &names[..1]), (50, &names), (75, &names)] {
        let directory = TempDir::new().unwrap();
        let path = file(&directory, &content);
        let service = Service::default();
        let (first, second) = (service.clone(), service.clone());
        let (_, output) = watched(&path, move |process, number, body| {
            let response = first.respond(&body);
            if number == requests {
                signal(process, "KILL");
            }
            if number < requests { response } else { HANG }
        })
        .await;
        assert_eq!(output.status.signal(), Some(9));
        let url = stub(move |_, body| second.respond(&body)).await;
        let output = into(&url, &path).output().await.unwrap();
        let counts = summary(&output);
        assert_eq!((counts["rejected"], counts["conflicts"]), (20, 10));
        assert_eq!(*service.0.lock().unwrap(), contacts);

        // Neither another file nor the marker of an unfinished one is left.
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1 + files.len());
        let (report, mut lines) = (text(output.stdout), Vec::new());
        for name in files {
            assert!(report.contains(name), "{name}: {report}");
            lines.extend(
                rejected(&directory.path().join(name))
                    .into_iter()
                    .map(|(line, ..)| line),
            );
        }
        assert_eq!(lines, bad, "{requests}");
    }
}
