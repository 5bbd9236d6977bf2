//! Lambda's Runtime API on loopback (AWS Lambda Developer Guide, "Using the Lambda runtime API", version 2018-06-01).

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State},
    http::{Response, StatusCode},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

/// The trace that each invocation belongs to.
pub const TRACE_ID: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0";

/// How an invocation ended.
#[derive(Debug)]
pub enum Outcome {
    /// The function sent a response.
    Response(Value),
    /// The function reported an error.
    Error(Value),
}

struct Invocation {
    id: String,
    event: Vec<u8>,
    deadline: SystemTime,
}

/// How long a process may take to ask for an invocation, and then to end it, on a very busy machine. It only keeps the tests
/// from waiting forever: the service's own times are far shorter.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

struct Shared {
    queue: mpsc::UnboundedSender<Invocation>,
    next: AsyncMutex<mpsc::UnboundedReceiver<Invocation>>,
    running: Mutex<HashMap<String, oneshot::Sender<Outcome>>>,
    polls: watch::Sender<usize>,
}

/// A Runtime API for any number of processes of one function; it ends when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    /// Starts one on a free port.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start() -> io::Result<Self> {
        let (queue, next) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue,
            next: AsyncMutex::new(next),
            running: Mutex::default(),
            polls: watch::channel(0).0,
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next_invocation))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // `serve` returns no error: it goes on after one.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// The function's environment for this Runtime API.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "create-contact"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Invokes the function with an event and waits for the outcome.
    pub async fn invoke(&self, event: impl AsRef<[u8]>) -> Outcome {
        self.invoke_with_deadline(event, SystemTime::now() + Duration::from_secs(10))
            .await
    }

    /// Invokes the function with this deadline.
    ///
    /// # Panics
    ///
    /// No process asks for the invocation, or none ends it.
    pub async fn invoke_with_deadline(&self, event: impl AsRef<[u8]>, deadline: SystemTime) -> Outcome {
        let (answered, response) = oneshot::channel();
        let id = Uuid::new_v4().to_string();
        self.shared
            .running
            .lock()
            .expect("no holder panics")
            .insert(id.clone(), answered);
        let invocation = Invocation {
            id,
            event: event.as_ref().to_owned(),
            deadline,
        };
        self.shared
            .queue
            .send(invocation)
            .expect("the queue lives as long as this");
        self.wait_for_polls(1).await;
        timeout(PATIENCE, response)
            .await
            .expect("the invocation is ended")
            .expect("the Runtime API is there")
    }

    /// Waits until processes have asked for an invocation this many times.
    ///
    /// # Panics
    ///
    /// They don't.
    pub async fn wait_for_polls(&self, count: usize) {
        let mut polls = self.shared.polls.subscribe();
        let polled = timeout(PATIENCE, polls.wait_for(|&polls| polls >= count)).await;
        polled
            .expect("a process asks for an invocation")
            .expect("the Runtime API is there");
    }
}

async fn next_invocation(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared.polls.send_modify(|polls| *polls += 1);
    // The queue lives as long as the server.
    let Some(Invocation { id, event, deadline }) = shared.next.lock().await.recv().await else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:create-contact",
        )
        .header("Lambda-Runtime-Trace-Id", TRACE_ID)
        .body(Body::from(event))
        .expect("headers without control characters")
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> Response<Body> {
    shared.end(&id, &body, Outcome::Response)
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: String) -> Response<Body> {
    shared.end(&id, &body, Outcome::Error)
}

impl Shared {
    fn end(&self, id: &str, body: &str, outcome: impl FnOnce(Value) -> Outcome) -> Response<Body> {
        let running = self.running.lock().expect("no holder panics").remove(id);
        let (Some(running), Ok(body)) = (running, serde_json::from_str(body)) else {
            return status(StatusCode::BAD_REQUEST);
        };
        // The caller may no longer be waiting.
        let _ = running.send(outcome(body));
        status(StatusCode::ACCEPTED)
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
