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

use axum::{
    Router,
    extract::{Request, State},
    response::{
        Html, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use clap::Parser;
use futures_util::stream::{self, Stream};
use harness::{
    engine::{Engine, Tables},
    fixture::{self, DEMO_KEY, DEMO_TENANT, DEMO_WORKSPACES, Item},
    function::Function,
    gateway,
    runtime_api::RuntimeApi,
};
use serde_json::json;
use swagger_ui_dist::{ApiDefinition, OpenApiSource};
use tokio::{net::TcpListener, sync::watch};

/// How many contacts the start page shows.
const SHOWN: usize = 50;

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
    let io_error = |error: std::io::Error| error.to_string();
    // Everything that can fail is done before anything is printed.
    let port = options.port;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        format!("can't listen on port {port}: {error}. To use a free port: cargo run --example local -- --port 0")
    })?;
    let address = listener.local_addr().map_err(io_error)?;
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

    let runtime_api = RuntimeApi::start().await.map_err(io_error)?;
    let environment = [runtime_api.environment(), tables.environment(&engine)].concat();
    let program = env::current_exe().map_err(io_error)?;
    // Only the log entries of failures are printed. For each request, this program prints its own, shorter line.
    let print_failure = |line: &str| {
        if line.contains(r#""level":"ERROR""#) {
            eprintln!("{line}");
        }
    };
    let function = Function::start(&program, &environment, print_failure);
    let mut function = function.map_err(|error| format!("can't start the function: {error}"))?;

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
        .merge(start_page());
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.map_err(io_error),
        status = function.wait() => Err(format!("the function ended: {}", status.map_err(io_error)?)),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Locks the file against a second run, because neither run would see what the other has in memory.
fn lock(data: &Path) -> Result<File, String> {
    let file = File::options().append(true).create(true).open(data);
    let file = file.map_err(|error| format!("can't open {}: {error}", data.display()))?;
    let locked = file.try_lock();
    locked.map_err(|_| format!("{} is in use by another run", data.display()))?;
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
    let definition = OpenApiSource::InlineWithName {
        definition: include_str!("../openapi.yaml"),
        uri: "/openapi.yaml",
    };
    let swagger_ui = swagger_ui_dist::generate_routes(ApiDefinition {
        uri_prefix: "/swagger-ui",
        api_definition: definition,
        title: None,
    });
    swagger_ui.route("/", get(Html(include_str!("local.html"))))
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
    let items: Result<Vec<Item>, _> = scan.into_paginator().items().send().try_collect().await;
    let texts = |item: Item| -> HashMap<String, String> {
        let texts = item.into_iter();
        texts
            .filter_map(|(name, value)| Some((name, value.as_s().ok()?.clone())))
            .collect()
    };
    let mut contacts: Vec<_> = items.unwrap_or_default().into_iter().map(texts).collect();
    contacts.sort_by_cached_key(|contact| Reverse(contact.get("createdAt").cloned()));
    contacts.truncate(SHOWN);
    json!(contacts).to_string()
}

async fn respond(State(local): State<Arc<Local>>, request: Request) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // Another path could contain anything, personal data too.
    let path = match request.uri().path() {
        "/api/contacts" => "/api/contacts",
        _ => "(another path)",
    };
    let response = gateway::handle(&local.runtime_api, request).await;
    local.responses.send_modify(|count| *count += 1);
    let status = response.status().as_u16();
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    println!("{method} {path} {status} {millis:.1} ms");
    response
}
