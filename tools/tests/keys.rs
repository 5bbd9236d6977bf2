//! The keys tool against the embedded engine, and its keys against the function.

use std::{
    fs::OpenOptions,
    io::pipe,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use harness::{
    engine::{Engine, Tables},
    function::Function,
    proxy::{Call, Fault, Proxy},
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, process::Command, time::timeout};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The function's program, beside this package's in Cargo's directory. Cargo gives a test the programs of its own package
/// only, so `cargo build` has to have built it.
fn function_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_keys")).with_file_name("create-contact");
    assert!(
        program.exists(),
        "cargo build -p create-contact makes the function that this test needs"
    );
    program
}

struct Deployment {
    engine: Engine,
    tables: Tables,
    runtime_api: RuntimeApi,
    _function: Function,
}

impl Deployment {
    async fn start() -> Self {
        let engine = Engine::embedded(None).expect("an engine");
        let template = repository().join("template.yaml");
        let tables = engine.create_tables(&template, "").await.expect("tables");
        let runtime_api = RuntimeApi::start().await.expect("a port");
        let environment = [runtime_api.environment(), tables.environment(&engine)].concat();
        let function = Function::start(&function_program(), &environment, |_| {}).expect("the function");
        Self {
            engine,
            tables,
            runtime_api,
            _function: function,
        }
    }

    async fn keys(&self, arguments: &[&str]) -> Output {
        self.keys_reading("", arguments).await
    }

    async fn keys_reading(&self, input: &str, arguments: &[&str]) -> Output {
        let endpoint = ["--endpoint-url", &self.engine.url];
        keys(input, &[], &[&endpoint, arguments].concat()).await
    }

    /// What the tool prints as JSON.
    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.keys(&[arguments, &["--json"]].concat()).await;
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// A proxy in front of the engine.
    async fn proxy(&self) -> Proxy {
        Proxy::start(&self.engine.url).await.expect("a port")
    }

    /// Stores an item of another writer's.
    async fn put(&self, table: &str, item: &[(&str, AttributeValue)]) {
        let item = item.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let put = self.engine.client().put_item().table_name(table);
        put.set_item(Some(item.collect())).send().await.expect("stored");
    }

    /// A tenant and its workspace.
    async fn tenant(&self) -> (String, String) {
        let tenant = string(&self.json(&["tenant", "new"]).await["tenantId"]);
        let workspace = self.json(&["workspace", "add", "--tenant", &tenant]).await;
        (tenant, string(&workspace["workspaceId"]))
    }

    /// The status of a request for a contact.
    async fn request(&self, key: &str, workspace: &str) -> u64 {
        let contact = json!({ "workspaceId": workspace, "name": "Henrik Larsen", "email": "henrik@acme-customer.de" });
        let event = json!({
            "version": "2.0",
            "rawPath": "/api/contacts",
            "headers": { "authorization": format!("Bearer {key}"), "content-type": "application/json" },
            "requestContext": {
                "http": { "method": "POST", "path": "/api/contacts" },
                "requestId": "of-api-gateway",
                "stage": "$default",
            },
            "body": contact.to_string(),
            "isBase64Encoded": false,
        });
        match self.runtime_api.invoke(&event.to_string()).await {
            Outcome::Response(answer) => answer["statusCode"].as_u64().expect("a status"),
            Outcome::Error(error) => panic!("{error}"),
        }
    }
}

