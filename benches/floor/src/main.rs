//! The floor: a function that answers at once, without a client of anything, on one thread.

use lambda_http::{Error, Request, Response, run, service_fn};

fn main() -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(service_fn(answer)))
}

async fn answer(_request: Request) -> Result<Response<String>, Error> {
    Ok(Response::builder().status(201).body("{}".to_owned())?)
}
