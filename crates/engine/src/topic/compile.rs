//! From a topic as it was read to one that can be evaluated, or to the issues that forbid it.
//!
//! Refused is what cannot be evaluated at all; a warning is what is legal but will surprise
//! (RQ-TP-06, TR-18). Expressions of issues are paths of R5's SubscriptionTopic.

use std::collections::BTreeMap;

use cresset_fhirpath::{CompileError, CompileErrorKind, Expression};
use cresset_model::{
    Canonical, CriteriaResult, Interaction, Issue, IssueCode, Issues, QueryCriteria,
    ResourceTrigger, Topic,
};
use cresset_search::{Criteria, Scope};
use smallvec::SmallVec;

use super::{CompiledTopic, OFFERS_MAX, TRIGGERS_MAX};
use crate::focus::{self, TypeSet};
use crate::offer::Offer;
use crate::query::{Foresight, QueryTest};
use crate::trigger::{CURRENT, Interactions, PREVIOUS, Trigger, TriggerTest};

/// Compiles a topic; the second value holds the warnings.
///
/// # Errors
///
/// All that was found, warnings included, if any of it is an error.
pub(crate) fn compile(scope: &Scope<'_>, topic: &Topic) -> Result<(CompiledTopic, Issues), Issues> {
    let mut compiler = Compiler { scope, issues: Issues::default() };
    let (triggers, by_type) = compiler.triggers(topic);
    let types: Vec<_> = by_type.keys().copied().collect();
    let offers = compiler.offers(topic, &types);
    compiler.event_triggers(topic, !triggers.is_empty());
    let compiled = CompiledTopic {
        topic: topic.clone(),
        canonical: Canonical { url: topic.url.clone(), version: topic.version.clone() },
        triggers: triggers.into(),
        by_type,
        focus_types: TypeSet::of(&types),
        offers,
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
            let Some((resource_type, types)) = self.focus(source, &path) else {
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
    fn focus(
        &mut self,
        source: &ResourceTrigger,
        path: &str,
    ) -> Option<(&'static str, Vec<&'static str>)> {
        let definitions = self.scope.parameters.definitions();
        let path = format!("{path}.resource");
        match focus::resource_type(definitions, &source.resource) {
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
        if let Some(query) = &query {
            self.lint(query, interactions, &format!("{path}.queryCriteria"));
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
        let test = match (self.expression(&fhir_path.0, resource_type), query) {
            (Ok(expression), _) => {
                // The query is not evaluated beside the expression (RQ-TP-30), so what is wrong
                // with it refuses nothing.
                self.soften(before);
                self.lint_expression(&fhir_path.0, &path);
                TriggerTest::FhirPath(Box::new(expression))
            }
            (Err(error), Some(query)) => {
                let text =
                    format!("queryCriteria decides, since this cannot be evaluated: {error}");
                self.warning(code_of(&error), text, &path);
                TriggerTest::Query(Box::new(query))
            }
            (Err(error), None) => {
                self.error(code_of(&error), error.to_string(), &path);
                return None;
            }
        };
        Some(Trigger { interactions, test })
    }

    fn expression(
        &self,
        source: &str,
        resource_type: &'static str,
    ) -> Result<Expression, CompileError> {
        let definitions = self.scope.parameters.definitions();
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
                let path = format!("SubscriptionTopic.{path}.{element}");
                self.issues.0.extend(issues.0.into_iter().map(|issue| issue.at(&path)));
                None
            }
        }
    }

    /// Warns of criteria that are legal and yet hardly meant (TR-18).
    fn lint(&mut self, query: &QueryTest, interactions: Interactions, path: &str) {
        let both = query.previous.is_some() && query.current.is_some();
        if both && !query.require_both && interactions.contains(Interaction::Update) {
            let text = "without requireBoth either of previous and current suffices, which fires \
                        on nearly every update";
            self.warning(IssueCode::SurprisingTopic, text.to_owned(), path);
        }
        let foresights: Vec<_> = interactions.iter().map(|one| (one, query.foresee(one))).collect();
        for (interaction, foresight) in &foresights {
            let result = match interaction {
                Interaction::Create => query.result_for_create,
                Interaction::Delete => query.result_for_delete,
                Interaction::Update => None,
            };
            if *foresight == Foresight::Always && result == Some(CriteriaResult::TestPasses) {
                let text =
                    format!("the criteria hold for every {}, whatever it is", interaction.code());
                self.warning(IssueCode::SurprisingTopic, text, path);
            }
        }
        if foresights.iter().all(|(_, foresight)| *foresight == Foresight::Never) {
            let text = "the criteria can never hold for any of the interactions supported";
            self.warning(IssueCode::SurprisingTopic, text.to_owned(), path);
        }
    }

    /// Warns of `|`, with which published topics say `or` (TR-19).
    fn lint_expression(&mut self, source: &str, path: &str) {
        if has_union(source) {
            let text = "`|` joins collections: two different booleans joined are no single boolean, \
                        and the trigger does not fire; write `or` if that is meant";
            self.warning(IssueCode::SurprisingTopic, text.to_owned(), path);
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
        offers.into()
    }

    fn event_triggers(&mut self, topic: &Topic, has_triggers: bool) {
        let refused = self.issues.has_errors();
        if has_triggers && !topic.event_triggers.is_empty() {
            let text = "event triggers are not evaluated; only the resource triggers fire";
            self.warning(IssueCode::SurprisingTopic, text.to_owned(), "eventTrigger");
        } else if !has_triggers && !refused {
            let text = "the topic has no resource trigger, so nothing would ever fire it; event \
                        triggers are not evaluated";
            self.error(IssueCode::InvalidTrigger, text.to_owned(), "resourceTrigger");
        }
    }

    /// Makes warnings of the errors found since there were this many issues.
    fn soften(&mut self, since: usize) {
        for issue in &mut self.issues.0[since..] {
            issue.severity = cresset_model::Severity::Warning;
        }
    }

    fn error(&mut self, code: IssueCode, text: String, path: &str) {
        self.issues.push(Issue::error(code, text).at(format!("SubscriptionTopic.{path}")));
    }

    fn warning(&mut self, code: IssueCode, text: String, path: &str) {
        self.issues.push(Issue::warning(code, text).at(format!("SubscriptionTopic.{path}")));
    }
}

/// Whether there is a `|` outside of quotes.
fn has_union(source: &str) -> bool {
    let (mut quote, mut escaped) = (None, false);
    source.chars().any(|c| {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) => quote = (c != open).then_some(open),
            None if matches!(c, '\'' | '`' | '"') => quote = Some(c),
            None => return c == '|',
        }
        false
    })
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
