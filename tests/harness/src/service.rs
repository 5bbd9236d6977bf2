//! The whole service for one test: tables of its own, a proxy in front of the engine, and the real binary.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use axum::http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    engine::{Engine, Tables},
    fixture::{self, Key},
    function::{End, Function},
    gateway::{self, Head},
    openapi::OpenApi,
    proxy::Proxy,
    runtime_api::{Outcome, RuntimeApi},
};

/// The variable with the URL of an engine other than the embedded one, such as DynamoDB Local.
pub const ENGINE_VARIABLE: &str = "TEST_DYNAMODB_URL";

/// The engine of all of this process's tests.
///
/// # Panics
///
/// No port is free.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| match env::var(ENGINE_VARIABLE) {
        Ok(url) => Engine::at(&url),
        Err(_) => Engine::embedded(None).expect("the embedded engine"),
    })
}

/// The repository's root, where the template is.
#[must_use]
pub fn root() -> &'static Path {
    // The harness is at tests/harness.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
}

/// The document that every response is compared with.
fn openapi() -> &'static OpenApi {
    static OPENAPI: OnceLock<OpenApi> = OnceLock::new();
    OPENAPI.get_or_init(|| OpenApi::load(&root().join("openapi.yaml")).unwrap_or_else(|error| panic!("{error}")))
}

/// A running service.
pub struct Service {
    /// A tenant with a key and a workspace.
    pub tenant_id: String,
    /// Its workspace.
    pub workspace_id: String,
    /// Its key: may create contacts, unrestricted, does not expire.
    pub key: String,
    /// The tables of this test.
    pub tables: Tables,
    /// A client of the engine that bypasses the proxy.
    pub client: Client,
    /// Between the function and the engine.
    pub proxy: Proxy,
    /// Lambda, which hands out invocations to the function's processes.
    pub runtime_api: RuntimeApi,
    environment: Vec<(String, String)>,
    binary: PathBuf,
    functions: Mutex<Vec<Function>>,
    /// How each of its processes ends, those of [`Service::process`] too.
    ends: Mutex<Vec<End>>,
}

/// The function's response to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body, byte for byte.
    pub text: String,
    /// Its body as JSON.
    pub body: Value,
}

impl Response {
    /// A header's value, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The message of a failure, or nothing.
    #[must_use]
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// Reads the function's response, in either format, and checks what the contract says about every response.
    ///
    /// # Panics
    ///
    /// Panics if it isn't one of the contract's responses.
    #[must_use]
    pub fn of(response: &Value) -> Self {
        let mut headers = BTreeMap::new();
        let mut add = |name: &str, value: &Value| {
            let value = value.as_str().expect("a header's value").to_owned();
            let before = headers.insert(name.to_ascii_lowercase(), value);
            assert_eq!(before, None, "{name} appears twice");
        };
        for (name, value) in response["headers"].as_object().into_iter().flatten() {
            add(name, value);
        }
        for (name, values) in response["multiValueHeaders"].as_object().into_iter().flatten() {
            values
                .as_array()
                .expect("a list of values")
                .iter()
                .for_each(|value| add(name, value));
        }
        assert_eq!(response["isBase64Encoded"], false, "{response}");
        let text = response["body"].as_str().expect("a body").to_owned();
        let response = Self {
            status: response["statusCode"]
                .as_u64()
                .and_then(|status| status.try_into().ok())
                .expect("a status"),
            headers,
            body: serde_json::from_str(&text).expect("a JSON body"),
            text,
        };
        let lines = response.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).expect("a header's name");
            (name, HeaderValue::try_from(value).expect("a header's value"))
        });
        if let Err(broken) = openapi().check(response.status, &lines.collect(), response.text.as_bytes()) {
            panic!("not what openapi.yaml promises: {broken}: {response:?}");
        }
        assert_eq!(response.header("content-type"), "application/json", "{response:?}");
        assert_eq!(response.header("cache-control"), "no-store", "{response:?}");
        if response.status >= 400 {
            let members: Vec<&String> = response.body.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["error"], "{response:?}");
            assert!(!response.error().is_empty(), "{response:?}");
        }
        response
    }
}

/// API Gateway's id of each [`Request::event`].
pub const API_REQUEST_ID: &str = "JKJaXmPLvHcESHA=";

/// A request as its caller sees it. [`Request::event`] turns it into API Gateway's event.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
}

