//! A compiled `canFilterBy`: a filter that subscriptions of a topic may use.
//!
//! Its name belongs to the topic; which search parameter stands behind it is decided here, once
//! per focus type. A filter that no search parameter stands behind stays offered in name only:
//! subscriptions that use it are refused (RQ-FL-11). Tests: `topic/tests.rs`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cresset_definitions::SearchKind;
use cresset_model::{Coding, Comparator, FilterDefinition, Issue, IssueCode, Issues, Modifier};
use cresset_search::{Criterion, Parameter, Scope};
use smol_str::{SmolStr, format_smolstr};

use crate::focus;

/// A filter that a topic offers.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) name: SmolStr,
    /// What criteria on each focus type that it is for have as a name; sorted by type.
    names: Box<[(&'static str, SmolStr)]>,
    comparators: Box<[Comparator]>,
    modifiers: Box<[Modifier]>,
    /// The kinds of event that each event is of, where it is a label for that.
    codes: Box<[Coding]>,
    /// The parameters by which resources have to be found to answer it, with their types.
    searches: Box<[(&'static str, &'static str)]>,
}

impl Offer {
    /// Compiles what a topic with these focus types offers; the issues are warnings.
    pub(crate) fn compile(
        scope: &Scope<'_>,
        definition: &FilterDefinition,
        focus_types: &[&'static str],
        path: &str,
    ) -> (Self, Issues) {
        let mut issues = Issues::default();
        let types = types(scope, definition, focus_types, path, &mut issues);
        if !definition.codes.is_empty() {
            return (Self::label(definition, &types, path, &mut issues), issues);
        }
        let mut parameters = Vec::new();
        let mut reason = None;
        for one in types.iter().copied() {
            match parameter(scope, one, definition) {
                Ok(found) => parameters.push((one, found)),
                Err(why) => reason = reason.or(Some((one, why))),
            }
        }
        if let (true, Some((one, why))) = (parameters.is_empty(), reason) {
            let text = format!("subscriptions that use this filter are refused: for {one}, {why}");
            let path = format!("{path}.filterParameter");
            issues.push(Issue::warning(IssueCode::UnknownSearchParameter, text).at(path));
        }
        check_modifiers(scope, definition, &parameters, path, &mut issues);
        check_membership(scope, &parameters, path, &mut issues);
        let searches = parameters.iter().filter_map(|(one, found)| {
            // What is no name of a parameter was told above.
            scope.searches(one, &found.name).ok()
        });
        let searches: BTreeSet<_> = searches.flatten().collect();
        let offer = Self {
            name: definition.filter_parameter.clone(),
            names: parameters.into_iter().map(|(one, found)| (one, found.name)).collect(),
            comparators: definition.comparators.clone().into(),
            modifiers: definition.modifiers.clone().into(),
            codes: Box::default(),
            searches: searches.into_iter().collect(),
        };
        (offer, issues)
    }

    /// A label of the topic's own for a kind of event: no search parameter stands behind it.
    fn label(
        definition: &FilterDefinition,
        types: &[&'static str],
        path: &str,
        issues: &mut Issues,
    ) -> Self {
        let name = &definition.filter_parameter;
        if !(definition.comparators.is_empty() && definition.modifiers.is_empty()) {
            let text = format!(
                "`{name}` has codes of its own, which are asked for plainly: comparators and \
                 modifiers are refused"
            );
            let path = format!("{path}.modifier");
            issues.push(Issue::warning(IssueCode::UnsupportedModifier, text).at(path));
        }
        Self {
            name: name.clone(),
            names: types.iter().map(|one| (*one, name.clone())).collect(),
            comparators: Box::default(),
            modifiers: Box::default(),
            codes: definition.codes.clone().into(),
            searches: Box::default(),
        }
    }

    /// The parameters by which resources have to be found to answer it, with their types.
    pub(crate) fn searches(&self) -> &[(&'static str, &'static str)] {
        &self.searches
    }

    /// The kinds of event that each event of its types is of; none where it is a search parameter.
    pub(crate) fn codes(&self) -> &[Coding] {
        &self.codes
    }

    /// The focus types that it can be used for.
    pub(crate) fn focus_types(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().map(|(one, _)| *one)
    }

    /// Whether events are of the kind that is asked for: `code`, `system|code` or `|code`.
    pub(crate) fn has_code(&self, asked: &str) -> bool {
        let (system, code) = match asked.split_once('|') {
            Some((system, code)) => (Some(system), code),
            None => (None, asked),
        };
        self.codes.iter().any(|own| {
            own.code == code
                && system.is_none_or(|system| own.system.as_deref().unwrap_or("") == system)
        })
    }

    /// Whether a filter of this name means this offer.
    ///
    /// `id` and `_id` are one (RQ-FL-13). A filter may name a type where the topic's chain names
    /// none: `subject:Patient.name` asks for less than `subject.name`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let canonical = |name| if name == "id" { "_id" } else { name };
        self.name == name
            || canonical(self.name.as_str()) == canonical(name)
            || *self.name == *without_types(name)
    }

    /// What a criterion of a filter has as a name on a focus type.
    pub(crate) fn name_of<'n>(&'n self, focus_type: &str, filter: &'n str) -> Option<&'n str> {
        let index = self.names.binary_search_by_key(&focus_type, |(one, _)| one).ok()?;
        let is_narrower = self.name != filter && *self.name == *without_types(filter);
        Some(if is_narrower { filter } else { &self.names[index].1 })
    }

    /// Plain equality is always offered (RQ-FL-10).
    pub(crate) fn offers_comparator(&self, comparator: Comparator) -> bool {
        comparator == Comparator::Eq || self.comparators.contains(&comparator)
    }

    pub(crate) fn offers_modifier(&self, modifier: Modifier) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// The codes of what it offers beside plain equality, in the topic's order.
    pub(crate) fn comparator_codes(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.comparators.iter().map(|comparator| comparator.code())
    }

    /// See [`Offer::comparator_codes`].
    pub(crate) fn modifier_codes(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.modifiers.iter().map(|modifier| modifier.code())
    }
}

/// The focus types a filter is for: the type named, what specialises it, or all (RQ-TP-53).
fn types(
    scope: &Scope<'_>,
    definition: &FilterDefinition,
    focus_types: &[&'static str],
    path: &str,
    issues: &mut Issues,
) -> Vec<&'static str> {
    let Some(written) = &definition.resource else {
        return focus_types.to_vec();
    };
    let definitions = scope.parameters.definitions();
    let mut warn = |text: String| {
        let path = format!("{path}.resource");
        issues.push(Issue::warning(IssueCode::SurprisingTopic, text).at(path));
    };
    match focus::resource_type(definitions, written) {
        Ok(named) => {
            let fits = |one: &&'static str| definitions.is_subtype(one, named);
            let types: Vec<_> = focus_types.iter().copied().filter(fits).collect();
            if types.is_empty() {
                warn(format!("no trigger of the topic is about {named}; the filter has no use"));
            }
            types
        }
        Err(reason) => {
            warn(format!("the filter has no use: it {reason}"));
            Vec::new()
        }
    }
}

/// What stands behind a filter: the name that criteria have, and the parameter that it ends at.
struct Found {
    name: SmolStr,
    parameter: &'static Parameter,
}

/// What stands behind a filter, or why nothing does.
///
/// What `filterDefinition` names counts more than the name, which is the topic's own (RQ-TP-50,
/// RQ-TP-51).
fn parameter(
    scope: &Scope<'_>,
    focus_type: &str,
    definition: &FilterDefinition,
) -> Result<Found, String> {
    let defined = definition.filter_definition.as_deref().and_then(|url| {
        let url = url.split_once('|').map_or(url, |(url, _)| url);
        scope.parameters.by_url(focus_type, url)
    });
    let name = &definition.filter_parameter;
    // Of a chain that can be followed what is defined is the parameter at its end.
    let is_chain = name.contains('.') && scope.parameter(focus_type, name).is_ok();
    let name = match defined {
        // Published topics mean the group that the subject is in: no Group lists an Encounter.
        Some(parameter) if name == "_in" && parameter.kind() == SearchKind::Reference => {
            format_smolstr!("{}._in", parameter.code())
        }
        Some(parameter) if !is_chain => parameter.code().into(),
        Some(_) | None => name.clone(),
    };
    match scope.parameter(focus_type, &name) {
        Ok(parameter) if name == "id" || name.contains("://") => {
            Ok(Found { name: parameter.code().into(), parameter })
        }
        Ok(parameter) => Ok(Found { name, parameter }),
        Err(issues) => {
            let unknown = issues.0.iter().any(|one| one.code == IssueCode::UnknownSearchParameter);
            Err(if unknown {
                "there is no such search parameter".to_owned()
            } else {
                issues.to_string()
            })
        }
    }
}

/// The name of a chain without the types it names: `subject.name` of `subject:Patient.name`.
fn without_types(name: &str) -> Cow<'_, str> {
    if name.contains("://") || !name.contains('.') || name.starts_with("_has:") {
        return Cow::Borrowed(name);
    }
    let parts = name.split('.').map(|part| part.split_once(':').map_or(part, |(code, _)| code));
    Cow::Owned(parts.collect::<Vec<_>>().join("."))
}

/// Warns of a plain `_in` where all focus types are none that a Group or CareTeam can have as members:
/// it asks about the focus itself, and hardly anybody means a List of such.
fn check_membership(
    scope: &Scope<'_>,
    parameters: &[(&'static str, Found)],
    path: &str,
    issues: &mut Issues,
) {
    let members = [("Group", "member"), ("CareTeam", "participant")];
    let members: Vec<_> =
        members.iter().filter_map(|(of, name)| scope.parameter(of, name).ok()).collect();
    let can_be_member = |focus_type: &&'static str| {
        members.iter().any(|one| one.targets().is_empty() || one.targets().contains(focus_type))
    };
    let is_plain = parameters.iter().all(|(_, found)| found.name == "_in");
    let Some((focus_type, _)) = parameters.first().filter(|_| is_plain) else { return };
    if !parameters.iter().any(|(one, _)| can_be_member(one)) {
        let text = format!(
            "no Group and no CareTeam can have a {focus_type} as a member, only a List can: where \
             the group of its subject is meant, name that parameter in filterDefinition"
        );
        let path = format!("{path}.filterParameter");
        issues.push(Issue::warning(IssueCode::SurprisingTopic, text).at(path));
    }
}

/// Warns of comparators and modifiers that the search parameter does not have, or that this server
/// does not evaluate (RQ-TP-52): subscriptions that use them are refused.
fn check_modifiers(
    scope: &Scope<'_>,
    definition: &FilterDefinition,
    parameters: &[(&'static str, Found)],
    path: &str,
    issues: &mut Issues,
) {
    for modifier in &definition.modifiers {
        // Which modifiers are evaluated is known where criteria are read: ask there, and look only
        // at what is said of the modifier, not of the value.
        let code = Some(modifier.code());
        let is_refused = |(focus_type, found): &&(&str, Found)| {
            let probe = Criterion::new(scope, focus_type, &found.name, code, None, "x");
            probe.is_err_and(|issues| {
                let about = [IssueCode::UnsupportedModifier, IssueCode::UnsupportedSearch];
                issues.0.iter().any(|issue| about.contains(&issue.code))
            })
        };
        if let Some((focus_type, _)) = parameters.iter().find(is_refused) {
            let text = format!(
                "subscriptions that use the modifier {} are refused for {focus_type}",
                modifier.code()
            );
            let path = format!("{path}.modifier");
            issues.push(Issue::warning(IssueCode::UnsupportedModifier, text).at(path));
        }
    }
    // What a name means differs little between types: the first tells of comparators.
    let Some((_, Found { parameter, .. })) = parameters.first() else {
        return;
    };
    let is_plain = |comparator: &&Comparator| **comparator != Comparator::Eq;
    if parameter.is_ordered() && definition.comparators.is_empty() {
        let kind = parameter.kind().code();
        let text = format!(
            "no comparator is offered, so subscriptions can ask this {kind} parameter for equality \
             only"
        );
        let path = format!("{path}.comparator");
        issues.push(Issue::warning(IssueCode::SurprisingTopic, text).at(path));
    }
    if !parameter.is_ordered() && definition.comparators.iter().any(|one| is_plain(&one)) {
        let kind = parameter.kind().code();
        let text = format!("a {kind} parameter has no comparator but eq; others are refused");
        let path = format!("{path}.comparator");
        issues.push(Issue::warning(IssueCode::UnsupportedModifier, text).at(path));
    }
}
