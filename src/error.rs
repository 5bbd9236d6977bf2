//! Every way in which a request can fail, and what the caller is told.
//!
//! `Error::response` is `docs/contract.md#2-failures` as one table: each case has its status, its outcome for the log and the
//! metrics, and its message. No other part of the crate chooses a failure's status, and only an invalid body has its
//! messages elsewhere, in `new_contact`.

use std::borrow::Cow;

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};

use crate::{
    new_contact::InvalidBody,
    store::{Fault, FaultKind, Remedy},
};

/// Why a request got no contact.
///
/// It implements neither `Display` nor `std::error::Error` on purpose: `Error::response` is the only way to show it.
#[derive(Debug)]
pub enum Error {
    /// The path is not `/api/contacts`.
    NoSuchPath,
    /// The path is right, the method is not `POST`.
    MethodNotAllowed,
    /// More than 64 KiB of body.
    BodyTooLarge,
    /// No `Authorization` header, or one without a well-formed key.
    MalformedKey,
    /// A well-formed key that is unknown, revoked or expired. The caller isn't told which.
    RefusedKey,
    /// The key may not create contacts.
    MissingScope,
    /// The key is restricted to another workspace.
    OtherWorkspace,
    /// A `Content-Type` that is not JSON.
    UnsupportedMediaType,
    /// A `Content-Encoding` other than `identity`.
    CompressedBody,
    /// The body is missing or unreadable, or has invalid members.
    InvalidBody(InvalidBody),
    /// The workspace doesn't exist or belongs to another tenant. The caller isn't told which.
    WorkspaceNotFound,
    /// The workspace has a contact with this address under another name; its id, if it has one.
    Conflict(Option<String>),
    /// A database call failed, after retries if the error was transient.
    Database(Fault),
    /// The request ran out of time before the database responded.
    OutOfTime,
    /// The code panicked: a defect.
    Panic,
}

/// What the caller of a failed request gets, and the outcome under which the request is counted.
pub(crate) struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// The outcome in the log entry and the metrics.
    pub outcome: &'static str,
    /// An additional header, if this failure has one.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// The `error` member.
    pub message: Cow<'static, str>,
}

impl Error {
    /// Status, outcome, header and message of each case (`docs/contract.md#2-failures`), in the form of a table.
    #[rustfmt::skip]
    pub(crate) fn response(&self) -> Failure {
        use StatusCode as Status;
        let with = |name, value| Some((name, HeaderValue::from_static(value)));
        let (status, outcome, header, message) = match self {
            Self::NoSuchPath => (Status::NOT_FOUND, "no_such_path", None,
                "There is nothing at this path. Contacts are created with POST /api/contacts."),
            Self::MethodNotAllowed => (Status::METHOD_NOT_ALLOWED, "method_not_allowed", with(header::ALLOW, "POST"),
                "Only POST is allowed here: it creates a contact."),
            Self::BodyTooLarge => (Status::PAYLOAD_TOO_LARGE, "too_large", None,
                "The body is larger than 64 KiB (65,536 bytes)."),
            Self::MalformedKey => (Status::UNAUTHORIZED, "unauthenticated", with(header::WWW_AUTHENTICATE, "Bearer"),
                "Send an API key in the Authorization header: Bearer sf_live_v1_… or Bearer sf_test_v1_…"),
            Self::RefusedKey => (Status::UNAUTHORIZED, "unauthenticated", with(header::WWW_AUTHENTICATE, "Bearer"),
                "The API key is not valid. Ask for a new one if it was revoked or has expired."),
            Self::MissingScope => (Status::FORBIDDEN, "forbidden", None,
                "The API key lacks the scope contacts:write."),
            Self::OtherWorkspace => (Status::FORBIDDEN, "forbidden", None,
                "The API key is restricted to another workspace."),
            Self::UnsupportedMediaType => (Status::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", None,
                "The Content-Type must be application/json."),
            Self::CompressedBody => (Status::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type",
                with(header::ACCEPT_ENCODING, "identity"),
                "The body must not be compressed: send it without a Content-Encoding."),
            Self::InvalidBody(invalid) => {
                return Failure { status: Status::BAD_REQUEST, outcome: "invalid", header: None, message: invalid.message() };
            }
            Self::WorkspaceNotFound => (Status::NOT_FOUND, "workspace_not_found", None,
                "Workspace not found"),
            Self::Conflict(id) => (Status::CONFLICT, "conflict", id.as_deref().and_then(location),
                "The workspace already has a contact with this e-mail address under another name."),
            Self::Panic => INTERNAL,
            Self::Database(fault) if fault.kind.remedy() == Remedy::Operator => INTERNAL,
            // Throttling has an outcome of its own, because operators fix it differently: with more capacity.
            Self::Database(Fault { kind, .. }) => (Status::SERVICE_UNAVAILABLE,
                if *kind == FaultKind::Throttled { "throttled" } else { "unavailable" },
                with(header::RETRY_AFTER, "1"), NOT_NOW),
            Self::OutOfTime => (Status::SERVICE_UNAVAILABLE, "unavailable", with(header::RETRY_AFTER, "1"), NOT_NOW),
        };
        Failure { status, outcome, header, message: Cow::Borrowed(message) }
    }
}

const NOT_NOW: &str =
    "The service's database is unavailable or too slow. Nothing is half done: retry the same request.";
const INTERNAL: (StatusCode, &str, Option<(HeaderName, HeaderValue)>, &str) = (
    StatusCode::INTERNAL_SERVER_ERROR,
    "fault",
    None,
    "The service failed. The error is on our side and has been logged.",
);

/// The `Location` of a contact on the platform's read endpoint (`docs/contract.md#response`). `None` if another writer stored
/// an id that can't be part of a path without escaping (RFC 3986, section 2.3).
pub(crate) fn location(id: &str) -> Option<(HeaderName, HeaderValue)> {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if id.is_empty() || !id.bytes().all(is_unreserved) {
        return None;
    }
    let value = HeaderValue::try_from(format!("/api/contacts/{id}")).ok()?;
    Some((header::LOCATION, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_that_needs_no_escaping_has_a_location() {
        let (_, value) = location("0198c1a5-6f00-7000~8000_a.B").expect("a location");
        assert_eq!(value, "/api/contacts/0198c1a5-6f00-7000~8000_a.B");
        for id in ["", "a/b", "a b", "?", "é", "a\n"] {
            assert!(location(id).is_none(), "{id}");
        }
    }
}
