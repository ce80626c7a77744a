//! What goes with the matches: `_include` and `_revinclude`.
//!
//! Each resource is there once, and never twice because it refers to itself by a way round. What
//! would be more than [`INCLUDED_MAX`] is left out, and that is told.

use std::sync::Arc;

use cresset_definitions::SearchKind;
use cresset_fhir::json;
use cresset_model::{Change, Issue, IssueCode, Issues, ResourceKey};
use cresset_search::{Criterion, Parameter, ResourceValues, Scope, SearchValue, Target};
use rustc_hash::FxHashSet;
use serde_json::Value;

use super::answer::Page;
use super::finder::{Finder, PAGE_BYTES_MAX};
use super::request::{Asked, Asking};
use crate::draft::is_alive;
use crate::error::Error;
use crate::reference;

/// Resources that go with a page at most (I10).
const INCLUDED_MAX: usize = 1_000;
/// Resources whose referrers are asked for in one search of the index.
const TARGETS_MAX: usize = 100;

/// One include.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IncludeRule {
    direction: Direction,
    /// Type of the resources that refer; any if none is named (`_include=*`).
    source: Option<&'static str>,
    /// By which parameters they refer; all that are references if none is named (`*`).
    parameter: Option<&'static Parameter>,
    /// Type of what they refer to; any if none is named.
    target: Option<&'static str>,
    /// Whether it holds for what is included, too.
    iterate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// What matches refer to.
    To,
    /// What refers to matches.
    From,
}

impl IncludeRule {
    /// Reads `Type:parameter`, `Type:parameter:Target`, `Type:*`, or `*` of an `_include`.
    ///
    /// # Errors
    /// What is not known or is no reference.
    pub(super) fn parse(scope: &Scope<'_>, name: &str, value: &str) -> Result<Self, Issues> {
        let direction =
            if name.starts_with("_revinclude") { Direction::From } else { Direction::To };
        let iterate = name.ends_with(":iterate");
        let all = Self { direction, source: None, parameter: None, target: None, iterate };
        if value == "*" && direction == Direction::To {
            return Ok(all);
        }
        let mut parts = value.splitn(3, ':');
        let source = type_named(scope, parts.next().unwrap_or_default())?;
        let code = parts.next().unwrap_or_default();
        let target = parts.next().filter(|one| !one.is_empty());
        let target = target.map(|one| type_named(scope, one)).transpose()?;
        let parameter = if code == "*" { None } else { Some(reference_of(scope, source, code)?) };
        let may_refer = |parameter: &'static Parameter, target| {
            parameter.targets().is_empty() || parameter.targets().contains(&target)
        };
        if let (Some(parameter), Some(target)) = (parameter, target)
            && !may_refer(parameter, target)
        {
            let text = format!("`{code}` of {source} cannot refer to a {target}");
            return Err(Issue::error(IssueCode::InvalidParameter, text).into());
        }
        Ok(Self { source: Some(source), parameter, target, ..all })
    }

    /// The types of resources that it asks for by name.
    pub(super) fn named_types(&self) -> impl Iterator<Item = &'static str> {
        self.source.into_iter().chain(self.target)
    }

    /// The parameters by which a resource of a type refers.
    fn parameters(
        &self,
        scope: &Scope<'_>,
        resource_type: &str,
    ) -> impl Iterator<Item = &'static Parameter> {
        let is_source = self.source.is_none_or(|source| source == resource_type);
        let named = self.parameter;
        let all = scope.parameters.of_type(resource_type).filter(move |one| {
            is_source && named.is_none_or(|named| named == *one) && is_reference(one)
        });
        all.collect::<Vec<_>>().into_iter()
    }
}

