//! API Gateway's events, reduced to what the contract reads (`docs/contract.md#7-events`).
//!
//! `lambda_http` 1.3's adapter isn't used, because it panics on what real callers cause: an odd `Host` or
//! `X-Forwarded-Proto`, a space in the query string, broken base64, tens of thousands of header lines. This module reads only the few
//! members that the service needs, so whatever else a caller sends has no effect.

use std::fmt;

use lambda_runtime::Diagnostic;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::json::JsonString;

/// The two payload formats of API Gateway's Lambda proxy integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadFormat {
    /// 1.0: REST APIs, and HTTP APIs that are configured for it.
    V1,
    /// 2.0: HTTP APIs and function URLs.
    V2,
}

/// The parts of an event that the service reads. Every text is as the caller sent it and may contain any bytes.
pub struct Event {
    /// The format, which the response must have too.
    pub format: PayloadFormat,
    /// The HTTP method.
    pub method: Vec<u8>,
    /// The path, not decoded.
    pub path: Vec<u8>,
    /// The deployment stage, which the path may begin with.
    pub stage: Option<Vec<u8>>,
    /// In 1.0, the path of the API's resource: behind a base path mapping, `path` has the caller's whole path.
    pub resource: Option<Vec<u8>>,
    /// The id that API Gateway gave the request.
    pub request_id: Option<String>,
    /// The headers that matter.
    pub headers: Headers,
    /// The body, unless it is missing or empty.
    pub body: Option<Body>,
}

/// The body as the event carries it.
pub struct Body {
    /// The body itself, or its base64 form.
    pub text: Vec<u8>,
    /// Whether `text` is base64.
    pub is_base64: bool,
}

/// The headers that the service reads. If a header appears more than once, its values are joined with commas (RFC 9110,
/// section 5.3). None of them may be a list here, so a repeated one is invalid.
#[derive(Default)]
pub struct Headers {
    /// `Authorization`
    pub authorization: Option<Vec<u8>>,
    /// `Content-Type`
    pub content_type: Option<Vec<u8>>,
    /// `Content-Encoding`
    pub content_encoding: Option<Vec<u8>>,
}

/// The invocation's payload isn't an API Gateway proxy event.
///
/// The message is fixed, because it goes to a log and `serde_json`'s own message would quote the payload.
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
struct Wire<'a> {
    #[serde(borrow)]
    resource: Option<JsonString<'a>>,
    #[serde(borrow)]
    raw_path: Option<JsonString<'a>>,
    #[serde(borrow)]
    path: Option<JsonString<'a>>,
    #[serde(borrow)]
    http_method: Option<JsonString<'a>>,
    #[serde(borrow)]
    request_context: Option<WireContext<'a>>,
    headers: Option<Headers>,
    multi_value_headers: Option<Headers>,
    #[serde(borrow)]
    body: Option<JsonString<'a>>,
    is_base64_encoded: Option<bool>,
    /// Only events for authorizers have this member. Otherwise they look like requests.
    #[serde(rename = "type")]
    authorizer: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireContext<'a> {
    #[serde(borrow)]
    stage: Option<JsonString<'a>>,
    #[serde(borrow)]
    request_id: Option<JsonString<'a>>,
    #[serde(borrow)]
    http: Option<WireHttp<'a>>,
    /// Only events of load balancers have this member. Otherwise they look like 1.0 events.
    elb: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct WireHttp<'a> {
    #[serde(borrow)]
    method: Option<JsonString<'a>>,
}

impl Event {
    /// Reads an invocation's payload.
    ///
    /// # Errors
    ///
    /// It isn't an API Gateway proxy event of payload format 1.0 or 2.0.
    pub fn parse(payload: &str) -> Result<Self, NotAnApiGatewayEvent> {
        let wire: Wire = serde_json::from_str(payload).map_err(|_| NotAnApiGatewayEvent)?;
        let context = wire.request_context.ok_or(NotAnApiGatewayEvent)?;
        if context.elb.is_some() || wire.authorizer.is_some() {
            return Err(NotAnApiGatewayEvent);
        }
        // With a base path mapping, events of 1.0 can have `rawPath` too.
        let (format, method, path, resource) = match context.http {
            Some(http) => (PayloadFormat::V2, http.method, wire.raw_path, None),
            None => (PayloadFormat::V1, wire.http_method, wire.path, wire.resource),
        };
        let single = wire.headers.unwrap_or_default();
        let multi = wire.multi_value_headers.unwrap_or_default();
        Ok(Self {
            format,
            method: method.ok_or(NotAnApiGatewayEvent)?.into_owned(),
            path: path.ok_or(NotAnApiGatewayEvent)?.into_owned(),
            stage: context.stage.map(JsonString::into_owned),
            resource: resource.map(JsonString::into_owned),
            request_id: context.request_id.and_then(|id| id.as_str().map(str::to_owned)),
            headers: Headers {
                authorization: multi.authorization.or(single.authorization),
                content_type: multi.content_type.or(single.content_type),
                content_encoding: multi.content_encoding.or(single.content_encoding),
            },
            body: wire.body.filter(|body| !body.0.is_empty()).map(|body| Body {
                text: body.into_owned(),
                is_base64: wire.is_base64_encoded.unwrap_or(false),
            }),
        })
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;

        impl<'de> Visitor<'de> for Lines {
            type Value = Headers;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a map of headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Headers::default();
                while let Some(name) = map.next_key::<JsonString>()? {
                    let slot = if name.0.eq_ignore_ascii_case(b"authorization") {
                        &mut headers.authorization
                    } else if name.0.eq_ignore_ascii_case(b"content-type") {
                        &mut headers.content_type
                    } else if name.0.eq_ignore_ascii_case(b"content-encoding") {
                        &mut headers.content_encoding
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    if let Some(values) = map.next_value::<Option<HeaderValues>>()? {
                        values.append_to(slot);
                    }
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Lines)
    }
}

/// A header's value: a string in `headers`, a list of them in `multiValueHeaders`.
struct HeaderValues(Vec<Vec<u8>>);

impl HeaderValues {
    fn append_to(self, slot: &mut Option<Vec<u8>>) {
        for value in self.0 {
            match slot {
                Some(line) => {
                    line.extend_from_slice(b", ");
                    line.extend(value);
                }
                None => *slot = Some(value),
            }
        }
    }
}

impl<'de> Deserialize<'de> for HeaderValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = HeaderValues;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a header's value or a list of them")
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<HeaderValues, E> {
                Ok(HeaderValues(vec![value.to_vec()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<HeaderValues, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<JsonString>()? {
                    values.push(value.into_owned());
                }
                Ok(HeaderValues(values))
            }
        }

        deserializer.deserialize_bytes(OneOrMany)
    }
}
