//! What each failure of a DynamoDB call means: whether it is retried, and who can fix it.
//!
//! | failure | retried | the caller gets |
//! | --- | --- | --- |
//! | throttled: `ThrottlingException`, `ProvisionedThroughputExceededException`, `RequestLimitExceeded`, and the SDK's other codes for it | yes | 503 |
//! | `UnprocessedKeys` in a 200 | yes, by [`Store::read`](super::Store::read), only the missing keys | 503 |
//! | any 5xx, `RequestTimeout`, and an error without a code, which isn't DynamoDB's | yes | 503 |
//! | connection refused, reset or closed; a name that doesn't resolve; a TLS handshake that fails | yes | 503 |
//! | no response within the attempt's time | yes | 503 |
//! | a response that is not HTTP, empty, cut off, not DynamoDB's JSON, or a batch without `Responses` | yes | 503 |
//! | a conflicting write: `TransactionConflictException`, `ReplicatedWriteConflictException` | yes | 503 |
//! | the clock was wrong: `InvalidSignatureException`, `RequestTimeTooSkewed`, `RequestExpired` | yes: the SDK corrects its clock with each response | 500 |
//! | `AccessDeniedException`, `UnrecognizedClientException`, `ExpiredTokenException`: credentials never change in a process | no | 500 |
//! | `ResourceNotFoundException`: a table is missing | no | 500 |
//! | any other 4xx: the request is wrong, a defect | no | 500 |
//! | an item that can't be read: its writer has to fix it | no | 500; for a workspace's item 404, with the fault in the log |
//!
//! The SDK retries the transient errors that it knows. [`RetryTransientErrors`] makes it retry the others too.

use std::fmt;

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{AfterDeserializationInterceptorContextRef, InterceptorContext},
        retry::{ClassifyRetry, RetryAction},
    },
    error::{BoxError, ConnectorError, ProvideErrorMetadata, SdkError},
    operation::{
        batch_get_item::{BatchGetItemError, BatchGetItemOutput},
        get_item::GetItemError,
        put_item::PutItemError,
    },
    types::ThrottlingReason,
};
use aws_smithy_runtime_api::client::interceptors::context::Error as OperationError;

use crate::item::MalformedItem;

/// Why a database call failed, with what may be logged about it: never a value of the request or of an item.
#[derive(Debug)]
pub struct Fault {
    /// The DynamoDB operation.
    pub operation: &'static str,
    /// What went wrong.
    pub kind: FaultKind,
    /// DynamoDB's error code, if it responded with one.
    pub code: Option<String>,
    /// Why DynamoDB throttled the call: DynamoDB's own names for the reasons.
    pub throttling_reasons: Vec<String>,
    /// DynamoDB's id of the last attempt, if it responded.
    pub request_id: Option<String>,
}

/// The kinds of fault that an operator treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many requests for a table, a key or the account.
    Throttled,
    /// DynamoDB responded with a 5xx, or another write conflicted.
    Failed,
    /// No response in time.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
    /// A response that could not be read.
    Unreadable,
    /// The credentials lack a permission, are wrong or have expired, or the clock is wrong.
    Denied,
    /// A table doesn't exist.
    NoSuchTable,
    /// DynamoDB refused the request, or it could not be built: a defect.
    Rejected,
    /// An item has an attribute that can't be read.
    MalformedItem(&'static str),
}

/// Who can fix a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is transient: the caller retries the request.
    Retry,
    /// It doesn't go away until an operator fixes the deployment or the data.
    Operator,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Unreadable => "unreadable",
            Self::Denied => "denied",
            Self::NoSuchTable => "no_such_table",
            Self::Rejected => "rejected",
            Self::MalformedItem(attribute) => return write!(formatter, "malformed_item:{attribute}"),
        })
    }
}

impl FaultKind {
    /// Who can fix it.
    #[must_use]
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Throttled | Self::Failed | Self::TimedOut | Self::Unreachable | Self::Unreadable => Remedy::Retry,
            Self::Denied | Self::NoSuchTable | Self::Rejected | Self::MalformedItem(_) => Remedy::Operator,
        }
    }
}

impl Fault {
    pub(super) fn new(operation: &'static str, kind: FaultKind) -> Self {
        Self {
            operation,
            kind,
            code: None,
            throttling_reasons: Vec::new(),
            request_id: None,
        }
    }

    /// The request ran out of time during this operation.
    pub(crate) fn out_of_time(operation: &'static str) -> Self {
        Self::new(operation, FaultKind::TimedOut)
    }

    /// An item in this operation's response could not be read.
    pub(super) fn malformed(operation: &'static str, MalformedItem(attribute): MalformedItem) -> Self {
        Self::new(operation, FaultKind::MalformedItem(attribute))
    }

    /// The SDK's error, without anything that could show a request or an item.
    pub(super) fn of<E: ProvideErrorMetadata + Throttling>(operation: &'static str, error: &SdkError<E>) -> Self {
        let kind = match error {
            SdkError::TimeoutError(_) => FaultKind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => FaultKind::TimedOut,
            // A response that isn't HTTP is neither an I/O error nor a timeout.
            SdkError::DispatchFailure(failure) if failure.is_other() => FaultKind::Unreadable,
            SdkError::DispatchFailure(_) => FaultKind::Unreachable,
            SdkError::ResponseError(_) => FaultKind::Unreadable,
            SdkError::ServiceError(service) => {
                kind_of_response(service.raw().status().as_u16(), service.err().meta().code())
            }
            // The request could not be built, which is a defect. `SdkError` may also get new cases.
            _ => FaultKind::Rejected,
        };
        let reasons = error.as_service_error().map_or(&[][..], Throttling::reasons);
        Self {
            operation,
            kind,
            code: error.meta().code().and_then(identifier),
            throttling_reasons: reasons
                .iter()
                .filter_map(|reason| identifier(reason.reason()?))
                .collect(),
            request_id: error
                .raw_response()
                .and_then(|response| identifier(response.headers().get("x-amzn-requestid")?)),
        }
    }
}

