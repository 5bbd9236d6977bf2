//! The two DynamoDB calls, and what each of their failures means (contract, sections 2, 3 and 6).
//!
//! A request reads once (`BatchGetItem` of key and workspace, or `GetItem` of the key alone where the body names no
//! workspace) and writes once (a conditional `PutItem`). The SDK retries by itself; its settings are in `budget.rs` and
//! [`Config::client`](crate::config::Config::client).
//!
//! | fault | sent again | answer |
//! | --- | --- | --- |
//! | throttled: `ThrottlingException`, `ProvisionedThroughputExceededException`, `RequestLimitExceeded` | yes | 503 |
//! | `UnprocessedKeys` in a 200 | yes, by [`Store::read`], only for what is missing | 503 |
//! | any 5xx | yes | 503 |
//! | connection refused, reset or closed; a name that doesn't resolve; a TLS handshake that fails | yes | 503 |
//! | no answer within the attempt's time | yes | 503 |
//! | an answer that is cut, or not DynamoDB's JSON | yes | 503 |
//! | another write was in the way: `TransactionConflictException`, `ReplicatedWriteConflictException` | yes | 503 |
//! | the clock is off: `InvalidSignatureException` and the like, with a `Date` more than four minutes away | yes, with the clock corrected | 500 |
//! | `AccessDeniedException`, `UnrecognizedClientException`, `ExpiredTokenException`: credentials never change in a process | no | 500 |
//! | `ResourceNotFoundException`: a table is missing | no | 500 |
//! | any other 4xx: the request is wrong, a defect | no | 500 |
//! | an item that can't be read: a defect of whoever wrote it | no | 500 |
//!
//! The SDK sends again what it knows to be passing; `PassingAnswers` tells it of the answers that it doesn't know.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeTransmitInterceptorContextRef, InterceptorContext},
        retry::{ClassifyRetry, RetryAction},
    },
    error::{BoxError, ProvideErrorMetadata, SdkError},
    operation::{batch_get_item::BatchGetItemError, get_item::GetItemError, put_item::PutItemError},
    types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure},
};
use uuid::Uuid;

use crate::{api_key::KeyHash, budget, config::Tables, contact::StoredContact, new_contact::NewContact};

/// An item's attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// The named attribute of an item is missing or has a value that it must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedItem(pub &'static str);

/// A string attribute, if it is there and not NULL.
pub(crate) fn optional_string<'a>(item: &'a Item, name: &'static str) -> Result<Option<&'a str>, MalformedItem> {
    match item.get(name) {
        None | Some(AttributeValue::Null(_)) => Ok(None),
        Some(AttributeValue::S(value)) => Ok(Some(value)),
        Some(_) => Err(MalformedItem(name)),
    }
}

/// A UUID attribute that must be there.
pub(crate) fn required_uuid(item: &Item, name: &'static str) -> Result<Uuid, MalformedItem> {
    let text = optional_string(item, name)?.ok_or(MalformedItem(name))?;
    Uuid::try_parse(text).map_err(|_| MalformedItem(name))
}

/// What ended a database call, and what the log may know of it: never a value of the request or of an item.
#[derive(Debug)]
pub struct Fault {
    /// The DynamoDB operation.
    pub operation: &'static str,
    /// What went wrong.
    pub kind: FaultKind,
    /// The error code that DynamoDB gave, if it answered with one.
    pub code: Option<String>,
    /// DynamoDB's id of the last attempt, if it answered.
    pub aws_request_id: Option<String>,
}

/// The kinds of fault that an operator treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many requests for a table, a key or the account.
    Throttled,
    /// DynamoDB answered 5xx, or that another write was in the way.
    Failed,
    /// No answer in time.
    TimedOut,
    /// No connection, or one that broke.
    Unreachable,
    /// An answer that could not be read.
    Unreadable,
    /// The credentials may not do this, are wrong, have expired, or the clock is off.
    Denied,
    /// A table doesn't exist.
    NoSuchTable,
    /// DynamoDB refused the request, or it could not be built: a defect.
    Rejected,
    /// An item has an attribute that can't be read.
    MalformedItem(&'static str),
}

/// Who can mend a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It passes: the caller sends the request again.
    Retry,
    /// It stays until somebody mends the deployment or the data.
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
    /// Who can mend it.
    #[must_use]
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Throttled | Self::Failed | Self::TimedOut | Self::Unreachable | Self::Unreadable => Remedy::Retry,
            Self::Denied | Self::NoSuchTable | Self::Rejected | Self::MalformedItem(_) => Remedy::Operator,
        }
    }
}

