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
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinSet,
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

/// How long a process may take to ask for an invocation and to end it, on a very busy machine. It only keeps the tests from
/// waiting forever, for example for a process that has ended: the service's own times are far shorter.
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
    _server: JoinSet<()>,
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
            .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(end_invocation))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move {
            // `serve` returns no error: it goes on after one.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            shared,
            _server: server,
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
        let running = &self.shared.running;
        running.lock().expect("no holder panics").insert(id.clone(), answered);
        let invocation = Invocation {
            id,
            event: event.as_ref().to_owned(),
            deadline,
        };
        let queued = self.shared.queue.send(invocation);
        queued.expect("the queue lives as long as this");
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

async fn next_invocation(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    shared.polls.send_modify(|polls| *polls += 1);
    let next = shared.next.lock().await.recv().await;
    let Invocation { id, event, deadline } = next.expect("the queue lives as long as the server");
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let arn = "arn:aws:lambda:eu-central-1:123456789012:function:create-contact";
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("Lambda-Runtime-Aws-Request-Id", id),
        ("Lambda-Runtime-Deadline-Ms", deadline.to_string()),
        ("Lambda-Runtime-Invoked-Function-Arn", arn.to_owned()),
        ("Lambda-Runtime-Trace-Id", TRACE_ID.to_owned()),
    ];
    (headers, event)
}

/// The outcome is `response` or `error`.
async fn end_invocation(
    State(shared): State<Arc<Shared>>,
    Path((id, outcome)): Path<(String, String)>,
    body: String,
) -> StatusCode {
    let running = shared.running.lock().expect("no holder panics").remove(&id);
    let (Some(running), Ok(body)) = (running, serde_json::from_str(&body)) else {
        return StatusCode::BAD_REQUEST;
    };
    // The caller may no longer be waiting.
    let _ = running.send(if outcome == "response" {
        Outcome::Response(body)
    } else {
        Outcome::Error(body)
    });
    StatusCode::ACCEPTED
}
