//! One search parameter of one resource type, its expression compiled once.

use std::fmt;
use std::sync::OnceLock;

use cresset_definitions::{Definitions, SearchKind, SearchParameter};
use cresset_fhirpath::Expression;

use crate::Parameters;
use crate::implied_systems::implied_systems;
use crate::index_key::IndexKey;

/// Parameters about the sets that a resource is a member of, which no expression finds.
pub(crate) const MEMBERSHIPS: [&str; 2] = ["_in", "_list"];

/// The types of elements that name resources by their canonical URLs.
const CANONICALS: [&str; 2] = ["canonical", "uri"];

/// The system of MIME types.
const MIME_TYPES: &str = "urn:ietf:bcp:13";

/// A search parameter as it applies to a resource type.
///
/// What every type has (`_id`, `_tag` …) is one parameter of `Resource`, shared by all types.
pub struct Parameter {
    definition: &'static SearchParameter,
    definitions: &'static Definitions,
    resource_type: &'static str,
    slot: usize,
    seed: u64,
    targets: &'static [&'static str],
    implied_systems: &'static [&'static str],
    extraction: OnceLock<Result<Extraction, String>>,
}

/// How the values of a parameter are found.
pub(crate) enum Extraction {
    /// The items of the expression, and what the components find in each.
    Composite(Expression, Box<[Component]>),
    /// The items of the expression.
    Items(Expression),
    /// The one value is the resource itself, which a Group or List may have as a member.
    Itself,
}

/// A part of a composite parameter.
pub(crate) struct Component {
    /// The parameter that says how its values are read.
    pub(crate) parameter: &'static Parameter,
    pub(crate) expression: Expression,
}

impl Component {
    /// Whether another one finds the same values in the same place.
    pub(crate) fn finds_the_same(&self, other: &Self) -> bool {
        let (own, others) = (self.parameter, other.parameter);
        std::ptr::eq(self, other)
            || own.kind() == others.kind()
                && self.expression.source() == other.expression.source()
                && own.implied_systems == others.implied_systems
                && own.targets == others.targets
    }
}

impl Parameter {
    pub(crate) fn new(
        definitions: &'static Definitions,
        definition: &'static SearchParameter,
        resource_type: &'static str,
        slot: usize,
    ) -> Self {
        let any = definition.targets.contains(&"Resource");
        Self {
            definition,
            definitions,
            resource_type,
            slot,
            seed: IndexKey::seed(definition.url),
            targets: if any { &[] } else { &definition.targets },
            implied_systems: implied_systems(definitions.version(), resource_type, definition.code),
            extraction: OnceLock::new(),
        }
    }

