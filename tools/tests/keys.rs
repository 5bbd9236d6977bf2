//! The keys tool against an engine, and its keys against the function.

use std::{
    fs::OpenOptions,
    io::pipe,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue::{N, Null, S, Ss};
use chrono::{DateTime, Utc};
use harness::{
    fixture::{self, key_hash},
    proxy::{Call, Fault},
    service::{Service, engine},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

/// A service with a tenant, its workspace and a key. The tool reaches the engine through the service's proxy.
async fn start() -> Service {
    // Beside this package's programs in Cargo's directory. Cargo gives a test the programs of its own package only, so `cargo
    // build` has to have built it.
    let function = Path::new(env!("CARGO_BIN_EXE_keys")).with_file_name("create-contact");
    assert!(function.exists(), "cargo build makes the function that this test needs");
    Service::start(&function.to_string_lossy()).await
}

/// The tool with this environment and no other. White space separates the arguments.
fn tool(environment: &[(&str, &str)], arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keys"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        // No home directory, so no AWS profile of the person who runs the tests. No instance metadata, because there is none.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The tool with the service's tables. In the arguments, TENANT and WORKSPACE are the service's own.
fn tool_of(service: &Service, arguments: &str) -> Command {
    let environment = [
        ("API_KEYS_TABLE", service.tables.api_keys.as_str()),
        ("WORKSPACES_TABLE", &service.tables.workspaces),
        ("AWS_ENDPOINT_URL_DYNAMODB", &service.proxy.url),
    ];
    let arguments = arguments.replace("TENANT", &service.tenant_id);
    tool(&environment, &arguments.replace("WORKSPACE", &service.workspace_id))
}

fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word} in {text}");
    }
}

/// What a command printed, and its exit code.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Nothing on standard output, and one line with these words on standard error.
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{}", self.stderr);
        assert_contains(&self.stderr, words);
    }
}

