//! The service on this machine: `cargo run --example local`.
//!
//! It consists of an embedded DynamoDB with the tables of `template.yaml`, the function as a process of its own behind a Runtime
//! API, and a stand-in for API Gateway. The function is this program, started again with `AWS_LAMBDA_RUNTIME_API` set. Then it
//! does nothing but [`create_contact::run`], like the deployed binary.
//!
//! The start page shows the operation with Swagger UI, and the contacts in the tables. Its assets come from a crate, so nothing is
//! loaded from the internet.

use std::{
    cmp::Reverse,
    collections::HashMap,
    convert::Infallible,
    env,
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{Response, StatusCode},
    response::{
        Html,
        sse::{Event, Sse},
    },
    routing::get,
};
use clap::Parser;
use futures_util::stream::{self, Stream};
use harness::{
    engine::{Engine, Tables},
    fixture::{
        self, DEMO_EXPIRED_KEY, DEMO_FOREIGN_WORKSPACE, DEMO_KEY, DEMO_READ_KEY, DEMO_RESTRICTED_KEY, DEMO_TENANT,
        DEMO_WORKSPACES,
    },
    function::Function,
    gateway,
    runtime_api::RuntimeApi,
};
use serde_json::json;
use swagger_ui_dist::{ApiDefinition, OpenApiSource};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// How many contacts the start page shows.
const SHOWN: usize = 50;

/// The keys in the tables, and what each is for.
const KEYS: [(&str, &str); 4] = [
    (DEMO_KEY, "creates contacts in both workspaces"),
    (
        DEMO_RESTRICTED_KEY,
        "restricted to the second workspace: 403 for the first",
    ),
    (DEMO_READ_KEY, "lacks the scope contacts:write: 403"),
    (DEMO_EXPIRED_KEY, "has expired: 401"),
];
/// The workspaces in the tables, and what each is for.
const WORKSPACES: [(&str, &str); 3] = [
    (DEMO_WORKSPACES[0], "the first workspace"),
    (DEMO_WORKSPACES[1], "the second workspace"),
    (DEMO_FOREIGN_WORKSPACE, "belongs to another tenant: 404"),
];

/// What the requests need.
struct Local {
    runtime_api: RuntimeApi,
    client: aws_sdk_dynamodb::Client,
    tables: Tables,
    /// Changes with each response.
    responses: watch::Sender<u64>,
}

/// Runs create-contact on this machine, with an embedded DynamoDB.
#[derive(Parser)]
#[command(name = "local")]
struct Options {
    /// The port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Keep the database in this file instead of in memory
    #[arg(long, value_name = "FILE", conflicts_with = "dynamodb")]
    data: Option<PathBuf>,
    /// Use the DynamoDB at this URL, for example DynamoDB Local, instead of the embedded one
    #[arg(long, value_name = "URL")]
    dynamodb: Option<String>,
}

fn main() -> ExitCode {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        return create_contact::run();
    }
    match serve(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(options: Options) -> Result<(), String> {
    // Everything that can fail is done before anything is printed.
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
        format!(
            "can't listen on port {}: {error}. To use a free port: cargo run --example local -- --port 0",
            options.port
        )
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Held until the end.
    let _lock = options.data.as_deref().map(lock).transpose()?;
    let engine = match (&options.dynamodb, &options.data) {
        (Some(url), _) => Engine::at(url),
        (None, data) => Engine::embedded(data.as_deref()).map_err(|error| match data {
            Some(path) => format!("can't use {} as the database: {error}", path.display()),
            None => format!("can't start the embedded database: {error}"),
        })?,
    };
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let tables = engine.create_tables(&template, "").await?;
    let client = engine.client();
    fixture::put_demo(&client, &tables).await;

    let runtime_api = RuntimeApi::start().await.map_err(|error| error.to_string())?;
    let environment = [runtime_api.environment(), tables.environment(&engine)].concat();
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut function = Function::start(&program, &environment, |line| {
        // Only the log entries of failures are printed. For each request, this program prints its own, shorter line.
        if line.contains(r#""level":"ERROR""#) {
            eprintln!("{line}");
        }
    })
    .map_err(|error| format!("can't start the function: {error}"))?;

    announce(address, &engine);
    let local = Arc::new(Local {
        runtime_api,
        client,
        tables,
        responses: watch::Sender::new(0),
    });
    let router = Router::new()
        .route("/contacts", get(contacts))
        .fallback(respond)
        .with_state(local)
        .merge(start_page())
        .into_make_service_with_connect_info::<SocketAddr>();
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.map_err(|error| error.to_string()),
        status = function.wait() => Err(match status {
            Ok(status) => format!("the function ended: {status}"),
            Err(error) => error.to_string(),
        }),
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}

/// Locks the file against a second run, because neither run would see what the other has in memory.
fn lock(data: &Path) -> Result<File, String> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(data)
        .map_err(|error| format!("can't open {}: {error}", data.display()))?;
    file.try_lock()
        .map_err(|_| format!("{} is in use by another run", data.display()))?;
    Ok(file)
}