fn type_named(scope: &Scope<'_>, text: &str) -> Result<&'static str, Issues> {
    let definitions = scope.parameters.definitions();
    let named = definitions.type_named(text).filter(|_| definitions.is_resource(text));
    named.map(|named| named.name).ok_or_else(|| {
        let text = "an include names types of this FHIR version: Type:parameter:Target";
        Issue::error(IssueCode::InvalidParameter, text).into()
    })
}

fn reference_of(scope: &Scope<'_>, source: &str, code: &str) -> Result<&'static Parameter, Issues> {
    let parameter = scope.parameters.get(source, code).filter(|one| is_reference(one));
    parameter.ok_or_else(|| {
        let text = format!("{source} has no reference parameter of this name to include by");
        Issue::error(IssueCode::UnknownSearchParameter, text).into()
    })
}

/// Whether an include can go by a parameter.
pub(crate) fn is_reference(parameter: &Parameter) -> bool {
    parameter.kind() == SearchKind::Reference
        && !matches!(parameter.code(), "_in" | "_list")
        && parameter.check().is_ok()
}

/// What goes with a page, while it is gathered.
struct Gathered {
    known: FxHashSet<ResourceKey>,
    included: Vec<Arc<Change>>,
    bytes: usize,
    left_out: bool,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.included.len() >= INCLUDED_MAX || self.bytes > PAGE_BYTES_MAX
    }

    fn add(&mut self, change: Arc<Change>) {
        if self.known.contains(&change.key) {
            return;
        }
        if self.is_full() {
            self.left_out = true;
            return;
        }
        self.known.insert(change.key.clone());
        self.bytes += change.body.len();
        self.included.push(change);
    }
}

impl Finder<'_> {
    /// Adds what goes with the matches of a page.
    pub(super) fn include(&mut self, asked: &Asked, page: &mut Page) -> Result<(), Error> {
        let rules = &asked.wanted.includes;
        if rules.is_empty() {
            return Ok(());
        }
        let mut gathered = Gathered {
            known: page.matches.iter().map(|change| change.key.clone()).collect(),
            included: Vec::new(),
            bytes: 0,
            left_out: false,
        };
        let first: Vec<&IncludeRule> = rules.iter().collect();
        self.gather(&first, &page.matches, &mut gathered)?;
        let again: Vec<&IncludeRule> = rules.iter().filter(|rule| rule.iterate).collect();
        let mut seen = 0;
        // Each round begins with what the last one added; there is an end, since nothing comes twice.
        while !again.is_empty() && seen < gathered.included.len() {
            let added = gathered.included[seen..].to_vec();
            seen = gathered.included.len();
            self.gather(&again, &added, &mut gathered)?;
        }
        if gathered.left_out {
            let text =
                "more resources go with this page than one may have; the others were left out";
            page.issues.push(Issue::warning(IssueCode::SearchIncomplete, text));
        }
        page.included = gathered.included;
        Ok(())
    }

    /// Adds what goes with these resources.
    fn gather(
        &mut self,
        rules: &[&IncludeRule],
        of: &[Arc<Change>],
        gathered: &mut Gathered,
    ) -> Result<(), Error> {
        for rule in rules {
            match rule.direction {
                Direction::To => self.follow(rule, of, gathered)?,
                Direction::From => self.referring_to(rule, of, gathered)?,
            }
        }
        Ok(())
    }

    /// Adds what resources refer to.
    fn follow(
        &self,
        rule: &IncludeRule,
        of: &[Arc<Change>],
        gathered: &mut Gathered,
    ) -> Result<(), Error> {
        for change in of {
            let resource_type = change.key.resource_type.as_str();
            if rule.source.is_some_and(|source| source != resource_type) {
                continue;
            }
            let Ok(value) = json::parse(&change.body) else { continue };
            let keys = self.targets(rule, resource_type, &value);
            let mut keys: Vec<ResourceKey> =
                keys.into_iter().filter(|key| !gathered.known.contains(key)).collect();
            let room = INCLUDED_MAX.saturating_sub(gathered.included.len());
            gathered.left_out |= keys.len() > room;
            keys.truncate(room);
            for found in self.store.current(&keys)?.into_iter().flatten() {
                if is_alive(Some(&found)) && self.sees(&found) {
                    gathered.add(Arc::new(found));
                }
            }
        }
        Ok(())
    }

    /// What a resource refers to, each once.
    fn targets(&self, rule: &IncludeRule, resource_type: &str, value: &Value) -> Vec<ResourceKey> {
        let values = ResourceValues::new(self.scope, resource_type, value);
        let mut keys = Vec::new();
        for parameter in rule.parameters(&self.scope, resource_type) {
            // A reference that cannot be read cannot be followed.
            for value in values.of(parameter).unwrap_or_default() {
                let SearchValue::Reference(reference) = value else { continue };
                let Target::Local { resource_type, id, .. } = reference.target else { continue };
                if rule.target.is_some_and(|target| target != resource_type) {
                    continue;
                }
                let key = reference::key_of(self.base, &format!("{resource_type}/{id}"));
                keys.extend(key.filter(|key| !keys.contains(key)));
            }
        }
        keys
    }

    /// Adds what refers to resources.
    fn referring_to(
        &mut self,
        rule: &IncludeRule,
        of: &[Arc<Change>],
        gathered: &mut Gathered,
    ) -> Result<(), Error> {
        let Some(source) = rule.source else { return Ok(()) };
        let scope = self.scope;
        for parameter in rule.parameters(&scope, source) {
            let targets: Vec<String> = of
                .iter()
                .filter(|change| may_be_target(rule, parameter, change))
                .map(|change| change.key.to_string())
                .collect();
            for targets in targets.chunks(TARGETS_MAX) {
                let criterion = Criterion::new(
                    &scope,
                    source,
                    parameter.code(),
                    None,
                    None,
                    &targets.join(","),
                );
                // Nothing has a reference that cannot be written.
                let Ok(criterion) = criterion else { continue };
                let asking = Asking { criteria: vec![criterion], ..Asking::new(source) };
                self.add_all(&asking, gathered)?;
            }
        }
        Ok(())
    }

    /// Adds what matches, as far as there is room.
    fn add_all(&mut self, asking: &Asking, gathered: &mut Gathered) -> Result<(), Error> {
        let Some(narrowed) = self.narrow(asking)? else { return Ok(()) };
        let mut walk = self.walk(asking, &narrowed, None)?;
        loop {
            if gathered.is_full() || self.is_spent() {
                gathered.left_out = true;
                return Ok(());
            }
            let room = INCLUDED_MAX - gathered.included.len() + 1;
            self.lot(&mut walk, room)?.into_iter().for_each(|change| gathered.add(change));
            if walk.place().is_none() {
                return Ok(());
            }
        }
    }
}

/// Whether a resource may be what a parameter refers to.
fn may_be_target(rule: &IncludeRule, parameter: &Parameter, change: &Change) -> bool {
    let resource_type = change.key.resource_type.as_str();
    rule.target.is_none_or(|target| target == resource_type)
        && (parameter.targets().is_empty() || parameter.targets().contains(&resource_type))
}