/// Runs a command to its end.
async fn run(mut command: Command, input: &str) -> Ended {
    let mut child = command.spawn().expect("the tool");
    let mut stdin = child.stdin.take().expect("its standard input");
    // The tool may end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    // What `keys --help` promises.
    let output = timeout(Duration::from_secs(30), child.wait_with_output()).await;
    let output = output.expect("a command ends within 30 seconds").expect("its output");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

async fn keys(service: &Service, arguments: &str) -> Ended {
    run(tool_of(service, arguments), "").await
}

/// A command that fails with a message that has these words.
async fn refused(service: &Service, arguments: &str, words: &[&str]) {
    keys(service, arguments).await.refused(1, words);
}

/// Breaks every call of an operation.
fn break_calls(service: &Service, operation: &'static str, fault: Fault) {
    let plan = move |_, call: &Call| (call.operation == operation).then_some(fault);
    service.proxy.plan(plan);
}

/// What the tool prints as JSON.
async fn json(service: &Service, arguments: &str) -> Value {
    let printed = keys(service, &format!("{arguments} --json")).await.done().stdout;
    serde_json::from_str(&printed).expect("JSON")
}

/// The stored keys but the service's own, read without the proxy.
async fn list(service: &Service) -> Vec<Value> {
    let list = json(service, &format!("list --endpoint-url {}", engine().url)).await;
    let own = key_hash(&service.key);
    let keys = list.as_array().expect("a list").iter();
    keys.filter(|key| key["keyHash"] != own).cloned().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// The status of a request for a contact.
async fn status(service: &Service, key: &str, workspace: &str) -> u16 {
    let request = service.request_in(workspace, "Henrik Larsen", "henrik@acme-customer.de");
    service.send(&request.key(key)).await.status
}

const ISSUE: &str = "issue --tenant TENANT";
const ADD_WORKSPACE: &str = "workspace add --tenant TENANT";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_until_it_is_revoked_by_any_of_its_names() {
    let service = start().await;
    for name in ["keyId", "keyHash", "digits of the hash", "standard input"] {
        let printed = keys(&service, &format!("{ISSUE} --json")).await.done().stdout;
        let issued: Value = serde_json::from_str(&printed).expect("JSON");
        let key = text(&issued["key"]);
        let (argument, input) = match name {
            "digits of the hash" => (&text(&issued["keyHash"])[..8], ""),
            "standard input" => ("", printed.as_str()),
            name => (text(&issued[name]), ""),
        };
        let before = status(&service, key, &service.workspace_id).await;
        assert!(matches!(before, 200 | 201), "{name}: {before}");

        let revoke = format!("revoke {argument}");
        let revoked = run(tool_of(&service, &revoke), input).await.done().stdout;
        assert!(revoked.starts_with("Revoked: the key's next request is refused."));
        assert_eq!(status(&service, key, &service.workspace_id).await, 401, "{name}");
        assert_eq!(list(&service).await, Vec::<Value>::new(), "{name}");
        let again = run(tool_of(&service, &revoke), input).await;
        again.refused(1, &["There is no such key", "keys list"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_was_asked_for() {
    let service = start().await;
    let own = service.workspace_id.as_str();
    let added = json(&service, ADD_WORKSPACE).await;
    let other = text(&added["workspaceId"]);
    for (options, workspace, expected) in [
        ("--workspace WORKSPACE", own, 201),
        ("--workspace WORKSPACE", other, 403),
        ("--scope contacts:read", own, 403),
        ("--scope contacts:read --scope contacts:write", own, 200),
        ("--scope contacts:read,contacts:write", own, 200),
    ] {
        let key = json(&service, &format!("{ISSUE} {options}")).await;
        let found = status(&service, text(&key["key"]), workspace).await;
        assert_eq!(found, expected, "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_stored_nowhere() {
    let service = start().await;
    let issued = keys(&service, &format!("{ISSUE} --label Zürich")).await.done();
    let key = issued.stdout.trim_end();
    let secret = key.strip_prefix("sf_live_v1_").expect("the bare key");
    assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
    let table = keys(&service, "list").await.done().stdout;
    let listed = list(&service).await.remove(0);
    let id = text(&listed["keyId"]);
    assert_contains(
        &issued.stderr,
        &[id, "shown only once", "It never expires: --expires sets a time."],
    );
    assert_contains(&table, &[id, "Zürich", &service.tenant_id, "contacts:write", "never"]);
    let fields: Vec<_> = listed.as_object().expect("a key").keys().cloned().collect();
    let expected = "createdAt expiresAt keyHash keyId label scopes tenantId workspaceId";
    assert_eq!(fields.join(" "), expected);
    let revoked = run(tool_of(&service, "revoke"), key).await.done();
    for shown in [table, listed.to_string(), issued.stderr, revoked.stdout] {
        assert!(!shown.contains(secret), "{shown}");
    }

    let limited = keys(&service, &format!("{ISSUE} --test --expires 90d")).await.done();
    assert!(limited.stdout.starts_with("sf_test_v1_") && !limited.stderr.contains("never expires"));
    let listed = list(&service).await.remove(0);
    let instant = |name| text(&listed[name]).parse::<DateTime<Utc>>().expect("an instant");
    let lifetime = instant("expiresAt") - instant("createdAt");
    // The expiry is in whole seconds.
    assert!((0..2).contains(&(90 * 86_400 - lifetime.num_seconds())), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_workspace_is_unchanged_and_an_ambiguous_key_stays() {
    let service = start().await;
    let expected = json!({ "workspaceId": service.workspace_id, "tenantId": service.tenant_id });
    let added = json(&service, &format!("{ADD_WORKSPACE} WORKSPACE")).await;
    assert_eq!(added, expected);
    for (arguments, words) in [
        ("workspace add --tenant OTHER WORKSPACE", "tenant; nothing was changed"),
        (
            "issue --tenant OTHER --workspace WORKSPACE",
            "belongs to another tenant",
        ),
        (
            "issue --tenant TENANT --workspace OTHER",
            "Add it first: keys workspace",
        ),
    ] {
        let arguments = arguments.replace("OTHER", "0198c1a5-6f00-7000-8000-00000000000a");
        refused(&service, &arguments, &[words]).await;
    }
    assert_eq!(json(&service, "workspace list").await, json!([expected]));

    for end in ["1", "2"] {
        let item = fixture::item(&[("keyHash", &format!("{}{end}", "a".repeat(63)))]);
        fixture::put(&service.client, &service.tables.api_keys, item).await;
    }
    refused(&service, "revoke aaaaaaaa", &["2 keys", "nothing was revoked"]).await;
    assert_eq!(list(&service).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_on_the_command_line_is_refused_without_being_repeated() {
    // Wherever the key is in the command line, and whatever else is wrong with it.
    for arguments in [
        "revoke KEY",
        "revoke key_abcdefghijklmnop KEY",
        "issue --label KEY",
        "revoke sf_test_v1_OnThe",
        "--endpoint-url=KEY list",
    ] {
        let arguments = arguments.replace("KEY", "sf_live_v1_OnTheCommandLineOnTheCommandLine");
        let ended = run(tool(&[], &arguments), "").await;
        ended.refused(2, &["standard input", "history"]);
        assert!(!ended.stderr.contains("OnThe"), "{}", ended.stderr);
    }
    let no_key = run(tool(&[], "revoke"), "no key").await;
    no_key.refused(1, &["There is no key on standard input"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_is_reported_with_what_to_do() {
    let service = start().await;
    let not_dynamodb = format!("What responds at {} isn't DynamoDB", service.proxy.url);
    let no_table = format!("There is no table {}", service.tables.api_keys);
    let reason = r#"{"__type": "ValidationException", "message": "words \u001b[31m\u202e"}"#;
    let error = |code| Fault::Error(400, code);
    for (fault, words) in [
        (error("ResourceNotFoundException"), [&*no_table, "set API_KEYS_TABLE"]),
        (error("AccessDeniedException"), ["may not use dynamodb:Scan", "profile"]),
        (error("ExpiredTokenException"), ["expired", "aws sso login"]),
        (error("UnrecognizedClientException"), ["doesn't accept", "AWS_PROFILE"]),
        (Fault::Body(400, reason), ["refused Scan", "words \u{fffd}[31m\u{fffd}"]),
        (Fault::HangBefore, ["didn't respond", "within 7 seconds"]),
        (Fault::ResetBefore, ["can't be reached at", &service.proxy.url]),
        (error("UnknownOperationException"), [&not_dynamodb, ""]),
        (Fault::Body(200, "<html>It works!</html>"), [&not_dynamodb, ""]),
        (Fault::Body(404, r#"{"error": "Nothing here."}"#), [&not_dynamodb, ""]),
        (Fault::Body(200, "{}"), [&not_dynamodb, ""]),
    ] {
        break_calls(&service, "Scan", fault);
        refused(&service, "list", &words).await;
    }
    let help = keys(&service, "--help").await.done().stdout;
    assert_contains(&help, &["within 7 seconds", "within 30 seconds"]);
    let no_url = run(tool(&[], "--endpoint-url localhost:8000 list"), "").await;
    no_url.refused(1, &["isn't a URL such as http://127.0.0.1:8000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_region_or_missing_credentials_are_reported() {
    let no_region = run(tool(&[], "list"), "").await;
    no_region.refused(1, &["No AWS region is set", "AWS_PROFILE"]);
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-config");
    let profile = "[profile staff]\nregion = eu-central-1\nsso_start_url = https://example.com\nsso_region = eu-central-1\n\
                   sso_account_id = 123456789012\nsso_role_name = staff\n";
    std::fs::write(&config, profile).expect("a configuration");
    let config = config.to_string_lossy();
    for (profile, reason) in [("staff", "sso/cache"), ("default", "list-profiles")] {
        let environment = [
            ("AWS_CONFIG_FILE", config.as_ref()),
            ("AWS_PROFILE", profile),
            ("AWS_REGION", "eu-central-1"),
            ("HOME", env!("CARGO_TARGET_TMPDIR")),
        ];
        let ended = run(tool(&environment, "list"), "").await;
        ended.refused(1, &["no AWS credentials that work", "aws sso login", reason]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_exit_code_two() {
    let id = "0198c1a5-6f00-7000-8000-00000000000a";
    let label = format!("issue --tenant {id} --label {}", "x".repeat(101));
    for (table, arguments, words) in [
        ("ApiKeys", "revoke 1234567", "8 hexadecimal digits"),
        ("ApiKeys", &format!("issue --tenant {id} --expires soon"), "90d"),
        ("ApiKeys", &label, "100 characters"),
        // What a script leaves where the stack's output could not be read.
        ("", "list", "--api-keys-table"),
    ] {
        let ended = run(tool(&[("API_KEYS_TABLE", table)], arguments), "").await;
        assert_eq!(ended.code, Some(2), "{arguments}");
        assert_contains(&ended.stderr, &[words]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_response_was_lost_is_confirmed() {
    let service = start().await;
    // Breaks the first call of an operation.
    let break_first = |operation: &'static str, fault: Fault| {
        let is_broken = AtomicBool::new(false);
        service.proxy.plan(move |_, call: &Call| {
            let is_first = call.operation == operation && !is_broken.swap(true, Ordering::Relaxed);
            is_first.then_some(fault)
        });
    };
    for (fault, name) in [(Fault::ResetAfter, "keyId"), (Fault::Cut, "keyHash")] {
        break_first("PutItem", fault);
        let key = json(&service, ISSUE).await;
        assert_eq!(service.proxy.operations(), ["Scan", "PutItem", "PutItem"], "{fault:?}");
        let status_of = async || status(&service, text(&key["key"]), &service.workspace_id).await;
        assert!(matches!(status_of().await, 200 | 201), "{fault:?}");

        break_first("DeleteItem", fault);
        keys(&service, &format!("revoke {}", text(&key[name]))).await.done();
        let operations = service.proxy.operations();
        assert_eq!(operations[1..], ["DeleteItem", "DeleteItem", "Scan"], "{fault:?}");
        assert_eq!(status_of().await, 401, "{fault:?}");

        break_first("PutItem", fault);
        let added = json(&service, ADD_WORKSPACE).await;
        let operations = service.proxy.operations();
        assert_eq!(operations, ["PutItem", "PutItem", "GetItem"], "{fault:?}");
        let workspaces = json(&service, "workspace list").await;
        assert!(workspaces.as_array().expect("a list").contains(&added));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_response_or_another_keys_item_is_no_success() {
    let service = start().await;
    let key = json(&service, ISSUE).await;
    let [by_id, by_hash] = ["keyId", "keyHash"].map(|name| format!("revoke {}", text(&key[name])));
    let other = r#"{"Attributes": {"keyHash": {"S": "another"}}, "Item": {"keyHash": {"S": "another"}}}"#;
    for (operation, response, revoke, words) in [
        ("DeleteItem", "", &by_id, "was not revoked"),
        ("DeleteItem", "{}", &by_hash, "was not revoked"),
        ("DeleteItem", other, &by_id, "isn't DynamoDB"),
        ("GetItem", other, &by_hash, "isn't DynamoDB"),
    ] {
        break_calls(&service, operation, Fault::Body(200, response));
        refused(&service, revoke, &[words]).await;
    }
    let empty = Fault::Body(200, "");
    // From the delete on.
    service.proxy.plan(move |before, _| (before > 0).then_some(empty));
    refused(&service, &by_id, &["isn't DynamoDB"]).await;
    assert_eq!(list(&service).await.len(), 1);
    service.proxy.plan(move |_, _| Some(empty));
    refused(&service, ADD_WORKSPACE, &["isn't DynamoDB"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_can_not_be_confirmed_is_undone_or_named() {
    let service = start().await;
    for fault in [
        Fault::ResetAfter,
        Fault::Cut,
        Fault::NotJson,
        Fault::Error(400, "ThrottlingException"),
        Fault::Error(500, "InternalServerError"),
    ] {
        break_calls(&service, "PutItem", fault);
        refused(&service, ISSUE, &["deleted again", "nothing was issued"]).await;
        assert_eq!(list(&service).await, Vec::<Value>::new(), "{fault:?}");
    }
    // What DynamoDB refused with a reason was not stored: no second call.
    break_calls(&service, "PutItem", Fault::Error(400, "AccessDeniedException"));
    refused(&service, ISSUE, &["may not use dynamodb:PutItem"]).await;
    assert_eq!(service.proxy.operations(), ["Scan", "PutItem"]);
    refused(&service, ADD_WORKSPACE, &["may not use dynamodb:PutItem"]).await;

    for fault in [Fault::ResetAfter, Fault::HangAfter] {
        service.proxy.plan(move |_, call| match call.operation.as_str() {
            "PutItem" => Some(fault),
            "DeleteItem" => Some(Fault::Bare500),
            _ => None,
        });
        let ended = keys(&service, ISSUE).await;
        let left = list(&service).await.remove(0);
        let revoke = format!("revoke {}", text(&left["keyId"]));
        ended.refused(1, &["nobody has it", &format!("keys {revoke}")]);
        break_calls(&service, "DeleteItem", Fault::ResetAfter);
        refused(&service, &revoke, &["may or may not", "run the command again"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_can_not_be_printed_is_deleted_again() {
    let service = start().await;
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").expect("a full device"));
    let (reader, closed) = pipe().expect("a pipe");
    drop(reader);
    for (stdout, more) in [(full(), "--json"), (closed.into(), "")] {
        let mut command = tool_of(&service, &format!("{ISSUE} {more}"));
        command.stdout(stdout);
        service.proxy.plan(|_, _| None);
        let ended = run(command, "").await;
        ended.refused(1, &["Standard output can't be written", "deleted again"]);
        assert_eq!(service.proxy.operations(), ["Scan", "PutItem", "DeleteItem"]);
        assert_eq!(list(&service).await, Vec::<Value>::new());
    }
    // A note on standard error may be lost, as long as the key was printed.
    let mut command = tool_of(&service, ISSUE);
    command.stderr(full());
    assert!(run(command, "").await.done().stdout.starts_with("sf_live_v1_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_tenant_without_a_workspace_is_issued_with_a_warning() {
    let service = start().await;
    let new = json(&service, "tenant new").await;
    let tenant = text(&new["tenantId"]);
    let issue = format!("issue --tenant {tenant}");
    let without = keys(&service, &issue).await.done();
    let command = format!("keys workspace add --tenant {tenant}");
    assert_contains(&without.stderr, &["Warning", "no workspace", &command]);
    assert_eq!(without.stdout.lines().count(), 1, "the bare key");

    // An id is the same in any case.
    let workspace = "0198c1a5-6f00-7000-8000-00000000000b";
    service.put_workspace(workspace, &tenant.to_uppercase()).await;
    let with = keys(&service, &issue).await.done();
    assert!(!with.stderr.contains("Warning"), "{}", with.stderr);
    keys(&service, &format!("{issue} --workspace {workspace}")).await.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_is_the_option_or_the_first_variable_set() {
    let right = engine().url.as_str();
    let option = format!("list --endpoint-url {right}");
    // No credentials anywhere: each of these counts as this machine.
    let wrong = "http://127.0.0.1:1";
    for (general, of_dynamodb, arguments, words) in [
        (right, "", "list", "There is no table NoSuchTable"),
        (wrong, right, "list", "There is no table NoSuchTable"),
        (wrong, wrong, &option, "There is no table NoSuchTable"),
        (wrong, "", "list", "can't be reached at http://127.0.0.1:1"),
    ] {
        let environment = [
            ("AWS_ENDPOINT_URL", general),
            ("AWS_ENDPOINT_URL_DYNAMODB", of_dynamodb),
            ("API_KEYS_TABLE", "NoSuchTable"),
        ];
        run(tool(&environment, arguments), "").await.refused(1, &[words]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_writers_are_listed_and_can_be_revoked() {
    let service = start().await;
    let old_key = "sf_live_v1_MadeBeforeKeysHadIdsOrLabels";
    let old_hash = key_hash(old_key);
    service.put_key(|key| key.key = old_key.to_owned()).await;
    assert_eq!(status(&service, old_key, &service.workspace_id).await, 201);
    let (foreign, expired) = ("f".repeat(64), "e".repeat(64));
    let of_foreign = [
        ("keyHash", S(foreign.clone())),
        ("tenantId", N("1".to_owned())),
        ("expiresAt", S("tomorrow".to_owned())),
        ("workspaceId", Null(true)),
        ("scopes", S("contacts:write".to_owned())),
        ("label", S("one\ntwo\u{1b}[2J\u{9b}\u{202e}".to_owned())),
    ];
    let of_expired = [
        ("keyHash", S(expired.clone())),
        ("scopes", Ss(vec!["contacts:read".to_owned()])),
        ("expiresAt", N("1767225600.5".to_owned())),
    ];
    for item in [&of_foreign[..], &of_expired] {
        let item = item.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        fixture::put(&service.client, &service.tables.api_keys, item.collect()).await;
    }

    let listed = list(&service).await;
    let of = |hash: &str| listed.iter().find(|key| key["keyHash"] == hash).expect("listed");
    for name in ["keyId", "label", "createdAt", "expiresAt", "workspaceId"] {
        assert_eq!(of(&old_hash)[name], Value::Null, "{name}");
    }
    for name in ["tenantId", "expiresAt", "workspaceId"] {
        assert_eq!(of(&foreign)[name], "unreadable", "{name}");
    }
    assert_eq!(of(&foreign)["scopes"], json!(["unreadable"]));
    let table = keys(&service, "list").await.done().stdout;
    let line = |hash: &str| table.lines().find(|line| line.contains(&hash[..8])).expect("a line");
    assert_contains(line(&old_hash), &["all", "never"]);
    assert_contains(line(&foreign), &["one\u{fffd}two\u{fffd}[2J\u{fffd}\u{fffd}"]);
    assert_contains(line(&expired), &["2026-01-01T00:00:00Z (expired)"]);
    assert_eq!(line(&foreign).matches("unreadable").count(), 4, "{table}");
    let raw = keys(&service, "list --json").await.done().stdout;
    assert!(!raw.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{raw}");

    keys(&service, &format!("revoke {}", &foreign[..8])).await.done();
    run(tool_of(&service, "revoke"), old_key).await.done();
    assert_eq!(status(&service, old_key, &service.workspace_id).await, 401);
}
