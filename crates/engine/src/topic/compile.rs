//! From a topic as it was read to one that can be evaluated, or to the issues that forbid it.
//!
//! Refused is what cannot be evaluated at all; a warning is what is legal but will surprise
//! (RQ-TP-06, TR-18). Expressions of issues are paths of R5's SubscriptionTopic.

use std::collections::BTreeMap;

use cresset_fhirpath::{CompileError, CompileErrorKind, Expression};
use cresset_model::{
    Canonical, Issue, IssueCode, Issues, Period, QueryCriteria, ResourceTrigger, Topic,
};
use cresset_search::{Criteria, DateRange, Scope};
use smallvec::SmallVec;

use super::{CompiledTopic, Effective, EventTest, OFFERS_MAX, TRIGGERS_MAX, lint};
use crate::focus::{self, TypeSet};
use crate::offer::Offer;
use crate::query::QueryTest;
use crate::shape;
use crate::trigger::{CURRENT, FhirPathTest, Interactions, PREVIOUS, Trigger, TriggerTest};

/// Compiles a topic; the second value holds the warnings.
///
/// # Errors
///
/// All that was found, warnings included, if any of it is an error.
pub(crate) fn compile(scope: &Scope<'_>, topic: &Topic) -> Result<(CompiledTopic, Issues), Issues> {
    let mut compiler = Compiler { scope, issues: Issues::default() };
    let (triggers, by_type) = compiler.triggers(topic);
    let event_triggers = compiler.event_triggers(topic);
    let mut types: Vec<_> = by_type.keys().copied().collect();
    types.extend(event_triggers.iter().flat_map(|trigger| &trigger.types));
    types.sort_unstable();
    types.dedup();
    let offers = compiler.offers(topic, &types);
    let mut shapes = shape::compile(scope, topic, &types, &mut compiler.issues);
    shape::add_codes(&mut shapes, &offers);
    let effective = compiler.effective(topic.effective_period.as_ref());
    if topic.resource_triggers.is_empty() && topic.event_triggers.is_empty() {
        let text = "the topic has neither a resource trigger nor an event trigger, so nothing \
                    would ever fire it";
        compiler.error(IssueCode::InvalidTrigger, text.to_owned(), "resourceTrigger");
    }
    let compiled = CompiledTopic {
        topic: topic.clone(),
        canonical: Canonical { url: topic.url.clone(), version: topic.version.clone() },
        triggers: triggers.into(),
        by_type,
        event_triggers: event_triggers.into(),
        focus_types: TypeSet::of(&types),
        offers,
        shapes,
        effective,
    };
    compiler.issues.into_result(compiled)
}

type TriggersByType = BTreeMap<&'static str, SmallVec<[u16; 4]>>;

struct Compiler<'c> {
    scope: &'c Scope<'c>,
    issues: Issues,
}

