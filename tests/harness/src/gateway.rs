//! API Gateway: an HTTP API with the template's one route, `ANY /api/contacts`, on the `$default` stage.
//!
//! Requests become events of payload format 2.0 (API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP
//! APIs"): header names in lower case, repeated headers joined with commas, and the body as text only for the media types that API
//! Gateway treats as text. What the contract says the service never reads has fixed values.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::runtime_api::{Outcome, RuntimeApi};

const ROUTE: &str = "/api/contacts";
/// The largest body that API Gateway takes: 10 MB.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Passes a request to the function and returns its response, or responds as API Gateway itself would.
pub async fn handle(runtime_api: &RuntimeApi, request: Request<Body>) -> Response<Body> {
    if request.uri().path() != ROUTE {
        return own_response(StatusCode::NOT_FOUND, "Not Found");
    }
    let (request, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return own_response(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let response = match runtime_api.invoke(event(&request, &body).to_string()).await {
        Outcome::Response(response) => to_http(&response),
        Outcome::Error(_) => None,
    };
    response.unwrap_or_else(|| own_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}

fn event(request: &Parts, body: &[u8]) -> Value {
    let mut headers: Map<String, Value> = Map::new();
    for name in request.headers.keys() {
        let values = request.headers.get_all(name).iter();
        let values: Vec<String> = values
            .map(|value| value.as_bytes().iter().map(|&byte| char::from(byte)).collect())
            .collect();
        headers.insert(name.to_string(), values.join(",").into());
    }
    let text = std::str::from_utf8(body).ok().filter(|_| is_text(&request.headers));
    let sent = text.map_or_else(|| BASE64.encode(body), str::to_owned);
    let sent = Some(sent).filter(|body| !body.is_empty());
    let mut event = event_of(request.method.as_str(), request.uri.path(), headers, sent);
    event["isBase64Encoded"] = (text.is_none() && !body.is_empty()).into();
    event["rawQueryString"] = request.uri.query().unwrap_or_default().into();
    event["requestContext"]["requestId"] = Uuid::new_v4().to_string().into();
    event
}

/// API Gateway's id of the requests in events that a test makes.
pub const API_REQUEST_ID: &str = "JKJaXmPLvHcESHA=";

/// An event of payload format 2.0.
pub(crate) fn event_of(method: &str, path: &str, headers: Map<String, Value>, body: Option<String>) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("ANY {ROUTE}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": "api-id.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "api-id",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "import/1.0",
            },
            "requestId": API_REQUEST_ID,
            "routeKey": format!("ANY {ROUTE}"),
            "stage": "$default",
            "timeEpoch": 1_583_348_638_390_u64,
        },
        "body": body,
        "isBase64Encoded": false,
    })
}

/// Whether API Gateway passes a body of this media type as text.
fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next());
    let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&essence.as_str())
}

/// The HTTP response for a function's response in format 2.0; `None` if it isn't one.
fn to_http(response: &Value) -> Option<Response<Body>> {
    let status = u16::try_from(response["statusCode"].as_u64()?).ok()?;
    let mut http = Response::new(Body::from(response["body"].as_str()?.to_owned()));
    *http.status_mut() = StatusCode::from_u16(status).ok()?;
    for (name, value) in response["headers"].as_object()? {
        let name = HeaderName::try_from(name).ok()?;
        let value = HeaderValue::try_from(value.as_str()?).ok()?;
        http.headers_mut().insert(name, value);
    }
    Some(http)
}

/// A response that API Gateway sends without invoking the function, in its own shape.
fn own_response(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}