    /// Its name in a search.
    pub fn code(&self) -> &'static str {
        self.definition.code
    }

    /// Its canonical URL.
    pub fn url(&self) -> &'static str {
        self.definition.url
    }

    /// Its type.
    pub fn kind(&self) -> SearchKind {
        self.definition.kind
    }

    /// Whether its values can be greater or less than others.
    pub fn is_ordered(&self) -> bool {
        match self.kind() {
            SearchKind::Date | SearchKind::Number | SearchKind::Quantity => true,
            SearchKind::Composite
            | SearchKind::Reference
            | SearchKind::Special
            | SearchKind::String
            | SearchKind::Token
            | SearchKind::Uri => false,
        }
    }

    /// The resource type it is for; `Resource` or `DomainResource` if all such types share it.
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// The types its references may point at; empty for any.
    pub fn targets(&self) -> &'static [&'static str] {
        self.targets
    }

    /// What HL7 says of it.
    pub fn definition(&self) -> &'static SearchParameter {
        self.definition
    }

    pub(crate) fn definitions(&self) -> &'static Definitions {
        self.definitions
    }

    /// Whether its values can be extracted; the error says why not, for people.
    pub fn check(&self) -> Result<(), &str> {
        self.extraction().map(|_| ())
    }

    /// Whether its references are surely canonicals, which have versions and no parts.
    pub(crate) fn is_canonical(&self) -> bool {
        let types = match self.extraction() {
            Ok(Extraction::Items(expression)) => expression.types(),
            Ok(Extraction::Composite(..) | Extraction::Itself) | Err(_) => None,
        };
        types.is_some_and(|types| types.iter().all(|one| CANONICALS.contains(one)))
    }

    /// Whether its references may be canonicals, which alone have a version behind `|`.
    pub(crate) fn may_be_canonical(&self) -> bool {
        match self.extraction() {
            Ok(Extraction::Items(expression)) => {
                let types = expression.types();
                types.is_none_or(|types| types.iter().any(|one| CANONICALS.contains(one)))
            }
            Ok(Extraction::Composite(..) | Extraction::Itself) | Err(_) => false,
        }
    }

    /// Whether its codes are MIME types.
    pub(crate) fn is_mime_type(&self) -> bool {
        self.implied_systems == [MIME_TYPES]
    }

    /// Whether it asks of which Group, List or CareTeam a resource is a member.
    pub(crate) fn is_membership(&self) -> bool {
        MEMBERSHIPS.contains(&self.code())
    }

    /// What a composite parameter is made of, in order; empty for others.
    pub(crate) fn components(&self) -> &[Component] {
        match self.extraction() {
            Ok(Extraction::Composite(_, components)) => components,
            Ok(Extraction::Items(_) | Extraction::Itself) | Err(_) => &[],
        }
    }

    /// The systems that the definitions of its `code` elements imply, as far as known.
    pub(crate) fn implied_systems(&self) -> &'static [&'static str] {
        self.implied_systems
    }

    /// Its place among the parameters that a resource of its type has.
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// Whether it is one of this version's.
    pub(crate) fn is_of(&self, definitions: &'static Definitions) -> bool {
        std::ptr::eq(self.definitions, definitions)
    }

    /// The hash from which its index keys are made.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn extraction(&self) -> Result<&Extraction, &str> {
        self.extraction.get_or_init(|| self.compile()).as_ref().map_err(String::as_str)
    }

    fn compile(&self) -> Result<Extraction, String> {
        if self.is_membership() {
            return Ok(Extraction::Itself);
        }
        if self.kind() == SearchKind::Special {
            return Err("special parameters are not supported".into());
        }
        let source = self.definition.expression.ok_or("it has no expression")?;
        let source = branches_for(source, self.resource_type, self.definitions);
        if source.is_empty() {
            return Err("its expression has nothing for this resource type".into());
        }
        let scope = cresset_fhirpath::Scope::new(self.definitions).root(self.resource_type);
        let compiled = Expression::compile(&source, &scope.lenient());
        let expression = compiled.map_err(|error| error.to_string())?;
        if self.kind() != SearchKind::Composite {
            return Ok(Extraction::Items(expression));
        }
        let components = self.definition.components.iter();
        let components = components.map(|one| self.component(one, expression.types()));
        let components = components.collect::<Result<_, String>>()?;
        Ok(Extraction::Composite(expression, components))
    }

    /// A component, which looks at places of these types if they are known.
    fn component(
        &self,
        component: &cresset_definitions::Component,
        places: Option<&[&str]>,
    ) -> Result<Component, String> {
        let parameters = Parameters::of(self.definitions.version());
        let parameter = parameters
            .by_url(self.resource_type, component.definition)
            .filter(|one| !matches!(one.kind(), SearchKind::Composite | SearchKind::Special))
            .ok_or("one of its components is not known for this resource type")?;
        let scope = cresset_fhirpath::Scope::new(self.definitions).lenient();
        let source = component.expression;
        // What is no element of the types that are known may still be found: HL7 writes freely.
        let expression = Expression::compile(source, &scope.roots(places.unwrap_or_default()))
            .or_else(|_| Expression::compile(source, &scope));
        Ok(Component { parameter, expression: expression.map_err(|error| error.to_string())? })
    }
}

impl PartialEq for Parameter {
    /// Parameters live for ever, each in one place.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Parameter {}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter({}.{})", self.resource_type, self.code())
    }
}

/// The branches of a union that can find something in this type.
///
/// One expression often serves thirty types (`Condition.subject | Encounter.subject | …`): each
/// resource should cost the evaluation of its own branches only. Branches of which nothing is known
/// stay.
pub(crate) fn branches_for(source: &str, resource_type: &str, definitions: &Definitions) -> String {
    let mut branches = top_level_branches(source);
    branches.retain(|branch| applies(branch, resource_type, definitions));
    branches.join(" | ")
}

fn applies(branch: &str, resource_type: &str, definitions: &Definitions) -> bool {
    let path = branch.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
    let end = path.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(path.len());
    let first = &path[..end];
    if definitions.type_named(first).is_some()
        && first.starts_with(|c: char| c.is_ascii_uppercase())
    {
        return definitions.is_subtype(resource_type, first) || mentions(branch, resource_type);
    }
    // A path without its type, of which a union for several types is not clear about.
    let is_path = path[end..].is_empty() || path[end..].starts_with(['.', ' ', ')', '|']);
    let known = definitions.type_named(resource_type).and_then(|of| of.element(first)).is_some();
    !is_path || known
}

fn mentions(branch: &str, resource_type: &str) -> bool {
    branch.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == resource_type)
}

/// The operands of the unions that are not inside of parentheses or quotes.
pub(crate) fn top_level_branches(source: &str) -> Vec<&str> {
    let (mut branches, mut depth, mut quote, mut start) = (Vec::new(), 0_usize, None, 0);
    for (index, c) in source.char_indices() {
        match (quote, c) {
            (Some(open), _) => quote = (c != open).then_some(open),
            (None, '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, '|') if depth == 0 => {
                branches.push(source[start..index].trim());
                start = index + 1;
            }
            (None, _) => {}
        }
    }
    branches.push(source[start..].trim());
    branches
}

#[cfg(test)]
mod tests;
