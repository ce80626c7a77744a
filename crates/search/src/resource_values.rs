//! The search values of one resource, extracted when first asked for.

use std::cell::OnceCell;

use cresset_fhirpath::{Collection, Context, EvaluationError, Expression, Resolution, Resolver};
use serde_json::Value;
use smallvec::SmallVec;

use crate::extraction;
use crate::index_key::{self, IndexKeys};
use crate::parameter::{Component, Extraction};
use crate::parameters::TypeParameters;
use crate::{
    IndexKey, Parameter, Problem, ProblemKind, Reference, Scope, SearchValue, Span, Target,
};

/// The most evaluation steps an expression may take on one resource (I10).
pub const STEPS_MAX: u32 = 1_000_000;
/// The most values one parameter may have in one resource (I10).
pub const VALUES_MAX: usize = 10_000;

/// One resource and what the search parameters find in it.
///
/// Every parameter is extracted at most once, whoever asks; nothing is extracted that nobody asks
/// for. Not `Sync`: one evaluation owns it.
pub struct ResourceValues<'a> {
    scope: Scope<'a>,
    resource_type: &'a str,
    resource: &'a Value,
    /// Of its type; `None` where the FHIR version has no such type.
    own: Option<&'static TypeParameters>,
    /// By the slots of the parameters, in chunks, since most are never filled.
    chunks: SmallVec<[OnceCell<Box<Chunk<'a>>>; CHUNKS_INLINE]>,
}

type Extracted<'a> = Result<Vec<SearchValue<'a>>, Problem>;
type Chunk<'a> = [OnceCell<Extracted<'a>>; CHUNK];

/// Parameters whose values lie together.
const CHUNK: usize = 8;
/// Chunks of most types.
const CHUNKS_INLINE: usize = 8;

impl<'a> ResourceValues<'a> {
    /// A resource of this type; whether it is one is the caller's business.
    pub fn new(scope: Scope<'a>, resource_type: &'a str, resource: &'a Value) -> Self {
        let scope = Scope { base_url: scope.base_url.trim_end_matches('/'), ..scope };
        let own = scope.parameters.of_concrete(resource_type);
        let slots = own.map_or(0, TypeParameters::slots);
        let chunks = std::iter::repeat_with(OnceCell::new).take(slots.div_ceil(CHUNK)).collect();
        Self { scope, resource_type, resource, own, chunks }
    }

