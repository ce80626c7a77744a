//! From a subscription as it was read to criteria, or to the issues that refuse it.
//!
//! Expressions of issues are paths of R5's Subscription; texts name what the topic offers and
//! never repeat a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use cresset_model::{Comparator, Filter, Issue, IssueCode, Issues, Subscription};
use cresset_search::{Criterion, Scope};
use smallvec::SmallVec;

use super::reach::Reach;
use super::{CompiledSubscription, FILTERS_MAX, Group, Groups};
use crate::focus::{self, TypeSet};
use crate::offer::Offer;
use crate::topic::CompiledTopic;

/// Longest piece of a client's text that an issue repeats.
const QUOTED_CHARS_MAX: usize = 64;

/// Compiles the filters of a subscription against its topic, which is in the catalog at `slot`.
///
/// # Errors
///
/// All issues of all filters.
pub(crate) fn compile(
    scope: &Scope<'_>,
    subscription: &Subscription,
    topic: Arc<CompiledTopic>,
    slot: u32,
) -> Result<CompiledSubscription, Issues> {
    let mut compiler = Compiler {
        scope,
        topic: &topic,
        by_type: BTreeMap::new(),
        reach: Reach::of(topic.topic().filters_choose_types),
        issues: Issues::default(),
    };
    if subscription.filters.len() > FILTERS_MAX {
        let text = format!("a subscription may have {FILTERS_MAX} filters");
        return Err(Issue::error(IssueCode::OutOfBounds, text).at("Subscription.filterBy").into());
    }
    for (index, filter) in subscription.filters.iter().enumerate() {
        compiler.filter(filter, &format!("Subscription.filterBy[{index}]"));
    }
    compiler.check_reach();
    if compiler.issues.has_errors() {
        return Err(compiler.issues);
    }
    let groups = groups(compiler.by_type, &compiler.reach, &topic);
    Ok(CompiledSubscription { topic, slot, groups })
}

/// One group for each type with criteria, and one for all types without, of those within reach.
fn groups(
    mut by_type: BTreeMap<&'static str, SmallVec<[Criterion; 1]>>,
    reach: &Reach,
    topic: &CompiledTopic,
) -> Groups {
    by_type.retain(|one, _| reach.has(one));
    let is_free = |one: &&'static str| !by_type.contains_key(one) && reach.has(one);
    let free: Vec<_> = topic.focus_types().iter().copied().filter(is_free).collect();
    let mut groups = Groups::new();
    while let Some((one, mut criteria)) = by_type.pop_first() {
        criteria.shrink_to_fit();
        groups.push(Group { types: TypeSet::One(one), criteria });
    }
    if !free.is_empty() {
        // Shared by all subscriptions of the topic that have no filter at all.
        let all = free.len() == topic.focus_types().len();
        let types = if all { topic.types().clone() } else { TypeSet::of(&free) };
        groups.push(Group { types, criteria: SmallVec::new() });
    }
    groups.shrink_to_fit();
    groups
}

/// The filter with the type as part of its name, where the topic offers one of that name: a dot in
/// a filter string may be either, and the topic's own names go first (RQ-FL-03).
fn whole_name(topic: &CompiledTopic, filter: &Filter) -> Option<Filter> {
    let name = format!("{}.{}", filter.resource_type.as_deref()?, filter.parameter);
    let offered = topic.offers().iter().any(|offer| offer.is_named(&name));
    offered.then(|| Filter { resource_type: None, parameter: name.into(), ..filter.clone() })
}

struct Compiler<'c> {
    scope: &'c Scope<'c>,
    topic: &'c CompiledTopic,
    by_type: BTreeMap<&'static str, SmallVec<[Criterion; 1]>>,
    reach: Reach,
    issues: Issues,
}

