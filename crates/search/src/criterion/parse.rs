//! Reads a criterion: its name, its modifier and its alternatives.

use std::sync::Arc;

use cresset_definitions::{Definitions, FhirVersion, SearchKind};
use cresset_model::{Comparator, Issue, IssueCode, Issues, Modifier};
use smallvec::SmallVec;
use smol_str::format_smolstr;

use super::{Criterion, Has, Test};
use crate::operand::{ALTERNATIVES_MAX, Operand, Reader};
use crate::path::Path;
use crate::set::Set;
use crate::syntax;
use crate::{Parameter, Scope};

impl Criterion {
    /// Compiles a criterion.
    ///
    /// - `name` is the code of a parameter, or its canonical URL (RQ-TP-50). `id` is read as `_id`,
    ///   and the value of `_id` may be `Type/id` of the same type (RQ-FL-13).
    /// - `modifier` is FHIR's code without the colon, or a resource type (`Patient`).
    /// - `comparator` is one given beside the value; without it the value may begin with one
    ///   (RQ-FL-08, TR-22).
    /// - `value` is in search syntax: `,` separates alternatives, `\` escapes. It is not
    ///   percent-decoded: [`Criteria::parse`](crate::Criteria::parse) and [`decode`](crate::decode)
    ///   do that.
    ///
    /// # Errors
    /// Issues that say what is known or expected; nothing that cannot be evaluated exactly is
    /// accepted (RQ-FL-11, RQ-FL-14, I9).
    pub fn new(
        scope: &Scope<'_>,
        resource_type: &str,
        name: &str,
        modifier: Option<&str>,
        comparator: Option<Comparator>,
        value: &str,
    ) -> Result<Self, Issues> {
        // `Criteria` and filters split a name at its modifier; a chain there is part of the name.
        let path = Path::parse(scope, resource_type, name)?;
        Asked { scope, modifier, comparator, value }.of(resource_type, &path)
    }
}

/// What is asked at the end of a path.
struct Asked<'s> {
    scope: &'s Scope<'s>,
    modifier: Option<&'s str>,
    comparator: Option<Comparator>,
    value: &'s str,
}

impl Asked<'_> {
    fn of(&self, resource_type: &str, path: &Path) -> Result<Criterion, Issues> {
        match path {
            Path::Chained { reference, targets } => {
                // What cannot be asked of one of the types is refused: which is meant is not clear.
                let criteria = targets.iter().map(|(one, path)| Ok((*one, self.of(one, path)?)));
                let test = Test::Chained(criteria.collect::<Result<_, Issues>>()?);
                Ok(Criterion { parameter: reference, modifier: None, test })
            }
            Path::Has { resource_type: of, reference, rest, name } => {
                let criterion = self.of(of, rest)?;
                let parameter =
                    self.scope.parameters.get(resource_type, "_id").ok_or_else(|| {
                        unsupported(format!("{resource_type} has no `_id` to be referred to by"))
                    })?;
                let comparator = self.comparator.map_or("", Comparator::code);
                let modifier = self.modifier.unwrap_or_default();
                let source = format_smolstr!("{name}:{modifier}={comparator}={}", self.value);
                let has = Has { resource_type: of, reference, criterion, source };
                Ok(Criterion { parameter, modifier: None, test: Test::Has(Arc::new(has)) })
            }
            Path::Own(parameter) => self.own(resource_type, parameter),
        }
    }

    fn own(&self, resource_type: &str, parameter: &'static Parameter) -> Result<Criterion, Issues> {
        let Self { scope, comparator, value, .. } = *self;
        let (modifier, only) = read_modifier(scope, parameter, self.modifier)?;
        check_comparator(parameter, modifier, comparator)?;
        if modifier == Some(Modifier::Missing) {
            let missing = match value {
                "true" => true,
                "false" => false,
                _ => return Err(bad_value(parameter, "true or false, since it asks `:missing`")),
            };
            return Ok(Criterion { parameter, modifier, test: Test::Missing(missing) });
        }
        if let Some(read) = read_set(scope, parameter, modifier) {
            let sets = read_alternatives(parameter, value, read)?.into_boxed_slice();
            let test =
                if modifier == Some(Modifier::NotIn) { Test::NotIn(sets) } else { Test::In(sets) };
            return Ok(Criterion { parameter, modifier, test });
        }
        let reader = Reader { scope, parameter, modifier, only, comparator };
        let operands = read_operands(&reader, resource_type, value)?;
        let test = if modifier == Some(Modifier::Not) {
            Test::None(operands.into_boxed_slice())
        } else {
            Test::Any(operands.into_iter().collect())
        };
        Ok(Criterion { parameter, modifier, test })
    }
}

