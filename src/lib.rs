//! `POST /api/contacts`: one AWS Lambda function that creates a contact in DynamoDB.
//!
//! A request passes through the modules in one straight line, and each module knows only its own part:
//!
//! ```text
//! runtime ──▶ handler ──▶ event + api_key + new_contact (parse) ──▶ store (read) ──▶ contact ──▶ store (write) ──▶ handler ──▶ runtime
//! ```
//!
//! | module | knows | never |
//! | --- | --- | --- |
//! | `runtime` | the process: configuration, client, the handler for Lambda's runtime library | the contract's rules |
//! | [`config`] | the environment variables | defaults that hide a mistake |
//! | [`event`] | API Gateway's two payload formats, and the few members of them that the service reads | what they mean |
//! | [`handler`] | path, method, size, media type, headers, the order of the checks | items and operations of DynamoDB |
//! | [`api_key`] | a key's syntax, its hash, what it grants | HTTP |
//! | [`new_contact`], [`name`], [`email`], [`company`] | turning input into values that are always valid | I/O |
//! | [`contact`] | the Contact: its JSON, its item | HTTP |
//! | [`item`] | reading a DynamoDB item's attributes | what an attribute means |
//! | [`store`] | the two DynamoDB calls, how they fail, how the client is built | the caller's status codes |
//! | [`error`] | every failure's status and message, in one table | DynamoDB's error codes |
//! | `budget`, [`text`], [`log`] | the times; normalising text; the log entries | |
//!
//! The contract is `docs/contract.md`. [`run`] is the function's process, and [`handler::handle`] handles one invocation.

pub mod api_key;
mod budget;
pub mod company;
pub mod config;
pub mod contact;
pub mod email;
pub mod error;
pub mod event;
pub mod handler;
pub mod item;
pub mod log;
pub mod name;
pub mod new_contact;
mod runtime;
pub mod store;
pub mod text;

pub use runtime::run;
