//! `openapi.yaml`, compared with what the function responds.
//!
//! The document has one operation. Every response of the function is one of that operation's: another method gets its 405, and
//! another path its 404.

use std::{collections::BTreeMap, fs, path::Path};

use axum::http::HeaderMap;
use boon::{Compiler, Format, SchemaIndex, Schemas};
use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// The media type of requests and responses.
const JSON: &str = "application/json";
/// Headers that any HTTP response may have without being documented.
const OF_HTTP: [&str; 4] = ["connection", "content-length", "content-type", "date"];
/// The base of the document's own `$ref`s. Nothing is fetched.
const BASE: &str = "https://document.invalid/openapi.json";

/// The document with its schemas compiled.
pub struct OpenApi {
    schemas: Schemas,
    request_schema: SchemaIndex,
    /// The schemas of the request's members, by name.
    member_schemas: BTreeMap<String, SchemaIndex>,
    /// The operation's path.
    pub path: String,
    /// The document's examples of requests, by name.
    pub requests: BTreeMap<String, Value>,
    /// The documented responses.
    pub responses: BTreeMap<u16, Response>,
}

/// A documented response.
pub struct Response {
    body_schema: SchemaIndex,
    headers: BTreeMap<String, Header>,
    /// The document's examples of its body, by name.
    pub examples: BTreeMap<String, Value>,
}

struct Header {
    schema: SchemaIndex,
    required: bool,
    example: Value,
}

