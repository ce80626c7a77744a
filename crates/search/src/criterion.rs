//! One criterion: a parameter, a modifier, and the alternatives a resource is compared with.

use std::fmt;

use cresset_definitions::SearchKind;
use cresset_model::{Comparator, Issue, IssueCode, Issues, Modifier};
use smallvec::SmallVec;

use crate::index_key::{self, IndexKey};
use crate::operand::{ALTERNATIVES_MAX, Operand, Reader};
use crate::syntax;
use crate::{Parameter, Problem, ResourceValues, Scope, Span};

const CHAINED: &str = "chained parameters are not supported";

/// A search criterion, compiled: `name:modifier=value,value`.
#[derive(Clone, PartialEq)]
pub struct Criterion {
    parameter: &'static Parameter,
    modifier: Option<Modifier>,
    test: Test,
}

/// What a criterion asks of the values of its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Some value fits one of these.
    Any(Box<[Operand]>),
    /// Whether there is no value (`:missing=true`) or one (`:missing=false`).
    Missing(bool),
    /// No value fits any of these; also without a value (`:not`).
    None(Box<[Operand]>),
}

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
        let parameter = find_parameter(scope, resource_type, name)?;
        let (modifier, only) = read_modifier(scope, parameter, modifier)?;
        check_comparator(parameter, modifier, comparator)?;
        if modifier == Some(Modifier::Missing) {
            let missing = match value {
                "true" => true,
                "false" => false,
                _ => return Err(bad_value(parameter, "true or false, since it asks `:missing`")),
            };
            return Ok(Self { parameter, modifier, test: Test::Missing(missing) });
        }
        let reader = Reader { scope, parameter, modifier, only, comparator };
        let operands = read_alternatives(&reader, resource_type, value)?;
        let test = if modifier == Some(Modifier::Not) {
            Test::None(operands)
        } else {
            Test::Any(operands)
        };
        Ok(Self { parameter, modifier, test })
    }

    /// The parameter it is about.
    pub fn parameter(&self) -> &'static Parameter {
        self.parameter
    }

    /// Its modifier; `Type` for a resource type (`:Patient`), which the operands hold.
    pub fn modifier(&self) -> Option<Modifier> {
        self.modifier
    }

    /// What it asks, for callers that translate it into a query of their own.
    pub fn test(&self) -> &Test {
        &self.test
    }

    /// Whether the resource fits.
    ///
    /// # Errors
    /// A [`Problem`] where that cannot be told; the caller treats it as "no" and reports it (I9).
    pub fn matches(&self, values: &ResourceValues<'_>) -> Result<bool, Problem> {
        let values = values.of(self.parameter)?;
        let targets = self.parameter.targets();
        let any = |operands: &[Operand]| {
            values.iter().any(|value| operands.iter().any(|one| one.matches(value, targets)))
        };
        Ok(match &self.test {
            Test::Any(operands) => any(operands),
            Test::Missing(missing) => values.is_empty() == *missing,
            Test::None(operands) => !any(operands),
        })
    }

    /// Keys of which a resource must have one for its parameter if this is to match; `None` where
    /// equality is not what it asks for.
    pub fn index_keys(&self) -> Option<SmallVec<[IndexKey; 2]>> {
        let Test::Any(operands) = &self.test else { return None };
        let seed = self.parameter.seed();
        operands.iter().map(|operand| index_key::operand_key(seed, operand)).collect()
    }

    /// Where a resource must have a value for its parameter if this is to match; `None` where it may
    /// be anywhere, or there is no order.
    pub fn span(&self) -> Option<Span> {
        let Test::Any(operands) = &self.test else { return None };
        let mut spans = operands.iter().map(Span::of_operand);
        let first = spans.next()??;
        let hull = spans.try_fold(first, |hull, span| Some(hull.hull(span?)))?;
        (hull.low > i64::MIN || hull.high < i64::MAX).then_some(hull)
    }
}

impl fmt::Debug for Criterion {
    /// Without the values: they may be about a patient.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Criterion({}", self.parameter.code())?;
        if let Some(modifier) = self.modifier {
            write!(f, ":{}", modifier.code())?;
        }
        f.write_str("=…)")
    }
}

fn bad_value(parameter: &Parameter, expected: &str) -> Issues {
    let text = format!("a value of `{}` must be {expected}", parameter.code());
    Issue::error(IssueCode::InvalidSearchValue, text).into()
}

fn unsupported(text: String) -> Issues {
    Issue::error(IssueCode::UnsupportedSearch, text).into()
}

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
            Err(unsupported(format!("`{name}` of {resource_type} cannot be searched: {reason}")))
        }
    }
}

