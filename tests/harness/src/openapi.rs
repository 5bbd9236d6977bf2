//! `openapi.yaml`, compared with what the function responds.
//!
//! The document has one operation. Every response of the function is one of that operation's: another method gets its 405, and
//! another path its 404.

use std::{collections::BTreeMap, path::Path};

use axum::http::HeaderMap;
use boon::{Compiler, Format, SchemaIndex, Schemas};
use serde_json::{Map, Value};

use crate::yaml;

/// The media type of requests and responses.
const JSON: &str = "application/json";
/// The base of the document's own `$ref`s. Nothing is fetched.
const BASE: &str = "https://document.invalid/openapi.json";

/// The document with its schemas compiled.
pub struct OpenApi {
    schemas: Schemas,
    /// The schemas of the request's members, by name.
    member_schemas: BTreeMap<String, SchemaIndex>,
    /// The document's examples of requests, by name.
    pub requests: BTreeMap<String, Value>,
    /// The documented responses.
    pub responses: BTreeMap<u16, Response>,
}

/// A documented response.
pub struct Response {
    body_schema: SchemaIndex,
    /// The schema of each header, by its name in lower case, and whether the header must be there.
    headers: BTreeMap<String, (SchemaIndex, bool)>,
    /// The document's examples of its body, by name.
    pub examples: BTreeMap<String, Value>,
}

impl OpenApi {
    /// Reads the document.
    ///
    /// # Panics
    ///
    /// It can't be read, or has more than the operation.
    #[must_use]
    pub fn load(path: &Path) -> Self {
        let document = yaml::read(path).unwrap_or_else(|error| panic!("{error}"));
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        // The crate's own check applies the rules of host names to the part before the @. The pattern is enough.
        compiler.register_format(Format {
            name: "idn-email",
            func: |_| Ok(()),
        });
        let added = compiler.add_resource(BASE, document.clone());
        added.expect("a document that can be a schema's base");
        let mut compile = |pointer: &str| {
            let schema = compiler.compile(&format!("{BASE}#{pointer}"), &mut schemas);
            schema.unwrap_or_else(|error| panic!("{pointer}: {error:#}"))
        };

        let new_contact = "/components/schemas/NewContact/properties";
        let members = entries(&document, new_contact);
        let member_schemas = members
            .keys()
            .map(|name| (name.clone(), compile(&format!("{new_contact}/{name}"))));
        let member_schemas = member_schemas.collect();
        let at = "/paths/~1api~1contacts/post";
        let mut responses = BTreeMap::new();
        for status in entries(&document, &format!("{at}/responses")).keys() {
            let at = format!("{at}/responses/{status}");
            let mut headers = BTreeMap::new();
            for (name, header) in entries(&document, &format!("{at}/headers")) {
                let inline = format!("{at}/headers/{name}");
                let at = header["$ref"].as_str().map_or(&*inline, |reference| &reference[1..]);
                let required = document.pointer(&format!("{at}/required")) == Some(&Value::Bool(true));
                let header = (compile(&format!("{at}/schema")), required);
                headers.insert(name.to_ascii_lowercase(), header);
            }
            let response = Response {
                body_schema: compile(&format!("{at}/content/application~1json/schema")),
                headers,
                examples: examples(&document, &at),
            };
            responses.insert(status.parse().expect("a status"), response);
        }
        Self {
            requests: examples(&document, &format!("{at}/requestBody")),
            member_schemas,
            responses,
            schemas,
        }
    }

    /// Checks a response of the function: its status is documented, it has the documented headers and no others, and the body fits
    /// the schema.
    ///
    /// # Errors
    ///
    /// What the document doesn't allow in the response.
    pub fn check(&self, status: u16, headers: &HeaderMap, body: &Value) -> Result<(), String> {
        let response = self.responses.get(&status).ok_or("an undocumented status")?;
        for (name, (schema, required)) in &response.headers {
            match headers.get(name) {
                None if *required => return Err(format!("no header {name}")),
                None => {}
                Some(value) => {
                    let value = value.to_str().map_err(|error| format!("{name}: {error}"))?;
                    self.schemas
                        .validate(&value.into(), *schema)
                        .map_err(|error| format!("{name} is {value}: {error}"))?;
                }
            }
        }
        let undocumented = headers.keys().find(|name| {
            let name = name.as_str();
            name != "content-type" && !response.headers.contains_key(name)
        });
        if let Some(name) = undocumented {
            return Err(format!("the header {name} is not documented"));
        }
        if headers.get("content-type").is_none_or(|value| value != JSON) {
            return Err(format!("the Content-Type is not {JSON}"));
        }
        self.schemas
            .validate(body, response.body_schema)
            .map_err(|error| error.to_string())
    }

    /// The members of a request.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.member_schemas.keys().map(String::as_str)
    }

    /// Whether one member of a request fits its schema.
    ///
    /// # Panics
    ///
    /// The request has no such member.
    #[must_use]
    pub fn accepts(&self, member: &str, value: &Value) -> bool {
        self.schemas.validate(value, self.member_schemas[member]).is_ok()
    }
}

impl Response {
    /// The headers that the document shows for this response, required or not, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(String::as_str)
    }
}

/// The members of the object at a pointer; none if there is no object.
fn entries(document: &Value, pointer: &str) -> Map<String, Value> {
    let object = document.pointer(pointer).and_then(Value::as_object);
    object.cloned().unwrap_or_default()
}

/// The examples of the body at a pointer.
fn examples(document: &Value, pointer: &str) -> BTreeMap<String, Value> {
    let examples = entries(document, &format!("{pointer}/content/application~1json/examples"));
    let values = examples
        .into_iter()
        .map(|(name, mut example)| (name, example["value"].take()));
    values.collect()
}