/// An error code, a throttling reason or a request id as DynamoDB writes them. They come from the network and go to the
/// log, so any other or longer text is dropped.
pub(super) fn identifier(text: &str) -> Option<String> {
    let is_one =
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_one.then(|| text.to_owned())
}

/// The reasons that DynamoDB gives for throttling, in the error type of each operation.
pub(super) trait Throttling {
    fn reasons(&self) -> &[ThrottlingReason];
}

macro_rules! throttling {
    ($($error:ident),*) => {$(
        impl Throttling for $error {
            fn reasons(&self) -> &[ThrottlingReason] {
                match self {
                    Self::ThrottlingException(error) => error.throttling_reasons(),
                    Self::ProvisionedThroughputExceededException(error) => error.throttling_reasons(),
                    Self::RequestLimitExceeded(error) => error.throttling_reasons(),
                    _ => &[],
                }
            }
        }
    )*};
}

throttling!(BatchGetItemError, GetItemError, PutItemError);

/// DynamoDB's error codes (Amazon DynamoDB Developer Guide, "Error handling"; "Common errors" of its API reference), and the codes that
/// the SDK retries for every service, so that a failure after retries is a 503.
fn kind_of_response(status: u16, code: Option<&str>) -> FaultKind {
    match code {
        Some(
            "ThrottlingException"
            | "ThrottledException"
            | "Throttling"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "LimitExceededException",
        ) => FaultKind::Throttled,
        Some(
            "TransactionConflictException" | "TransactionInProgressException" | "ReplicatedWriteConflictException",
        ) => FaultKind::Failed,
        Some("RequestTimeout" | "RequestTimeoutException") => FaultKind::TimedOut,
        Some("ResourceNotFoundException") => FaultKind::NoSuchTable,
        Some(
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "RequestTimeTooSkewed",
        ) => FaultKind::Denied,
        _ if status >= 500 => FaultKind::Failed,
        // The body of a 2xx could not be read, or an error has no code and so isn't DynamoDB's.
        None => FaultKind::Unreadable,
        Some(_) => FaultKind::Rejected,
    }
}

fn code<E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static>(error: &OperationError) -> Option<&str> {
    error.downcast_ref::<E>()?.code()
}

/// Whether a signature was refused because of its time. The SDK corrects its clock with each response, so the next attempt
/// has the right time. The SDK's own classifier misses the case that this machine's clock was corrected in the meantime.
fn is_about_the_clock(code: Option<&str>) -> bool {
    matches!(
        code,
        Some("InvalidSignatureException" | "RequestTimeTooSkewed" | "RequestExpired")
    )
}

/// Makes the SDK retry every transient error, according to the same table that decides the caller's response.
#[derive(Debug)]
pub(super) struct RetryTransientErrors;

impl ClassifyRetry for RetryTransientErrors {
    fn name(&self) -> &'static str {
        "RetryTransientErrors"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let is_transient = match (error.as_operation_error(), context.response()) {
            (Some(error), Some(response)) => {
                let code = code::<PutItemError>(error)
                    .or_else(|| code::<BatchGetItemError>(error))
                    .or_else(|| code::<GetItemError>(error));
                kind_of_response(response.status().as_u16(), code).remedy() == Remedy::Retry || is_about_the_clock(code)
            }
            // A response that the SDK couldn't read or that `RefuseEmptyResponses` refused.
            (None, Some(_)) => true,
            // The SDK itself retries broken connections and timeouts. That leaves a response that isn't HTTP.
            _ => error.as_connector_error().is_some_and(ConnectorError::is_other),
        };
        if is_transient {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }
}

/// Turns an empty 200 into an error. DynamoDB always sends a JSON object, and for a batch always `Responses`. The SDK reads an
/// empty body as an empty object, which would mean an unknown key, or a contact that was written.
#[derive(Debug)]
pub(super) struct RefuseEmptyResponses;

impl Intercept for RefuseEmptyResponses {
    fn name(&self) -> &'static str {
        "RefuseEmptyResponses"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else {
            return Ok(());
        };
        let is_empty = context.response().body().bytes().is_some_and(<[u8]>::is_empty);
        let has_no_batch = output
            .downcast_ref::<BatchGetItemOutput>()
            .is_some_and(|output| output.responses.is_none());
        if is_empty || has_no_batch {
            return Err("the response is empty".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identifiers_of_dynamodb_are_logged() {
        for text in [
            "ThrottlingException",
            "TableWriteKeyRangeThroughputExceeded",
            "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG",
        ] {
            assert_eq!(identifier(text).as_deref(), Some(text));
        }
        assert_eq!(identifier(&"a".repeat(64)).map(|text| text.len()), Some(64));
        for text in ["", "ada@acme.de", "Ada Lovelace", "é", "a\n", &"a".repeat(65)] {
            assert_eq!(identifier(text), None, "{text}");
        }
    }
}