impl Request {
    /// Sets a header, replacing any earlier value.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl ToString) -> Self {
        self.body = Some(body.to_string());
        self
    }

    /// The event of payload format 2.0.
    #[must_use]
    pub fn event(&self) -> Value {
        let headers = self.headers.iter();
        let mut event = gateway::event_without_body(&Head {
            method: &self.method,
            path: &self.path,
            query: "",
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().into()))
                .collect(),
            host: "api-id.execute-api.eu-central-1.amazonaws.com",
            client: "192.0.2.1",
            user_agent: "import/1.0",
            request_id: API_REQUEST_ID,
            time: 1_583_348_638_390,
        });
        event["body"] = self.body.clone().into();
        event
    }

    /// The event of payload format 1.0, as a REST API on the stage `Prod` sends it.
    #[must_use]
    pub fn rest_event(&self) -> Value {
        let headers: HashMap<&String, &String> = self.headers.iter().map(|(name, value)| (name, value)).collect();
        let lists: HashMap<&String, Vec<&String>> =
            self.headers.iter().map(|(name, value)| (name, vec![value])).collect();
        json!({
            "resource": "/api/contacts",
            "path": self.path,
            "httpMethod": self.method,
            "headers": headers,
            "multiValueHeaders": lists,
            "queryStringParameters": null,
            "multiValueQueryStringParameters": null,
            "pathParameters": null,
            "stageVariables": null,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api-id",
                "httpMethod": self.method,
                "path": format!("/Prod{}", self.path),
                "protocol": "HTTP/1.1",
                "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
                "resourceId": "123456",
                "resourcePath": "/api/contacts",
                "stage": "Prod",
            },
            "body": self.body,
            "isBase64Encoded": false,
        })
    }
}

impl Service {
    /// Starts the service: the given binary as one process.
    ///
    /// # Panics
    ///
    /// Something can't be started.
    pub async fn start(binary: &str) -> Self {
        let service = Self::without_process(binary).await;
        service.add_process(&[]);
        service
    }

    /// The whole service without a process of the function.
    ///
    /// # Panics
    ///
    /// Something can't be started.
    pub async fn without_process(binary: &str) -> Self {
        let engine = engine();
        let prefix = format!("t{}-", Uuid::new_v4().simple());
        let tables = engine
            .create_tables(&root().join("template.yaml"), &prefix)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let proxy = Proxy::start(&engine.url).await.expect("a port for the proxy");
        let runtime_api = RuntimeApi::start().await.expect("a port for the Runtime API");
        let environment = [runtime_api.environment(), tables.environment(&Engine::at(&proxy.url))].concat();
        let service = Self {
            tenant_id: Uuid::new_v4().to_string(),
            workspace_id: Uuid::new_v4().to_string(),
            key: new_key(),
            client: engine.client(),
            tables,
            proxy,
            runtime_api,
            environment,
            binary: binary.into(),
            functions: Mutex::default(),
            ends: Mutex::default(),
        };
        service.put_key(&Key::of(&service.key, &service.tenant_id)).await;
        service.put_workspace(&service.workspace_id, &service.tenant_id).await;
        service
    }

    /// Starts another process of the function, with variables changed or added; an empty value removes one.
    ///
    /// # Panics
    ///
    /// It can't be started.
    pub fn add_process(&self, changes: &[(&str, &str)]) {
        let function = self.process(changes);
        self.functions.lock().expect("no holder panics").push(function);
    }

    /// Like [`Service::add_process`], for a caller that wants to watch or kill the process itself.
    ///
    /// # Panics
    ///
    /// It can't be started.
    pub fn process(&self, changes: &[(&str, &str)]) -> Function {
        let function =
            Function::start(&self.binary, &self.environment(changes), |_| {}).expect("the function's binary");
        self.ends.lock().expect("no holder panics").push(function.end());
        function
    }

    /// The output of a process that must fail to start.
    ///
    /// # Panics
    ///
    /// It starts, or it ends without an error.
    pub async fn refused(&self, function: Function) -> Vec<String> {
        let status = tokio::select! {
            status = async { function.end().status().await } => status,
            () = self.runtime_api.wait_for_polls(1) => panic!("it started"),
        };
        let lines = function.stop().await;
        assert!(!status.success(), "{lines:?}");
        lines
    }

