//! The service on this machine: `cargo run --example local`.
//!
//! An embedded DynamoDB with the template's tables, the deployed function as a process of its own behind a Runtime API, and
//! API Gateway's part in front of it. The function is this very program, started again with `AWS_LAMBDA_RUNTIME_API` set:
//! then it does nothing but [`create_contact::run`], as the deployed binary does.
//!
//! Its start page is `openapi.yaml` as Swagger UI shows it, from the assets of a crate: nothing comes from the internet.

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

const USAGE: &str = "\
Runs create-contact on this machine, on an embedded DynamoDB.

Usage: cargo run --example local -- [options]

  --port PORT        where to listen; 0 picks a free port (3000)
  --data FILE        keep the database in this file (in memory)
  --dynamodb URL     use the DynamoDB at this URL, DynamoDB Local for instance (embedded)
  --help             this page
";

fn main() -> ExitCode {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        return create_contact::run();
    }
    let options = match Options::parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Options {
    port: u16,
    data: Option<PathBuf>,
    dynamodb: Option<String>,
}

impl Options {
    /// `None` asks for help.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self {
            port: 3000,
            data: None,
            dynamodb: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--port" => {
                    options.port = value()?.parse().map_err(|_| "--port takes a number from 0 to 65535")?;
                }
                "--data" => options.data = Some(value()?.into()),
                "--dynamodb" => options.dynamodb = Some(value()?),
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("there is no option {argument}")),
            }
        }
        if options.data.is_some() && options.dynamodb.is_some() {
            return Err(
                "--data is for the embedded database; with --dynamodb the other engine keeps the data".to_owned(),
            );
        }
        Ok(Some(options))
    }
}

#[tokio::main]
async fn serve(options: Options) -> Result<(), String> {
    // Everything that can be refused is asked for before anything is written.
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await.map_err(|error| {
        format!(
            "port {} can't be had: {error}. --port 0 picks a free one.",
            options.port
        )
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Held until the end.
    let _lock = options.data.as_deref().map(lock).transpose()?;
    let engine = match (&options.dynamodb, &options.data) {
        (Some(url), _) => Engine::at(url),
        (None, data) => Engine::embedded(data.as_deref()).map_err(|error| match data {
            Some(path) => format!("{} can't be used as a database: {error}", path.display()),
            None => format!("the embedded database can't start: {error}"),
        })?,
    };
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    let tables = engine.create_tables(&template, "").await?;
    fixture::put_demo(&engine.client(), &tables).await;

    let runtime_api = RuntimeApi::start().await.map_err(|error| error.to_string())?;
    let environment = [runtime_api.environment(), tables.environment(&engine)].concat();
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let function = Function::start(&program, &environment, |line| {
        // The function's own line of a request that failed on our side; the rest is said here in fewer words.
        if line.contains(r#""level":"ERROR""#) {
            eprintln!("{line}");
        }
    })
    .map_err(|error| format!("the function can't start: {error}"))?;

    let mut function_end = function.end();
    announce(address, &engine);
    let router = Router::new()
        .fallback(answer)
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

/// Keeps a second run off the file: each would not see what the other has in memory.
fn lock(data: &Path) -> Result<File, String> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(data)
        .map_err(|error| format!("{} can't be opened: {error}", data.display()))?;
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

The reference, with a form to try it: http://{address}/

Ctrl-C ends it.
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

async fn answer(
    State(runtime_api): State<Arc<RuntimeApi>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    // One byte more than API Gateway takes is enough to know.
    let body = match to_bytes(body, gateway::MAX_BODY_BYTES + 1).await {
        Ok(body) => body,
        Err(_) => Bytes::from(vec![0; gateway::MAX_BODY_BYTES + 1]),
    };
    let response = gateway::handle(&runtime_api, client, &parts.method, &parts.uri, &parts.headers, body).await;
    let status: StatusCode = response.status();
    // The path could hold anything that somebody typed.
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
