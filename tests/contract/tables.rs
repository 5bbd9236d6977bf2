//! `docs/contract.md#6-dynamodb-tables`: the items as they are stored.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use serde_json::{Value, json};

use crate::service;

/// An item as JSON, if all of its attributes are strings.
fn strings(item: &std::collections::HashMap<String, AttributeValue>) -> BTreeMap<String, Value> {
    item.iter()
        .map(|(name, value)| (name.clone(), json!(value.as_s().expect("a string"))))
        .collect()
}

#[tokio::test]
async fn an_item_has_no_attribute_that_is_null() {
    let service = service().await;
    let response = service
        .send(&service.request("Larsen, Henrik", "Jörg@Exämple.DE"))
        .await;
    assert_eq!(response.status, 201);
    let items = service.contacts().await;
    let mut expected: BTreeMap<String, Value> = response
        .body
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    expected.insert("workspaceId".to_owned(), json!(service.workspace_id));
    expected.insert("emailKey".to_owned(), json!("jörg@xn--exmple-cua.de"));
    expected.insert("name".to_owned(), json!("Henrik Larsen"));
    assert_eq!(items.len(), 1);
    assert_eq!(strings(&items[0]), expected);
    assert_eq!(expected["email"], "Jörg@exämple.de");
    for absent in ["externalRef", "phone"] {
        assert!(!items[0].contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn a_contact_of_ordinary_size_costs_one_write_unit() {
    let service = service().await;
    let request = service.request(
        "Anne-Marie von der Leyen-Schwarzenegger",
        "anne-marie.von-der-leyen@mail.acme-customer.de",
    );
    assert_eq!(service.send(&request).await.status, 201);
    let item = service.contacts().await.remove(0);
    let put = service
        .client
        .put_item()
        .table_name(&service.tables.contacts)
        .set_item(Some(item))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .unwrap();
    assert_eq!(put.consumed_capacity.unwrap().capacity_units, Some(1.0));
}