    /// A process's environment, with variables changed or added; an empty value removes one.
    #[must_use]
    pub fn environment(&self, changes: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut environment = self.environment.clone();
        for (name, value) in changes {
            environment.retain(|(found, _)| found != name);
            if !value.is_empty() {
                environment.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        environment
    }

    /// Ends the processes and returns all that they wrote.
    ///
    /// # Panics
    ///
    /// A reader of the output panicked.
    pub async fn stop(&self) -> Vec<String> {
        let functions = std::mem::take(&mut *self.functions.lock().expect("no holder panics"));
        let mut lines = Vec::new();
        for function in functions {
            lines.extend(function.stop().await);
        }
        lines
    }

    /// A request that creates a contact.
    #[must_use]
    pub fn request(&self, name: &str, email: &str) -> Request {
        Request {
            method: "POST".to_owned(),
            path: "/api/contacts".to_owned(),
            headers: vec![
                ("Authorization".to_owned(), format!("Bearer {}", self.key)),
                ("Content-Type".to_owned(), "application/json".to_owned()),
            ],
            body: Some(json!({"workspaceId": self.workspace_id, "name": name, "email": email}).to_string()),
        }
    }

    /// Sends a request as an event of payload format 2.0.
    pub async fn send(&self, request: &Request) -> Response {
        self.invoke(&request.event()).await
    }

    /// Sends an event.
    ///
    /// # Panics
    ///
    /// The invocation ends in an error.
    pub async fn invoke(&self, event: &Value) -> Response {
        self.response(self.runtime_api.invoke(&event.to_string())).await
    }

    /// The response to an invocation.
    async fn response(&self, invocation: impl Future<Output = Outcome>) -> Response {
        match self.while_running(invocation).await {
            Outcome::Response(response) => Response::of(&response),
            Outcome::Error(error) => panic!("an invocation error: {error}"),
        }
    }

    /// Waits for something that needs the processes.
    ///
    /// # Panics
    ///
    /// Panics as soon as a process ends, and shows what the process wrote.
    pub async fn while_running<T>(&self, waited_for: impl Future<Output = T>) -> T {
        tokio::select! {
            waited_for = waited_for => waited_for,
            lines = self.first_end() => panic!("a process of the function ended: {lines:#?}"),
        }
    }

    /// Waits until one of the processes ends by itself. Returns what it wrote.
    async fn first_end(&self) -> Vec<String> {
        let ends = self.ends.lock().expect("no holder panics").clone();
        let mut ending = JoinSet::new();
        for mut end in ends {
            ending.spawn(async move {
                end.by_itself().await;
                end.lines()
            });
        }
        match ending.join_next().await {
            Some(lines) => lines.expect("waiting doesn't panic"),
            None => std::future::pending().await,
        }
    }

    /// Sends a request that must get a response within some time.
    ///
    /// # Panics
    ///
    /// The invocation ends in an error.
    pub async fn send_with_deadline(&self, request: &Request, time: Duration) -> Response {
        let deadline = SystemTime::now() + time;
        let event = request.event().to_string();
        self.response(self.runtime_api.invoke_with_deadline(&event, deadline))
            .await
    }

    /// Stores a key.
    pub async fn put_key(&self, key: &Key<'_>) {
        fixture::put_key(&self.client, &self.tables, key).await;
    }

    /// Stores a workspace.
    pub async fn put_workspace(&self, workspace_id: &str, tenant_id: &str) {
        fixture::put_workspace(&self.client, &self.tables, workspace_id, tenant_id).await;
    }

    /// Stores an item in the contacts table, as another writer would.
    ///
    /// # Panics
    ///
    /// The engine refuses.
    pub async fn put_contact(&self, item: HashMap<String, AttributeValue>) {
        self.client
            .put_item()
            .table_name(&self.tables.contacts)
            .set_item(Some(item))
            .send()
            .await
            .expect("the contact is stored");
    }

    /// All items of the contacts table.
    ///
    /// # Panics
    ///
    /// The engine refuses.
    pub async fn contacts(&self) -> Vec<HashMap<String, AttributeValue>> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .client
                .scan()
                .table_name(&self.tables.contacts)
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await
                .expect("the table can be read");
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() {
                return items;
            }
        }
    }
}

/// A well-formed key that isn't stored.
#[must_use]
pub fn new_key() -> String {
    format!("sf_test_v1_{}", Uuid::new_v4().simple())
}