impl Fault {
    fn new(operation: &'static str, kind: FaultKind) -> Self {
        Self {
            operation,
            kind,
            code: None,
            aws_request_id: None,
        }
    }

    /// An item of this operation's answer could not be read.
    #[must_use]
    pub fn malformed(operation: &'static str, MalformedItem(attribute): MalformedItem) -> Self {
        Self::new(operation, FaultKind::MalformedItem(attribute))
    }

    /// The SDK's error, less everything that could show a request or an item.
    fn of<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E>) -> Self {
        let kind = match error {
            SdkError::TimeoutError(_) => FaultKind::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => FaultKind::TimedOut,
            SdkError::DispatchFailure(_) => FaultKind::Unreachable,
            SdkError::ResponseError(_) => FaultKind::Unreadable,
            SdkError::ServiceError(service) => {
                kind_of_answer(service.raw().status().as_u16(), service.err().meta().code())
            }
            // `SdkError` is open to new cases; what could not even be sent is a defect.
            _ => FaultKind::Rejected,
        };
        Self {
            operation,
            kind,
            code: error.meta().code().map(str::to_owned),
            aws_request_id: error
                .raw_response()
                .and_then(|response| response.headers().get("x-amzn-requestid"))
                .map(str::to_owned),
        }
    }
}

/// DynamoDB's error codes (Amazon DynamoDB Developer Guide, "Error handling"; "Common errors" of its API reference).
fn kind_of_answer(status: u16, code: Option<&str>) -> FaultKind {
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
        // A 2xx that is an error is one whose body could not be read; an error without a code is no answer of DynamoDB's.
        None => FaultKind::Unreadable,
        Some(_) => FaultKind::Rejected,
    }
}

/// Has the SDK send again what DynamoDB answered in passing, by the same table that decides on the caller's answer.
#[derive(Debug)]
pub(crate) struct PassingAnswers;

impl ClassifyRetry for PassingAnswers {
    fn name(&self) -> &'static str {
        "PassingAnswers"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = context
            .output_or_error()
            .and_then(|result| result.err()?.as_operation_error());
        let (Some(error), Some(response)) = (error, context.response()) else {
            // No error, or none of an answer: the SDK's own classifiers know connections and timeouts.
            return RetryAction::NoActionIndicated;
        };
        let code = (error.downcast_ref::<PutItemError>().map(|error| error.meta().code()))
            .or_else(|| {
                error
                    .downcast_ref::<BatchGetItemError>()
                    .map(|error| error.meta().code())
            })
            .or_else(|| error.downcast_ref::<GetItemError>().map(|error| error.meta().code()))
            .flatten();
        match kind_of_answer(response.status().as_u16(), code).remedy() {
            Remedy::Retry => RetryAction::transient_error(),
            Remedy::Operator => RetryAction::NoActionIndicated,
        }
    }
}

tokio::task_local! {
    static ATTEMPTS: Attempts;
}

/// How often a request's calls were sent, retries included.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// The same work, whose calls are counted here: by the client's one [`CountAttempts`], because an interceptor for each
    /// call has the SDK put the whole configuration together again.
    pub fn of<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        ATTEMPTS.scope(self.clone(), work)
    }

    /// The number so far.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts each attempt for the request whose [`Attempts`] the task is in.
#[derive(Debug)]
pub(crate) struct CountAttempts;

