//! `POST /api/contacts`: one AWS Lambda function that creates a contact in DynamoDB.
//!
//! A request passes through the modules in one straight line, and each module knows only its own part:
//!
//! ```text
//! runtime ──▶ handler ──▶ event + api_key + new_contact (parse) ──▶ store (read) ──▶ contact ──▶ store (write) ──▶ handler ──▶ runtime
//! ```
//!
//! | module | does | doesn't know |
//! | --- | --- | --- |
//! | `runtime` | runs the process: configuration, client, the handler for Lambda's runtime library | the contract's rules |
//! | [`config`] | reads the environment variables, and names those that are missing or invalid | DynamoDB |
//! | [`event`] | reads the few members of API Gateway's two payload formats that the service needs | what they mean |
//! | [`handler`] | checks path, method, size, media type and headers, and keeps the order of the checks | items and operations of DynamoDB |
//! | [`api_key`] | checks a key's syntax, hashes it, reads what it grants | HTTP |
//! | [`new_contact`], [`name`], [`email`], [`company`] | turn input into values that are always valid | I/O |
//! | [`contact`] | is the Contact: its JSON, its item | HTTP |
//! | [`item`] | reads a DynamoDB item's attributes | what an attribute means |
//! | [`store`] | makes the two DynamoDB calls, says how they fail, builds the client | HTTP statuses |
//! | [`error`] | has every failure's status and message, in one table | DynamoDB's error codes |
//! | `budget` | has all times | |
//! | [`text`] | normalises text | |
//! | [`log`] | writes the log entries | |
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