impl Compiler<'_> {
    fn triggers(&mut self, topic: &Topic) -> (Vec<Trigger>, TriggersByType) {
        let (mut triggers, mut by_type) = (Vec::new(), TriggersByType::new());
        if topic.resource_triggers.len() > TRIGGERS_MAX {
            let text = format!("a topic may have {TRIGGERS_MAX} resource triggers");
            self.error(IssueCode::OutOfBounds, text, "resourceTrigger");
            return (triggers, by_type);
        }
        for (index, source) in topic.resource_triggers.iter().enumerate() {
            let path = format!("resourceTrigger[{index}]");
            let Some((resource_type, types)) = self.focus(&source.resource, &path) else {
                continue;
            };
            let Some(trigger) = self.trigger(source, resource_type, &path) else {
                continue;
            };
            let Ok(number) = u16::try_from(triggers.len()) else {
                continue;
            };
            triggers.push(trigger);
            for one in types {
                by_type.entry(one).or_default().push(number);
            }
        }
        (triggers, by_type)
    }

    /// The type a trigger names, and the types that stands for.
    fn focus(&mut self, written: &str, path: &str) -> Option<(&'static str, Vec<&'static str>)> {
        let definitions = self.scope.parameters.definitions();
        let path = format!("{path}.resource");
        match focus::resource_type(definitions, written) {
            Err(reason) => {
                self.error(IssueCode::InvalidTrigger, format!("the trigger {reason}"), &path);
                None
            }
            Ok(resource_type) => {
                let types: Vec<_> = focus::focus_types(definitions, resource_type).collect();
                if types.is_empty() {
                    let text = format!("{resource_type} cannot be the focus of an event");
                    self.error(IssueCode::InvalidTrigger, text, &path);
                    return None;
                }
                Some((resource_type, types))
            }
        }
    }

    fn trigger(
        &mut self,
        source: &ResourceTrigger,
        resource_type: &'static str,
        path: &str,
    ) -> Option<Trigger> {
        let interactions = Interactions::listed(&source.supported_interactions);
        let before = self.issues.0.len();
        let query = source
            .query_criteria
            .as_ref()
            .and_then(|query| self.query(query, resource_type, &format!("{path}.queryCriteria")));
        lint::interactions(source, &located(path), &mut self.issues);
        if let Some(query) = &query {
            let path = located(&format!("{path}.queryCriteria"));
            lint::query(query, interactions, &path, &mut self.issues);
        }
        let Some(fhir_path) = &source.fhir_path_criteria else {
            let test = match query {
                Some(query) => TriggerTest::Query(Box::new(query)),
                None if source.query_criteria.is_none() => TriggerTest::Always,
                None => return None,
            };
            return Some(Trigger { interactions, test });
        };
        let path = format!("{path}.fhirPathCriteria");
        let compiled = compile_for(self.scope, &fhir_path.0, resource_type);
        let test = match (compiled, query) {
            (Ok(expression), otherwise) => {
                // The query decides only where the expression has no answer (RQ-TP-30), so what is
                // wrong with it refuses nothing.
                self.soften(before);
                let test = FhirPathTest { expression, otherwise };
                lint::expression(&test, source, &located(&path), &mut self.issues);
                TriggerTest::FhirPath(Box::new(test))
            }
            (Err(error), Some(query)) => {
                let text = format!(
                    "queryCriteria decides, since this cannot be evaluated: {}",
                    told(&error, &fhir_path.0)
                );
                self.warning(code_of(&error), text, &path);
                TriggerTest::Query(Box::new(query))
            }
            (Err(error), None) => {
                self.error(code_of(&error), told(&error, &fhir_path.0), &path);
                return None;
            }
        };
        Some(Trigger { interactions, test })
    }

    fn query(
        &mut self,
        source: &QueryCriteria,
        resource_type: &'static str,
        path: &str,
    ) -> Option<QueryTest> {
        if source.previous.is_none() && source.current.is_none() {
            let text = "the criteria must have `previous` or `current`";
            self.error(IssueCode::InvalidTrigger, text.to_owned(), path);
            return None;
        }
        let previous = self.criteria(source.previous.as_deref(), resource_type, path, "previous");
        let current = self.criteria(source.current.as_deref(), resource_type, path, "current");
        Some(QueryTest {
            previous: previous?,
            current: current?,
            result_for_create: source.result_for_create,
            result_for_delete: source.result_for_delete,
            require_both: source.require_both,
        })
    }

    /// Criteria if they are given; none if they cannot be evaluated.
    #[expect(clippy::option_option, reason = "not given and not usable are two things here")]
    fn criteria(
        &mut self,
        query: Option<&str>,
        resource_type: &'static str,
        path: &str,
        element: &str,
    ) -> Option<Option<Criteria>> {
        let Some(query) = query else {
            return Some(None);
        };
        match Criteria::parse(self.scope, resource_type, query) {
            Ok(criteria) => Some(Some(criteria)),
            Err(issues) => {
                let path = located(&format!("{path}.{element}"));
                self.issues.0.extend(issues.0.into_iter().map(|issue| issue.at(&path)));
                None
            }
        }
    }

    fn offers(&mut self, topic: &Topic, types: &[&'static str]) -> Box<[Offer]> {
        if topic.can_filter_by.len() > OFFERS_MAX {
            let text = format!("a topic may offer {OFFERS_MAX} filters");
            self.error(IssueCode::OutOfBounds, text, "canFilterBy");
            return Box::default();
        }
        // Without focus types everything would be wrong with every filter, and only because of
        // what is wrong with the triggers.
        if types.is_empty() {
            return Box::default();
        }
        let mut offers = Vec::with_capacity(topic.can_filter_by.len());
        for (index, definition) in topic.can_filter_by.iter().enumerate() {
            let path = format!("SubscriptionTopic.canFilterBy[{index}]");
            let (offer, issues) = Offer::compile(self.scope, definition, types, &path);
            self.issues.0.extend(issues.0);
            offers.push(offer);
        }
        lint::duplicates(topic, &mut self.issues);
        offers.into()
    }

    fn event_triggers(&mut self, topic: &Topic) -> Vec<EventTest> {
        if topic.event_triggers.len() > TRIGGERS_MAX {
            let text = format!("a topic may have {TRIGGERS_MAX} event triggers");
            self.error(IssueCode::OutOfBounds, text, "eventTrigger");
            return Vec::new();
        }
        let mut triggers = Vec::new();
        for (index, source) in topic.event_triggers.iter().enumerate() {
            let path = format!("eventTrigger[{index}]");
            if let Some((_, types)) = self.focus(&source.resource, &path) {
                triggers.push(EventTest { event: source.event.clone().into(), types });
            }
        }
        triggers
    }

    fn effective(&mut self, period: Option<&Period>) -> Effective {
        let mut effective = Effective::ALWAYS;
        let Some(period) = period else { return effective };
        let mut read = |text: Option<&str>, name: &str| {
            let range = DateRange::parse(text?);
            if range.is_none() {
                let path = format!("effectivePeriod.{name}");
                self.error(IssueCode::InvalidElement, "must be a date or time".to_owned(), &path);
            }
            range
        };
        if let Some(start) = read(period.start.as_deref(), "start") {
            effective.start = start.start;
        }
        if let Some(end) = read(period.end.as_deref(), "end") {
            effective.end = end.end;
        }
        if effective.start >= effective.end {
            let text = "the period ends before it begins; nothing is ever an event";
            self.warning(IssueCode::SurprisingTopic, text.to_owned(), "effectivePeriod");
        }
        effective
    }

    /// Makes warnings of the errors found since there were this many issues.
    fn soften(&mut self, since: usize) {
        for issue in &mut self.issues.0[since..] {
            issue.severity = cresset_model::Severity::Warning;
        }
    }

    fn error(&mut self, code: IssueCode, text: String, path: &str) {
        self.issues.push(Issue::error(code, text).at(located(path)));
    }

    fn warning(&mut self, code: IssueCode, text: String, path: &str) {
        self.issues.push(Issue::warning(code, text).at(located(path)));
    }
}

