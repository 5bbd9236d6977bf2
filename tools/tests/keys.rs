//! The keys tool against the embedded engine, and its keys against the function.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{
    engine::{Engine, Tables},
    function::Function,
    runtime_api::{Outcome, RuntimeApi},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

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

/// Runs the tool with this environment and no other.
async fn keys(input: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keys"))
        .args(arguments)
        .env_clear()
        // No home: no profile of whoever runs the tests. No instance metadata: there is nobody to answer.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool");
    let mut stdin = child.stdin.take().expect("its standard input");
    // The tool may end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    child.wait_with_output().await.expect("the tool ends")
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
    let sentence = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{sentence}");
    assert_eq!(stdout(output), "");
    assert_eq!(sentence.trim_end().lines().count(), 1, "{sentence}");
    for word in words {
        assert!(sentence.contains(word), "{word} in {sentence}");
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
    assert_eq!(deployment.request(&by_hash, &workspace).await, 401);
    assert_eq!(deployment.request(&by_key, &workspace).await, 200);

    let output = deployment.keys_reading(&format!("{by_key}\n"), &["revoke"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(deployment.request(&by_key, &workspace).await, 401);

    refused_with(
        &deployment.keys(&["revoke", &hash]).await,
        &["There is no key", "keys list"],
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
    let output = stdout(&deployment.keys(&["issue", "--tenant", &tenant]).await);
    let key = output.lines().next().expect("the key");
    assert!(key.starts_with("sf_live_v1_"), "{output}");
    assert!(output.contains("the only time that the key is shown"), "{output}");
    let secret = &key["sf_live_v1_".len()..];
    let list = stdout(&deployment.keys(&["list"]).await);
    assert!(list.contains(&tenant) && list.contains("contacts:write"), "{list}");
    let as_json = deployment.json(&["list"]).await;
    let revoked = stdout(&deployment.keys_reading(key, &["revoke"]).await);
    for shown in [list, as_json.to_string(), revoked] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let fields: Vec<_> = as_json[0].as_object().expect("a key").keys().collect();
    assert_eq!(fields, ["expiresAt", "keyHash", "scopes", "tenantId", "workspaceId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exists_is_never_overwritten_and_what_is_ambiguous_never_revoked() {
    let deployment = Deployment::start().await;
    let (tenant, workspace) = deployment.tenant().await;
    let other_tenant = string(&deployment.json(&["tenant", "new"]).await["tenantId"]);
    let again = deployment
        .keys(&["workspace", "add", "--tenant", &other_tenant, &workspace])
        .await;
    refused_with(&again, &["exists already", "nothing was changed"]);
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
        deployment
            .engine
            .client()
            .put_item()
            .table_name(&deployment.tables.api_keys)
            .item("keyHash", AttributeValue::S(format!("{}{end}", "a".repeat(63))))
            .item("tenantId", AttributeValue::S(tenant.clone()))
            .send()
            .await
            .expect("stored");
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
    refused_with(&output, &["standard input", "history"]);
    assert!(!stderr(&output).contains(key));
    let output = deployment.keys_reading("no key", &["revoke"]).await;
    refused_with(&output, &["There is no key on standard input"]);
}

/// An engine that gives every request the same answer.
async fn engine_that_answers(code: &'static str) -> Engine {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(move || async move {
        let error =
            json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": "the service's own words" });
        (axum::http::StatusCode::BAD_REQUEST, error.to_string())
    });
    tokio::spawn(async { axum::serve(listener, router).await });
    Engine::at(&url)
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
            ["doesn't know these credentials", "AWS_PROFILE"],
        ),
        ("ValidationException", ["refused Scan", "the service's own words"]),
    ] {
        let engine = engine_that_answers(code).await;
        let output = keys("", &[("AWS_ENDPOINT_URL_DYNAMODB", &engine.url)], &["list"]).await;
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