impl<'c> Compiler<'c> {
    fn filter(&mut self, filter: &Filter, path: &str) {
        if filter.comparator.is_some() && filter.modifier.is_some() {
            let text = "a filter has a comparator or a modifier, not both (scr-1)";
            self.error(IssueCode::UnsupportedModifier, text.to_owned(), path, "");
            return;
        }
        let topic = self.topic;
        let whole = whole_name(topic, filter);
        let filter = whole.as_ref().unwrap_or(filter);
        let Some(types) = self.types(filter, path) else {
            return;
        };
        if topic.offers_all() {
            return self.search(filter, &types, path);
        }
        let named: Vec<_> =
            topic.offers().iter().filter(|offer| offer.is_named(&filter.parameter)).collect();
        let offered = |one: &'static str| {
            let is_for = |offer: &&&Offer| offer.name_of(one, &filter.parameter).is_some();
            (one, named.iter().filter(is_for).copied().collect::<Vec<_>>())
        };
        let mut bound: Vec<_> = types.iter().copied().map(offered).collect();
        bound.retain(|(_, offers)| !offers.is_empty());
        if bound.is_empty() {
            self.not_offered(filter, &named, path);
            return;
        }
        if let Err(issue) = bind_labels(&mut bound, filter, path) {
            self.issues.push(issue);
            return;
        }
        let is_label = bound.iter().all(|(_, offers)| label(offers).is_some());
        let bound_types: Vec<_> = bound.iter().map(|(one, _)| *one).collect();
        self.reach.add(filter.resource_type.is_some(), is_label, &types, &bound_types, path);
        for (one, offers) in bound.iter().filter(|(_, offers)| label(offers).is_none()) {
            match self.criterion(filter, one, offers, path) {
                Ok(criterion) => self.by_type.entry(one).or_default().push(criterion),
                // What is wrong for one type is wrong for the next in the same words.
                Err(issues) => {
                    self.issues.0.extend(issues.0);
                    return;
                }
            }
        }
    }

    /// A search parameter of criteria (RQ-SB-02): whatever a search on the types may ask.
    fn search(&mut self, filter: &Filter, types: &[&'static str], path: &str) {
        let modifier = filter.modifier.map(|modifier| modifier.code());
        let Filter { parameter, comparator, value, .. } = filter;
        for one in types.iter().copied() {
            match Criterion::new(self.scope, one, parameter, modifier, *comparator, value) {
                Ok(criterion) => self.by_type.entry(one).or_default().push(criterion),
                Err(issues) => self.issues.0.extend(located(issues, filter, path).0),
            }
        }
    }

    /// Refuses filters that can let nothing through: a type that they are for is out of reach.
    fn check_reach(&mut self) {
        for path in self.reach.useless() {
            let text = "no event could fit this filter: each type that it is for is one of which \
                        another filter, which names no type, cannot be asked; let that one name \
                        the types that it is for";
            self.issues.push(Issue::error(IssueCode::FilterNotOffered, text).at(path));
        }
    }

    /// The focus types that a filter is for, whether it is offered there or not.
    fn types(&mut self, filter: &Filter, path: &str) -> Option<Vec<&'static str>> {
        let all = self.topic.focus_types();
        let Some(written) = &filter.resource_type else {
            return Some(all.to_vec());
        };
        let definitions = self.scope.parameters.definitions();
        let types = focus::resource_type(definitions, written).map(|named| {
            all.iter().copied().filter(|one| definitions.is_subtype(one, named)).collect::<Vec<_>>()
        });
        match types {
            Ok(types) if !types.is_empty() => return Some(types),
            Ok(_) => {
                let text = format!("the topic has no events of this type; it has: {}", list(all));
                self.error(IssueCode::FilterNotOffered, text, path, ".resourceType");
            }
            Err(reason) => {
                let text = format!("the filter {reason}");
                self.error(IssueCode::InvalidElement, text, path, ".resourceType");
            }
        }
        None
    }

    fn not_offered(&mut self, filter: &Filter, named: &[&Offer], path: &str) {
        let name = quoted(&filter.parameter);
        let text = if named.is_empty() {
            let mut offered: Vec<_> =
                self.topic.offers().iter().map(|offer| offer.name.as_str()).collect();
            offered.sort_unstable();
            offered.dedup();
            format!("the topic does not offer the filter `{name}`; it offers: {}", list(&offered))
        } else if filter.resource_type.is_some() {
            format!("the topic does not offer the filter `{name}` for this type")
        } else {
            format!("this server cannot evaluate the filter `{name}` that the topic offers")
        };
        self.error(IssueCode::FilterNotOffered, text, path, ".filterParameter");
    }

    /// What a filter that is no label asks of a focus type.
    fn criterion(
        &self,
        filter: &Filter,
        focus_type: &'static str,
        offers: &[&Offer],
        path: &str,
    ) -> Result<Criterion, Issues> {
        let name = offers.iter().find_map(|offer| offer.name_of(focus_type, &filter.parameter));
        let name = name.unwrap_or(&filter.parameter);
        if let Some(modifier) = filter.modifier
            && !offers.iter().any(|offer| offer.offers_modifier(modifier))
        {
            let offered: Vec<_> = offers.iter().flat_map(|offer| offer.modifier_codes()).collect();
            let text = format!(
                "the topic does not offer the modifier {} for `{}`; it offers: {}",
                modifier.code(),
                quoted(&filter.parameter),
                list(&offered)
            );
            let issue = Issue::error(IssueCode::ModifierNotOffered, text);
            return Err(issue.at(format!("{path}.modifier")).into());
        }
        let modifier = filter.modifier.map(|modifier| modifier.code());
        let value = &filter.value;
        let made = Criterion::new(self.scope, focus_type, name, modifier, filter.comparator, value);
        let criterion = made.map_err(|issues| located(issues, filter, path))?;
        self.check_comparators(filter, &criterion, offers, path)?;
        Ok(criterion)
    }

    /// Whether the topic offers each comparator, beside the value or in it (RQ-FL-08, RQ-FL-10).
    fn check_comparators(
        &self,
        filter: &Filter,
        criterion: &Criterion,
        offers: &[&Offer],
        path: &str,
    ) -> Result<(), Issues> {
        let used = criterion.comparators().into_iter().chain(filter.comparator);
        for comparator in used {
            if offers.iter().any(|offer| offer.offers_comparator(comparator)) {
                continue;
            }
            let offered = std::iter::once(Comparator::Eq.code());
            let more = offers.iter().flat_map(|offer| offer.comparator_codes());
            let mut offered: Vec<_> = offered.chain(more).collect();
            offered.sort_unstable();
            offered.dedup();
            let text = format!(
                "the topic does not offer the comparator {} for `{}`; it offers: {}",
                comparator.code(),
                quoted(&filter.parameter),
                list(&offered)
            );
            let element = if filter.comparator.is_some() { "comparator" } else { "value" };
            let issue = Issue::error(IssueCode::ModifierNotOffered, text);
            return Err(issue.at(format!("{path}.{element}")).into());
        }
        Ok(())
    }

    fn error(&mut self, code: IssueCode, text: String, path: &str, element: &str) {
        self.issues.push(Issue::error(code, text).at(format!("{path}{element}")));
    }
}

