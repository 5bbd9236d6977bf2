//! `docs/contract.md#6-dynamodb-tables`: the items as they are stored.

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use harness::fixture;

use crate::service;

#[tokio::test]
async fn an_item_has_no_attribute_that_is_null_and_costs_one_write_unit() {
    let service = service().await;
    let name = "Leyen-Schwarzenegger, Anne-Marie von der";
    let response = service.create(name, "Änne-Marie.von-der-Leyen@Exämple.DE").await;
    assert_eq!(response.status, 201);
    let stored = service.contacts().await;
    let members = response.body.as_object().unwrap().iter();
    let members: Vec<(&str, &str)> = members
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect();
    let attributes = [
        ("workspaceId", &*service.workspace_id),
        ("emailKey", "änne-marie.von-der-leyen@xn--exmple-cua.de"),
        ("name", "Anne-Marie von der Leyen-Schwarzenegger"),
    ];
    assert_eq!(stored, [fixture::item(&[&members[..], &attributes].concat())]);
    assert_eq!(response.body["email"], "Änne-Marie.von-der-Leyen@exämple.de");
    assert_eq!(members.len(), 9, "externalRef and phone are null");

    let put = service.client.put_item().table_name(&service.tables.contacts);
    let put = put.set_item(stored.into_iter().next());
    let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await;
    assert_eq!(put.unwrap().consumed_capacity.unwrap().capacity_units, Some(1.0));
}
