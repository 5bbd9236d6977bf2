//! From event to response: the order of the checks, and what a response looks like
//! (`docs/contract.md#order-of-the-checks`, `docs/contract.md#route`).

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::Utc;
use futures_util::FutureExt as _;
use lambda_http::{
    Body as ResponseBody, LambdaEvent,
    aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    api_key::KeyHash,
    budget,
    contact::{Contact, StoredContact},
    error::{Error, location},
    event::{Event, NotAnApiGatewayEvent, Payload, PayloadFormat},
    log::RequestLog,
    new_contact::{InvalidBody, NewContact},
    store::{Access, Fault, Store, Written},
};

const PATH: &str = "/api/contacts";
const MAX_BODY_BYTES: usize = 65_536;

/// The contact to respond with, and whether this request created it.
struct Success {
    contact: Contact,
    created: bool,
}

/// Handles one invocation. Whatever the caller or the database does, it returns one of the contract's responses and writes one
/// log entry.
///
/// # Errors
///
/// The payload isn't an API Gateway proxy event. Then there is no caller to respond to, and the invocation fails.
pub async fn handle(
    store: &Store,
    LambdaEvent { payload, context }: LambdaEvent<Payload>,
) -> Result<Response, NotAnApiGatewayEvent> {
    let time = budget::for_request(context.deadline(), SystemTime::now());
    let event = payload.0?;
    let format = event.format;
    let mut log = RequestLog::start(context.request_id, event.request_id.clone());
    let usage = log.usage.clone();
    // With the SDK's calls in it, this future is about 16 KB. Boxed, it isn't copied by the layers above.
    let work = Box::pin(usage.track(create_contact(store, event, &mut log)));
    let result = in_time(time, work).await;
    Ok(respond(format, result, log))
}

/// Does a request's work. A panic, or running out of time, becomes a failure.
async fn in_time(time: Duration, work: impl Future<Output = Result<Success, Error>>) -> Result<Success, Error> {
    // Two things are still used after a panic, and both are safe to use: the log entry, whose members are each valid by
    // themselves, and the client, which the SDK shares between tasks that may end at any time. The panic hook has already
    // logged the place.
    match tokio::time::timeout(time, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Error::Panic),
        Err(_elapsed) => Err(Error::OutOfTime),
    }
}

/// The contract's checks in the contract's order, and the write.
async fn create_contact(store: &Store, event: Event, log: &mut RequestLog) -> Result<Success, Error> {
    if !is_the_path(&event) {
        return Err(Error::NoSuchPath);
    }
    if event.method != "POST" {
        return Err(Error::MethodNotAllowed);
    }
    let key = event
        .header("authorization")
        .and_then(|value| KeyHash::from_authorization(value.as_bytes()));
    let (content_type, encoding) = (event.header("content-type"), event.header("content-encoding"));
    let body = read_body(event)?;
    let key = key.ok_or(Error::MalformedKey)?;
    if !content_type.is_none_or(|value| is_json(&value)) {
        return Err(Error::UnsupportedMediaType);
    }
    if !encoding.is_none_or(|value| is_identity(&value)) {
        return Err(Error::CompressedBody);
    }

    // Parsed here, because the read needs the workspace id. An invalid body is reported only after the key has been accepted: a
    // caller without a valid key learns nothing about members.
    let new = body.and_then(|body| NewContact::parse(&body));
    let (grant, workspace_owner) = match &new {
        Ok(new) => {
            let Access { grant, workspace_owner } =
                store.read(&key, new.workspace_id).await.map_err(Error::Database)?;
            (grant, workspace_owner)
        }
        Err(_) => (store.read_key(&key).await.map_err(Error::Database)?, Ok(None)),
    };
    let grant = grant.ok_or(Error::RefusedKey)?;
    log.tenant_id = Some(grant.tenant_id);
    log.key_id = grant.key_id;
    if !grant.writes_contacts {
        return Err(Error::MissingScope);
    }
    let new = new.map_err(Error::InvalidBody)?;
    log.workspace_id = Some(new.workspace_id);
    if grant.workspace_id.is_some_and(|only| only != new.workspace_id) {
        return Err(Error::OtherWorkspace);
    }
    // If the owner can't be read, the caller gets the same response as for a workspace that doesn't exist. The log says why.
    let owner = workspace_owner.unwrap_or_else(|fault| {
        log.fault = Some(fault);
        None
    });
    if owner != Some(grant.tenant_id) {
        return Err(Error::WorkspaceNotFound);
    }

    let contact = StoredContact::create(&new, grant.tenant_id, Utc::now());
    match store.create(contact, &new).await.map_err(Error::Database)? {
        Written::Created(contact) => Ok(Success { contact, created: true }),
        Written::Existing(contact) => Ok(Success {
            contact,
            created: false,
        }),
        Written::Conflict(id) => Err(Error::Conflict(id)),
    }
}

