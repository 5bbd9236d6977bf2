//! API Gateway: an HTTP API with the template's one route, `ANY /api/contacts`, on the `$default` stage.
//!
//! Requests become events of payload format 2.0 (API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP
//! APIs"): header names in lower case, repeated headers joined with commas, cookies apart, and the body as text only for
//! the media types that API Gateway treats as text.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::runtime_api::{Outcome, RuntimeApi};

const ROUTE: &str = "/api/contacts";
/// The largest body that API Gateway takes: 10 MB.
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Passes a request to the function and returns its response, or responds as API Gateway itself would.
pub async fn handle(
    runtime_api: &RuntimeApi,
    client: SocketAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if uri.path() != ROUTE {
        return own_response(StatusCode::NOT_FOUND, "Not Found");
    }
    if body.len() > MAX_BODY_BYTES {
        return own_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    let event = event(client, method, uri, headers, &body).to_string();
    match runtime_api.invoke(&event).await {
        Outcome::Response(response) => to_http(&response)
            .unwrap_or_else(|| own_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")),
        Outcome::Error(_) => own_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

/// The event of payload format 2.0 that API Gateway makes of a request.
#[must_use]
pub fn event(client: SocketAddr, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Value {
    let mut lines: Map<String, Value> = Map::new();
    let mut cookies = Vec::new();
    for name in headers.keys() {
        let values: Vec<String> = headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes().iter().map(|&byte| char::from(byte)).collect())
            .collect();
        if name == "cookie" {
            cookies.extend(values.iter().flat_map(|line| line.split("; ").map(str::to_owned)));
        } else {
            lines.insert(name.as_str().to_owned(), values.join(",").into());
        }
    }
    lines.insert("x-forwarded-for".to_owned(), client.ip().to_string().into());
    lines.insert("x-forwarded-port".to_owned(), "443".into());
    lines.insert("x-forwarded-proto".to_owned(), "https".into());
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|_| content_type.is_some_and(is_text));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let host = headers
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let agent = headers
        .get("user-agent")
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let mut event = event_without_body(&Head {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: lines,
        host,
        client: &client.ip().to_string(),
        user_agent: agent,
        request_id: &Uuid::new_v4().to_string(),
        time: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
    });
    event["isBase64Encoded"] = (text.is_none() && !body.is_empty()).into();
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if !body.is_empty() {
        event["body"] = text.map_or_else(|| BASE64.encode(body), str::to_owned).into();
    }
    event
}

/// A request without its body, as API Gateway sees it.
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: Map<String, Value>,
    pub(crate) host: &'a str,
    pub(crate) client: &'a str,
    pub(crate) user_agent: &'a str,
    pub(crate) request_id: &'a str,
    /// In milliseconds since 1970.
    pub(crate) time: u64,
}

pub(crate) fn event_without_body(head: &Head) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("ANY {ROUTE}"),
        "rawPath": head.path,
        "rawQueryString": head.query,
        "headers": head.headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": head.host,
            "domainPrefix": "api-id",
            "http": {
                "method": head.method,
                "path": head.path,
                "protocol": "HTTP/1.1",
                "sourceIp": head.client,
                "userAgent": head.user_agent,
            },
            "requestId": head.request_id,
            "routeKey": format!("ANY {ROUTE}"),
            "stage": "$default",
            "timeEpoch": head.time,
        },
        "isBase64Encoded": false,
    })
}

/// The media types whose bodies API Gateway passes as text.
fn is_text(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&essence.as_str())
}

/// The HTTP response for a function's response in format 2.0; `None` if it isn't one.
fn to_http(response: &Value) -> Option<Response<Body>> {
    let status = u16::try_from(response["statusCode"].as_u64()?).ok()?;
    let body = response["body"].as_str().unwrap_or_default();
    let body = match response["isBase64Encoded"].as_bool() {
        Some(true) => BASE64.decode(body).ok()?,
        _ => body.as_bytes().to_vec(),
    };
    let mut http = Response::new(Body::from(body));
    *http.status_mut() = StatusCode::from_u16(status).ok()?;
    for (name, value) in response["headers"].as_object()? {
        let name = HeaderName::try_from(name).ok()?;
        http.headers_mut()
            .insert(name, HeaderValue::try_from(value.as_str()?).ok()?);
    }
    Some(http)
}

/// A response that API Gateway sends without invoking the function, in its own shape.
fn own_response(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    response
}