fn bad_value(parameter: &Parameter, expected: &str) -> Issues {
    let text = format!("a value of `{}` must be {expected}", parameter.code());
    Issue::error(IssueCode::InvalidSearchValue, text).into()
}

fn unsupported(text: String) -> Issues {
    Issue::error(IssueCode::UnsupportedSearch, text).into()
}

/// The modifier, and the resource type it is if it is one.
fn read_modifier(
    scope: &Scope<'_>,
    parameter: &Parameter,
    text: Option<&str>,
) -> Result<(Option<Modifier>, Option<&'static str>), Issues> {
    let Some(text) = text else { return Ok((None, None)) };
    if parameter.is_membership() {
        let text = format!("`{}` has no modifiers", parameter.code());
        return Err(Issue::error(IssueCode::UnsupportedModifier, text).into());
    }
    let definitions = scope.parameters.definitions();
    let is_type = definitions.is_resource(text);
    let only = definitions.type_named(text).filter(|_| is_type).map(|definition| definition.name);
    let modifier = match only {
        Some(_) => Some(Modifier::Type),
        None => modifier_of(definitions.version(), text),
    };
    let code = parameter.code();
    let kind = parameter.kind();
    if modifier.is_some_and(|modifier| asks_for_no_parts(parameter, modifier)) {
        let text = format!("what `{code}` refers to has no parts that could be above or below");
        return Err(unsupported(text));
    }
    match modifier.is_some_and(|modifier| is_defined(modifier, kind)) {
        true => Ok((modifier, only)),
        false => {
            let text =
                format!("`{code}` is a {} parameter and does not have this modifier", kind.code());
            Err(Issue::error(IssueCode::UnsupportedModifier, text).into())
        }
    }
}

/// The modifier of a code; R4 and R4B write `:of-type`, and `ofType` where they list the codes.
fn modifier_of(version: FhirVersion, code: &str) -> Option<Modifier> {
    match version {
        FhirVersion::R4 | FhirVersion::R4B if code == "ofType" => Some(Modifier::OfType),
        FhirVersion::R4 | FhirVersion::R4B | FhirVersion::R5 => Modifier::from_code(code),
    }
}

impl Parameter {
    /// The modifiers that a criterion of it may have.
    pub fn modifiers(&self) -> impl Iterator<Item = Modifier> {
        let all: &[Modifier] = if self.is_membership() { &[] } else { Modifier::ALL };
        let all = all.iter().copied();
        all.filter(|one| is_defined(*one, self.kind()) && !asks_for_no_parts(self, *one))
    }

    /// The comparators that a criterion of it may have.
    pub fn comparators(&self) -> &'static [Comparator] {
        if self.is_ordered() { Comparator::ALL } else { &[] }
    }
}

/// Whether a modifier asks what is above or below resources that have no parts.
fn asks_for_no_parts(parameter: &Parameter, modifier: Modifier) -> bool {
    matches!(modifier, Modifier::Above | Modifier::Below)
        && parameter.kind() == SearchKind::Reference
        && !parameter.is_canonical()
        && !may_have_parts(parameter, parameter.definitions())
}

/// Whether some type that a parameter may point at has parts of its own kind.
fn may_have_parts(parameter: &Parameter, definitions: &Definitions) -> bool {
    let has_parts =
        |one: &&str| definitions.type_named(one).is_some_and(|one| one.element("partOf").is_some());
    parameter.targets().is_empty() || parameter.targets().iter().any(has_parts)
}

