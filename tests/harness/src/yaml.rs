//! The repository's YAML files, as JSON: `template.yaml` and `openapi.yaml`.

use std::{fs, path::Path};

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// Reads a file. `CloudFormation`'s tags are left out: `!Ref X` becomes `X`.
///
/// # Errors
///
/// A message that says what is wrong with the file.
pub fn read(path: &Path) -> Result<Value, String> {
    let broken = |error: String| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
    let documents = YamlLoader::load_from_str(&text).map_err(|error| broken(error.to_string()))?;
    Ok(documents.first().map_or(Value::Null, to_json))
}

fn to_json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Boolean(value) => (*value).into(),
        Yaml::Integer(value) => (*value).into(),
        Yaml::Real(text) => text.parse::<f64>().map_or(Value::Null, Value::from),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Array(entries) => entries.iter().map(to_json).collect(),
        Yaml::Hash(entries) => {
            let text = |name: &Yaml| match to_json(name) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let entries = entries.iter().map(|(name, value)| (text(name), to_json(value)));
            entries.collect::<Map<_, _>>().into()
        }
        Yaml::Null | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}
