//! Small readers over JSON that may be anything.

use serde_json::Value;

/// The items of a member that is a list; none if it is not.
pub(crate) fn items<'v>(of: &'v Value, member: &str) -> &'v [Value] {
    of[member].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A member that is text.
pub(crate) fn text(of: &Value, member: &str) -> Option<String> {
    of[member].as_str().map(str::to_owned)
}

/// The items of a name: parameters, or parts of one.
pub(crate) fn named<'v>(
    parameters: &'v [Value],
    name: &'v str,
) -> impl Iterator<Item = &'v Value> + 'v {
    parameters.iter().filter(move |parameter| parameter["name"] == *name)
}

/// The value of a parameter, whatever its type: its only member that begins with `value`.
pub(crate) fn value_of(parameter: &Value) -> Option<&Value> {
    let members = parameter.as_object()?;
    members.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}

/// The text of the first parameter of a name, whatever its type.
pub(crate) fn named_text(parameters: &[Value], name: &str) -> Option<String> {
    named(parameters, name).find_map(value_of)?.as_str().map(str::to_owned)
}

/// A whole number that is text, as the rule is, or a number, as many write it (RQ-NB-42, TR-03).
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Object(_) => None,
    }
}

/// The values of the extensions with this URL on an element, whatever their type.
pub(crate) fn extensions<'v>(of: &'v Value, url: &'v str) -> impl Iterator<Item = &'v Value> + 'v {
    items(of, "extension").iter().filter(move |one| one["url"] == *url).filter_map(value_of)
}