/// Whether FHIR defines a modifier on a kind of parameter.
fn is_defined(modifier: Modifier, kind: SearchKind) -> bool {
    use SearchKind as Kind;
    matches!(
        (modifier, kind),
        (Modifier::Missing, _)
            | (Modifier::Above | Modifier::Below, Kind::Reference | Kind::Token | Kind::Uri)
            | (Modifier::CodeText | Modifier::TextAdvanced, Kind::Reference | Kind::Token)
            | (Modifier::Contains, Kind::String | Kind::Uri)
            | (Modifier::Exact, Kind::String)
            | (Modifier::Identifier | Modifier::Type, Kind::Reference)
            | (Modifier::In | Modifier::NotIn, Kind::Reference | Kind::Token)
            | (Modifier::Not | Modifier::OfType, Kind::Token)
            | (Modifier::Text, Kind::Reference | Kind::String | Kind::Token)
    )
}

fn check_comparator(
    parameter: &Parameter,
    modifier: Option<Modifier>,
    comparator: Option<Comparator>,
) -> Result<(), Issues> {
    let Some(comparator) = comparator else { return Ok(()) };
    let code = parameter.code();
    if modifier.is_some() {
        let text = format!("`{code}` has a comparator and a modifier; only one is allowed");
        return Err(Issue::error(IssueCode::UnsupportedModifier, text).into());
    }
    if parameter.is_ordered() || comparator == Comparator::Eq {
        return Ok(());
    }
    let kind = parameter.kind().code();
    let text = format!("`{code}` is a {kind} parameter, which has no comparator but eq");
    Err(Issue::error(IssueCode::UnsupportedModifier, text).into())
}

/// How the alternatives of a criterion about sets are read; `None` if it is not about sets.
fn read_set(
    scope: &Scope<'_>,
    parameter: &'static Parameter,
    modifier: Option<Modifier>,
) -> Option<impl Fn(&str) -> Result<Set, &'static str>> {
    let kind = parameter.kind();
    let about_sets = match modifier {
        None => parameter.is_membership(),
        // Versions of canonicals and MIME types are told from each other without a look elsewhere.
        Some(Modifier::Above | Modifier::Below) if kind == SearchKind::Reference => {
            !parameter.is_canonical()
        }
        Some(Modifier::Above) => kind == SearchKind::Token,
        Some(Modifier::Below) => kind == SearchKind::Token && !parameter.is_mime_type(),
        Some(modifier) => matches!(modifier, Modifier::In | Modifier::NotIn),
    };
    // `_list` has the id of a List; other references to sets have a type.
    let only = (parameter.code() == "_list").then_some("List");
    about_sets.then_some(move |text: &str| {
        let below = modifier == Some(Modifier::Below);
        let is_hierarchy = below || modifier == Some(Modifier::Above);
        if is_hierarchy && kind == SearchKind::Token {
            return Set::hierarchy(text, below);
        }
        let text = syntax::unescape(text).ok_or("text with `\\` before each of , $ | \\")?;
        if is_hierarchy {
            Set::parts(&text, scope, below)
        } else if kind == SearchKind::Token {
            Set::value_set(&text, scope)
        } else {
            Set::members(&text, scope, only)
        }
    })
}

fn read_operands(
    reader: &Reader<'_>,
    resource_type: &str,
    value: &str,
) -> Result<SmallVec<[Operand; 1]>, Issues> {
    let is_id = reader.parameter.code() == "_id";
    read_alternatives(reader.parameter, value, |alternative| {
        let id = alternative.strip_prefix(resource_type).and_then(|id| id.strip_prefix('/'));
        let alternative = id.filter(|_| is_id).unwrap_or(alternative);
        if is_id && alternative.contains(['/', '|', '\\']) {
            return Err("an id, or Type/id of the type searched");
        }
        reader.read(alternative)
    })
}

/// Reads what is between the commas; an error says what is expected there.
fn read_alternatives<T>(
    parameter: &Parameter,
    value: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<SmallVec<[T; 1]>, Issues> {
    let mut alternatives = SmallVec::<[T; 1]>::new();
    for alternative in syntax::split(value, ',') {
        if alternative.is_empty() {
            return Err(bad_value(parameter, "given, also before and after each comma"));
        }
        if alternatives.len() == ALTERNATIVES_MAX {
            let text = format!("`{}` has more than {ALTERNATIVES_MAX} values", parameter.code());
            return Err(Issue::error(IssueCode::OutOfBounds, text).into());
        }
        alternatives.push(read(alternative).map_err(|expected| bad_value(parameter, expected))?);
    }
    Ok(alternatives)
}