/// A focus type, and what the topic offers for it by the name of a filter.
type Bound<'t> = (&'static str, Vec<&'t Offer>);

/// The label of the topic's own among what is offered for a type.
fn label<'t>(offers: &[&'t Offer]) -> Option<&'t Offer> {
    offers.iter().copied().find(|offer| !offer.codes().is_empty())
}

/// Leaves, of the types where the name is a label of the topic's own, those with events of a kind
/// that the filter asks for.
///
/// # Errors
/// What no label has: a modifier, a comparator, a kind that no event is of (RQ-FL-11).
fn bind_labels(bound: &mut Vec<Bound<'_>>, filter: &Filter, path: &str) -> Result<(), Issue> {
    let labels: Vec<_> = bound.iter().filter_map(|(_, offers)| label(offers)).collect();
    let Some(first) = labels.first() else { return Ok(()) };
    let modifier = filter.modifier.map(|modifier| (modifier.code(), "modifier"));
    let comparator = filter.comparator.filter(|one| *one != Comparator::Eq);
    let comparator = comparator.map(|comparator| (comparator.code(), "comparator"));
    if let Some((code, element)) = modifier.or(comparator) {
        let text = format!("the topic does not offer {code} for `{}`", first.name);
        return Err(
            Issue::error(IssueCode::ModifierNotOffered, text).at(format!("{path}.{element}"))
        );
    }
    let asked = || filter.value.split(',');
    if asked().any(|asked| !labels.iter().any(|label| label.has_code(asked))) {
        let codes = labels.iter().flat_map(|label| label.codes());
        let mut codes: Vec<_> = codes.map(|one| one.code.as_str()).collect();
        let mut seen = std::collections::BTreeSet::new();
        codes.retain(|one| seen.insert(*one));
        let text = format!(
            "the topic has no events of this kind; `{}` may be: {}",
            first.name,
            list(&codes)
        );
        return Err(Issue::error(IssueCode::FilterNotOffered, text).at(format!("{path}.value")));
    }
    bound.retain(|(_, offers)| {
        label(offers).is_none_or(|label| asked().any(|asked| label.has_code(asked)))
    });
    Ok(())
}

/// The issues of a criterion at the element of the filter that each is about.
fn located(issues: Issues, filter: &Filter, path: &str) -> Issues {
    const ELEMENTS: [(IssueCode, &str); 3] = [
        (IssueCode::InvalidSearchValue, ".value"),
        (IssueCode::OutOfBounds, ".value"),
        (IssueCode::UnknownSearchParameter, ".filterParameter"),
    ];
    let at = |issue: Issue| {
        let element = ELEMENTS.iter().find(|(code, _)| *code == issue.code);
        let of_modifier = issue.code == IssueCode::UnsupportedModifier;
        let element = match element {
            Some((_, element)) => element,
            None if of_modifier && filter.comparator.is_some() => ".comparator",
            None if of_modifier => ".modifier",
            None => "",
        };
        issue.at(format!("{path}{element}"))
    };
    Issues(issues.0.into_iter().map(at).collect())
}

/// Names joined for a text; `nothing` for none.
fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// A client's text, cut to a length that may be repeated.
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect()
}
