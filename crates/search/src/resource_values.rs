//! The search values of one resource, extracted when first asked for.

use std::cell::OnceCell;

use cresset_fhirpath::{Context, EvaluationError, Resolution, Resolver};
use serde_json::Value;
use smallvec::SmallVec;

use crate::extraction;
use crate::index_key::{self, IndexKeys};
use crate::parameters::TypeParameters;
use crate::{IndexKey, Parameter, Problem, ProblemKind, Scope, SearchValue, Span, Target};

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
        let expression = parameter.expression().map_err(|_| problem(ProblemKind::Unsupported))?;
        let context = context(self.resource_type, self.resource);
        let items = expression.evaluate(&context).map_err(|error| {
            problem(match error {
                EvaluationError::Missing(references) => ProblemKind::Missing(references),
                EvaluationError::StepLimit => ProblemKind::StepLimit,
                EvaluationError::Singleton { .. }
                | EvaluationError::TooLarge { .. }
                | EvaluationError::Type { .. }
                | EvaluationError::Variable(_) => ProblemKind::Expression,
            })
        })?;
        let mut values = Vec::with_capacity(items.len());
        let source = extraction::Source {
            parameter,
            base_url: self.scope.base_url,
            resource: self.resource,
        };
        for item in items.iter() {
            source
                .push(item, &mut values)
                .map_err(|malformed| problem(ProblemKind::Malformed(malformed.0)))?;
            if values.len() > VALUES_MAX {
                return Err(problem(ProblemKind::TooManyValues));
            }
        }
        Ok(values)
    }
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
