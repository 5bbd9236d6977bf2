//! Lambda, API Gateway and DynamoDB on one machine: stand-ins around the real function.
//!
//! | module | replaces |
//! | --- | --- |
//! | [`engine`] | DynamoDB: an embedded engine that speaks its protocol, or any other at a URL |
//! | [`template`] | `template.yaml`: the tables that the engine gets |
//! | [`runtime_api`] | Lambda: the Runtime API that a function's process asks for its next invocation |
//! | [`function`] | the function's process |
//! | [`gateway`] | API Gateway: HTTP requests to events, the function's responses to HTTP |
//! | [`proxy`] | the network between the function and DynamoDB, and what can go wrong with it |
//! | [`tls`] | a certificate that the function may or may not trust |
//! | [`service`] | all of it together, for one test |
//! | [`fixture`] | a tenant, its workspaces and keys |
//!
//! [`openapi`] compares `openapi.yaml` with the function's responses.

pub mod engine;
pub mod fixture;
pub mod function;
pub mod gateway;
pub mod openapi;
pub mod proxy;
pub mod runtime_api;
pub mod service;
pub mod template;
pub mod tls;