impl Intercept for CountAttempts {
    fn name(&self) -> &'static str {
        "CountAttempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Outside a request there is nothing to count for.
        let _ = ATTEMPTS.try_with(|attempts| attempts.0.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// What became of a write.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is moved once")]
pub enum Written {
    /// This request created the contact.
    Created,
    /// The address had a contact before: this one. Nothing was written.
    Existing(StoredContact),
}

impl Written {
    /// What a failed condition means: the item that stands there is our own, from a copy of this write whose answer was
    /// lost, or it was there before. See [`Store::create`].
    #[must_use]
    pub fn over(stored: StoredContact, ours: &StoredContact) -> Self {
        if stored.contact.id == ours.contact.id {
            Self::Created
        } else {
            Self::Existing(stored)
        }
    }
}

/// The three tables.
pub struct Store {
    client: Client,
    tables: Tables,
}

/// The operation names, as they stand on the wire, in log lines and in metrics.
pub(crate) const READ: &str = "BatchGetItem";
pub(crate) const READ_KEY: &str = "GetItem";
pub(crate) const WRITE: &str = "PutItem";

impl Store {
    /// The tables behind a client.
    #[must_use]
    pub fn new(client: Client, tables: Tables) -> Self {
        Self { client, tables }
    }

    /// Reads a key's item, where the body names no workspace that could be read with it.
    ///
    /// # Errors
    ///
    /// The call failed for good.
    pub async fn read_key(&self, key: &KeyHash) -> Result<Option<Item>, Fault> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.tables.api_keys)
            .key("keyHash", AttributeValue::S(key.as_str().to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Fault::of(READ_KEY, &error))?;
        Ok(answer.item)
    }

    /// Reads the items of a key and a workspace in one call.
    ///
    /// `BatchGetItem` may answer 200 and leave keys out because they were throttled: that is no "not found", so what is
    /// missing is asked for again.
    ///
    /// # Errors
    ///
    /// The call failed for good, or keys were still left out of its last attempt.
    pub async fn read(&self, key: &KeyHash, workspace_id: Uuid) -> Result<(Option<Item>, Option<Item>), Fault> {
        let request = |name: &str, value: String| {
            KeysAndAttributes::builder()
                .keys(HashMap::from([(name.to_owned(), AttributeValue::S(value))]))
                .consistent_read(true)
                .build()
                .map_err(|_| Fault::new(READ, FaultKind::Rejected))
        };
        let mut wanted = HashMap::from([
            (
                self.tables.api_keys.clone(),
                request("keyHash", key.as_str().to_owned())?,
            ),
            (
                self.tables.workspaces.clone(),
                request("workspaceId", workspace_id.to_string())?,
            ),
        ]);
        let mut key_item = None;
        let mut workspace_item = None;
        for asked in 1.. {
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(Some(wanted))
                .send()
                .await
                .map_err(|error| Fault::of(READ, &error))?;
            // DynamoDB always says what it found, if only nothing: an answer without that is none, and no "unknown key".
            let mut found = answer
                .responses
                .ok_or_else(|| Fault::new(READ, FaultKind::Unreadable))?;
            let mut take = |table: &str| found.get_mut(table).and_then(Vec::pop);
            key_item = key_item.or_else(|| take(&self.tables.api_keys));
            workspace_item = workspace_item.or_else(|| take(&self.tables.workspaces));
            wanted = answer.unprocessed_keys.unwrap_or_default();
            if wanted.is_empty() {
                break;
            }
            if asked == budget::ATTEMPTS {
                return Err(Fault::new(READ, FaultKind::Throttled));
            }
            tokio::time::sleep(budget::backoff(asked)).await;
        }
        Ok((key_item, workspace_item))
    }

    /// Writes a contact, unless its address has one already.
    ///
    /// A write whose answer is lost has an unknown outcome, and the SDK sends it again. If the first copy was applied, the
    /// second fails its condition, and the failure carries the item that stands there: the one that this very request
    /// wrote. Its `id` tells. The id is 74 random bits made for this request and sent nowhere else, so whoever finds it in
    /// the table made it, and no other request can be told "created" for the same item: the condition lets one write of an
    /// address through, ever, and only that write's id is stored. A copy that arrives after the answer, however late,
    /// fails the same condition and changes nothing. `tests/faults/model.rs` walks through every interleaving of this.
    ///
    /// # Errors
    ///
    /// The call failed for good. The contact may exist then; the caller's retry finds it.
    pub async fn create(&self, contact: &StoredContact, new: &NewContact) -> Result<Written, Fault> {
        let written = self
            .client
            .put_item()
            .table_name(&self.tables.contacts)
            .set_item(Some(contact.to_item(new)))
            .condition_expression("attribute_not_exists(emailKey)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match written {
            Ok(_) => Ok(Written::Created),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failure)) => {
                    let item = failure.item().ok_or(MalformedItem("item"));
                    let stored = item
                        .and_then(StoredContact::from_item)
                        .map_err(|malformed| Fault::malformed(WRITE, malformed))?;
                    Ok(Written::over(stored, contact))
                }
                _ => Err(Fault::of(WRITE, &error)),
            },
        }
    }
}
