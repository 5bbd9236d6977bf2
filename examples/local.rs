//! The service on this machine: `cargo run --example local`.
//!
//! It consists of an embedded DynamoDB with the tables of `template.yaml`, the function as a process of its own behind a Runtime
//! API, and a stand-in for API Gateway. The function is this program, started again with `AWS_LAMBDA_RUNTIME_API` set. Then it
//! does nothing but [`create_contact::run`], like the deployed binary.
//!
//! The start page shows `openapi.yaml` with Swagger UI. Its assets come from a crate, so nothing is loaded from the internet.

use std::{
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
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{Response, StatusCode},
    response::Html,
    routing::get,
};
use clap::Parser;
use harness::{
    engine::Engine,
    fixture::{self, DEMO_KEY, DEMO_TENANT, DEMO_WORKSPACES},
    function::Function,
    gateway,
    runtime_api::RuntimeApi,
};
use swagger_ui_dist::{ApiDefinition, OpenApiSource};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

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
            "can't listen on port {}: {error}. --port 0 picks a free port.",
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
    fixture::put_demo(&engine.client(), &tables).await;

    let runtime_api = RuntimeApi::start().await.map_err(|error| error.to_string())?;
    let environment = [runtime_api.environment(), tables.environment(&engine)].concat();
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let function = Function::start(&program, &environment, |line| {
        // Only the log entries of failures are printed. For each request, this program prints its own, shorter line.
        if line.contains(r#""level":"ERROR""#) {
            eprintln!("{line}");
        }
    })
    .map_err(|error| format!("can't start the function: {error}"))?;

    let mut function_end = function.end();
    announce(address, &engine);
    let router = Router::new()
        .fallback(respond)
        .with_state(Arc::new(runtime_api))
        .merge(start_page())
        .into_make_service_with_connect_info::<SocketAddr>();
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.map_err(|error| error.to_string()),
        status = function_end.status() => Err(format!("the function ended: {status}")),
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

API reference, with a form to try it out: http://{address}/

Press Ctrl-C to stop.
",
        engine.url, DEMO_WORKSPACES[0], DEMO_WORKSPACES[1], DEMO_WORKSPACES[0]
    );
}

/// `openapi.yaml` as a page, with a form that has the demo key.
fn start_page() -> Router {
    let page = Html(include_str!("local.html").replace("DEMO_KEY", DEMO_KEY));
    let definition = OpenApiSource::InlineWithName {
        definition: include_str!("../openapi.yaml"),
        uri: "/openapi.yaml",
    };
    let swagger_ui = swagger_ui_dist::generate_routes(ApiDefinition {
        uri_prefix: "/swagger-ui",
        api_definition: definition,
        title: None,
    });
    swagger_ui.route("/", get(page))
}

async fn respond(
    State(runtime_api): State<Arc<RuntimeApi>>,
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
    let response = gateway::handle(&runtime_api, client, &parts.method, &parts.uri, &parts.headers, body).await;
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
