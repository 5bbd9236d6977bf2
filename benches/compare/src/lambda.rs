//! Lambda, as far as one process of a function sees it: its environment, the Runtime API, and the share of a CPU that its
//! memory buys.

use std::{
    collections::HashMap,
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    dynamodb::{API_KEYS_TABLE, CONTACTS_TABLE, DynamoDb, WORKSPACE, WORKSPACES_TABLE},
    http1::{self, Request, Response},
};

/// A program's command line, which may begin with an emulator, and its environment.
#[derive(Clone)]
pub struct Program {
    pub command: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
}

impl Program {
    /// A program with the environment that Lambda and this DynamoDB give it.
    pub fn new(command: &[&str], database: &DynamoDb, ca: &Path) -> Self {
        let ca = ca.display().to_string();
        let environment = [
            ("AWS_LAMBDA_FUNCTION_NAME", "create-contact"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            ("AWS_SESSION_TOKEN", &"token".repeat(150)),
            ("CONTACTS_TABLE", CONTACTS_TABLE),
            ("API_KEYS_TABLE", API_KEYS_TABLE),
            ("WORKSPACES_TABLE", WORKSPACES_TABLE),
            ("AWS_ENDPOINT_URL_DYNAMODB", &database.url),
            ("AWS_CA_BUNDLE", &ca),
            // What the SDK's default trust store reads.
            ("SSL_CERT_FILE", &ca),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        Self {
            command: command.iter().map(ToString::to_string).collect(),
            environment: environment.to_vec(),
        }
    }

    /// The same with what `template.yaml` sets for glibc.
    pub fn deployed(self) -> Self {
        self.with("GLIBC_TUNABLES", "glibc.malloc.tcache_count=127")
    }

    /// The same with another variable.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }
}

/// A running process of a function; it is killed when this is dropped.
pub struct Function {
    child: Child,
    queue: Sender<Invocation>,
    invocations: AtomicU64,
    polls: Arc<Polls>,
    started: Instant,
    /// Removed when the process is dead.
    share: Option<CpuShare>,
}

/// How often a process has asked for its next invocation.
#[derive(Default)]
struct Polls {
    count: Mutex<u64>,
    changed: Condvar,
}

struct Invocation {
    event: String,
    response: SyncSender<Value>,
}

struct RuntimeApi {
    next: Mutex<Receiver<Invocation>>,
    running: Mutex<HashMap<u64, SyncSender<Value>>>,
    ids: AtomicU64,
    polls: Arc<Polls>,
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Function {
    /// Starts a program behind a Runtime API of its own, with all of the CPU, as Lambda does.
    pub fn start(program: &Program) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?.to_string();
        let (queue, next) = channel();
        let api = RuntimeApi {
            next: Mutex::new(next),
            running: Mutex::default(),
            ids: AtomicU64::new(0),
            polls: Arc::default(),
        };
        let polls = Arc::clone(&api.polls);
        http1::serve(listener, None, Arc::default(), move |request| api.respond(&request));
        let (first, rest) = program.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(first);
        command
            .args(rest)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Self {
            child,
            queue,
            invocations: AtomicU64::new(0),
            polls,
            started,
            share: None,
        })
    }

    /// Waits until the process is ready: it asks for its first invocation. Returns how long that took from exec.
    pub fn await_ready(&self) -> Duration {
        self.await_polls(1);
        self.age()
    }

    /// Leaves the process the share of a CPU that this much memory buys, in MB, as Lambda does from the first invocation on.
    pub fn limit(&mut self, megabytes: u32) -> io::Result<()> {
        let share = self.share.insert(CpuShare::new(megabytes, self.child.id())?);
        fs::write(&share.processes, self.child.id().to_string())
    }

    /// Waits until the process has asked for an invocation this many times, so that all earlier ones are finished.
    pub fn await_polls(&self, count: u64) {
        let polls = self.polls.count.lock().expect("no holder panics");
        let (_polls, waited) = self
            .polls
            .changed
            .wait_timeout_while(polls, Duration::from_mins(1), |polls| *polls < count)
            .expect("no holder panics");
        assert!(!waited.timed_out(), "the process asks for no invocation");
    }

    /// Sends an event and waits for the response.
    pub fn invoke(&self, event: String) -> Value {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let (response, received) = sync_channel(1);
        let sent = self.queue.send(Invocation { event, response });
        sent.expect("the Runtime API lives as long as the process");
        received
            .recv_timeout(Duration::from_mins(1))
            .expect("a response within a minute")
    }

    /// Creates the contact with this number, which must be new.
    pub fn create(&self, number: u64) {
        let response = self.invoke(event(number));
        assert_eq!(response["statusCode"], 201, "{response}");
    }

    /// The time since the process was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The CPU time of the process's threads, once it has done all that it was asked.
    pub fn cpu(&self) -> io::Result<Duration> {
        self.await_polls(self.invocations.load(Ordering::Relaxed) + 1);
        // A thread's time is only brought up to date when it stops running. A longer pause would be measured too: it leaves
        // the processor's caches to others.
        while self.threads("stat")?.iter().any(|thread| is_running(thread)) {
            thread::sleep(Duration::from_micros(100));
        }
        let mut time = Duration::ZERO;
        for statistics in self.threads("schedstat")? {
            let nanoseconds = statistics.split(' ').next().and_then(|first| first.parse().ok());
            time += Duration::from_nanos(nanoseconds.ok_or(io::ErrorKind::InvalidData)?);
        }
        Ok(time)
    }

    /// The content of this file in `/proc` for each thread.
    fn threads(&self, file: &str) -> io::Result<Vec<String>> {
        let mut threads = Vec::new();
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end in the meantime. The function's own threads don't.
            threads.extend(fs::read_to_string(thread?.path().join(file)));
        }
        Ok(threads)
    }

