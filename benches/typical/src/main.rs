//! The same service the way public examples write it: every default of the runtime, the SDK and the build.
//!
//! It does what a benchmark sees of the service, one read and one conditional write, and leaves out what it doesn't: the
//! contract's rules for names, addresses and failures, which would only make it slower.

use std::{collections::HashMap, env};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure},
};
use lambda_http::{Body, Error, Request, Response, http::StatusCode, run, service_fn, tracing};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewContact {
    workspace_id: Uuid,
    name: String,
    email: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contact {
    id: Uuid,
    tenant_id: String,
    external_ref: Option<String>,
    resolution_status: String,
    first_name: Option<String>,
    last_name: Option<String>,
    email: String,
    phone: Option<String>,
    company_name: Option<String>,
    created_at: String,
    updated_at: String,
}

struct State {
    client: Client,
    contacts_table: String,
    api_keys_table: String,
    workspaces_table: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let state = State {
        client: Client::new(&config),
        contacts_table: env::var("CONTACTS_TABLE")?,
        api_keys_table: env::var("API_KEYS_TABLE")?,
        workspaces_table: env::var("WORKSPACES_TABLE")?,
    };
    run(service_fn(|request| create_contact(&state, request))).await
}

async fn create_contact(state: &State, request: Request) -> Result<Response<Body>, Error> {
    let Some(key) = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
    else {
        return failure(StatusCode::UNAUTHORIZED, "an API key is needed");
    };
    let Ok(new) = serde_json::from_slice::<NewContact>(request.body()) else {
        return failure(StatusCode::BAD_REQUEST, "the body isn't a contact");
    };
    let key_hash = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    let workspace_id = new.workspace_id.to_string();

    let read = state
        .client
        .batch_get_item()
        .request_items(&state.api_keys_table, keys("keyHash", key_hash)?)
        .request_items(&state.workspaces_table, keys("workspaceId", workspace_id.clone())?)
        .send()
        .await?;
    let found = read.responses.unwrap_or_default();
    let tenant_of = |table: &str| {
        let item: Option<&HashMap<_, _>> = found.get(table).and_then(|items| items.first());
        item.and_then(|item| item.get("tenantId")?.as_s().ok())
    };
    let Some(tenant_id) = tenant_of(&state.api_keys_table) else {
        return failure(StatusCode::UNAUTHORIZED, "the API key is unknown");
    };
    if tenant_of(&state.workspaces_table) != Some(tenant_id) {
        return failure(StatusCode::NOT_FOUND, "Workspace not found");
    }

    let (first_name, last_name) = match new.name.rsplit_once(' ') {
        Some((first, last)) => (first.to_owned(), Some(last.to_owned())),
        None => (new.name.clone(), None),
    };
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let contact = Contact {
        id: Uuid::now_v7(),
        tenant_id: tenant_id.clone(),
        external_ref: None,
        resolution_status: "unresolved".to_owned(),
        first_name: Some(first_name),
        last_name,
        email: new.email,
        phone: None,
        company_name: None,
        created_at: now.clone(),
        updated_at: now,
    };
    let text = |value: &str| AttributeValue::S(value.to_owned());
    state
        .client
        .put_item()
        .table_name(&state.contacts_table)
        .item("workspaceId", text(&workspace_id))
        .item("emailKey", text(&contact.email.to_lowercase()))
        .item("id", text(&contact.id.to_string()))
        .item("tenantId", text(tenant_id))
        .item("resolutionStatus", text(&contact.resolution_status))
        .item("name", text(&new.name))
        .item("firstName", text(contact.first_name.as_deref().unwrap_or_default()))
        .item("lastName", text(contact.last_name.as_deref().unwrap_or_default()))
        .item("email", text(&contact.email))
        .item("createdAt", text(&contact.created_at))
        .item("updatedAt", text(&contact.updated_at))
        .condition_expression("attribute_not_exists(emailKey)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await?;
    tracing::info!(contact = %contact.id, "created");
    response(StatusCode::CREATED, serde_json::to_string(&contact)?)
}

fn keys(name: &str, value: String) -> Result<KeysAndAttributes, Error> {
    Ok(KeysAndAttributes::builder()
        .keys(HashMap::from([(name.to_owned(), AttributeValue::S(value))]))
        .consistent_read(true)
        .build()?)
}

fn failure(status: StatusCode, message: &str) -> Result<Response<Body>, Error> {
    response(status, serde_json::json!({ "error": message }).to_string())
}

fn response(status: StatusCode, body: String) -> Result<Response<Body>, Error> {
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(body.into())?)
}