fn announce(address: SocketAddr, engine: &Engine) {
    println!(
        "create-contact listens on http://{address}

  DynamoDB    {}
  tenant      {DEMO_TENANT}
  workspaces  {}
              {}
  API key     {DEMO_KEY}

Create a contact:

curl -i http://{address}/api/contacts \\
  -H 'Authorization: Bearer {DEMO_KEY}' \\
  -H 'Content-Type: application/json' \\
  -d '{{\"workspaceId\":\"{}\",\"name\":\"Henrik Larsen\",\"email\":\"henrik@acme-customer.de\"}}'

In a browser, with a form, the contacts and the API reference: http://{address}/

Press Ctrl-C to stop.
",
        engine.url, DEMO_WORKSPACES[0], DEMO_WORKSPACES[1], DEMO_WORKSPACES[0]
    );
}

/// The operation with a form, what the tables hold, and `openapi.yaml`.
fn start_page() -> Router {
    let options = KEYS.map(|(key, what)| format!("<option value=\"{key}\">{key} ({what})</option>"));
    let seed = [&KEYS[..], &WORKSPACES[..]].concat();
    let rows = seed
        .iter()
        .map(|(value, what)| format!("<tr><td><code>{value}</code></td><td>{what}</td></tr>"));
    let page = include_str!("local.html")
        .replace("KEY_OPTIONS", &options.concat())
        .replace("SEED_ROWS", &rows.collect::<String>());
    let definition = OpenApiSource::InlineWithName {
        definition: include_str!("../openapi.yaml"),
        uri: "/openapi.yaml",
    };
    let swagger_ui = swagger_ui_dist::generate_routes(ApiDefinition {
        uri_prefix: "/swagger-ui",
        api_definition: definition,
        title: None,
    });
    swagger_ui.route("/", get(Html(page)))
}

/// The newest contacts, at once and again after each response.
async fn contacts(State(local): State<Arc<Local>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut responses = local.responses.subscribe();
    responses.mark_changed();
    Sse::new(stream::unfold((local, responses), async |(local, mut responses)| {
        responses.changed().await.ok()?;
        let event = Event::default().data(newest_contacts(&local).await);
        Some((Ok(event), (local, responses)))
    }))
}

/// JSON; empty if the table can't be read.
async fn newest_contacts(local: &Local) -> String {
    let scan = local.client.scan().table_name(&local.tables.contacts);
    let items = scan.into_paginator().items().send().try_collect().await;
    let texts = |item: HashMap<String, AttributeValue>| -> HashMap<String, String> {
        let attributes = item.into_iter();
        attributes
            .filter_map(|(name, value)| match value {
                AttributeValue::S(text) => Some((name, text)),
                _ => None,
            })
            .collect()
    };
    let mut contacts: Vec<_> = items.unwrap_or_default().into_iter().map(texts).collect();
    contacts.sort_by_cached_key(|contact| Reverse(contact.get("createdAt").cloned()));
    contacts.truncate(SHOWN);
    json!(contacts).to_string()
}

async fn respond(
    State(local): State<Arc<Local>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    // One byte more than API Gateway accepts is enough.
    let body = match to_bytes(body, gateway::MAX_BODY_BYTES + 1).await {
        Ok(body) => body,
        Err(_) => Bytes::from(vec![0; gateway::MAX_BODY_BYTES + 1]),
    };
    let response = gateway::handle(
        &local.runtime_api,
        client,
        &parts.method,
        &parts.uri,
        &parts.headers,
        body,
    )
    .await;
    local.responses.send_modify(|count| *count += 1);
    let status: StatusCode = response.status();
    // Another path could contain anything, personal data too.
    let path = if parts.uri.path() == "/api/contacts" {
        "/api/contacts"
    } else {
        "(another path)"
    };
    println!(
        "{} {path} {} {:.1} ms",
        parts.method,
        status.as_u16(),
        started.elapsed().as_secs_f64() * 1000.0
    );
    response
}