    /// The process's peak resident memory, in bytes.
    pub fn peak_memory(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok())
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(kilobytes * 1024)
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// By a thread's `stat`: its state comes after its name in brackets (proc(5)).
fn is_running(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('R'))
}

impl RuntimeApi {
    fn respond(&self, request: &Request) -> Option<Response> {
        if request.method == "GET" {
            *self.polls.count.lock().expect("no holder panics") += 1;
            self.polls.changed.notify_all();
            // No invocation comes once the function is dropped.
            let Invocation { event, response } = self.next.lock().expect("no holder panics").recv().ok()?;
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            self.running.lock().expect("no holder panics").insert(id, response);
            let arn = "arn:aws:lambda:us-east-1:123456789012:function:create-contact";
            let trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0";
            return Some(Response {
                status: 200,
                headers: vec![
                    ("content-type", "application/json".to_owned()),
                    ("lambda-runtime-aws-request-id", id.to_string()),
                    ("lambda-runtime-deadline-ms", "4102444800000".to_owned()),
                    ("lambda-runtime-invoked-function-arn", arn.to_owned()),
                    ("lambda-runtime-trace-id", trace.to_owned()),
                ],
                body: event,
            });
        }
        // …/invocation/{id}/response or …/error
        let id = request.path.rsplit('/').nth(1).and_then(|id| id.parse().ok());
        let running = id.and_then(|id| self.running.lock().expect("no holder panics").remove(&id));
        if let Some(running) = running {
            // The caller may no longer be waiting.
            let _ = running.send(serde_json::from_slice(&request.body).unwrap_or_default());
        }
        Some(Response {
            status: 202,
            headers: Vec::new(),
            body: String::new(),
        })
    }
}

/// An HTTP API's event that creates the contact with this number.
pub fn event(number: u64) -> String {
    let email = format!("person{number}@acme-customer.de");
    let body = json!({"workspaceId": WORKSPACE, "name": "Henrik Larsen", "email": email});
    event_with_body(&body.to_string(), false)
}

/// An HTTP API's event with this body.
pub fn event_with_body(body: &str, is_base64: bool) -> String {
    let event = include_str!("../../../events/201-created.json");
    let mut event: Value = serde_json::from_str(event).expect("the file is JSON");
    event["body"] = body.into();
    event["isBase64Encoded"] = is_base64.into();
    event.to_string()
}

/// A group of processes that has a share of one CPU, as Lambda gives it. Each
/// process has a group of its own: what one has run beyond its share, the next in its group would have to wait for.
struct CpuShare {
    directory: PathBuf,
    processes: PathBuf,
}

/// The memory that buys one CPU, in MB (AWS Lambda Developer Guide, "Configure Lambda function memory").
pub const MEMORY_OF_A_CPU: f64 = 1769.0;

/// The period in which the share is counted out. What fits into the share of one period runs without a pause.
const PERIOD_MICROSECONDS: f64 = 20_000.0;

impl CpuShare {
    /// The group for this process, with the share that this much memory buys, in MB.
    fn new(megabytes: u32, process: u32) -> io::Result<Self> {
        let share = f64::from(megabytes) / MEMORY_OF_A_CPU;
        let quota = format!("{:.0}", share * PERIOD_MICROSECONDS);
        let period = format!("{PERIOD_MICROSECONDS:.0}");
        let version_1 = Path::new("/sys/fs/cgroup/cpu");
        let (root, settings) = if version_1.exists() {
            (
                version_1,
                vec![("cpu.cfs_period_us", period), ("cpu.cfs_quota_us", quota)],
            )
        } else {
            (
                Path::new("/sys/fs/cgroup"),
                vec![("cpu.max", format!("{quota} {period}"))],
            )
        };
        let directory = root.join(format!("create-contact-{process}"));
        fs::create_dir(&directory)?;
        let share = Self {
            // The file that takes a process with all of its threads.
            processes: directory.join("cgroup.procs"),
            directory,
        };
        for (file, value) in settings {
            fs::write(share.directory.join(file), value)?;
        }
        Ok(share)
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // It stays behind if a process is still in it, and does no harm.
        let _ = fs::remove_dir(&self.directory);
    }
}