    /// The type it was made for.
    pub fn resource_type(&self) -> &'a str {
        self.resource_type
    }

    /// The resource.
    pub fn resource(&self) -> &'a Value {
        self.resource
    }

    /// Its id, if it has one.
    pub(crate) fn id(&self) -> Option<&'a str> {
        self.resource.get("id").and_then(Value::as_str)
    }

    /// The own base, without a final `/`.
    pub(crate) fn base_url(&self) -> &'a str {
        self.scope.base_url
    }

    /// What the parameter finds in the resource; nothing where it has no such value.
    ///
    /// # Errors
    /// A [`Problem`] where that cannot be told: the caller must not take it for "no value" (I9).
    pub fn of(&self, parameter: &'static Parameter) -> Result<&[SearchValue<'a>], Problem> {
        let is_ours = parameter.is_of(self.scope.parameters.definitions())
            && self.own.is_some_and(|own| own.have(parameter));
        let slot = parameter.slot();
        let Some(chunk) = self.chunks.get(slot / CHUNK).filter(|_| is_ours) else {
            return Err(Problem::new(parameter, ProblemKind::OtherType));
        };
        let chunk = chunk.get_or_init(|| Box::new(std::array::from_fn(|_| OnceCell::new())));
        match chunk[slot % CHUNK].get_or_init(|| self.extract(parameter)) {
            Ok(values) => Ok(values),
            Err(problem) => Err(problem.clone()),
        }
    }

    /// The keys of the parameter's values: a criterion with keys can match only if it shares one.
    ///
    /// # Errors
    /// As [`ResourceValues::of`].
    pub fn index_keys(
        &self,
        parameter: &'static Parameter,
    ) -> Result<impl Iterator<Item = IndexKey> + use<>, Problem> {
        let mut keys = IndexKeys::new();
        for value in self.of(parameter)? {
            index_key::push_keys(parameter.seed(), value, &mut keys);
        }
        Ok(keys.into_iter())
    }

    /// The shortest stretch in which all values of the parameter lie, of those that have an order.
    ///
    /// # Errors
    /// As [`ResourceValues::of`].
    pub fn span(&self, parameter: &'static Parameter) -> Result<Option<Span>, Problem> {
        let spans = self.of(parameter)?.iter().filter_map(Span::of_value);
        Ok(spans.reduce(Span::hull))
    }

    fn extract(&self, parameter: &'static Parameter) -> Extracted<'a> {
        let problem = |kind| Problem::new(parameter, kind);
        let extraction = parameter.extraction().map_err(|_| problem(ProblemKind::Unsupported))?;
        let (resource, resource_type) = (self.resource, self.resource_type);
        match extraction {
            Extraction::Composite(expression, components) => {
                let items = evaluate(parameter, expression, resource, resource_type)?;
                let mut values = Vec::with_capacity(items.len());
                let mut count = 0;
                for item in items.iter() {
                    let Some(json) = item.json() else { continue };
                    let find = |component: &'static Component| {
                        let Component { parameter: own, expression } = component;
                        let found = evaluate(parameter, expression, json, item.type_name())?;
                        self.values(parameter, own, &found)
                    };
                    let parts = components.iter().map(find).collect::<Result<Vec<_>, _>>()?;
                    count += parts.iter().map(Vec::len).sum::<usize>();
                    if count > VALUES_MAX {
                        return Err(problem(ProblemKind::TooManyValues));
                    }
                    // Without one of its components there is no such value.
                    if !parts.iter().any(Vec::is_empty) {
                        values.push(SearchValue::Composite(parts));
                    }
                }
                Ok(values)
            }
            Extraction::Items(expression) => {
                let items = evaluate(parameter, expression, resource, resource_type)?;
                self.values(parameter, parameter, &items)
            }
            Extraction::Itself => {
                let own = self.id().map(|id| Target::Local { resource_type, id, version: None });
                let reference = |target| Reference { target, identifier: None, display: None };
                Ok(own.map(reference).map(SearchValue::Reference).into_iter().collect())
            }
        }
    }

    /// What items are as values of a parameter; problems are told of the one asked for.
    fn values(
        &self,
        asked: &'static Parameter,
        parameter: &'static Parameter,
        items: &Collection<'a>,
    ) -> Extracted<'a> {
        let source = extraction::Source {
            parameter,
            base_url: self.scope.base_url,
            resource: self.resource,
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items.iter() {
            source
                .push(item, &mut values)
                .map_err(|malformed| Problem::new(asked, ProblemKind::Malformed(malformed.0)))?;
            if values.len() > VALUES_MAX {
                return Err(Problem::new(asked, ProblemKind::TooManyValues));
            }
        }
        Ok(values)
    }
}

fn evaluate<'a>(
    parameter: &'static Parameter,
    expression: &'static Expression,
    focus: &'a Value,
    focus_type: &'a str,
) -> Result<Collection<'a>, Problem> {
    expression.evaluate(&context(focus_type, focus)).map_err(|error| {
        Problem::new(
            parameter,
            match error {
                EvaluationError::Missing(_) => ProblemKind::Unresolved,
                EvaluationError::StepLimit => ProblemKind::StepLimit,
                EvaluationError::Singleton { .. }
                | EvaluationError::TooLarge { .. }
                | EvaluationError::Type { .. }
                | EvaluationError::Variable(_) => ProblemKind::Expression,
            },
        )
    })
}

/// How expressions of search parameters see a resource: alone, since what other resources hold is
/// no property of this one.
pub(crate) fn context<'a>(resource_type: &'a str, resource: &'a Value) -> Context<'a> {
    Context { step_max: STEPS_MAX, resolver: &Alone, ..Context::new(Some(resource), resource_type) }
}

/// Tells which references could be resolved: `Type/id`, whose resources are not at hand.
///
/// What may lie elsewhere (`urn:uuid:…`, URLs) is never fetched, so it is not found. The type of what
/// a reference names is known without resolving it.
struct Alone;

impl<'a> Resolver<'a> for Alone {
    fn resolve(&self, reference: &str) -> Resolution<'a> {
        match Target::parse(reference, "") {
            Target::Local { .. } => Resolution::Missing,
            Target::Contained | Target::Logical | Target::Url { .. } => Resolution::NotFound,
        }
    }
}
