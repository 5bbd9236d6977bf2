//! The request body, parsed: a workspace id, a name and an address that are always valid
//! (`docs/contract.md#request-body`).
//!
//! All invalid members are found in one pass and named together, so that a caller can fix a row of an import in one go. No
//! sentence here repeats a value: it could be anything, and callers write these sentences to their logs.

use std::{borrow::Cow, fmt, str, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use uuid::{Uuid, fmt::Hyphenated};

use crate::{
    email::{Email, InvalidEmail},
    name::{InvalidName, Name},
};

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
    /// Members are missing, of the wrong type, repeated or invalid: what is wrong with each, in the contract's order.
    Fields(Vec<&'static str>),
}

impl InvalidBody {
    /// The sentence that the caller gets.
    pub(crate) fn sentence(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Missing => "The body is missing: send a JSON object with workspaceId, name and email.",
            Self::NotBase64 => "The body is not valid base64.",
            Self::NotUtf8 => "The body is not valid UTF-8.",
            Self::NotJson => "The body is not valid JSON: send an object with workspaceId, name and email.",
            Self::NotAnObject => "The body must be a JSON object with workspaceId, name and email.",
            Self::Fields(faults) => return Cow::Owned(faults.join("; ") + "."),
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
        let workspace_id = members.workspace_id.parse(&WORKSPACE_ID, |text| {
            Hyphenated::from_str(text)
                .map(Hyphenated::into_uuid)
                .map_err(|_| WORKSPACE_ID.invalid)
        });
        let name = members.name.parse(&NAME, |text| Name::parse(text).map_err(name_fault));
        let email = members
            .email
            .parse(&EMAIL, |text| Email::parse(text).map_err(email_fault));
        match (workspace_id, name, email) {
            (Ok(workspace_id), Ok(name), Ok(email)) => Ok(Self {
                workspace_id,
                name,
                email,
            }),
            (workspace_id, name, email) => Err(InvalidBody::Fields(
                [workspace_id.err(), name.err(), email.err()]
                    .into_iter()
                    .flatten()
                    .collect(),
            )),
        }
    }
}

/// The sentences for what can be wrong with any member. A sentence names only its own member.
struct Sentences {
    missing: &'static str,
    repeated: &'static str,
    not_a_string: &'static str,
    invalid: &'static str,
}

const WORKSPACE_ID: Sentences = Sentences {
    missing: "workspaceId is required",
    repeated: "workspaceId appears more than once",
    not_a_string: "workspaceId must be a string",
    invalid: "workspaceId must be a UUID in its hyphenated form, such as 0198c1a5-6f00-7000-8000-000000000000",
};
const NAME: Sentences = Sentences {
    missing: "name is required",
    repeated: "name appears more than once",
    not_a_string: "name must be a string",
    invalid: "name contains an unpaired surrogate",
};
const EMAIL: Sentences = Sentences {
    missing: "email is required",
    repeated: "email appears more than once",
    not_a_string: "email must be a string",
    invalid: "email must be an address such as jan@example.com",
};

fn name_fault(fault: InvalidName) -> &'static str {
    match fault {
        InvalidName::Empty => "name must have at least one visible character",
        InvalidName::TooLong => "name must have at most 200 characters",
        InvalidName::Control => "name must not contain control characters",
        InvalidName::Bidi => "name must not contain bidirectional embeddings, overrides or isolates",
        InvalidName::Damaged => {
            "name contains U+FFFD, the replacement character: its text was damaged before it arrived, so send UTF-8"
        }
        InvalidName::Noncharacter => "name must not contain noncharacters, such as U+FFFF",
    }
}

fn email_fault(fault: InvalidEmail) -> &'static str {
    match fault {
        InvalidEmail::Incomplete => EMAIL.invalid,
        InvalidEmail::TooLong => "email must have at most 254 bytes, and at most 64 before the @",
        InvalidEmail::Local => {
            "email must have a plain part before the @: no white space, quotes, brackets, misplaced dots or invisible characters"
        }
        InvalidEmail::Domain => "email must have an internet domain after the @, such as example.com",
        InvalidEmail::Damaged => {
            "email contains U+FFFD, the replacement character: its text was damaged before it arrived, so send UTF-8"
        }
    }
}

/// The listed members of the object, not parsed yet.
#[derive(Default)]
struct Members<'a> {
    workspace_id: Member<'a>,
    name: Member<'a>,
    email: Member<'a>,
}

#[derive(Default)]
enum Member<'a> {
    #[default]
    Absent,
    Once(&'a RawValue),
    Repeated,
}

