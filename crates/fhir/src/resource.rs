//! The first look at a resource that comes in: is it one, and of which type.

use cresset_definitions::{Definitions, FhirVersion};
use cresset_model::{Issue, IssueCode, IssueKind, Issues, ResourceId, ResourceType};
use serde_json::Value;

use crate::element::{invalid, shortened};
use crate::json;

#[cfg(test)]
mod tests;

/// A resource that has the form of one.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedResource {
    /// All of it.
    pub value: Value,
    /// Its type, which the version defines.
    pub resource_type: ResourceType,
    /// Its id, if it has one.
    pub id: Option<ResourceId>,
}

/// Reads a resource. Elements are not checked against the version's definitions here.
///
/// # Errors
/// Of `json::parse`; `WrongResourceType` if the type is missing or unknown to the version;
/// `InvalidId`; `InvalidElement` if `meta` is no object.
pub(crate) fn parse_resource(version: FhirVersion, bytes: &[u8]) -> Result<ParsedResource, Issues> {
    let value = json::parse(bytes)?;
    let Some(members) = value.as_object() else {
        let text = "a resource must be a JSON object";
        return Err(Issue::error(IssueCode::WrongResourceType, text)
            .of_kind(IssueKind::Structure)
            .into());
    };
    let resource_type = parse_type(version, members.get("resourceType"))?;
    let mut issues = Issues::default();
    let id = members.get("id").and_then(|id| {
        let id = id.as_str().and_then(|id| ResourceId::new(id).ok());
        if id.is_none() {
            let text = "an id must be 1 to 64 characters of A-Z a-z 0-9 - .";
            issues.push(Issue::error(IssueCode::InvalidId, text).at(format!("{resource_type}.id")));
        }
        id
    });
    if members.get("meta").is_some_and(|meta| !meta.is_object()) {
        issues.push(invalid("must be an object").at(format!("{resource_type}.meta")));
    }
    if issues.has_errors() {
        return Err(issues);
    }
    Ok(ParsedResource { value, resource_type, id })
}

fn parse_type(version: FhirVersion, value: Option<&Value>) -> Result<ResourceType, Issues> {
    let wrong = |text: String| Issue::error(IssueCode::WrongResourceType, text).at("resourceType");
    let Some(name) = value.and_then(Value::as_str) else {
        return Err(wrong("resourceType is missing or no string".to_owned()).into());
    };
    let known = Definitions::of(version).is_resource(name);
    ResourceType::new(name).ok().filter(|_| known).ok_or_else(|| {
        let version = version.full();
        wrong(format!("FHIR {version} has no resource type `{}`", shortened(name))).into()
    })
}