/// The path is taken literally, with or without the event's stage before it. In 1.0, the resource may match instead.
fn is_the_path(event: &Event) -> bool {
    if event.path == PATH || event.resource.as_deref() == Some(PATH) {
        return true;
    }
    let after_stage = event
        .stage
        .as_deref()
        .filter(|stage| !stage.is_empty())
        .and_then(|stage| event.path.strip_prefix('/')?.strip_prefix(stage));
    after_stage == Some(PATH)
}

/// The body's bytes, or why there are none. A body that is too large is a separate error, because it is checked first.
fn read_body(event: Event) -> Result<Result<Vec<u8>, InvalidBody>, Error> {
    let Some(text) = event.body else {
        return Ok(Err(InvalidBody::Missing));
    };
    // Four characters of base64 are three bytes, so a text that is too long can be refused without decoding it.
    let longest = if event.is_base64 {
        MAX_BODY_BYTES.div_ceil(3) * 4
    } else {
        MAX_BODY_BYTES
    };
    if text.len() > longest {
        return Err(Error::BodyTooLarge);
    }
    let bytes = if event.is_base64 {
        BASE64.decode(text)
    } else {
        Ok(text.into_bytes())
    };
    match bytes {
        Ok(bytes) if bytes.len() > MAX_BODY_BYTES => Err(Error::BodyTooLarge),
        Ok(bytes) => Ok(Ok(bytes)),
        Err(_) => Ok(Err(InvalidBody::NotBase64)),
    }
}

/// `application/json` or `application/*+json`, case-insensitive, with or without parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let Some(subtype) = essence.strip_prefix("application/") else {
        return false;
    };
    let is_token = subtype
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    subtype == "json" || (is_token && subtype.len() > "+json".len() && subtype.ends_with("+json"))
}

/// A `Content-Encoding` that changes nothing.
fn is_identity(encoding: &str) -> bool {
    let encoding = encoding.trim_ascii();
    encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

/// A response, in the payload format of its event. `cargo lambda watch` rejects a response of 2.0 without `cookies`, which only its own
/// type has.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// For REST APIs: all headers in `multiValueHeaders`.
    V1(ApiGatewayProxyResponse),
    /// For HTTP APIs and function URLs: all headers in `headers`.
    V2(ApiGatewayV2httpResponse),
}

fn respond(format: PayloadFormat, result: Result<Success, Error>, mut log: RequestLog) -> Response {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let (status, body) = match result {
        Ok(Success { contact, created }) => {
            headers.extend(contact.id.as_deref().and_then(location));
            let (status, outcome) = if created {
                (StatusCode::CREATED, "created")
            } else {
                (StatusCode::OK, "existing")
            };
            log.finish(status, outcome);
            // A struct of optional strings, which `serde_json` can always write.
            let body = serde_json::to_string(&contact).expect("a contact is JSON");
            (status, body)
        }
        Err(error) => {
            let failure = error.response();
            headers.extend(failure.header);
            match error {
                Error::Database(fault) => log.fault = Some(fault),
                Error::OutOfTime => log.fault = log.usage.totals().operation.map(Fault::out_of_time),
                _ => {}
            }
            log.finish(failure.status, failure.outcome);
            (failure.status, json!({ "error": failure.message }).to_string())
        }
    };
    let status_code = i64::from(status.as_u16());
    match format {
        PayloadFormat::V1 => {
            let mut response = ApiGatewayProxyResponse::default();
            response.status_code = status_code;
            response.multi_value_headers = headers;
            response.body = Some(ResponseBody::Text(body));
            Response::V1(response)
        }
        PayloadFormat::V2 => {
            let mut response = ApiGatewayV2httpResponse::default();
            response.status_code = status_code;
            response.headers = headers;
            response.body = Some(ResponseBody::Text(body));
            Response::V2(response)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_500_that_says_nothing_about_it() {
        let work = async { panic!("ada@acme.de") };
        let result = in_time(Duration::from_secs(1), work).await;
        let log = RequestLog::start(String::new(), None);
        let Response::V2(response) = respond(PayloadFormat::V2, result, log) else {
            panic!("the format of the event")
        };
        assert_eq!(response.status_code, 500);
        let Some(ResponseBody::Text(body)) = response.body else {
            panic!("a text")
        };
        assert!(body.starts_with(r#"{"error":"#) && !body.contains("ada"), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_out_of_time() {
        let result = in_time(Duration::from_secs(6), std::future::pending()).await;
        assert!(matches!(result, Err(Error::OutOfTime)));
    }
}
