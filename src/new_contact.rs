//! The request body, parsed: a workspace id, a name and an address that are always valid
//! (`docs/contract.md#request-body`).
//!
//! All invalid members are found in one pass and named together, so that a caller can fix a row of an import in one go. No
//! message here repeats a value: it could be anything, and callers write these messages to their logs.

use std::{borrow::Cow, collections::HashMap, fmt, str, str::FromStr};

use aws_smithy_json::deserialize::token::EscapedStr;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{email::Email, name::Name};

/// The members that the service reads, in the contract's order.
pub const MEMBERS: [&str; 3] = ["workspaceId", "name", "email"];

/// A contact that may be created.
pub struct NewContact {
    /// The workspace that gets the contact.
    pub workspace_id: Uuid,
    /// Its name.
    pub name: Name,
    /// Its address.
    pub email: Email,
}

/// Why a body isn't a valid new contact.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidBody {
    /// There is no body.
    Missing,
    /// The event says that it is base64, and it isn't.
    NotBase64,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not JSON.
    NotJson,
    /// It is JSON, but not an object.
    NotAnObject,
    /// What is wrong with each invalid member, in the contract's order.
    Members(Vec<String>),
}

impl InvalidBody {
    /// The message that the caller gets.
    pub(crate) fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Missing => "The body is missing: send a JSON object with workspaceId, name and email.",
            Self::NotBase64 => "The body is not valid base64.",
            Self::NotUtf8 => "The body is not valid UTF-8.",
            Self::NotJson => "The body is not valid JSON: send an object with workspaceId, name and email.",
            Self::NotAnObject => "The body must be a JSON object with workspaceId, name and email.",
            Self::Members(problems) => return Cow::Owned(problems.join("; ") + "."),
        })
    }
}

impl NewContact {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// It isn't a JSON object, or members are invalid. The error then names all of them.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidBody> {
        let body = str::from_utf8(body).map_err(|_| InvalidBody::NotUtf8)?;
        // PowerShell and .NET send a byte order mark.
        let body = body.strip_prefix('\u{feff}').unwrap_or(body);
        let members: Members = serde_json::from_str(body).map_err(|error| {
            if error.is_data() {
                InvalidBody::NotAnObject
            } else {
                InvalidBody::NotJson
            }
        })?;
        let mut problems = Vec::new();
        let workspace_id = members.required("workspaceId", parse_workspace_id, &mut problems);
        let name = members.required("name", Name::parse, &mut problems);
        let email = members.required("email", Email::parse, &mut problems);
        match (workspace_id, name, email) {
            (Some(workspace_id), Some(name), Some(email)) => Ok(Self {
                workspace_id,
                name,
                email,
            }),
            _ => Err(InvalidBody::Members(problems)),
        }
    }
}

fn parse_workspace_id(text: &str) -> Result<Uuid, &'static str> {
    Hyphenated::from_str(text)
        .map(Hyphenated::into_uuid)
        .map_err(|_| "must be a UUID in its hyphenated form, such as 0198c1a5-6f00-7000-8000-000000000000")
}

/// The values of the listed members, not parsed yet. A member that appears more than once has several.
#[derive(Default)]
struct Members<'a>(HashMap<&'static str, Vec<&'a RawValue>>);

impl Members<'_> {
    /// Parses a member. If it is missing or invalid, the problem is added to the others.
    fn required<T, E: ToString>(
        &self,
        member: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
        problems: &mut Vec<String>,
    ) -> Option<T> {
        let value = match self.text(member) {
            Ok(Some(text)) => parse(&text).map_err(|invalid| invalid.to_string()),
            Ok(None) => Err("is required".to_owned()),
            Err(problem) => Err(problem.to_owned()),
        };
        value
            .map_err(|problem| problems.push(format!("{member} {problem}")))
            .ok()
    }

    /// A member's text, if the member is there.
    fn text(&self, member: &str) -> Result<Option<Cow<'_, str>>, &'static str> {
        let value = match self.0.get(member).map(Vec::as_slice) {
            None => return Ok(None),
            Some([value]) => value.get(),
            Some(_) => return Err("appears more than once"),
        };
        // The value is JSON, so only an unpaired surrogate can keep a string from being read.
        let text = string(value).ok_or("must be a string")?.to_unescaped();
        text.map(Some).map_err(|_| "contains an unpaired surrogate")
    }
}

/// A JSON string; `None` for any other value. The SDK's parser unescapes it, because a string full of escapes costs `serde_json` too much
/// (`docs/contract.md#work`).
fn string(json: &str) -> Option<EscapedStr<'_>> {
    json.strip_prefix('"')?.strip_suffix('"').map(EscapedStr::new)
}

