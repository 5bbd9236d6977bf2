//! A proxy between the function and DynamoDB. It records every call, and breaks the calls that a plan selects.
//!
//! Towards the function it implements HTTP/1.1 itself, because it has to do what a server library prevents: reset a
//! connection, stop in the middle of a response, never respond.

use std::{
    io,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat as Format};
use axum::http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::runtime_api::PATIENCE;

/// What the proxy does to a call instead of passing on the call and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Responds with an error of DynamoDB; the call doesn't reach the engine.
    Error(u16, &'static str),
    /// Responds with this body; the call doesn't reach the engine.
    Body(u16, &'static str),
    /// Resets the connection; the call doesn't reach the engine.
    ResetBefore,
    /// Passes the call on and resets the connection instead of responding.
    ResetAfter,
    /// Never responds; the call doesn't reach the engine.
    HangBefore,
    /// Passes the call on and never responds.
    HangAfter,
    /// Passes the call on and closes the connection in the middle of the response's body.
    Cut,
    /// Passes the call on and responds with 200 and a body that is not JSON.
    NotJson,
    /// Passes the call on and responds with 200 without a body.
    Empty,
    /// Passes the call on and responds with 200 and an empty object, as DynamoDB does if it has not found an item.
    EmptyObject,
    /// Passes the call on and responds with bytes that are not HTTP.
    NotHttp,
    /// Responds with 500 without a body; the call doesn't reach the engine.
    Bare500,
    /// Responds to a `BatchGetItem` with 200, with the keys of the table whose name has this ending left in
    /// `UnprocessedKeys` and the others processed.
    Unprocessed(&'static str),
    /// Responds that the signature is expired, with a `Date` in the year 2100.
    ClockSkew,
    /// Responds that the signature is expired, with the right `Date`.
    SignatureExpired,
}

impl Fault {
    /// Whether the call reaches the engine.
    #[must_use]
    pub fn is_applied(self) -> bool {
        use Fault::{Cut, Empty, EmptyObject, HangAfter, NotHttp, NotJson, ResetAfter};
        matches!(
            self,
            ResetAfter | HangAfter | Cut | NotJson | Empty | EmptyObject | NotHttp
        )
    }
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    /// The DynamoDB operation.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// Which connection it came on, counted from 1.
    pub connection: usize,
    /// When it says that it was signed: `x-amz-date`, such as `20260210T143000Z`.
    pub signed_at: String,
    /// The trace that it belongs to: `X-Amzn-Trace-Id`.
    pub trace_id: String,
    /// The session token of its credentials: `X-Amz-Security-Token`.
    pub session_token: String,
}

impl Call {
    /// Whether this is the read that opens a process's connection: it asks for a key that no caller can have.
    fn is_opening(&self) -> bool {
        self.operation == "GetItem" && self.input["Key"]["keyHash"]["S"] == "-"
    }
}

type Plan = Box<dyn Fn(usize, &Call) -> Option<Fault> + Send + Sync>;

struct Shared {
    engine: String,
    calls: watch::Sender<Vec<Call>>,
    plan: Mutex<Plan>,
    openings: watch::Sender<usize>,
    opening_fault: Mutex<Option<Fault>>,
    open: watch::Sender<usize>,
    resets: watch::Sender<()>,
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
}

/// A running proxy; it ends when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy in front of an engine. It breaks nothing yet.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(engine: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            engine: engine.to_owned(),
            calls: watch::channel(Vec::new()).0,
            plan: Mutex::new(Box::new(|_, _| None)),
            openings: watch::channel(0).0,
            opening_fault: Mutex::default(),
            open: watch::channel(0).0,
            resets: watch::channel(()).0,
            client: Client::builder(TokioExecutor::new()).build_http(),
        });
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            url,
            shared,
            _server: server,
        })
    }

    /// From now on `plan` decides what to do with each call. It gets the number of earlier calls, and the call. The calls so
    /// far are forgotten.
    ///
    /// # Panics
    ///
    /// A plan panicked.
    pub fn plan(&self, plan: impl Fn(usize, &Call) -> Option<Fault> + Send + Sync + 'static) {
        *self.shared.plan.lock().expect("no plan panics") = Box::new(plan);
        self.shared.calls.send_modify(Vec::clear);
    }

    /// The calls since the plan was made.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// Breaks the read that opens a process's connection. It belongs to no request, so plans and
    /// [`Proxy::calls`] leave it out.
    ///
    /// # Panics
    ///
    /// Never: no holder of the lock panics.
    pub fn break_openings(&self, fault: Fault) {
        *self.shared.opening_fault.lock().expect("no holder panics") = Some(fault);
    }

    /// How many processes have opened their connection.
    #[must_use]
    pub fn openings(&self) -> usize {
        *self.shared.openings.borrow()
    }

    /// The operations of [`Proxy::calls`].
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.operation).collect()
    }

    /// Resets every connection, as a network does when it has lost their state, and waits until that is done. No call may be in
    /// progress.
    ///
    /// # Panics
    ///
    /// Never: the proxy keeps the channel open.
    pub async fn reset_idle_connections(&self) {
        self.shared.resets.send_replace(());
        let mut open = self.shared.open.subscribe();
        open.wait_for(|&open| open == 0)
            .await
            .expect("the proxy keeps the channel open");
    }

    /// Waits until this many calls have come in.
    ///
    /// # Panics
    ///
    /// They don't.
    pub async fn wait_for_calls(&self, count: usize) {
        let mut calls = self.shared.calls.subscribe();
        timeout(PATIENCE, calls.wait_for(|calls| calls.len() >= count))
            .await
            .expect("the function makes its calls")
            .expect("the proxy keeps the channel open");
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let shared = Arc::clone(&shared);
        shared.open.send_modify(|open| *open += 1);
        connections.spawn(async move {
            // The function may go away at any time.
            let _ = serve(stream, number, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
    }
}

/// Serves a connection until one side closes it.
async fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    let mut resets = shared.resets.subscribe();
    loop {
        let request = tokio::select! {
            request = read_request(&mut stream, &mut buffer) => request?,
            _ = resets.changed() => return stream.set_zero_linger(),
        };
        let Some((head, body)) = request else {
            return Ok(());
        };
        let target = header(&head, "x-amz-target");
        let call = Call {
            operation: target.rsplit('.').next().unwrap_or_default().to_owned(),
            input: serde_json::from_slice(&body).unwrap_or_default(),
            connection,
            signed_at: header(&head, "x-amz-date").to_owned(),
            trace_id: header(&head, "x-amzn-trace-id").to_owned(),
            session_token: header(&head, "x-amz-security-token").to_owned(),
        };
        let fault = if call.is_opening() {
            shared.openings.send_modify(|count| *count += 1);
            *shared.opening_fault.lock().expect("no holder panics")
        } else {
            let plan = shared.plan.lock().expect("no plan panics");
            let before = shared.calls.borrow().len();
            let fault = plan(before, &call);
            shared.calls.send_modify(|calls| calls.push(call.clone()));
            fault
        };
        let (mut status, mut response) = (200, Vec::new());
        if fault.is_none_or(Fault::is_applied) {
            (status, response) = pass_on(shared, &head, body).await?;
        }
        let mut date = String::new();
        match fault {
            None => {}
            Some(Fault::ResetBefore | Fault::ResetAfter) => return stream.set_zero_linger(),
            Some(Fault::HangBefore | Fault::HangAfter) => return until_closed(stream).await,
            Some(Fault::Cut) => {
                let head = response_head(status, "", response.len().max(2));
                stream.write_all(head.as_bytes()).await?;
                return stream.write_all(&response[..response.len() / 2]).await;
            }
            Some(Fault::NotHttp) => {
                stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n").await?;
                return until_closed(stream).await;
            }
            Some(Fault::Error(of_error, code)) => {
                let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "made up"});
                (status, response) = (of_error, body.to_string().into());
            }
            Some(Fault::Body(with, body)) => (status, response) = (with, body.into()),
            Some(Fault::NotJson) => (status, response) = (200, b"<html>It works!</html>".into()),
            Some(Fault::Empty) => (status, response) = (200, vec![]),
            Some(Fault::EmptyObject) => (status, response) = (200, b"{}".into()),
            Some(Fault::Bare500) => status = 500,
            Some(Fault::Unprocessed(table)) => response = leave_unprocessed(shared, &head, &call.input, table).await?,
            Some(Fault::ClockSkew | Fault::SignatureExpired) => {
                (status, response) = (400, SIGNATURE_EXPIRED.into());
                let now = DateTime::from(SystemTime::now()).fmt(Format::HttpDate);
                date = match now {
                    Ok(now) if fault == Some(Fault::SignatureExpired) => format!("date: {now}\r\n"),
                    _ => "date: Fri, 01 Jan 2100 00:00:00 GMT\r\n".to_owned(),
                };
            }
        }
        let mut bytes = response_head(status, &date, response.len()).into_bytes();
        bytes.append(&mut response);
        stream.write_all(&bytes).await?;
    }
}

