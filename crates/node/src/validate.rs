//! Is the form of a resource that of its version: asked on every write, and by `$validate`.
//!
//! What is checked stands in `cresset_fhir::Codec::validate`. A Subscription or topic that means
//! nothing is refused for that first, with 422, before its form is looked at.

use std::sync::Arc;

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_fhir::{Codec, json, render_outcome};
use cresset_model::{Issue, IssueCode, Issues, ResourceId, Severity};
use serde_json::Value;

use crate::caller::Caller;
use crate::config::ValidationLevel;
use crate::error::{Error, Kind};
use crate::interactions::drawn_id;
use crate::node::Node;
use crate::resources::{check_delete, key, parse_id};

/// What `$validate` is asked.
#[derive(Debug, Clone)]
pub struct ValidationInput {
    /// The resource; none where an instance is to be looked at as it is.
    pub resource: Option<Bytes>,
    /// What the client is about to do with it.
    pub mode: Option<ValidationMode>,
    /// Whether a profile was named, which is not checked.
    pub has_profile: bool,
}

/// What a client is about to do (`mode` of `$validate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidationMode {
    /// Create it.
    Create,
    /// Delete it.
    Delete,
    /// Check it against a profile.
    Profile,
    /// Update it.
    Update,
}

impl ValidationMode {
    /// The mode with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "create" => Self::Create,
            "delete" => Self::Delete,
            "profile" => Self::Profile,
            "update" => Self::Update,
            _ => return None,
        })
    }
}

impl Node {
    /// What is to be told of the form of a resource that is about to be written.
    ///
    /// # Errors
    /// `Malformed` with all that is wrong, where the level is strict.
    pub(crate) fn check_form(&self, version: FhirVersion, value: &Value) -> Result<Issues, Error> {
        let validated = || Codec::of(version).validate(value);
        match self.shared.config.validation {
            ValidationLevel::Off => Ok(Issues::default()),
            ValidationLevel::Lenient => Ok(warnings(validated())),
            ValidationLevel::Strict => match validated() {
                issues if issues.has_errors() => Err(Error::new(Kind::Malformed, issues)),
                issues => Ok(issues),
            },
        }
    }

    /// Answers `$validate` with an OperationOutcome: what a write would be refused for, whatever
    /// the configured level. Nothing is stored.
    ///
    /// # Errors
    /// `Malformed` if there is no resource to look at; `Forbidden` if the caller may not do what it
    /// asks about; `NotFound` and `Gone` for an instance that is not there.
    pub async fn validate(
        self: &Arc<Self>,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, id): (&str, Option<&str>),
        input: ValidationInput,
    ) -> Result<Vec<u8>, Error> {
        let mut issues = Issues::default();
        if input.has_profile || input.mode == Some(ValidationMode::Profile) {
            let text = "profiles are not checked here, only the base definitions of the version";
            issues.push(Issue::warning(IssueCode::ProfileNotChecked, text));
        }
        if input.mode == Some(ValidationMode::Delete) {
            let Some(id) = id else {
                let text = "what is to be deleted is named by the URL: [type]/[id]/$validate";
                return Err(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text));
            };
            check_delete(caller, &key(version, resource_type, parse_id(id)?)?)?;
            self.read(caller, version, resource_type, id).await?;
            return Ok(render_outcome(&issues));
        }
        let bytes = match (input.resource, id) {
            (Some(bytes), _) => bytes,
            (None, Some(id)) => self.read(caller, version, resource_type, id).await?.body,
            (None, None) => {
                let text = "there is no resource to validate";
                return Err(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text));
            }
        };
        let (node, by, resource_type) = (self.clone(), caller.clone(), resource_type.to_owned());
        let asked = id.filter(|_| input.mode == Some(ValidationMode::Update));
        let id = asked.map(parse_id).transpose()?;
        // A large resource takes too long for the threads that serve everybody.
        let looked = move || node.issues_of(&by, version, (&resource_type, id), bytes);
        issues.0.extend(self.shared.work(looked).await?.0);
        Ok(render_outcome(&issues))
    }

    /// All that is wrong with a resource.
    fn issues_of(
        &self,
        caller: &Caller,
        version: FhirVersion,
        (resource_type, id): (&str, Option<ResourceId>),
        bytes: Bytes,
    ) -> Result<Issues, Error> {
        let mut issues = match json::parse(&bytes) {
            Ok(value) if value.get("resourceType").is_some() => Codec::of(version).validate(&value),
            // Told by the preparation.
            Ok(_) | Err(_) => Issues::default(),
        };
        let named = match &id {
            Some(id) => id.clone(),
            None => drawn_id()?,
        };
        let key = key(version, resource_type, named)?;
        match self.prepare(caller, version, &key, id.as_ref(), bytes) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), Kind::Malformed | Kind::Unprocessable) => {
                let known = issues.0.clone();
                let others = error.issues().0.iter().filter(|one| !known.contains(one)).cloned();
                issues.0.extend(others);
            }
            Err(error) => return Err(error),
        }
        Ok(issues)
    }
}

/// The same, as warnings.
fn warnings(issues: Issues) -> Issues {
    let lowered = issues.0.into_iter().map(|one| Issue { severity: Severity::Warning, ..one });
    Issues(lowered.collect())
}
