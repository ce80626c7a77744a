//! The name of a criterion: a parameter, a chain of them, or `_has`.
//!
//! `patient.gender` asks the patient that a resource refers to; `subject:Patient.name` says which
//! of several types is meant, and without that every type is that has the parameter.
//! `_has:Observation:patient:code` asks the observations that refer to a resource. Both may be
//! combined, up to [`PATH_LENGTH_MAX`]. Tests: `path/tests.rs`.

use cresset_definitions::SearchKind;
use cresset_model::{Issue, IssueCode, Issues};
use smol_str::SmolStr;

use crate::{Parameter, Scope};

#[cfg(test)]
mod tests;

/// The most look-ups one after the other that a name may ask for (I10).
pub const PATH_LENGTH_MAX: usize = 3;
/// The most parameters that a name may stand for, where a chain names no types (I10).
const PARAMETERS_MAX: usize = 200;
/// The most bytes of a name (I10).
const NAME_BYTES_MAX: usize = 1_024;

/// The most characters of an unknown name that an issue repeats.
const NAME_CHARS_SHOWN_MAX: usize = 64;

/// What a name stands for, for one resource type.
pub(crate) enum Path {
    /// A reference, and what is asked of each type that it may point at.
    Chained { reference: &'static Parameter, targets: Vec<(&'static str, Self)> },
    /// Resources of a type that refer to the one at hand, and what is asked of them.
    Has {
        resource_type: &'static str,
        reference: &'static Parameter,
        rest: Box<Self>,
        /// The rest as written.
        name: SmolStr,
    },
    /// A parameter of the resource itself.
    Own(&'static Parameter),
}

impl Scope<'_> {
    /// The parameter whose values a criterion of this name compares: the last one of a chain, and of
    /// a chain through several types one of them.
    ///
    /// # Errors
    /// Issues that say what is not known, or cannot be evaluated.
    pub fn parameter(&self, resource_type: &str, name: &str) -> Result<&'static Parameter, Issues> {
        Ok(Path::parse(self, resource_type, name)?.last())
    }

    /// The parameters by which resources have to be found to answer a criterion of this name, with
    /// their types: those of `_has`.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn searches(
        &self,
        resource_type: &str,
        name: &str,
    ) -> Result<Vec<(&'static str, &'static str)>, Issues> {
        let mut searches = Vec::new();
        Path::parse(self, resource_type, name)?.searches(&mut searches);
        searches.sort_unstable();
        searches.dedup();
        Ok(searches)
    }
}

impl Path {
    pub(crate) fn parse(
        scope: &Scope<'_>,
        resource_type: &str,
        name: &str,
    ) -> Result<Self, Issues> {
        if name.len() > NAME_BYTES_MAX {
            let text = format!("the name of a parameter may have {NAME_BYTES_MAX} bytes");
            return Err(Issue::error(IssueCode::OutOfBounds, text).into());
        }
        Parser { scope, left: PARAMETERS_MAX }.path(resource_type, name, PATH_LENGTH_MAX)
    }

    fn searches(&self, out: &mut Vec<(&'static str, &'static str)>) {
        match self {
            Self::Chained { targets, .. } => {
                targets.iter().for_each(|(_, path)| path.searches(out));
            }
            Self::Has { resource_type, reference, rest, .. } => {
                out.push((resource_type, reference.code()));
                rest.searches(out);
            }
            Self::Own(_) => {}
        }
    }

    fn last(&self) -> &'static Parameter {
        match self {
            Self::Chained { reference, targets } => {
                targets.first().map_or(*reference, |(_, path)| path.last())
            }
            Self::Has { rest, .. } => rest.last(),
            Self::Own(parameter) => parameter,
        }
    }
}

struct Parser<'p> {
    scope: &'p Scope<'p>,
    /// How many parameters may still be found.
    left: usize,
}