/// A listed member's name: `n\u0061me` is `name`. Of other members' names there can be many, or long ones, so these stay as they are.
fn listed(key: &str) -> Option<&'static str> {
    const LONGEST: usize = r#""\u0077\u006f\u0072\u006b\u0073\u0070\u0061\u0063\u0065\u0049\u0064""#.len();
    if key.len() > LONGEST {
        return None;
    }
    // A name with an unpaired surrogate can't be read, and isn't listed.
    let key = string(key)?.to_unescaped().ok()?;
    MEMBERS.into_iter().find(|member| *member == key)
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some(key) = map.next_key::<&RawValue>()? {
                    if let Some(member) = listed(key.get()) {
                        members.0.entry(member).or_default().push(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 3] = ["workspaceId", "name", "email"];
    const ID: &str = "0198C1A5-6f00-7000-8000-00000000000a";

    fn problems(body: &str) -> Vec<String> {
        match NewContact::parse(body.as_bytes()) {
            Ok(_) => vec![],
            Err(InvalidBody::Members(problems)) => problems,
            Err(other) => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn members_that_are_not_listed_are_ignored_whatever_they_hold() {
        for extra in [
            r#""tenantId":"x""#,
            r#""note":"\ud800""#,
            r#""\udfff":1"#,
            r#""a":1,"a":2"#,
            r#""Name":"x","EMAIL":null"#,
            &format!(r#""deep":{}{}"#, "[".repeat(20_000), "]".repeat(20_000)),
            r#""big":1e999999"#,
        ] {
            let body = format!(r#"{{"workspaceId":"{ID}",{extra},"name":"A B","email":"a@b.de"}}"#);
            assert_eq!(problems(&body), [""; 0], "{extra:.40}");
        }
    }

    #[test]
    fn a_listed_member_that_appears_twice_is_an_error() {
        let body = format!(
            r#"{{"workspaceId":"{ID}","{}":"{ID}","name":"A","n\u0061me":"A","email":"a@b.de","\u0065mail":"a@b.de"}}"#,
            r"\u0077\u006f\u0072\u006b\u0073\u0070\u0061\u0063\u0065\u0049\u0064"
        );
        assert_eq!(
            problems(&body),
            REQUIRED.map(|member| format!("{member} appears more than once"))
        );
    }

    #[test]
    fn all_invalid_members_are_named_in_the_contracts_order() {
        assert_eq!(problems("{}"), REQUIRED.map(|member| format!("{member} is required")));
        assert_eq!(
            problems(r#"{"email":null,"name":7,"workspaceId":["x"]}"#),
            REQUIRED.map(|member| format!("{member} must be a string"))
        );
        assert_eq!(
            problems(r#"{"email":"\udfff","name":"\ud800","workspaceId":"\ud800x"}"#),
            REQUIRED.map(|member| format!("{member} contains an unpaired surrogate"))
        );
        assert_eq!(
            InvalidBody::Members(problems(r#"{"email":1}"#)).message(),
            "workspaceId is required; name is required; email must be a string."
        );
    }

    #[test]
    fn a_problem_with_a_value_is_explained() {
        let body = format!(r#"{{"workspaceId":"{ID}","name":"Bj\ufffdrn","email":"a@b"}}"#);
        let problems = problems(&body);
        assert!(problems[0].starts_with("name contains U+FFFD") && problems[0].contains("send UTF-8"));
        assert_eq!(
            problems[1],
            "email must have an internet domain after the @, such as example.com"
        );
    }

    #[test]
    fn a_workspace_id_is_a_hyphenated_uuid_in_any_case() {
        let with = |id: &str| problems(&format!(r#"{{"workspaceId":"{id}","name":"A","email":"a@b.de"}}"#));
        assert!(with(ID).is_empty());
        assert!(with("00000000-0000-0000-0000-000000000000").is_empty());
        for id in [
            "",
            "0198c1a56f007000800000000000000a",
            "{0198c1a5-6f00-7000-8000-00000000000a}",
            "urn:uuid:0198c1a5-6f00-7000-8000-00000000000a",
            " 0198c1a5-6f00-7000-8000-00000000000a",
            "0198c1a5-6f00-7000-8000-00000000000g",
            "0198c1a5-6f00-7000-80000-0000000000a",
        ] {
            assert!(with(id)[0].starts_with("workspaceId must be a UUID"), "{id}");
        }
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused_with_a_reason() {
        for (body, expected) in [
            (&b"\xff\xfe{}"[..], InvalidBody::NotUtf8),
            (b"", InvalidBody::NotJson),
            (b" ", InvalidBody::NotJson),
            (b"{", InvalidBody::NotJson),
            (b"{}x", InvalidBody::NotJson),
            (b"{'a':1}", InvalidBody::NotJson),
            (b"{\"a\":1,}", InvalidBody::NotJson),
            (b"{\"a\":NaN}", InvalidBody::NotJson),
            (b"{\"a\tb\":1}", InvalidBody::NotJson),
            (b"{\"a\":\"\0\"}", InvalidBody::NotJson),
            (b"{\"name\":\"a\x1fb\"}", InvalidBody::NotJson),
            (b"\xef\xbb\xbf\xef\xbb\xbf{}", InvalidBody::NotJson),
            (b"{}\xef\xbb\xbf", InvalidBody::NotJson),
            (b"[]", InvalidBody::NotAnObject),
            (b"null", InvalidBody::NotAnObject),
            (b"\"{}\"", InvalidBody::NotAnObject),
            (b"1", InvalidBody::NotAnObject),
        ] {
            assert_eq!(NewContact::parse(body).err(), Some(expected), "{}", body.escape_ascii());
        }
    }
}
