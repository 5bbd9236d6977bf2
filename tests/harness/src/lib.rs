//! Lambda, API Gateway and DynamoDB on one machine: stand-ins around the real function.
//!
//! | module | replaces |
//! | --- | --- |
//! | [`engine`] | DynamoDB: an embedded engine that speaks its protocol, or any other at a URL |
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
pub mod tls;
mod yaml;

/// Every code point. The planes without characters (4 to 13) and for private use (15 and 16) are uniform, so one code point
/// in 4,096 is enough there.
pub fn code_points() -> impl Iterator<Item = char> {
    let sampled = ('\u{40000}'..='\u{dffff}').chain('\u{f0000}'..=char::MAX).step_by(4096);
    ('\0'..='\u{3ffff}').chain('\u{e0000}'..='\u{effff}').chain(sampled)
}
