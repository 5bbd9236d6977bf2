//! API Gateway's events, reduced to what the contract reads (`docs/contract.md#7-events`).
//!
//! `lambda_http` 1.3's adapter isn't used, because it panics on what real callers cause: an odd `Host` or
//! `X-Forwarded-Proto`, a space in the query string, broken base64, tens of thousands of header lines. This module reads only the few
//! members that the service needs, so whatever else a caller sends has no effect.

use std::{collections::HashMap, fmt};

use lambda_runtime::Diagnostic;
use serde::{Deserialize, Deserializer, de::IgnoredAny};

/// The two payload formats of API Gateway's Lambda proxy integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFormat {
    /// 1.0: REST APIs, and HTTP APIs that are configured for it.
    V1,
    /// 2.0: HTTP APIs and function URLs.
    V2,
}

/// An invocation's payload: an event of API Gateway, or anything else.
pub struct Payload(pub Result<Event, NotAnApiGatewayEvent>);

/// The parts of an event that the service reads. Every text is as the caller sent it.
pub struct Event {
    /// The format, which the response must have too.
    pub format: PayloadFormat,
    /// The HTTP method.
    pub method: String,
    /// The path, not decoded.
    pub path: String,
    /// The deployment stage, which the path may begin with.
    pub stage: Option<String>,
    /// In 1.0, the path of the API's resource: behind a base path mapping, `path` has the caller's whole path.
    pub resource: Option<String>,
    /// The id that API Gateway gave the request.
    pub request_id: Option<String>,
    /// The body, unless it is missing or empty.
    pub body: Option<String>,
    /// Whether `body` is base64.
    pub is_base64: bool,
    headers: HashMap<String, Option<String>>,
    multi_value_headers: HashMap<String, Option<Vec<String>>>,
}

/// The invocation's payload isn't an API Gateway proxy event.
///
/// The message is fixed, because Lambda passes it on and `serde_json`'s own message would quote the payload.
#[derive(Debug)]
pub struct NotAnApiGatewayEvent;

impl fmt::Display for NotAnApiGatewayEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("the event is neither an API Gateway HTTP API event (2.0) nor a REST API proxy event (1.0)")
    }
}

impl std::error::Error for NotAnApiGatewayEvent {}

impl From<NotAnApiGatewayEvent> for Diagnostic {
    fn from(error: NotAnApiGatewayEvent) -> Self {
        Self {
            error_type: "NotAnApiGatewayEvent".to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// An event in either format.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    resource: Option<String>,
    raw_path: Option<String>,
    path: Option<String>,
    http_method: Option<String>,
    request_context: WireContext,
    headers: Option<HashMap<String, Option<String>>>,
    multi_value_headers: Option<HashMap<String, Option<Vec<String>>>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    /// Only events for authorizers have this member. Otherwise they look like requests.
    #[serde(rename = "type")]
    authorizer: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireContext {
    stage: Option<String>,
    request_id: Option<String>,
    http: Option<WireHttp>,
    /// Only events of load balancers have this member. Otherwise they look like 1.0 events.
    elb: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireHttp {
    method: Option<String>,
}

impl<'de> Deserialize<'de> for Payload {
    /// Never fails, so the runtime library reports no error that would quote the payload.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Wire::deserialize(deserializer).map_err(|_| NotAnApiGatewayEvent);
        Ok(Self(event.and_then(Event::try_from)))
    }
}

impl TryFrom<Wire> for Event {
    type Error = NotAnApiGatewayEvent;

    fn try_from(wire: Wire) -> Result<Self, NotAnApiGatewayEvent> {
        let context = wire.request_context;
        if context.elb.is_some() || wire.authorizer.is_some() {
            return Err(NotAnApiGatewayEvent);
        }
        // With a base path mapping, events of 1.0 can have `rawPath` too.
        let (format, method, path, resource) = match context.http {
            Some(http) => (PayloadFormat::V2, http.method, wire.raw_path, None),
            None => (PayloadFormat::V1, wire.http_method, wire.path, wire.resource),
        };
        Ok(Self {
            format,
            method: method.ok_or(NotAnApiGatewayEvent)?,
            path: path.ok_or(NotAnApiGatewayEvent)?,
            stage: context.stage,
            resource,
            request_id: context.request_id,
            body: wire.body.filter(|body| !body.is_empty()),
            is_base64: wire.is_base64_encoded.unwrap_or(false),
            headers: wire.headers.unwrap_or_default(),
            multi_value_headers: wire.multi_value_headers.unwrap_or_default(),
        })
    }
}

impl Event {
    /// A header's value. If it appears more than once, its values are joined with commas (RFC 9110, section 5.3). None of the
    /// headers that the service reads may be a list, so a repeated one is invalid.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let is_name = |found: &str| found.eq_ignore_ascii_case(name);
        let many = self.multi_value_headers.iter().filter(|(found, _)| is_name(found));
        let mut values: Vec<&str> = many
            .flat_map(|(_, values)| values.iter().flatten())
            .map(String::as_str)
            .collect();
        if values.is_empty() {
            let single = self.headers.iter().filter(|(found, _)| is_name(found));
            values = single.filter_map(|(_, value)| value.as_deref()).collect();
        }
        (!values.is_empty()).then(|| values.join(", "))
    }
}
