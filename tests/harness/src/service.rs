//! The whole service for one test: tables of its own, a proxy in front of the engine, and the real binary.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{Mutex, OnceLock},
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::Client;
use axum::http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    engine::{Engine, Tables},
    fixture::{self, Item, Key},
    function::Function,
    gateway,
    openapi::OpenApi,
    proxy::Proxy,
    runtime_api::{Outcome, RuntimeApi},
};

/// The variable with the URL of an engine other than the embedded one, such as DynamoDB Local.
const ENGINE_VARIABLE: &str = "TEST_DYNAMODB_URL";

/// The engine of all of this process's tests.
///
/// # Panics
///
/// The embedded engine doesn't start.
#[must_use]
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| match env::var(ENGINE_VARIABLE) {
        Ok(url) => Engine::at(&url),
        Err(_) => Engine::embedded(None).expect("the embedded engine"),
    })
}

/// A file of the repository.
fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

/// The document that every response is compared with.
pub fn openapi() -> &'static OpenApi {
    static OPENAPI: OnceLock<OpenApi> = OnceLock::new();
    OPENAPI.get_or_init(|| OpenApi::load(&repository("openapi.yaml")))
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

    /// Reads the function's response, in either format, and compares it with `openapi.yaml`, which says of each status what its
    /// body and its headers must be.
    ///
    /// # Panics
    ///
    /// Panics if it isn't one of the contract's responses.
    #[must_use]
    pub fn of(response: &Value) -> Self {
        let single = response["headers"].as_object().into_iter().flatten();
        let lists = response["multiValueHeaders"].as_object().into_iter().flatten();
        let lists = lists.flat_map(|(name, values)| {
            let values = values.as_array().expect("a list of values");
            values.iter().map(move |value| (name, value))
        });
        let mut headers = BTreeMap::new();
        for (name, value) in single.chain(lists) {
            let value = value.as_str().expect("a header's value").to_owned();
            let before = headers.insert(name.to_ascii_lowercase(), value);
            assert_eq!(before, None, "{name} appears twice");
        }
        assert_eq!(response["isBase64Encoded"], false, "{response}");
        let text = response["body"].as_str().expect("a body").to_owned();
        let status = response["statusCode"].as_u64().map(u16::try_from);
        let response = Self {
            status: status.expect("a status").expect("a status of HTTP"),
            headers,
            body: serde_json::from_str(&text).expect("a JSON body"),
            text,
        };
        let lines = response.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).expect("a header's name");
            (name, HeaderValue::try_from(value).expect("a header's value"))
        });
        if let Err(broken) = openapi().check(response.status, &lines.collect(), &response.body) {
            panic!("not what openapi.yaml promises: {broken}: {response:?}");
        }
        response
    }
}

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
    /// A request that creates a contact.
    #[must_use]
    pub fn new(key: &str, body: &Value) -> Self {
        let request = Self {
            method: "POST".to_owned(),
            path: "/api/contacts".to_owned(),
            headers: vec![],
            body: Some(body.to_string()),
        };
        request.key(key).header("Content-Type", "application/json")
    }

    /// Sets the method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    /// Sets the path.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Sets the API key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

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
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().into()));
        gateway::event_of(&self.method, &self.path, headers.collect(), self.body.clone())
    }

    /// The event of payload format 1.0, as a REST API on the stage `Prod` sends it.
    #[must_use]
    pub fn rest_event(&self) -> Value {
        let headers = self.headers.iter().cloned();
        let headers: Map<String, Value> = headers.map(|(name, value)| (name, value.into())).collect();
        let lists = self.headers.iter().cloned();
        let lists: Map<String, Value> = lists.map(|(name, value)| (name, vec![value].into())).collect();
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
        Self::with(binary, &[]).await
    }

    /// Starts the service, with variables of its process changed or added, and waits for the process.
    ///
    /// # Panics
    ///
    /// Something can't be started.
    pub async fn with(binary: &str, changes: &[(&str, &str)]) -> Self {
        let service = Self::without_process(binary).await;
        let mut function = service.process(changes);
        let end = service.end_at_the_start(&mut function).await;
        assert_eq!(end, None, "the process ended");
        service.functions.lock().expect("no holder panics").push(function);
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
        let tables = engine.create_tables(&repository("template.yaml"), &prefix).await;
        let tables = tables.unwrap_or_else(|error| panic!("{error}"));
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
        };
        let key = Key::of(&service.key, &service.tenant_id);
        fixture::put_key(&service.client, &service.tables, &key).await;
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

    /// Like [`Service::add_process`], for a caller that wants to watch or kill the process itself. If it is killed while it waits
    /// for an invocation, the next one may be lost with it.
    ///
    /// # Panics
    ///
    /// It can't be started.
    pub fn process(&self, changes: &[(&str, &str)]) -> Function {
        let mut environment = self.environment.clone();
        for (name, value) in changes {
            environment.retain(|(found, _)| found != name);
            if !value.is_empty() {
                environment.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        Function::start(&self.binary, &environment, |_| {}).expect("the function's binary")
    }

    /// The output of a process that must fail to start.
    ///
    /// # Panics
    ///
    /// It starts, or it ends without an error.
    pub async fn refused(&self, changes: &[(&str, &str)]) -> Vec<String> {
        let mut function = self.process(changes);
        let end = self.end_at_the_start(&mut function).await;
        assert!(!end.expect("it started").success());
        function.stop()
    }

    /// How a process ended, if it did so before any asked for an invocation.
    async fn end_at_the_start(&self, function: &mut Function) -> Option<ExitStatus> {
        tokio::select! {
            status = function.wait() => Some(status.expect("a status")),
            () = self.runtime_api.wait_for_polls(1) => None,
        }
    }

    /// Ends the processes and returns all that they wrote.
    ///
    /// # Panics
    ///
    /// Never: no holder of the lock panics.
    #[must_use]
    pub fn stop(&self) -> Vec<String> {
        let functions = std::mem::take(&mut *self.functions.lock().expect("no holder panics"));
        functions.into_iter().flat_map(Function::stop).collect()
    }

    /// Ends the processes and returns the log entries of requests, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Value> {
        let lines = self.stop();
        let entries = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        entries.filter(|entry: &Value| entry.get("outcome").is_some()).collect()
    }

    /// A request that creates a contact.
    #[must_use]
    pub fn request(&self, name: &str, email: &str) -> Request {
        self.request_in(&self.workspace_id, name, email)
    }

    /// A request that creates a contact in another workspace.
    #[must_use]
    pub fn request_in(&self, workspace_id: &str, name: &str, email: &str) -> Request {
        let body = json!({"workspaceId": workspace_id, "name": name, "email": email});
        Request::new(&self.key, &body)
    }

    /// Sends a request as an event of payload format 2.0.
    pub async fn send(&self, request: &Request) -> Response {
        self.invoke(&request.event()).await
    }

    /// Sends a request for a contact.
    pub async fn create(&self, name: &str, email: &str) -> Response {
        self.send(&self.request(name, email)).await
    }

    /// Sends an event.
    ///
    /// # Panics
    ///
    /// The invocation ends in an error.
    pub async fn invoke(&self, event: &Value) -> Response {
        response_of(self.runtime_api.invoke(event.to_string()).await)
    }

    /// Sends a request that must get a response within some time.
    ///
    /// # Panics
    ///
    /// The invocation ends in an error.
    pub async fn send_with_deadline(&self, request: &Request, time: Duration) -> Response {
        let deadline = SystemTime::now() + time;
        let event = request.event().to_string();
        response_of(self.runtime_api.invoke_with_deadline(event, deadline).await)
    }

    /// Stores a key of the tenant, with the changes that a test needs, and returns it.
    pub async fn put_key(&self, change: impl FnOnce(&mut Key)) -> String {
        let mut key = Key::of(&new_key(), &self.tenant_id);
        change(&mut key);
        fixture::put_key(&self.client, &self.tables, &key).await;
        key.key
    }

    /// Stores a workspace.
    pub async fn put_workspace(&self, workspace_id: &str, tenant_id: &str) {
        fixture::put_workspace(&self.client, &self.tables, workspace_id, tenant_id).await;
    }

    /// Stores an item in the contacts table, as another writer would.
    pub async fn put_contact(&self, item: Item) {
        fixture::put(&self.client, &self.tables.contacts, item).await;
    }

    /// All items of the contacts table.
    ///
    /// # Panics
    ///
    /// The engine refuses.
    pub async fn contacts(&self) -> Vec<Item> {
        let scan = self.client.scan().table_name(&self.tables.contacts);
        let items = scan.consistent_read(true).into_paginator().items().send();
        items.try_collect().await.expect("the table can be read")
    }
}

fn response_of(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Response(response) => Response::of(&response),
        Outcome::Error(error) => panic!("an invocation error: {error}"),
    }
}

/// A well-formed key that isn't stored.
#[must_use]
pub fn new_key() -> String {
    format!("sf_test_v1_{}", Uuid::new_v4().simple())
}
