//! DynamoDB, as far as one request of the service sees it: over TLS, with one key and every workspace, and with contacts
//! that it keeps by their keys, so that the condition of the write means something.

use std::{
    collections::HashSet,
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde_json::{Value, json};

use crate::http1::{self, Request, Response};

pub const CONTACTS_TABLE: &str = "contacts";
pub const API_KEYS_TABLE: &str = "api-keys";
pub const WORKSPACES_TABLE: &str = "workspaces";
pub const WORKSPACE: &str = "0198c1a5-6f00-7000-8000-000000000001";
pub const TENANT: &str = "0198c1a5-6f00-7000-8000-00000000000a";

/// A certificate authority for this run, and the server certificate of this machine's own address.
pub struct Authority {
    /// The file with the authority's certificate.
    pub ca: PathBuf,
    server: Arc<ServerConfig>,
}

impl Authority {
    /// Makes one, whose certificate goes into `directory`.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let mut server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone(), issuer.der().clone()], key)
            .map_err(io::Error::other)?;
        // DynamoDB speaks nothing newer.
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let ca = directory.join("ca.pem");
        fs::write(&ca, issuer.pem())?;
        Ok(Self {
            ca,
            server: Arc::new(server),
        })
    }
}

/// A running stand-in.
pub struct DynamoDb {
    /// By address, because the cost of looking up a name depends on the machine.
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connections: Arc<AtomicU64>,
    calls: AtomicU64,
    reads_at_start: AtomicU64,
    contacts: Mutex<HashSet<String>>,
}

impl DynamoDb {
    /// Starts one without contacts.
    pub fn start(authority: &Authority) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::<Shared>::default();
        let responding = Arc::clone(&shared);
        let connections = Arc::clone(&shared.connections);
        http1::serve(
            listener,
            Some(Arc::clone(&authority.server)),
            connections,
            move |request| Some(responding.respond(&request)),
        );
        Ok(Self {
            url: format!("https://127.0.0.1:{port}"),
            shared,
        })
    }

    /// How many connections were opened.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many calls it has handled, without those that open a process's connection.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// How many calls that open a process's connection it has handled: reads of the key that nobody has.
    pub fn reads_at_start(&self) -> u64 {
        self.shared.reads_at_start.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn respond(&self, request: &Request) -> Response {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let operation = request.headers.get("x-amz-target").map_or("", String::as_str);
        let opens_connection = body["Key"]["keyHash"]["S"] == "-";
        let counter = if opens_connection {
            &self.reads_at_start
        } else {
            &self.calls
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let (status, response) = match operation {
            "DynamoDB_20120810.BatchGetItem" => (
                200,
                json!({
                    "Responses": {
                        API_KEYS_TABLE: [{
                            "keyHash": body["RequestItems"][API_KEYS_TABLE]["Keys"][0]["keyHash"],
                            "tenantId": {"S": TENANT},
                            "scopes": {"SS": ["contacts:write"]},
                        }],
                        WORKSPACES_TABLE: [{"workspaceId": {"S": WORKSPACE}, "tenantId": {"S": TENANT}}],
                    },
                    "UnprocessedKeys": {},
                }),
            ),
            "DynamoDB_20120810.PutItem" => {
                let key = body["Item"]["emailKey"]["S"].as_str().unwrap_or_default().to_owned();
                if self.contacts.lock().expect("no holder panics").insert(key) {
                    (200, json!({}))
                } else {
                    let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                    (
                        400,
                        json!({"__type": code, "message": "The conditional request failed"}),
                    )
                }
            }
            "DynamoDB_20120810.GetItem" if opens_connection => (200, json!({})),
            _ => (
                400,
                json!({"__type": "com.amazon.coral.service#UnknownOperationException"}),
            ),
        };
        Response {
            status,
            headers: vec![
                ("content-type", "application/x-amz-json-1.0".to_owned()),
                (
                    "x-amzn-requestid",
                    "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG".to_owned(),
                ),
            ],
            body: response.to_string(),
        }
    }
}