/// The tool with this environment and no other.
fn command(environment: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keys"));
    command
        .args(arguments)
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

/// Runs the tool to its end.
async fn keys(input: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    run(input, command(environment, arguments)).await
}

async fn run(input: &str, mut command: Command) -> Output {
    let mut child = command.spawn().expect("the tool");
    let mut stdin = child.stdin.take().expect("its standard input");
    // The tool may end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    // Longer than any command takes, so that one without an end fails its test.
    timeout(Duration::from_mins(2), child.wait_with_output())
        .await
        .expect("a command ends by itself")
        .expect("the tool's output")
}

fn done(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// One line on standard error, nothing on standard output, and exit code 1.
fn refused_with(output: &Output, words: &[&str]) {
    ended_with(1, output, words);
}

fn ended_with(code: i32, output: &Output, words: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert_eq!(stdout(output), "");
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    for word in words {
        assert!(message.contains(word), "{word} in {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_key_works_and_a_revoked_one_fails_with_the_very_next_request() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let issued = deployment.json(&["issue", "--tenant", &tenant]).await;
    let (by_hash, hash) = (string(&issued["key"]), string(&issued["keyHash"]));
    let issued = deployment
        .json(&["issue", "--tenant", &tenant, "--test", "--expires", "90d"])
        .await;
    let by_key = string(&issued["key"]);
    assert!(by_hash.starts_with("sf_live_v1_") && by_key.starts_with("sf_test_v1_"));
    assert_eq!(deployment.request(&by_hash, &workspace).await, 201);
    assert_eq!(deployment.request(&by_key, &workspace).await, 200);

    let output = deployment.keys(&["revoke", &hash[..8]]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).starts_with("Revoked: the key's next request is refused."));
    assert_eq!(deployment.request(&by_hash, &workspace).await, 401);
    assert_eq!(deployment.request(&by_key, &workspace).await, 200);

    let output = deployment
        .keys_reading(&format!("{}{by_key}\n", "-".repeat(5_000)), &["revoke"])
        .await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(deployment.request(&by_key, &workspace).await, 401);

    refused_with(
        &deployment.keys(&["revoke", &hash]).await,
        &["There is no such key", "keys list"],
    );
    assert_eq!(deployment.json(&["list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_refused_and_listed_as_expired() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let issued = deployment
        .json(&["issue", "--tenant", &tenant, "--expires", "1m"])
        .await;
    let key = string(&issued["key"]);
    assert_eq!(deployment.request(&key, &workspace).await, 201);
    // A minute and a second later, without the waiting.
    let client = deployment.engine.client();
    let stored = client
        .get_item()
        .table_name(&deployment.tables.api_keys)
        .key("keyHash", AttributeValue::S(string(&issued["keyHash"])))
        .send()
        .await
        .expect("an answer");
    let mut item = stored.item.expect("the key's item");
    let expires_at: i64 = item["expiresAt"].as_n().expect("a number").parse().expect("seconds");
    item.insert("expiresAt".to_owned(), AttributeValue::N((expires_at - 61).to_string()));
    client
        .put_item()
        .table_name(&deployment.tables.api_keys)
        .set_item(Some(item))
        .send()
        .await
        .expect("stored");
    assert_eq!(deployment.request(&key, &workspace).await, 401);
    assert!(stdout(&deployment.keys(&["list"]).await).contains("(expired)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_may_do_is_what_was_asked_for() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let other = string(&deployment.json(&["workspace", "add", "--tenant", &tenant]).await["workspaceId"]);
    let issue = ["issue", "--tenant", &tenant];
    let restricted = deployment
        .json(&[&issue[..], &["--workspace", &workspace]].concat())
        .await;
    let restricted = string(&restricted["key"]);
    assert_eq!(deployment.request(&restricted, &workspace).await, 201);
    assert_eq!(deployment.request(&restricted, &other).await, 403);
    let reader = deployment
        .json(&[&issue[..], &["--scope", "contacts:read"]].concat())
        .await;
    assert_eq!(deployment.request(&string(&reader["key"]), &workspace).await, 403);
    let both = [&issue[..], &["--scope", "contacts:read", "--scope", "contacts:write"]].concat();
    let both = deployment.json(&both).await;
    assert_eq!(deployment.request(&string(&both["key"]), &workspace).await, 200);
    assert_eq!(both["scopes"], json!(["contacts:read", "contacts:write"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_stored_nowhere() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let output = deployment.keys(&["issue", "--tenant", &tenant]).await;
    assert!(stderr(&output).contains("shown only once"), "{}", stderr(&output));
    let key = stdout(&output);
    assert!(key.starts_with("sf_live_v1_") && key.ends_with('\n'), "{key}");
    let key = key.trim_end();
    assert!(
        key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
        "the bare key: {key}"
    );
    let secret = &key["sf_live_v1_".len()..];
    let list = stdout(&deployment.keys(&["list"]).await);
    assert!(list.contains(&tenant) && list.contains("contacts:write"), "{list}");
    let as_json = deployment.json(&["list"]).await;
    let revoked = stdout(&deployment.keys_reading(key, &["revoke"]).await);
    for shown in [list, as_json.to_string(), revoked, stderr(&output)] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let fields: Vec<_> = as_json[0].as_object().expect("a key").keys().collect();
    let expected = [
        "createdAt",
        "expiresAt",
        "keyHash",
        "keyId",
        "label",
        "scopes",
        "tenantId",
        "workspaceId",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exists_is_never_overwritten_and_what_is_ambiguous_never_revoked() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let other_tenant = string(&deployment.json(&["tenant", "new"]).await["tenantId"]);
    let again = deployment
        .keys(&["workspace", "add", "--tenant", &other_tenant, &workspace])
        .await;
    refused_with(&again, &["belongs to another tenant", "nothing was changed"]);
    let workspaces = deployment.json(&["workspace", "list"]).await;
    assert_eq!(workspaces, json!([{ "workspaceId": workspace, "tenantId": tenant }]));
    let foreign = deployment
        .keys(&["issue", "--tenant", &other_tenant, "--workspace", &workspace])
        .await;
    refused_with(&foreign, &["belongs to another tenant"]);
    let unknown = deployment
        .keys(&["issue", "--tenant", &tenant, "--workspace", &other_tenant])
        .await;
    refused_with(&unknown, &["There is no workspace", "keys workspace add"]);
    assert_eq!(deployment.json(&["list"]).await, json!([]));

    for end in ["1", "2"] {
        let hash = AttributeValue::S(format!("{}{end}", "a".repeat(63)));
        let item = [("keyHash", hash), ("tenantId", AttributeValue::S(tenant.clone()))];
        deployment.put(&deployment.tables.api_keys, &item).await;
    }
    refused_with(
        &deployment.keys(&["revoke", "aaaaaaaa"]).await,
        &["2 keys", "nothing was revoked"],
    );
    assert_eq!(deployment.json(&["list"]).await.as_array().map(Vec::len), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_on_the_command_line_is_refused_without_being_repeated() {
    let deployment = Deployment::start().await;
    let key = "sf_live_v1_OnTheCommandLineOnTheCommandLine";
    let output = deployment.keys(&["revoke", key]).await;
    ended_with(2, &output, &["standard input", "history"]);
    assert!(!stderr(&output).contains(key));
    // Wherever the key is in the command line, and whatever else is wrong with it.
    for arguments in [
        &[key][..],
        &["list", key],
        &["revoke", "key_abcdefghijklmnop", key],
        &["issue", "--label", key],
        &["revoke", "sf_test_v1_TooShort"],
        &[&format!("--endpoint-url={key}"), "list"],
    ] {
        let output = deployment.keys(arguments).await;
        ended_with(2, &output, &["standard input", "history"]);
        assert!(!stderr(&output).contains("OnTheCommandLine") && !stderr(&output).contains("TooShort"));
    }
    let output = deployment.keys_reading("no key", &["revoke"]).await;
    refused_with(&output, &["There is no key on standard input"]);

    // `script` makes standard error a terminal. There the key is asked for, but only if it isn't piped in.
    for (pipe, is_asked_for) in [("", true), ("echo no key | ", false)] {
        let command = format!("{pipe}'{}' revoke", env!("CARGO_BIN_EXE_keys"));
        let mut script = Command::new("script");
        script
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let shown = stdout(&run("", script).await);
        assert!(shown.contains("There is no key on standard input"), "{shown}");
        assert_eq!(shown.contains("Paste the key"), is_asked_for, "{shown}");
    }
}

/// A server that gives every request the same response; the URL of it.
async fn server_that_responds(status: u16, body: String) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let status = axum::http::StatusCode::from_u16(status).expect("a status");
    let router = axum::Router::new().fallback(move || async move { (status, body) });
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

/// A server that says something as soon as a connection is open, and nothing more; the URL of it.
async fn server_that_says(words: &'static [u8]) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            // The tool may go away at any time.
            let _ = connection.write_all(words).await;
            open.push(connection);
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_refuses_becomes_a_sentence_that_says_what_to_do() {
    for (code, words) in [
        (
            "ResourceNotFoundException",
            ["There is no table ApiKeysTable", "set API_KEYS_TABLE"],
        ),
        ("AccessDeniedException", ["may not use dynamodb:Scan", "profile"]),
        ("ExpiredTokenException", ["expired", "aws sso login"]),
        (
            "UnrecognizedClientException",
            ["doesn't accept these credentials", "AWS_PROFILE"],
        ),
        (
            "ValidationException",
            ["refused Scan", "the service's own \u{fffd}[31mwords"],
        ),
    ] {
        let error = json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": "the service's own \u{1b}[31mwords" });
        let url = server_that_responds(400, error.to_string()).await;
        let output = keys("", &[("AWS_ENDPOINT_URL_DYNAMODB", &url)], &["list"]).await;
        refused_with(&output, &words);
    }
    let nowhere = keys("", &[], &["--endpoint-url", "http://127.0.0.1:1", "list"]).await;
    refused_with(&nowhere, &["can't be reached at http://127.0.0.1:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_region_or_missing_credentials_become_a_sentence() {
    refused_with(
        &keys("", &[], &["list"]).await,
        &["No AWS region is set", "AWS_PROFILE"],
    );
    let no_credentials = keys("", &[("AWS_REGION", "eu-central-1")], &["list"]).await;
    refused_with(&no_credentials, &["no AWS credentials that work", "aws sso login"]);
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-config");
    let profile = "[profile staff]\nregion = eu-central-1\nsso_start_url = https://example.com\nsso_region = eu-central-1\n\
                   sso_account_id = 123456789012\nsso_role_name = staff\n";
    std::fs::write(&config, profile).expect("a configuration");
    let config = config.to_string_lossy();
    for (profile, reason) in [("staff", "sso/cache"), ("nobody", "list-profiles")] {
        let environment = [
            ("AWS_CONFIG_FILE", config.as_ref()),
            ("AWS_PROFILE", profile),
            ("AWS_REGION", "eu-central-1"),
            ("HOME", env!("CARGO_TARGET_TMPDIR")),
        ];
        let output = keys("", &environment, &["list"]).await;
        refused_with(&output, &["no AWS credentials that work", "aws sso login", reason]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_is_exit_code_two() {
    for arguments in [
        &["issue"][..],
        &["issue", "--tenant", "acme"],
        &[
            "issue",
            "--tenant",
            "0198c1a5-6f00-7000-8000-00000000000a",
            "--expires",
            "soon",
        ],
        &["forget"],
    ] {
        assert_eq!(keys("", &[], arguments).await.status.code(), Some(2), "{arguments:?}");
    }
    // What a script leaves where the stack's output could not be read.
    let empty = keys("", &[("API_KEYS_TABLE", "")], &["list"]).await;
    assert_eq!(empty.status.code(), Some(2));
    assert!(stderr(&empty).contains("--api-keys-table"), "{}", stderr(&empty));
    let help = keys("", &[], &["--help"]).await;
    assert!(help.status.success() && stdout(&help).contains("keys workspace add --tenant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_response_was_lost_is_reported_as_what_it_was() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let proxy = deployment.proxy().await;
    let through_proxy = ["--endpoint-url", &proxy.url, "--json"];
    let new_workspace = string(&deployment.json(&["tenant", "new"]).await["tenantId"]);
    for (fault, at) in [(Fault::ResetAfter, "reset"), (Fault::Cut, "cut")] {
        let first = move |operation: &'static str| {
            let broken = AtomicBool::new(false);
            move |_, call: &Call| {
                let is_first = call.operation == operation && !broken.swap(true, Ordering::Relaxed);
                is_first.then_some(fault)
            }
        };
        proxy.plan(first("PutItem"));
        let issue = [&through_proxy[..], &["issue", "--tenant", &tenant]].concat();
        let issued = keys("", &[], &issue).await;
        done(&issued);
        assert_eq!(proxy.operations(), ["Scan", "PutItem", "PutItem"], "{at}");
        let issued: Value = serde_json::from_slice(&issued.stdout).expect("JSON");
        let status = deployment.request(&string(&issued["key"]), &workspace).await;
        assert!(matches!(status, 200 | 201), "{at}: {status}");

        for name in ["keyId", "keyHash"] {
            let key = deployment.json(&["issue", "--tenant", &tenant]).await;
            proxy.plan(first("DeleteItem"));
            let revoked = [&through_proxy[..], &["revoke", key[name].as_str().expect("a name")]].concat();
            done(&keys("", &[], &revoked).await);
            assert_eq!(proxy.operations()[1..], ["DeleteItem", "DeleteItem", "Scan"], "{at}");
            assert_eq!(deployment.request(&string(&key["key"]), &workspace).await, 401, "{at}");
        }

        proxy.plan(first("PutItem"));
        let add = ["workspace", "add", "--tenant", &tenant, &new_workspace];
        done(&keys("", &[], &[&through_proxy[..], &add].concat()).await);
        assert_eq!(proxy.operations(), ["PutItem", "PutItem"], "{at}");
    }
    let workspaces = deployment.json(&["workspace", "list"]).await;
    assert!(
        workspaces
            .as_array()
            .expect("a list")
            .contains(&json!({ "workspaceId": new_workspace, "tenantId": tenant }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_response_or_another_keys_item_revokes_and_adds_nothing() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let key = deployment.json(&["issue", "--tenant", &tenant]).await;
    let (id, hash) = (string(&key["keyId"]), string(&key["keyHash"]));
    let proxy = deployment.proxy().await;
    let through_proxy = ["--endpoint-url", &proxy.url];
    let other = r#"{"Attributes": {"keyHash": {"S": "another"}}, "Item": {"keyHash": {"S": "another"}}}"#;
    for (operation, response, name, words) in [
        ("DeleteItem", "", &id, "was not revoked"),
        ("DeleteItem", "{}", &hash, "was not revoked"),
        ("DeleteItem", other, &id, "isn't DynamoDB"),
        ("GetItem", other, &hash, "isn't DynamoDB"),
    ] {
        proxy.plan(move |_, call| (call.operation == operation).then_some(Fault::Body(200, response)));
        let output = keys("", &[], &[&through_proxy[..], &["revoke", name]].concat()).await;
        refused_with(&output, &[words]);
        assert_eq!(deployment.json(&["list"]).await.as_array().map(Vec::len), Some(1));
    }
    // Everything is empty from the delete on.
    proxy.plan(|before, _| (before > 0).then_some(Fault::Body(200, "")));
    let output = keys("", &[], &[&through_proxy[..], &["revoke", &id]].concat()).await;
    refused_with(&output, &["isn't DynamoDB"]);
    let add = ["workspace", "add", "--tenant", &tenant];
    let workspace = json!({"Item": {"workspaceId": {"S": &tenant}, "tenantId": {"S": &tenant}}}).to_string();
    let workspace: &str = workspace.leak();
    for response in ["", workspace] {
        proxy.plan(move |_, _| Some(Fault::Body(200, response)));
        let output = keys("", &[], &[&through_proxy[..], &add].concat()).await;
        refused_with(&output, &["isn't DynamoDB"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_an_expiry_is_said_to_never_expire() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let issue = ["issue", "--tenant", &tenant];
    let forever = deployment.keys(&issue).await;
    assert!(stderr(&forever).contains("It never expires: --expires sets a time."));
    let limited = deployment.keys(&[&issue[..], &["--expires", "90d"]].concat()).await;
    assert!(!stderr(&limited).contains("never expires"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_the_tenant_has_already_is_added_again_without_a_change() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let add = ["workspace", "add", "--tenant", &tenant, &workspace];
    let again = deployment.keys(&add).await;
    done(&again);
    assert!(stderr(&again).contains("already"), "{}", stderr(&again));
    assert!(stdout(&again).contains(&workspace));
    assert_eq!(
        deployment.json(&add).await,
        json!({ "workspaceId": workspace, "tenantId": tenant })
    );
    assert_eq!(
        deployment.json(&["workspace", "list"]).await.as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_storing_can_not_be_confirmed_is_deleted_again_or_named() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let proxy = deployment.proxy().await;
    let issue = ["--endpoint-url", &proxy.url, "issue", "--tenant", &tenant];
    for fault in [Fault::ResetAfter, Fault::Cut, Fault::NotJson] {
        proxy.plan(move |_, call| (call.operation == "PutItem").then_some(fault));
        refused_with(&keys("", &[], &issue).await, &["deleted again", "nothing was issued"]);
        assert_eq!(deployment.json(&["list"]).await, json!([]), "{fault:?}");
    }
    proxy.plan(|_, call| match call.operation.as_str() {
        "PutItem" => Some(Fault::ResetAfter),
        "DeleteItem" => Some(Fault::Bare500),
        _ => None,
    });
    let output = keys("", &[], &issue).await;
    let left = deployment.json(&["list"]).await;
    let revoke = format!("keys revoke {}", string(&left[0]["keyId"]));
    refused_with(&output, &["nobody has it", &revoke]);

    // What DynamoDB refused with a reason was not stored: no second call.
    proxy.plan(|_, call| (call.operation == "PutItem").then_some(Fault::Error(400, "AccessDeniedException")));
    let output = keys("", &[], &issue).await;
    refused_with(&output, &["may not use dynamodb:PutItem"]);
    assert_eq!(proxy.operations(), ["Scan", "PutItem"]);

    proxy.plan(|_, call| (call.operation == "DeleteItem").then_some(Fault::ResetAfter));
    let revoke = [
        "--endpoint-url",
        &proxy.url,
        "revoke",
        left[0]["keyId"].as_str().expect("an id"),
    ];
    refused_with(
        &keys("", &[], &revoke).await,
        &["may or may not", "run the command again"],
    );

    proxy.plan(|_, call| (call.operation == "PutItem").then_some(Fault::ResetBefore));
    let add = ["--endpoint-url", &proxy.url, "workspace", "add", "--tenant", &tenant];
    let output = keys("", &[], &add).await;
    refused_with(
        &output,
        &["may or may not", &format!("keys workspace add --tenant {tenant} ")],
    );
    assert!(!stderr(&output).contains(&workspace), "the id that it would have had");
}

/// A file to which every write fails, because there is no space.
fn full() -> Stdio {
    let device = OpenOptions::new().write(true).open("/dev/full");
    device.expect("a device that is always full").into()
}

/// A pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_can_not_be_printed_is_deleted_again_or_named() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let proxy = deployment.proxy().await;
    let issue = ["--endpoint-url", &proxy.url, "issue", "--tenant", &tenant];
    let issue_into = async |output: Stdio, more: &[&str]| {
        let mut command = command(&[], &[&issue[..], more].concat());
        command.stdout(output);
        run("", command).await
    };
    for (output, more) in [
        (full(), &[][..]),
        (full(), &["--json"]),
        (closed_pipe(), &[]),
        (closed_pipe(), &["--json"]),
    ] {
        let output = issue_into(output, more).await;
        refused_with(&output, &["Standard output can't be written", "deleted again"]);
        assert_eq!(proxy.operations(), ["Scan", "PutItem", "DeleteItem"]);
        proxy.plan(|_, _| None);
    }
    refused_with(
        &issue_into(Stdio::null(), &[]).await,
        &["/dev/null", "nothing was issued"],
    );
    assert_eq!(deployment.json(&["list"]).await, json!([]));

    proxy.plan(|_, call| (call.operation == "DeleteItem").then_some(Fault::Bare500));
    let output = issue_into(full(), &[]).await;
    let left = deployment.json(&["list"]).await;
    let revoke = format!("keys revoke {}", string(&left[0]["keyId"]));
    refused_with(&output, &["Standard output can't be written", "nobody has it", &revoke]);

    // A note on standard error may be lost, as long as the key was printed.
    proxy.plan(|_, _| None);
    let mut command = command(&[], &issue);
    command.stderr(full());
    let issued = run("", command).await;
    assert!(issued.status.success());
    assert!(stdout(&issued).starts_with("sf_live_v1_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_issue_leaves_no_key() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let proxy = deployment.proxy().await;
    // The first attempt is applied and gets no response, so that there is time for Ctrl-C.
    proxy.plan(|before, call| (before == 1 && call.operation == "PutItem").then_some(Fault::HangAfter));
    let issue = command(&[], &["--endpoint-url", &proxy.url, "issue", "--tenant", &tenant])
        .spawn()
        .expect("the tool");
    proxy.wait_for_calls(2).await;
    let id = issue.id().expect("it runs").to_string();
    let interrupted = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(interrupted.expect("kill").success());
    let output = issue.wait_with_output().await.expect("it ends");
    refused_with(&output, &["Interrupted", "deleted again"]);
    assert_eq!(deployment.json(&["list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_ends_by_itself_when_the_endpoint_never_responds() {
    let url = server_that_says(b"").await;
    let id = "0198c1a5-6f00-7000-8000-00000000000a";
    let hash = "a".repeat(64);
    let commands = [
        &["list"][..],
        &["issue", "--tenant", id],
        &["issue", "--tenant", id, "--workspace", id],
        &["revoke", "5e884898"],
        &["revoke", "key_abcdefghijklmnop"],
        &["revoke", &hash],
        &["workspace", "add", "--tenant", id],
        &["workspace", "list"],
    ];
    let environment = [("AWS_ENDPOINT_URL_DYNAMODB", url.as_str())];
    let all_at_once = commands.map(|arguments| keys("", &environment, arguments));
    for output in join_all(all_at_once).await {
        refused_with(&output, &["didn't respond", "within 7 seconds"]);
    }
    let help = stdout(&keys("", &[], &["--help"]).await);
    assert!(
        help.contains("within 7 seconds") && help.contains("within 30 seconds"),
        "{help}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_falls_silent_while_a_key_is_stored_gets_the_key_named() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let proxy = deployment.proxy().await;
    proxy.plan(|_, call| (call.operation != "Scan").then_some(Fault::HangAfter));
    let issue = ["--endpoint-url", &proxy.url, "issue", "--tenant", &tenant];
    refused_with(
        &keys("", &[], &issue).await,
        &["didn't respond to PutItem", "nobody has it", "keys revoke key_"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_and_a_key_id_name_a_key_to_people() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let issue = ["issue", "--tenant", &tenant, "--label"];
    let issued = deployment.json(&[&issue[..], &["CRM import, Zürich"]].concat()).await;
    assert_eq!(issued["label"], "CRM import, Zürich");
    let id = string(&issued["keyId"]);
    let random = id.strip_prefix("key_").expect("a key id");
    assert!(random.len() == 16 && random.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')));
    let created = string(&issued["createdAt"]);
    assert!(
        created.ends_with('Z') && created.len() == "2026-02-10T14:30:00.000Z".len(),
        "{created}"
    );
    let stored = deployment.json(&["list"]).await[0].clone();
    for name in ["keyId", "label", "createdAt"] {
        assert_eq!(stored[name], issued[name]);
    }
    let list = stdout(&deployment.keys(&["list"]).await);
    for shown in [&id, "CRM import, Zürich", &created[..10], "never"] {
        assert!(list.contains(shown), "{shown} in {list}");
    }
    let key = string(&issued["key"]);
    assert_eq!(deployment.request(&key, &workspace).await, 201);
    done(&deployment.keys(&["revoke", &id]).await);
    assert_eq!(deployment.request(&key, &workspace).await, 401);
    refused_with(&deployment.keys(&["revoke", &id]).await, &["There is no such key"]);

    for label in ["", " ", "a\nb", "a\u{1b}[2J", &"x".repeat(101)] {
        let output = deployment.keys(&[&issue[..], &[label]].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{label:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoke_takes_whatever_issue_printed() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    for more in [&[][..], &["--json"]] {
        for with_prose in [false, true] {
            let issued = deployment.keys(&[&["issue", "--tenant", &tenant], more].concat()).await;
            done(&issued);
            let printed = if with_prose {
                format!(
                    "Here it is:
{}{}",
                    stderr(&issued),
                    stdout(&issued)
                )
            } else {
                stdout(&issued)
            };
            done(&deployment.keys_reading(&printed, &["revoke"]).await);
            assert_eq!(deployment.json(&["list"]).await, json!([]), "{printed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_tenant_without_a_workspace_is_issued_with_a_warning() {
    let deployment = Deployment::start().await;
    let (tenant, _) = deployment.tenant().await;
    let with = deployment.keys(&["issue", "--tenant", &tenant]).await;
    assert!(!stderr(&with).contains("Warning"), "{}", stderr(&with));
    let other = string(&deployment.json(&["tenant", "new"]).await["tenantId"]);
    let without = deployment.keys(&["issue", "--tenant", &other]).await;
    done(&without);
    let warning = stderr(&without);
    for words in [
        "Warning",
        "no workspace",
        &format!("keys workspace add --tenant {other}"),
    ] {
        assert!(warning.contains(words), "{warning}");
    }
    assert_eq!(stdout(&without).lines().count(), 1, "the bare key");

    let workspace = "0198c1a5-6f00-7000-8000-00000000000b";
    let item = [
        ("workspaceId", AttributeValue::S(workspace.to_owned())),
        ("tenantId", AttributeValue::S(other.to_uppercase())),
    ];
    deployment.put(&deployment.tables.workspaces, &item).await;
    let with = deployment.keys(&["issue", "--tenant", &other]).await;
    assert!(!stderr(&with).contains("Warning"), "an id is the same in any case");
    done(
        &deployment
            .keys(&["issue", "--tenant", &other, "--workspace", workspace])
            .await,
    );

    // An operator who may see keys only.
    let proxy = deployment.proxy().await;
    proxy.plan(|_, call| (call.operation == "Scan").then_some(Fault::Error(400, "AccessDeniedException")));
    let issue = ["--endpoint-url", &proxy.url, "issue", "--tenant", &other];
    let unchecked = keys("", &[], &issue).await;
    done(&unchecked);
    assert!(
        stderr(&unchecked).contains("could not be checked"),
        "{}",
        stderr(&unchecked)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_not_dynamodb_is_told_so() {
    let html = || "<html>It works!</html>".to_owned();
    let service = || json!({ "error": "There is nothing at this path." }).to_string();
    for (status, body) in [
        (200, html()),
        (404, html()),
        (405, String::new()),
        (404, service()),
        (200, "{}".to_owned()),
        (400, json!({ "__type": "UnknownOperationException" }).to_string()),
    ] {
        let url = server_that_responds(status, body.clone()).await;
        let output = keys("", &[], &["--endpoint-url", &url, "list"]).await;
        refused_with(&output, &[&format!("What responds at {url} isn't DynamoDB")]);
    }
    let url = server_that_says(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let output = keys("", &[], &["--endpoint-url", &url, "list"]).await;
    refused_with(&output, &[&format!("What responds at {url} isn't DynamoDB")]);
    let output = keys("", &[], &["--endpoint-url", "localhost:8000", "list"]).await;
    refused_with(&output, &["isn't a URL such as http://127.0.0.1:8000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_is_the_options_then_dynamodbs_variable_then_the_general_one() {
    let deployment = Deployment::start().await;
    let right = deployment.engine.url.as_str();
    let wrong = "http://127.0.0.1:1";
    // No credentials anywhere: each of these counts as this machine.
    for (environment, arguments) in [
        (&[("AWS_ENDPOINT_URL", right)][..], &["list"][..]),
        (
            &[("AWS_ENDPOINT_URL", right), ("AWS_ENDPOINT_URL_DYNAMODB", "")],
            &["list"],
        ),
        (
            &[("AWS_ENDPOINT_URL", wrong), ("AWS_ENDPOINT_URL_DYNAMODB", right)],
            &["list"],
        ),
        (
            &[("AWS_ENDPOINT_URL", wrong), ("AWS_ENDPOINT_URL_DYNAMODB", wrong)],
            &["--endpoint-url", right, "list"],
        ),
    ] {
        let output = keys("", environment, arguments).await;
        assert!(output.status.success(), "{environment:?}: {}", stderr(&output));
    }
    let output = keys("", &[("AWS_ENDPOINT_URL", wrong)], &["list"]).await;
    refused_with(&output, &["can't be reached at http://127.0.0.1:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_other_writers_are_listed_as_they_are_and_can_be_revoked() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let old_key = "sf_live_v1_MadeBeforeKeysHadIdsOrLabels";
    let old_hash = create_contact::api_key::KeyHash::of(old_key.as_bytes()).expect("a key");
    let old_hash = old_hash.as_str();
    let old = [
        ("keyHash", text(old_hash)),
        ("tenantId", text(&tenant)),
        ("scopes", AttributeValue::Ss(vec!["contacts:write".to_owned()])),
    ];
    deployment.put(&deployment.tables.api_keys, &old).await;
    assert_eq!(deployment.request(old_key, &workspace).await, 201);
    let foreign = "f".repeat(64);
    let foreign_item = [
        ("keyHash", text(&foreign)),
        ("tenantId", text(&tenant)),
        ("expiresAt", text("tomorrow")),
        ("workspaceId", AttributeValue::Null(true)),
        ("scopes", text("contacts:write")),
        ("createdAt", text("yesterday")),
        ("label", text("one\ntwo\u{1b}[2J\u{9b}\u{202e}")),
    ];
    deployment.put(&deployment.tables.api_keys, &foreign_item).await;

    let as_json = deployment.json(&["list"]).await;
    let of = |hash: &str| {
        let keys = as_json.as_array().expect("a list").iter();
        keys.clone().find(|key| key["keyHash"] == hash).expect("listed").clone()
    };
    let listed = of(old_hash);
    for name in ["keyId", "label", "createdAt", "expiresAt", "workspaceId"] {
        assert_eq!(listed[name], Value::Null, "{name}");
    }
    for name in ["expiresAt", "workspaceId", "scopes"] {
        assert_eq!(of(&foreign)[name], "unreadable", "{name}");
    }
    let list = stdout(&deployment.keys(&["list"]).await);
    let line = |hash: &str| list.lines().find(|line| line.contains(&hash[..8])).expect("a line");
    assert!(
        line(old_hash).contains("never") && line(old_hash).contains("all"),
        "{list}"
    );
    assert_eq!(line(&foreign).matches("unreadable").count(), 4, "{list}");
    assert!(
        line(&foreign).contains("one\u{fffd}two\u{fffd}[2J\u{fffd}\u{fffd}"),
        "{list}"
    );
    let raw = deployment.keys(&["list", "--json"]).await.stdout;
    assert!(!String::from_utf8_lossy(&raw).contains(['\u{1b}', '\u{9b}', '\u{202e}']));

    done(&deployment.keys(&["revoke", &foreign[..8]]).await);
    done(&deployment.keys_reading(old_key, &["revoke"]).await);
    assert_eq!(deployment.request(old_key, &workspace).await, 401);
}
