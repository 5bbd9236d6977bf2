//! The tables as `template.yaml` declares them.

use std::{fs, path::Path};

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use yaml_rust2::{Yaml, YamlLoader};

/// A table of the template.
#[derive(Clone, Debug)]
pub struct Table {
    /// The resource's name in the template.
    pub logical_id: String,
    /// `AttributeDefinitions`.
    pub attributes: Vec<AttributeDefinition>,
    /// `KeySchema`.
    pub key_schema: Vec<KeySchemaElement>,
    /// `BillingMode`.
    pub billing_mode: BillingMode,
}

/// Reads the template's `AWS::DynamoDB::Table` resources.
///
/// # Errors
///
/// A message that says what is wrong with the file.
pub fn tables(path: &Path) -> Result<Vec<Table>, String> {
    let broken = |what: &str| format!("{}: {what}", path.display());
    let text = fs::read_to_string(path).map_err(|error| broken(&error.to_string()))?;
    let documents = YamlLoader::load_from_str(&text).map_err(|error| broken(&error.to_string()))?;
    let resources = documents
        .first()
        .and_then(|template| template["Resources"].as_hash())
        .ok_or_else(|| broken("there are no Resources"))?;
    let tables: Vec<Table> = resources
        .iter()
        .filter(|(_, resource)| resource["Type"].as_str() == Some("AWS::DynamoDB::Table"))
        .map(|(name, resource)| {
            let name = name.as_str().unwrap_or_default();
            table(name, &resource["Properties"])
                .ok_or_else(|| broken(&format!("{name} is no table that can be created from here")))
        })
        .collect::<Result<_, _>>()?;
    for logical_id in ["ContactsTable", "ApiKeysTable", "WorkspacesTable"] {
        if !tables.iter().any(|table| table.logical_id == logical_id) {
            return Err(broken(&format!("there is no {logical_id}")));
        }
    }
    Ok(tables)
}

fn table(logical_id: &str, properties: &Yaml) -> Option<Table> {
    let attributes = properties["AttributeDefinitions"]
        .as_vec()?
        .iter()
        .map(|attribute| {
            AttributeDefinition::builder()
                .attribute_name(attribute["AttributeName"].as_str()?)
                .attribute_type(ScalarAttributeType::from(attribute["AttributeType"].as_str()?))
                .build()
                .ok()
        })
        .collect::<Option<_>>()?;
    let key_schema = properties["KeySchema"]
        .as_vec()?
        .iter()
        .map(|element| {
            KeySchemaElement::builder()
                .attribute_name(element["AttributeName"].as_str()?)
                .key_type(KeyType::from(element["KeyType"].as_str()?))
                .build()
                .ok()
        })
        .collect::<Option<_>>()?;
    Some(Table {
        logical_id: logical_id.to_owned(),
        attributes,
        key_schema,
        billing_mode: BillingMode::from(properties["BillingMode"].as_str()?),
    })
}