impl Member<'_> {
    fn parse<T>(
        &self,
        sentences: &Sentences,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Result<T, &'static str> {
        match self {
            Self::Absent => Err(sentences.missing),
            Self::Repeated => Err(sentences.repeated),
            Self::Once(value) => {
                if !value.get().starts_with('"') {
                    return Err(sentences.not_a_string);
                }
                // The value is JSON, so only an unpaired surrogate can keep a string from being read.
                let text: String = serde_json::from_str(value.get()).map_err(|_| sentences.invalid)?;
                parse(&text)
            }
        }
    }
}

/// A listed member's name: `n\u0061me` is `name`. Of other members' names there can be many, or long ones, so these stay as they are.
fn unescaped(key: &str) -> Cow<'_, str> {
    const LONGEST: usize = r#""\u0077\u006f\u0072\u006b\u0073\u0070\u0061\u0063\u0065\u0049\u0064""#.len();
    if key.len() <= LONGEST && key.contains('\\') {
        // An unpaired surrogate can't be read, and is in none of the three.
        serde_json::from_str(key).map_or(Cow::Borrowed(key), Cow::Owned)
    } else {
        Cow::Borrowed(&key[1..key.len() - 1])
    }
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
                    let member = match &*unescaped(key.get()) {
                        "workspaceId" => &mut members.workspace_id,
                        "name" => &mut members.name,
                        "email" => &mut members.email,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value = map.next_value()?;
                    *member = match member {
                        Member::Absent => Member::Once(value),
                        Member::Once(_) | Member::Repeated => Member::Repeated,
                    };
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

    const ID: &str = "0198C1A5-6f00-7000-8000-00000000000a";

    fn faults(body: &str) -> Vec<&'static str> {
        match NewContact::parse(body.as_bytes()) {
            Ok(_) => vec![],
            Err(InvalidBody::Fields(faults)) => faults,
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
            assert_eq!(faults(&body), Vec::<&str>::new(), "{extra:.40}");
        }
    }

    #[test]
    fn a_listed_member_that_appears_twice_is_an_error_however_it_is_escaped() {
        let body = format!(
            r#"{{"workspaceId":"{ID}","{}":"{ID}","name":"A","n\u0061me":"A","email":"a@b.de","\u0065mail":"a@b.de"}}"#,
            r"\u0077\u006f\u0072\u006b\u0073\u0070\u0061\u0063\u0065\u0049\u0064"
        );
        assert_eq!(faults(&body), [WORKSPACE_ID.repeated, NAME.repeated, EMAIL.repeated]);
    }

    #[test]
    fn every_field_at_fault_is_named_at_once_in_the_contracts_order() {
        assert_eq!(faults("{}"), [WORKSPACE_ID.missing, NAME.missing, EMAIL.missing]);
        assert_eq!(
            faults(r#"{"email":null,"name":7,"workspaceId":["x"]}"#),
            [WORKSPACE_ID.not_a_string, NAME.not_a_string, EMAIL.not_a_string]
        );
        assert_eq!(
            faults(r#"{"email":"x","name":"\ud800","workspaceId":"x"}"#),
            [WORKSPACE_ID.invalid, NAME.invalid, EMAIL.invalid]
        );
        assert_eq!(
            InvalidBody::Fields(faults(r#"{"email":1}"#)).sentence(),
            "workspaceId is required; name is required; email must be a string."
        );
    }

    #[test]
    fn a_workspace_id_is_a_hyphenated_uuid_in_any_case() {
        let with = |id: &str| faults(&format!(r#"{{"workspaceId":"{id}","name":"A","email":"a@b.de"}}"#));
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
            assert_eq!(with(id), [WORKSPACE_ID.invalid], "{id}");
        }
    }

    #[test]
    fn no_sentence_about_a_member_names_another() {
        let of = |sentences: Sentences| {
            vec![
                sentences.missing,
                sentences.repeated,
                sentences.not_a_string,
                sentences.invalid,
            ]
        };
        let names = [
            InvalidName::Empty,
            InvalidName::TooLong,
            InvalidName::Control,
            InvalidName::Bidi,
            InvalidName::Damaged,
            InvalidName::Noncharacter,
        ];
        let emails = [
            InvalidEmail::Incomplete,
            InvalidEmail::TooLong,
            InvalidEmail::Local,
            InvalidEmail::Domain,
            InvalidEmail::Damaged,
        ];
        let all = [
            ("workspaceId", of(WORKSPACE_ID)),
            ("name", [of(NAME), names.map(name_fault).to_vec()].concat()),
            ("email", [of(EMAIL), emails.map(email_fault).to_vec()].concat()),
        ];
        for (member, sentences) in &all {
            for sentence in sentences {
                for (other, _) in &all {
                    assert_eq!(sentence.contains(other), member == other, "{sentence}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_object_is_told_apart() {
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
