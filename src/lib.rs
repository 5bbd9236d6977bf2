//! `POST /api/contacts`: one AWS Lambda function that creates a contact in DynamoDB.
//!
//! One request is one straight line, and each module knows only its own part of it:
//!
//! ```text
//! event ─ event ─▶ http ─▶ api_key + new_contact (parse) ─▶ store (2 calls) ─▶ contact ─▶ http ─▶ response
//! ```
//!
//! | module | knows |
//! | --- | --- |
//! | [`event`] | API Gateway's two payload formats, and the few things in them that matter |
//! | [`http`] | path, method, size, media type, headers, the order of the checks |
//! | [`api_key`] | a key's syntax, its hash, what it grants |
//! | [`new_contact`], [`name`], [`email`], [`company`] | turning input into values that cannot be wrong |
//! | [`contact`] | the Contact: its JSON, its item |
//! | [`store`] | the two DynamoDB calls, and what each of their failures means |
//! | [`error`] | every failure's status and sentence, in one table |
//! | [`config`], `budget`, [`log`] | the environment, the times, the log lines |
//!
//! "Contract" in these pages is the service's specification; the README repeats all of it that a caller or an operator
//! needs. The function's process is [`run`]; one invocation is [`http::handle`].

pub mod api_key;
mod budget;
pub mod company;
pub mod config;
pub mod contact;
pub mod email;
pub mod error;
pub mod event;
pub mod http;
mod json;
pub mod log;
pub mod name;
pub mod new_contact;
pub mod store;

use std::{process::ExitCode, sync::Arc};

use lambda_runtime::{LambdaEvent, LambdaInvocation, Runtime, service_fn, tower::util::MapRequestLayer};

use crate::{config::Config, store::Store};

/// The function's process: configuration, client, and the runtime's loop, which ends only with the process.
///
/// One thread is enough for a function that waits for the network. With `AWS_LAMBDA_MAX_CONCURRENCY` it serves that many
/// invocations at once on it.
#[must_use]
pub fn run() -> ExitCode {
    log::init();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(%error, "the function can't start");
            return ExitCode::FAILURE;
        }
    };
    let executor = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(executor) => executor,
        Err(error) => {
            tracing::error!(%error, "the function can't start");
            return ExitCode::FAILURE;
        }
    };
    let store = Arc::new(Store::new(config.client(), config.tables));
    let handler = service_fn(move |event: LambdaEvent<_>| {
        let store = Arc::clone(&store);
        async move { http::handle(&store, event).await }
    });
    // The runtime ends the process over a payload that is not UTF-8, instead of failing the invocation.
    let readable = MapRequestLayer::new(|mut invocation: LambdaInvocation| {
        if str::from_utf8(&invocation.body).is_err() {
            invocation.body = b"null".as_slice().into();
        }
        invocation
    });
    match executor.block_on(async { Runtime::new(handler).layer(readable).run_concurrent().await }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the Lambda runtime ended");
            ExitCode::FAILURE
        }
    }
}
