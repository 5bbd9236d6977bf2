//! `POST /api/contacts`: one AWS Lambda function that creates a contact in DynamoDB.
//!
//! One request is one straight line, and each module knows only its own part of it:
//!
//! ```text
//! event ──▶ http ──▶ api_key + new_contact (parse) ──▶ store (2 calls) ──▶ contact ──▶ http ──▶ response
//! ```
//!
//! | module | knows | never |
//! | --- | --- | --- |
//! | `runtime` | the process: configuration, client, the loop that asks Lambda for invocations | a rule of the contract |
//! | [`config`] | the environment | DynamoDB, and defaults that hide a mistake |
//! | [`event`] | API Gateway's two payload formats, and the few things in them that matter | what they mean |
//! | [`http`] | path, method, size, media type, headers, the order of the checks | items and operations of DynamoDB |
//! | [`api_key`] | a key's syntax, its hash, what it grants | HTTP |
//! | [`new_contact`], [`name`], [`email`], [`company`] | turning input into values that cannot be wrong | I/O |
//! | [`contact`] | the Contact: its JSON, its item | HTTP |
//! | [`item`] | reading a DynamoDB item's attributes | what an attribute means |
//! | [`store`] | the two DynamoDB calls, how they fail, how the client is built | HTTP status codes |
//! | [`error`] | every failure's status and sentence, in one table | reasons in prose elsewhere |
//! | `budget`, [`log`] | the times; the log entries | |
//!
//! The contract is `docs/contract.md`. The function's process is [`run`]; one invocation is [`http::handle`].

pub mod api_key;
mod budget;
pub mod company;
pub mod config;
pub mod contact;
pub mod email;
pub mod error;
pub mod event;
pub mod http;
pub mod item;
mod json;
pub mod log;
pub mod name;
pub mod new_contact;
mod runtime;
pub mod store;

pub use runtime::run;
