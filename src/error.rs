//! Every way in which a request can fail, and what the caller is told.
//!
//! `Error::response` is `docs/contract.md#2-failures` as one table: each case has its status, its outcome for the log and the
//! metrics, and its sentence. No other part of the crate chooses a failure's status, and only an invalid body has its
//! sentences elsewhere, in `new_contact`.

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
    /// A database call failed, and retries didn't help.
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
    /// The `error` member.
    pub sentence: Cow<'static, str>,
    /// An additional header, if this failure has one.
    pub header: Option<(HeaderName, HeaderValue)>,
}

const NOT_NOW: &str =
    "The service's database is unavailable or too slow. Nothing is half done: retry the same request.";

impl Error {
    /// Status, outcome, sentence and header of each case (`docs/contract.md#2-failures`).
    #[expect(clippy::too_many_lines, reason = "one table with an entry for each case")]
    pub(crate) fn response(&self) -> Failure {
        let with = |name, value| Some((name, HeaderValue::from_static(value)));
        let (status, outcome, sentence, header) = match self {
            Self::NoSuchPath => (
                StatusCode::NOT_FOUND,
                "no_such_path",
                "There is nothing at this path. Contacts are created with POST /api/contacts.",
                None,
            ),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Only POST is allowed here: it creates a contact.",
                with(header::ALLOW, "POST"),
            ),
            Self::BodyTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The body is larger than 64 KiB (65,536 bytes).",
                None,
            ),
            Self::MalformedKey => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Send an API key in the Authorization header: Bearer sf_live_v1_… or Bearer sf_test_v1_…",
                with(header::WWW_AUTHENTICATE, "Bearer"),
            ),
            Self::RefusedKey => (
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "The API key is not valid. Ask for a new one if it was revoked or has expired.",
                with(header::WWW_AUTHENTICATE, "Bearer"),
            ),
            Self::MissingScope => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The API key lacks the scope contacts:write.",
                None,
            ),
            Self::OtherWorkspace => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The API key is restricted to another workspace.",
                None,
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The Content-Type must be application/json.",
                None,
            ),
            Self::CompressedBody => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must not be compressed: send it without a Content-Encoding.",
                with(header::ACCEPT_ENCODING, "identity"),
            ),
            Self::InvalidBody(invalid) => {
                return Failure {
                    status: StatusCode::BAD_REQUEST,
                    outcome: "invalid",
                    sentence: invalid.sentence(),
                    header: None,
                };
            }
            Self::WorkspaceNotFound => (
                StatusCode::NOT_FOUND,
                "workspace_not_found",
                "Workspace not found",
                None,
            ),
            Self::Conflict(id) => (
                StatusCode::CONFLICT,
                "conflict",
                "The workspace already has a contact with this e-mail address under another name.",
                id.as_deref().and_then(location),
            ),
            Self::Database(fault) if fault.kind.remedy() == Remedy::Operator => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "fault",
                "The service failed. The error is on our side and has been logged.",
                None,
            ),
            // A separate outcome, because operators fix it differently: with more capacity.
            Self::Database(fault) if fault.kind == FaultKind::Throttled => (
                StatusCode::SERVICE_UNAVAILABLE,
                "throttled",
                NOT_NOW,
                with(header::RETRY_AFTER, "1"),
            ),
            Self::Database(_) | Self::OutOfTime => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                NOT_NOW,
                with(header::RETRY_AFTER, "1"),
            ),
            Self::Panic => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "fault",
                "The service failed. The error is on our side and has been logged.",
                None,
            ),
        };
        Failure {
            status,
            outcome,
            sentence: Cow::Borrowed(sentence),
            header,
        }
    }
}

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
    fn only_an_id_that_is_part_of_a_path_as_it_is_has_a_location() {
        let (_, value) = location("0198c1a5-6f00-7000~8000_a.B").expect("a location");
        assert_eq!(value, "/api/contacts/0198c1a5-6f00-7000~8000_a.B");
        for id in ["", "a/b", "a b", "?", "é", "a\n"] {
            assert!(location(id).is_none(), "{id}");
        }
    }
}