/// The path of an element of the topic.
fn located(path: &str) -> String {
    format!("SubscriptionTopic.{path}")
}

/// Compiles an expression for a trigger about this type, which may be abstract.
fn compile_for(
    scope: &Scope<'_>,
    source: &str,
    resource_type: &'static str,
) -> Result<Expression, CompileError> {
    let definitions = scope.parameters.definitions();
    // Of an abstract type nothing more than its own elements is known, and every path into a
    // concrete one would be refused: leave the check to the evaluation.
    let root = definitions.is_resource(resource_type).then_some(resource_type);
    let variables = [(PREVIOUS, root), (CURRENT, root)];
    let scope = cresset_fhirpath::Scope::new(definitions).variables(&variables);
    let scope = match root {
        Some(root) => scope.root(root),
        None => scope,
    };
    Expression::compile(source, &scope)
}

/// A part of an expression of a trigger about this type, if it can be evaluated by itself.
pub(crate) fn compile_expression(
    scope: &Scope<'_>,
    source: &str,
    written_type: &str,
) -> Option<Expression> {
    let definitions = scope.parameters.definitions();
    let resource_type = focus::resource_type(definitions, written_type).ok()?;
    compile_for(scope, source, resource_type).ok()
}

/// What is wrong with an expression, with the place in it: an offset says little in a long one.
fn told(error: &CompileError, source: &str) -> String {
    const EXCERPT_CHARS_MAX: usize = 30;
    let rest = source.get(error.offset..).unwrap_or_default();
    let excerpt: String = rest
        .chars()
        .take(EXCERPT_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match excerpt.trim() {
        "" => error.to_string(),
        excerpt => format!("{error}, before `{excerpt}`"),
    }
}

/// The issue code for an expression that does not compile.
fn code_of(error: &CompileError) -> IssueCode {
    match error.kind {
        CompileErrorKind::Unsupported => IssueCode::UnsupportedExpression,
        CompileErrorKind::TooDeep | CompileErrorKind::TooLong => IssueCode::OutOfBounds,
        CompileErrorKind::Syntax
        | CompileErrorKind::UnknownElement
        | CompileErrorKind::UnknownFunction
        | CompileErrorKind::UnknownType
        | CompileErrorKind::UnknownVariable
        | CompileErrorKind::WrongType => IssueCode::InvalidExpression,
    }
}
