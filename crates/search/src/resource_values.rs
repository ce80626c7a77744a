//! The search values of one resource, extracted when first asked for.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use cresset_fhirpath::{
    Collection, Context, EvaluationError, Expression, Item, MemberSet, Node, Resolution, Resolver,
};
use serde_json::Value;

use crate::extraction::{self, Values};
use crate::index_key::{IndexKeys, KeyForms, KeySink};
use crate::parameter::{Component, Extraction};
use crate::parameters::TypeParameters;
use crate::{Line, Parameter, Problem, ProblemKind, Reference, Scope, SearchValue, Span, Target};

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
    /// The first few parameters that were asked for, by their slots; often there are no others.
    first: [OnceCell<(usize, Extracted<'a>)>; FIRST],
    /// The others, each in its slot.
    others: OnceCell<Box<[OnceCell<Extracted<'a>>]>>,
    /// How many parameters were extracted.
    count: Cell<u32>,
    members: OnceCell<MemberSet>,
    /// Those that composite parameters asked for.
    parts: RefCell<Vec<Part<'a>>>,
}

type Extracted<'a> = Result<Values<'a>, Box<Problem>>;

/// What a component of composite parameters finds in one place.
struct Part<'a> {
    component: &'static Component,
    place: &'a Value,
    values: Result<Arc<[SearchValue<'a>]>, ProblemKind>,
}

/// As many parameters are extracted before the names of the resource's members are looked at as a
/// whole, which pays for itself with the next few.
const EXTRACTED_BEFORE_MEMBERS: u32 = 3;

/// Parameters that are kept without an allocation of their own.
const FIRST: usize = 3;

impl<'a> ResourceValues<'a> {
    /// A resource of this type; whether it is one is the caller's business.
    pub fn new(mut scope: Scope<'a>, resource_type: &'a str, resource: &'a Value) -> Self {
        while let Some(base_url) = scope.base_url.strip_suffix('/') {
            scope.base_url = base_url;
        }
        let own = scope.parameters.of_concrete(resource_type);
        Self {
            scope,
            resource_type,
            resource,
            own,
            first: [const { OnceCell::new() }; FIRST],
            others: OnceCell::new(),
            count: Cell::new(0),
            members: OnceCell::new(),
            parts: RefCell::default(),
        }
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
        let is_ours = parameter.is_of(self.scope.parameters.definitions());
        let own = self.own.filter(|own| is_ours && own.have(parameter));
        let other = || Problem::new(parameter, ProblemKind::OtherType);
        match self.extracted(own.ok_or_else(other)?, parameter) {
            Ok(values) => Ok(values),
            Err(problem) => Err(Problem::clone(problem)),
        }
    }

    /// What was extracted for a parameter of its type, now or before.
    fn extracted(&self, own: &TypeParameters, parameter: &'static Parameter) -> &Extracted<'a> {
        let slot = parameter.slot();
        for first in &self.first {
            let (known, extracted) = first.get_or_init(|| (slot, self.extract(parameter)));
            if *known == slot {
                return extracted;
            }
        }
        let slots = || std::iter::repeat_with(OnceCell::new).take(own.slots()).collect();
        self.others.get_or_init(slots)[slot].get_or_init(|| self.extract(parameter))
    }

    /// The keys of the parameter's values: a criterion with keys can match only if it shares one.
    ///
    /// # Errors
    /// As [`ResourceValues::of`].
    pub fn index_keys(&self, parameter: &'static Parameter) -> Result<IndexKeys, Problem> {
        self.index_keys_of(parameter, KeyForms::ALL)
    }

    /// Those of the keys that have one of these forms.
    ///
    /// # Errors
    /// As [`ResourceValues::of`].
    pub fn index_keys_of(
        &self,
        parameter: &'static Parameter,
        forms: KeyForms,
    ) -> Result<IndexKeys, Problem> {
        let mut keys = KeySink::new(parameter.seed(), forms);
        self.of(parameter)?.iter().for_each(|value| keys.push_value(value));
        Ok(keys.into_keys())
    }

    /// The shortest stretch of a line in which all values of the parameter lie, of those that are on
    /// it.
    ///
    /// # Errors
    /// As [`ResourceValues::of`].
    pub fn span(&self, parameter: &'static Parameter, line: Line) -> Result<Option<Span>, Problem> {
        let spans = self.of(parameter)?.iter().filter_map(|value| Span::of_value(value, line));
        Ok(spans.reduce(Span::hull))
    }

    fn extract(&self, parameter: &'static Parameter) -> Extracted<'a> {
        self.values_of(parameter).map_err(|kind| Box::new(Problem::new(parameter, kind)))
    }

    fn values_of(&self, parameter: &'static Parameter) -> Result<Values<'a>, ProblemKind> {
        let extraction = parameter.extraction().map_err(|_| ProblemKind::Unsupported)?;
        let expression = match extraction {
            Extraction::Composite(expression, _) | Extraction::Items(expression) => expression,
            Extraction::Itself => return Ok(self.itself().into_iter().collect()),
        };
        if self.is_surely_empty(expression) {
            return Ok(Values::new());
        }
        let mut items = Collection::new();
        let context = context(self.resource_type, self.resource);
        evaluate(expression, &context, &mut items)?;
        match extraction {
            Extraction::Composite(_, components) => self.composites(components, &items),
            Extraction::Items(_) | Extraction::Itself => self.values(parameter, &items),
        }
    }

    /// Whether what the expression looks for is not in the resource.
    fn is_surely_empty(&self, expression: &Expression) -> bool {
        let count = self.count.get();
        self.count.set(count.saturating_add(1));
        count >= EXTRACTED_BEFORE_MEMBERS
            && expression.is_empty_with(*self.members.get_or_init(|| MemberSet::of(self.resource)))
    }

    fn itself(&self) -> Option<SearchValue<'a>> {
        let (resource_type, id) = (self.resource_type, self.id()?);
        let target = Target::Local { resource_type, id, version: None };
        Some(SearchValue::Reference(Reference { target, identifier: None, display: None }))
    }

    /// The values of a composite parameter, one for each place where all components find something.
    fn composites(
        &self,
        components: &'static [Component],
        places: &Collection<'a>,
    ) -> Result<Values<'a>, ProblemKind> {
        let mut values = Values::new();
        let mut count = 0;
        'places: for place in places.iter().filter_map(Item::node) {
            if place.value().is_null() {
                continue;
            }
            let mut parts = Vec::with_capacity(components.len());
            for component in components {
                let part = self.part(component, place)?;
                count += part.len();
                if count > VALUES_MAX {
                    return Err(ProblemKind::TooManyValues);
                }
                // Without one of its components there is no such value.
                if part.is_empty() {
                    continue 'places;
                }
                parts.push(part);
            }
            values.push(SearchValue::Composite(parts));
        }
        Ok(values)
    }

    /// What a component finds in a place; parameters that ask for the same share it.
    fn part(
        &self,
        component: &'static Component,
        place: &Node<'a>,
    ) -> Result<Arc<[SearchValue<'a>]>, ProblemKind> {
        let is_known = |part: &&Part<'a>| {
            std::ptr::eq(part.place, place.value()) && part.component.finds_the_same(component)
        };
        if let Some(known) = self.parts.borrow().iter().find(is_known) {
            return known.values.clone();
        }
        let values = self.values_at(component, place).map(Arc::from);
        let part = Part { component, place: place.value(), values: values.clone() };
        self.parts.borrow_mut().push(part);
        values
    }

    fn values_at(
        &self,
        component: &'static Component,
        place: &Node<'a>,
    ) -> Result<Values<'a>, ProblemKind> {
        let mut items = Collection::new();
        let context = context(self.resource_type, self.resource).at(place);
        evaluate(&component.expression, &context, &mut items)?;
        self.values(component.parameter, &items)
    }

    /// What items are as values of a parameter.
    fn values(
        &self,
        parameter: &'static Parameter,
        items: &Collection<'a>,
    ) -> Result<Values<'a>, ProblemKind> {
        let source = extraction::Source {
            parameter,
            base_url: self.scope.base_url,
            resource: self.resource,
        };
        let mut values = Values::with_capacity(items.len());
        for item in items.iter() {
            let pushed = source.push(item, &mut values);
            pushed.map_err(|malformed| ProblemKind::Malformed(malformed.0))?;
            if values.len() > VALUES_MAX {
                return Err(ProblemKind::TooManyValues);
            }
        }
        Ok(values)
    }
}

fn evaluate<'a>(
    expression: &'static Expression,
    context: &Context<'a>,
    items: &mut Collection<'a>,
) -> Result<(), ProblemKind> {
    expression.evaluate_into(context, items).map_err(|error| match error {
        EvaluationError::Missing(_) => ProblemKind::Unresolved,
        EvaluationError::StepLimit => ProblemKind::StepLimit,
        EvaluationError::Singleton { .. }
        | EvaluationError::TooLarge { .. }
        | EvaluationError::Type { .. }
        | EvaluationError::Variable(_) => ProblemKind::Expression,
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