impl OpenApi {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong with the file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads the document's text.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
        let [document] = documents.as_slice() else {
            return Err("one YAML document is expected".to_owned());
        };
        let document = to_json(document)?;
        let (path, item) = only_entry(&document["paths"]).ok_or("one path is expected")?;
        let operation = &item["post"];
        let at = format!("#/paths/{}/post", path.replace('~', "~0").replace('/', "~1"));

        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        // The crate's own check applies the rules of host names to the part before the @. The pattern is enough.
        compiler.register_format(Format {
            name: "idn-email",
            func: |_| Ok(()),
        });
        compiler
            .add_resource(BASE, document.clone())
            .map_err(|error| error.to_string())?;
        let mut compile = |pointer: &str| {
            compiler
                .compile(&format!("{BASE}{pointer}"), &mut schemas)
                .map_err(|error| format!("{pointer}: {error:#}"))
        };
        let of_body = "content/application~1json/schema";
        let request_schema = compile(&format!("{at}/requestBody/{of_body}"))?;
        let request = operation["requestBody"]["content"][JSON]["schema"]["$ref"].as_str();
        let request = request.ok_or("the request's schema is a $ref")?;
        let members = resolve(&document, request)?["properties"].as_object();
        let member_schemas = members
            .ok_or("the request's members are listed")?
            .keys()
            .map(|name| Ok((name.clone(), compile(&format!("{request}/properties/{name}"))?)))
            .collect::<Result<_, String>>()?;
        let mut responses = BTreeMap::new();
        for (status, response) in operation["responses"].as_object().ok_or("responses are expected")? {
            let at = format!("{at}/responses/{status}");
            let mut headers = BTreeMap::new();
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                let (header, at) = match header["$ref"].as_str() {
                    Some(reference) => (resolve(&document, reference)?, reference.to_owned()),
                    None => (header, format!("{at}/headers/{name}")),
                };
                let header = Header {
                    schema: compile(&format!("{at}/schema"))?,
                    required: header["required"] == true,
                    example: header["example"].clone(),
                };
                headers.insert(name.to_ascii_lowercase(), header);
            }
            let response = Response {
                body_schema: compile(&format!("{at}/{of_body}"))?,
                headers,
                examples: examples(&response["content"][JSON])?,
            };
            let status = status.parse().map_err(|_| format!("{status} is no status"))?;
            responses.insert(status, response);
        }
        Ok(Self {
            requests: examples(&operation["requestBody"]["content"][JSON])?,
            path: path.clone(),
            request_schema,
            member_schemas,
            responses,
            schemas,
        })
    }

    /// Checks a response of the function: its status is documented, it has the documented headers and no others, and the body fits
    /// the schema.
    ///
    /// # Errors
    ///
    /// What the document doesn't allow in the response.
    pub fn check(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
        let response = self
            .responses
            .get(&status)
            .ok_or_else(|| format!("the status {status} is not documented"))?;
        let broken = |what: String| format!("the response {status}: {what}");
        for (name, header) in &response.headers {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            match values[..] {
                [] if !header.required => {}
                [value] => {
                    let value = value.to_str().map_err(|error| broken(error.to_string()))?;
                    self.schemas
                        .validate(&value.into(), header.schema)
                        .map_err(|error| broken(format!("the header {name} is {value}: {error}")))?;
                }
                _ => return Err(broken(format!("the header {name} appears {} times", values.len()))),
            }
        }
        for name in headers.keys() {
            if !OF_HTTP.contains(&name.as_str()) && !response.headers.contains_key(name.as_str()) {
                return Err(broken(format!("the header {name} is not documented")));
            }
        }
        if headers.get("content-type").is_none_or(|value| value != JSON) {
            return Err(broken(format!("the Content-Type is not {JSON}")));
        }
        let body = serde_json::from_slice(body).map_err(|error| broken(error.to_string()))?;
        self.schemas
            .validate(&body, response.body_schema)
            .map_err(|error| broken(error.to_string()))
    }

    /// Checks a request's body against its schema.
    ///
    /// # Errors
    ///
    /// What the document doesn't allow in the request.
    pub fn check_request(&self, body: &Value) -> Result<(), String> {
        self.schemas
            .validate(body, self.request_schema)
            .map_err(|error| error.to_string())
    }

    /// Whether one member of a request fits its schema.
    ///
    /// # Panics
    ///
    /// The request has no such member.
    #[must_use]
    pub fn accepts(&self, member: &str, text: &str) -> bool {
        self.schemas.validate(&text.into(), self.member_schemas[member]).is_ok()
    }

    /// Checks the document's own examples of bodies and headers against its schemas.
    ///
    /// # Errors
    ///
    /// Which example breaks which rule.
    pub fn check_examples(&self) -> Result<(), String> {
        for (name, body) in &self.requests {
            self.check_request(body).map_err(|error| format!("{name}: {error}"))?;
        }
        for (status, response) in &self.responses {
            let bodies = response
                .examples
                .iter()
                .map(|(name, body)| (name, body, response.body_schema));
            let headers = &response.headers;
            let headers = headers
                .iter()
                .map(|(name, header)| (name, &header.example, header.schema));
            for (name, value, schema) in bodies.chain(headers) {
                self.schemas
                    .validate(value, schema)
                    .map_err(|error| format!("{status} {name}: {error}"))?;
            }
        }
        Ok(())
    }
}

impl Response {
    /// The headers that the document shows for this response, required or not, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(String::as_str)
    }
}

fn examples(content: &Value) -> Result<BTreeMap<String, Value>, String> {
    let examples = content["examples"].as_object().ok_or("every body has examples")?;
    Ok(examples
        .iter()
        .map(|(name, example)| (name.clone(), example["value"].clone()))
        .collect())
}

fn only_entry(value: &Value) -> Option<(&String, &Value)> {
    let mut entries = value.as_object()?.iter();
    entries.next().filter(|_| entries.next().is_none())
}

fn resolve<'a>(document: &'a Value, reference: &str) -> Result<&'a Value, String> {
    reference
        .strip_prefix('#')
        .and_then(|pointer| document.pointer(pointer))
        .ok_or_else(|| format!("{reference} leads nowhere"))
}

fn to_json(yaml: &Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(value) => (*value).into(),
        Yaml::Integer(value) => (*value).into(),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| format!("{text} is no JSON number"))?)
        }
        Yaml::String(text) => text.as_str().into(),
        Yaml::Array(entries) => entries.iter().map(to_json).collect::<Result<_, _>>()?,
        Yaml::Hash(entries) => {
            let mut object = Map::new();
            for (name, value) in entries {
                let name = name.as_str().ok_or("a key that is no string")?;
                object.insert(name.to_owned(), to_json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("an alias or a bad value".to_owned()),
    })
}
