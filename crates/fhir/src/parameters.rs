//! Parameters: the input of operations, and the answer of `$get-ws-binding-token`.

use cresset_model::{Issue, IssueCode, Issues, ResourceId};
use jiff::Timestamp;
use serde_json::Value;

use crate::element::{Element, invalid};
use crate::instant::instant;
use crate::json::write_object;

#[cfg(test)]
mod tests;

/// Most parameters of one call.
const PARAMETERS_MAX: usize = 10_000;

/// Reads the input of an operation: names and values as text, whichever primitive type they have
/// (RQ-OP-03: `valueId`, `valueString`, `valueCode`, `valueUri`, numbers as number or string).
///
/// # Errors
/// Not a Parameters, a parameter without name, or one whose value is no primitive.
pub fn parse_parameters(value: &Value) -> Result<Vec<(String, String)>, Issues> {
    let root = Element::resource(value, "Parameters")?;
    let mut issues = Issues::default();
    if !root.members.contains_key("parameter") {
        return Ok(Vec::new());
    }
    let parameters = root.children("parameter", &mut issues);
    if parameters.len() > PARAMETERS_MAX {
        let text = format!("there are more than {PARAMETERS_MAX} parameters");
        return Err(Issue::error(IssueCode::OutOfBounds, text).at(root.at("parameter")).into());
    }
    let mut read = Vec::new();
    for parameter in parameters {
        let name = parameter.required("name", &mut issues);
        let mut members = parameter.members.iter();
        let value = members.find(|(name, _)| name.starts_with("value")).map(|(_, value)| value);
        let text = match value {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(value)) => Some(value.to_string()),
            Some(Value::Array(_) | Value::Null | Value::Object(_)) | None => None,
        };
        match (name, text) {
            (Some(name), Some(text)) => read.push((name.to_owned(), text)),
            (Some(_), None) => {
                issues.push(invalid("must be a primitive value").at(parameter.at("value")));
            }
            (None, _) => {}
        }
    }
    issues.into_result(read).map(|(read, _)| read)
}

/// What `$get-ws-binding-token` answers (RQ section 7.3). The token is a secret.
#[derive(Clone, Copy)]
pub struct BindingTokenAnswer<'t> {
    /// Opaque to the client.
    pub token: &'t str,
    /// Until when it is valid.
    pub expiration: Timestamp,
    /// Ids of the Subscriptions it covers.
    pub subscriptions: &'t [ResourceId],
    /// Where to connect to.
    pub websocket_url: &'t str,
}

/// Writes the answer, the same in all versions.
pub fn render_token(answer: &BindingTokenAnswer<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "Parameters");
        o.array("parameter", |a| {
            let mut parameter = |name: &str, member: &str, value: &str| {
                a.object(|o| {
                    o.string("name", name);
                    o.string(member, value);
                });
            };
            parameter("token", "valueString", answer.token);
            parameter("expiration", "valueDateTime", &instant(answer.expiration));
            for id in answer.subscriptions {
                parameter("subscription", "valueString", id.as_str());
            }
            parameter("websocket-url", "valueUrl", answer.websocket_url);
        });
    });
    out
}