const SIGNATURE_EXPIRED: &[u8] =
    br#"{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired"}"#;

/// A request's head and body; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<(String, Vec<u8>)>> {
    let head_len = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_len]).into_owned();
    let body_len: usize = header(&head, "content-length").parse().map_err(io::Error::other)?;
    while buffer.len() < head_len + body_len {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer[head_len..head_len + body_len].to_vec();
    buffer.drain(..head_len + body_len);
    Ok(Some((head, body)))
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value.trim())
}

async fn pass_on(shared: &Shared, head: &str, body: Vec<u8>) -> io::Result<(u16, Vec<u8>)> {
    let mut request = Request::post(&shared.engine)
        .body(Full::from(body))
        .map_err(io::Error::other)?;
    let mut headers = HeaderMap::new();
    for name in ["authorization", "content-type", "x-amz-date", "x-amz-target"] {
        headers.insert(name, header(head, name).parse().map_err(io::Error::other)?);
    }
    *request.headers_mut() = headers;
    let response = shared.client.request(request).await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(io::Error::other)?;
    Ok((status, body.to_bytes().to_vec()))
}

/// Asks the engine for all tables but the one whose name ends with `table`, and leaves that one unprocessed.
async fn leave_unprocessed(shared: &Shared, head: &str, input: &Value, table: &str) -> io::Result<Vec<u8>> {
    let mut asked = input["RequestItems"].as_object().cloned().unwrap_or_default();
    let left_out = asked
        .keys()
        .find(|name| name.ends_with(table))
        .cloned()
        .unwrap_or_default();
    let left = asked.remove(&left_out).unwrap_or_default();
    let mut response = json!({"Responses": {}});
    if !asked.is_empty() {
        let body = json!({"RequestItems": asked}).to_string().into_bytes();
        response = serde_json::from_slice(&pass_on(shared, head, body).await?.1).map_err(io::Error::other)?;
    }
    response["UnprocessedKeys"] = json!({left_out: left});
    Ok(response.to_string().into())
}

fn response_head(status: u16, more: &str, body_len: usize) -> String {
    format!(
        "HTTP/1.1 {status} Response\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: PROXYREQUESTID\r\n\
         {more}content-length: {body_len}\r\n\r\n"
    )
}

/// Reads and discards until the other side closes.
async fn until_closed(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
