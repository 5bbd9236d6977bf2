//! The floor: a function that responds at once, on one thread, based on `lambda_http`'s own example.

use lambda_http::{Error, Request, Response, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    run(service_fn(respond)).await
}

async fn respond(_request: Request) -> Result<Response<String>, Error> {
    Ok(Response::builder().status(201).body("{}".to_owned())?)
}