fn unknown_parameter(scope: &Scope<'_>, resource_type: &str, name: &str) -> Issues {
    if name == "_has" || name.starts_with("_has:") {
        return unsupported("`_has` is not supported".into());
    }
    let head = name.split_once('.').map(|(head, _)| head);
    if head.is_some_and(|head| scope.parameters.get(resource_type, head).is_some()) {
        return unsupported(CHAINED.into());
    }
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
        format!("{resource_type} has no such search parameter; it has: {known}")
    };
    Issue::error(IssueCode::UnknownSearchParameter, text).into()
}

/// The modifier, and the resource type it is if it is one.
fn read_modifier(
    scope: &Scope<'_>,
    parameter: &Parameter,
    text: Option<&str>,
) -> Result<(Option<Modifier>, Option<&'static str>), Issues> {
    let Some(text) = text else { return Ok((None, None)) };
    if text.contains('.') {
        return Err(unsupported(CHAINED.into()));
    }
    let definitions = scope.parameters.definitions();
    let is_type = definitions.is_resource(text);
    let only = definitions.type_named(text).filter(|_| is_type).map(|definition| definition.name);
    let modifier = match only {
        Some(_) => Some(Modifier::Type),
        None => Modifier::from_code(text),
    };
    let code = parameter.code();
    let kind = parameter.kind();
    match modifier.map_or(Support::Undefined, |modifier| support(modifier, kind)) {
        Support::Supported => Ok((modifier, only)),
        Support::Undefined => {
            let text =
                format!("`{code}` is a {} parameter and does not have this modifier", kind.code());
            Err(Issue::error(IssueCode::UnsupportedModifier, text).into())
        }
        Support::Unsupported => {
            Err(unsupported(format!("this server does not support this modifier of `{code}`")))
        }
    }
}

/// What becomes of a modifier on a kind of parameter.
enum Support {
    Supported,
    /// FHIR does not define it there.
    Undefined,
    /// FHIR defines it there, but it needs what this server does not have yet.
    Unsupported,
}

fn support(modifier: Modifier, kind: SearchKind) -> Support {
    use SearchKind as Kind;
    match (modifier, kind) {
        (Modifier::Missing, _)
        | (Modifier::Above | Modifier::Below, Kind::Uri)
        | (Modifier::CodeText | Modifier::Not | Modifier::OfType, Kind::Token)
        | (Modifier::Contains, Kind::String | Kind::Uri)
        | (Modifier::Exact, Kind::String)
        | (Modifier::Identifier | Modifier::Type, Kind::Reference)
        | (Modifier::Text, Kind::Reference | Kind::Token) => Support::Supported,
        (Modifier::Above | Modifier::Below | Modifier::CodeText, Kind::Reference)
        | (Modifier::Above | Modifier::Below, Kind::Token)
        | (Modifier::In | Modifier::NotIn, Kind::Reference | Kind::Token | Kind::Uri)
        | (Modifier::Text, Kind::String)
        | (Modifier::TextAdvanced, Kind::Reference | Kind::Token) => Support::Unsupported,
        _ => Support::Undefined,
    }
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
    let ordered = match parameter.kind() {
        SearchKind::Date | SearchKind::Number | SearchKind::Quantity => true,
        SearchKind::Composite
        | SearchKind::Reference
        | SearchKind::Special
        | SearchKind::String
        | SearchKind::Token
        | SearchKind::Uri => false,
    };
    if ordered || comparator == Comparator::Eq {
        return Ok(());
    }
    let kind = parameter.kind().code();
    let text = format!("`{code}` is a {kind} parameter, which has no comparator but eq");
    Err(Issue::error(IssueCode::UnsupportedModifier, text).into())
}

fn read_alternatives(
    reader: &Reader<'_>,
    resource_type: &str,
    value: &str,
) -> Result<Box<[Operand]>, Issues> {
    let parameter = reader.parameter;
    let is_id = parameter.code() == "_id";
    let mut operands = SmallVec::<[Operand; 1]>::new();
    for alternative in syntax::split(value, ',') {
        if alternative.is_empty() {
            return Err(bad_value(parameter, "given, also before and after each comma"));
        }
        if operands.len() == ALTERNATIVES_MAX {
            let text = format!("`{}` has more than {ALTERNATIVES_MAX} values", parameter.code());
            return Err(Issue::error(IssueCode::OutOfBounds, text).into());
        }
        let alternative = if is_id {
            let id = alternative.strip_prefix(resource_type).and_then(|id| id.strip_prefix('/'));
            id.unwrap_or(alternative)
        } else {
            alternative
        };
        if is_id && alternative.contains(['/', '|', '\\']) {
            return Err(bad_value(parameter, "an id, or Type/id of the type searched"));
        }
        operands.push(reader.read(alternative).map_err(|expected| bad_value(parameter, expected))?);
    }
    Ok(operands.into_vec().into_boxed_slice())
}

#[cfg(test)]
mod tests;