impl Parser<'_> {
    /// Reads a name that may take so many look-ups.
    fn path(&mut self, resource_type: &str, name: &str, lookups: usize) -> Result<Path, Issues> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            unsupported("the chain may lead to too many types; name them: `subject:Patient.name`")
        })?;
        let is_url = name.contains("://") || name.starts_with("urn:");
        if is_url || !(name.starts_with("_has:") || name.contains('.')) {
            return find_parameter(self.scope, resource_type, name).map(Path::Own);
        }
        let Some(lookups) = lookups.checked_sub(1) else {
            let text = format!("a parameter may be {PATH_LENGTH_MAX} references away");
            return Err(Issue::error(IssueCode::OutOfBounds, text).into());
        };
        match (name.strip_prefix("_has:"), name.split_once('.')) {
            (Some(rest), _) => self.has(resource_type, rest, lookups),
            (None, Some((head, rest))) => self.chain(resource_type, head, rest, lookups),
            (None, None) => Err(unsupported("a chain is written `reference.parameter`")),
        }
    }

    /// Reads what is after `_has:`.
    fn has(&mut self, resource_type: &str, text: &str, lookups: usize) -> Result<Path, Issues> {
        let mut parts = text.splitn(3, ':');
        let (Some(of), Some(code), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(unsupported("`_has` is written `_has:Type:reference:parameter`"));
        };
        let of = self.resource_type(of)?;
        let reference = find_parameter(self.scope, of, code)?;
        let targets = reference.targets();
        let may_refer =
            is_reference(reference) && (targets.is_empty() || targets.contains(&resource_type));
        if !may_refer {
            let text = format!("`{code}` of {of} cannot refer to a {resource_type}");
            return Err(Issue::error(IssueCode::InvalidSearchValue, text).into());
        }
        let (name, rest) = (SmolStr::new(rest), Box::new(self.path(of, rest, lookups)?));
        Ok(Path::Has { resource_type: of, reference, rest, name })
    }

    fn chain(
        &mut self,
        resource_type: &str,
        head: &str,
        rest: &str,
        lookups: usize,
    ) -> Result<Path, Issues> {
        let (code, only) = match head.split_once(':') {
            Some((code, only)) => (code, Some(self.resource_type(only)?)),
            None => (head, None),
        };
        let reference = find_parameter(self.scope, resource_type, code)?;
        if !is_reference(reference) {
            let text =
                format!("`{code}` of {resource_type} is no reference that a chain could follow");
            return Err(Issue::error(IssueCode::InvalidSearchValue, text).into());
        }
        let allowed = reference.targets();
        let targets = match only {
            Some(only) if allowed.is_empty() || allowed.contains(&only) => vec![only],
            Some(only) => {
                let text = format!("`{code}` of {resource_type} cannot refer to a {only}");
                return Err(Issue::error(IssueCode::InvalidSearchValue, text).into());
            }
            None if allowed.is_empty() => {
                let text =
                    format!("`{code}` may refer to anything; name the type: `{code}:Type.…`");
                return Err(unsupported(&text));
            }
            None => allowed.to_vec(),
        };
        let (mut found, mut unknown) = (Vec::new(), None);
        for target in targets {
            match self.path(target, rest, lookups) {
                Ok(path) => found.push((target, path)),
                // A type that lacks the parameter cannot be meant; what is wrong with it for any
                // other reason would be left out without a word (RQ-FL-11).
                Err(issues) if is_unknown(&issues) => unknown = unknown.or(Some(issues)),
                Err(issues) => return Err(issues),
            }
        }
        match unknown {
            Some(issues) if found.is_empty() => Err(issues),
            Some(_) | None => Ok(Path::Chained { reference, targets: found }),
        }
    }

    fn resource_type(&self, name: &str) -> Result<&'static str, Issues> {
        let definitions = self.scope.parameters.definitions();
        let named = definitions.type_named(name).filter(|_| definitions.is_resource(name));
        named.map(|definition| definition.name).ok_or_else(|| {
            let text =
                "the type in the name of a parameter is no resource type of this FHIR version";
            Issue::error(IssueCode::UnknownSearchParameter, text).into()
        })
    }
}

fn is_reference(parameter: &Parameter) -> bool {
    parameter.kind() == SearchKind::Reference && !parameter.is_membership()
}

fn is_unknown(issues: &Issues) -> bool {
    issues.0.iter().all(|issue| issue.code == IssueCode::UnknownSearchParameter)
}

fn unsupported(text: &str) -> Issues {
    Issue::error(IssueCode::UnsupportedSearch, text).into()
}

/// A parameter by its code or canonical URL; `id` is read as `_id` (RQ-FL-13).
fn find_parameter(
    scope: &Scope<'_>,
    resource_type: &str,
    name: &str,
) -> Result<&'static Parameter, Issues> {
    let parameters = scope.parameters;
    let found = if name.contains(':') {
        parameters.by_url(resource_type, name)
    } else {
        let id = (name == "id").then_some("_id");
        parameters.get(resource_type, name).or_else(|| parameters.get(resource_type, id?))
    };
    let Some(parameter) = found else {
        return Err(unknown_parameter(scope, resource_type, name));
    };
    match parameter.check() {
        Ok(()) => Ok(parameter),
        Err(reason) => {
            let code = parameter.code();
            Err(unsupported(&format!("`{code}` of {resource_type} cannot be searched: {reason}")))
        }
    }
}

fn unknown_parameter(scope: &Scope<'_>, resource_type: &str, name: &str) -> Issues {
    let mut known: Vec<_> = scope
        .parameters
        .of_type(resource_type)
        .filter(|parameter| parameter.check().is_ok())
        .map(Parameter::code)
        .collect();
    known.sort_unstable();
    let text = if known.is_empty() {
        format!("{resource_type} is not a resource type that can be searched")
    } else {
        let known = known.join(", ");
        let name = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_SHOWN_MAX);
        let name: String = name.collect();
        format!("{resource_type} has no search parameter `{name}`; it has: {known}")
    };
    Issue::error(IssueCode::UnknownSearchParameter, text).into()
}
