//! A compiled `notificationShape`: what goes with a focus of each type.
//!
//! An include names a search parameter of the focus, a reverse include one of the resources that
//! refer to it; both are found here, once. What can include nothing is taken with a warning, since
//! subscribers must do without includes anyway (RQ-TP-60), and published topics have such; what
//! cannot be read, or would include everything (`*`), is refused. Several shapes for one type add
//! up (RQ-TP-63). An `iterate` is followed where it names references of a type; else the include is
//! kept without it (RQ-TP-62). Tests: `shape/tests.rs`.

use std::collections::BTreeMap;

use cresset_definitions::SearchKind;
use cresset_model::{Coding, Issue, IssueCode, Issues, NotificationShape, RelatedQuery, Topic};
use cresset_search::{Parameter, Scope};

use crate::focus;
use crate::offer::Offer;

#[cfg(test)]
mod tests;

/// Most includes and reverse includes of one topic (I10).
pub const INCLUDES_MAX: usize = 200;

/// What goes with a focus of one type.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What the focus refers to, in the topic's order, each once.
    pub includes: Vec<Include>,
    /// What refers to the focus, in the topic's order, each once.
    pub rev_includes: Vec<RevInclude>,
    /// What the resources that go along refer to, each once (`iterate`).
    pub iterates: Vec<Iterate>,
    /// Queries that tell more, as the topic has them.
    pub related_queries: Vec<RelatedQuery>,
    /// The kinds of event that each event is of.
    pub codes: Vec<Coding>,
}

/// `Encounter:patient:Patient`, seen from an Encounter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Include {
    /// The search parameter of the focus whose values are followed.
    pub parameter: &'static Parameter,
    /// The one type that is included; none for any.
    pub target: Option<&'static str>,
}

/// `Observation:encounter`, seen from an Encounter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RevInclude {
    /// The type that is included.
    pub resource_type: &'static str,
    /// Its search parameter that finds the focus.
    pub parameter: &'static Parameter,
}

/// `iterate=Patient:link`, followed from each Patient that goes along.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iterate {
    /// The type that it is followed from.
    pub resource_type: &'static str,
    /// What is followed.
    pub include: Include,
}

/// The shapes of a topic by focus type; types with which nothing goes are left out.
pub(crate) type Shapes = BTreeMap<&'static str, Shape>;

/// Compiles the shapes of a topic with these focus types.
pub(crate) fn compile(
    scope: &Scope<'_>,
    topic: &Topic,
    focus_types: &[&'static str],
    issues: &mut Issues,
) -> Shapes {
    let mut shapes = Shapes::new();
    let includes = |shape: &NotificationShape| shape.include.len() + shape.rev_include.len();
    if topic.notification_shapes.iter().map(includes).sum::<usize>() > INCLUDES_MAX {
        let text = format!("a topic may have {INCLUDES_MAX} includes");
        let path = "SubscriptionTopic.notificationShape";
        issues.push(Issue::error(IssueCode::OutOfBounds, text).at(path));
        return shapes;
    }
    for (index, source) in topic.notification_shapes.iter().enumerate() {
        let path = format!("SubscriptionTopic.notificationShape[{index}]");
        let mut compiler = Compiler { scope, issues, shapes: &mut shapes };
        compiler.shape(source, focus_types, &path);
    }
    shapes
}

struct Compiler<'c> {
    scope: &'c Scope<'c>,
    issues: &'c mut Issues,
    shapes: &'c mut Shapes,
}

/// Why an include has no use.
type Reason = (IssueCode, String);

/// The parts of `Encounter:patient:Patient`.
struct Parts {
    resource_type: &'static str,
    code: String,
    target: Option<&'static str>,
}

impl Compiler<'_> {
    fn shape(&mut self, source: &NotificationShape, focus_types: &[&'static str], path: &str) {
        let types = self.types(source, focus_types, &format!("{path}.resource"));
        for one in &types {
            let queries = &mut self.shapes.entry(one).or_default().related_queries;
            for query in &source.related_queries {
                if !queries.contains(query) {
                    queries.push(query.clone());
                }
            }
        }
        for (index, text) in source.include.iter().enumerate() {
            let path = format!("{path}.include[{index}]");
            if let Some((parts, iterates)) = self.parts(text, "_include", &path) {
                let found = self.include(&parts, &types);
                if found.is_ok() {
                    self.iterate(&iterates, &types);
                }
                self.tell(found, &path);
            }
        }
        for (index, text) in source.rev_include.iter().enumerate() {
            let path = format!("{path}.revInclude[{index}]");
            if let Some((parts, _)) = self.parts(text, "_revinclude", &path) {
                let found = self.rev_include(&parts, &types);
                self.tell(found, &path);
            }
        }
        self.shapes.retain(|_, shape| !shape.is_empty());
    }

    /// The focus types that a shape is for: the type named, or what specialises it (RQ-TP-60).
    fn types(
        &mut self,
        source: &NotificationShape,
        focus_types: &[&'static str],
        path: &str,
    ) -> Vec<&'static str> {
        let definitions = self.scope.parameters.definitions();
        let text = match focus::resource_type(definitions, &source.resource) {
            Ok(named) => {
                let fits = |one: &&'static str| definitions.is_subtype(one, named);
                let types: Vec<_> = focus_types.iter().copied().filter(fits).collect();
                // Without focus types everything would be wrong, and only because of the triggers.
                if !types.is_empty() || focus_types.is_empty() {
                    return types;
                }
                format!("no trigger of the topic is about {named}; the shape has no use")
            }
            Err(reason) => format!("the shape has no use: it {reason}"),
        };
        self.issues.push(Issue::warning(IssueCode::SurprisingTopic, text).at(path));
        Vec::new()
    }

    /// Reads the published form `Encounter:patient&iterate=Patient.link`, also after `_include=`: what
    /// is included, and what is followed from there.
    fn parts(&mut self, text: &str, name: &str, path: &str) -> Option<(Parts, Vec<Iterate>)> {
        let text = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).unwrap_or(text);
        let mut pieces = text.split('&');
        let simple = pieces.next().unwrap_or_default();
        let mut iterates = Vec::new();
        for piece in pieces {
            let piece =
                piece.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).unwrap_or(piece);
            let Some(written) = piece.strip_prefix("iterate=") else {
                let text = "only `&iterate=…` may follow an include";
                self.issues.push(Issue::error(IssueCode::InvalidElement, text).at(path));
                return None;
            };
            match self.read_iterate(written, name) {
                Ok(iterate) => iterates.push(iterate),
                Err(reason) => {
                    let text = format!(
                        "`iterate` is not followed, what is before it is included: {reason}"
                    );
                    let issue = Issue::warning(IssueCode::UnsupportedSearch, text);
                    self.issues.push(issue.at(path));
                }
            }
        }
        let parts = self.read(simple);
        let parts =
            parts.map_err(|(code, text)| self.issues.push(Issue::error(code, text).at(path)));
        parts.ok().map(|parts| (parts, iterates))
    }

    /// Reads `Patient:link`, which published topics write `Patient.link`; or says why it is not
    /// followed.
    fn read_iterate(&self, written: &str, name: &str) -> Result<Iterate, String> {
        if name != "_include" {
            return Err("it belongs to an `include`".to_owned());
        }
        let text = match written.contains(':') {
            true => written.to_owned(),
            false => written.replacen('.', ":", 1),
        };
        let parts = self.read(&text).map_err(|(_, text)| text)?;
        let parameter =
            self.reference(parts.resource_type, &parts.code).map_err(|(_, text)| text)?;
        match parts.target.filter(|target| !refers_to(parameter, target)) {
            Some(target) => Err(never(parameter, target).1),
            None => Ok(Iterate {
                resource_type: parts.resource_type,
                include: Include { parameter, target: parts.target },
            }),
        }
    }

    fn iterate(&mut self, iterates: &[Iterate], types: &[&'static str]) {
        for one in types {
            // A type that the include is not for has no shape of its own, or one for other reasons.
            let Some(shape) = self.shapes.get_mut(one) else { continue };
            iterates.iter().for_each(|iterate| push_once(&mut shape.iterates, *iterate));
        }
    }

    fn read(&self, simple: &str) -> Result<Parts, Reason> {
        let form = || {
            let text = "must be Type:parameter or Type:parameter:Type".to_owned();
            (IssueCode::InvalidElement, text)
        };
        let mut pieces = simple.split(':');
        let (Some(source), Some(code)) = (pieces.next(), pieces.next()) else {
            // All that a resource refers to may be anything: the topic has to name it.
            return Err(match simple {
                "*" => star(),
                _ => form(),
            });
        };
        let target = pieces.next();
        if code.is_empty() || pieces.next().is_some() {
            return Err(form());
        }
        if [Some(source), Some(code), target].contains(&Some("*")) {
            return Err(star());
        }
        let named = |written: &str| {
            focus::resource_type(self.scope.parameters.definitions(), written)
                .map_err(|reason| (IssueCode::InvalidElement, format!("its type {reason}")))
        };
        Ok(Parts {
            resource_type: named(source)?,
            code: code.to_owned(),
            target: target.map(named).transpose()?,
        })
    }

    fn include(&mut self, parts: &Parts, types: &[&'static str]) -> Result<(), Reason> {
        let definitions = self.scope.parameters.definitions();
        let fits = |one: &&'static str| definitions.is_subtype(one, parts.resource_type);
        let types: Vec<_> = types.iter().copied().filter(fits).collect();
        let mut outcome = Err((
            IssueCode::SurprisingTopic,
            format!("{} is not the type of the shape; nothing is included", parts.resource_type),
        ));
        for (index, one) in types.into_iter().enumerate() {
            let found = self.reference(one, &parts.code).and_then(|parameter| {
                let target = parts.target.filter(|target| !refers_to(parameter, target));
                match target {
                    Some(target) => Err(never(parameter, target)),
                    None => Ok(Include { parameter, target: parts.target }),
                }
            });
            match found {
                Ok(include) => {
                    push_once(&mut self.shapes.entry(one).or_default().includes, include);
                    outcome = Ok(());
                }
                Err(reason) if index == 0 => outcome = Err(reason),
                Err(_) => {}
            }
        }
        outcome
    }

    fn rev_include(&mut self, parts: &Parts, types: &[&'static str]) -> Result<(), Reason> {
        let resource_type = parts.resource_type;
        if focus::NEVER_FOCUS.contains(&resource_type) {
            let text = format!("a {resource_type} is never included");
            return Err((IssueCode::SurprisingTopic, text));
        }
        let parameter = self.reference(resource_type, &parts.code)?;
        let wanted = |one: &&'static str| parts.target.is_none_or(|target| target == *one);
        let mut outcome = Err(match types.first() {
            Some(one) => never(parameter, one),
            None => (IssueCode::SurprisingTopic, "nothing is included".to_owned()),
        });
        for one in types.iter().copied().filter(wanted) {
            if refers_to(parameter, one) {
                let include = RevInclude { resource_type, parameter };
                push_once(&mut self.shapes.entry(one).or_default().rev_includes, include);
                outcome = Ok(());
            }
        }
        outcome
    }

    /// The reference parameter of a type.
    fn reference(&self, resource_type: &str, code: &str) -> Result<&'static Parameter, Reason> {
        let why = match self.scope.parameters.get(resource_type, code) {
            Some(parameter) if parameter.kind() != SearchKind::Reference => {
                format!("is a {} parameter, not a reference", parameter.kind().code())
            }
            Some(parameter) => match parameter.check() {
                Ok(()) => return Ok(parameter),
                Err(reason) => format!("cannot be evaluated ({reason})"),
            },
            None => "is no search parameter".to_owned(),
        };
        let text = format!("nothing is included: for {resource_type}, `{code}` {why}");
        Err((IssueCode::UnknownSearchParameter, text))
    }

    /// An include without use is told, not refused.
    fn tell(&mut self, found: Result<(), Reason>, path: &str) {
        if let Err((code, text)) = found {
            self.issues.push(Issue::warning(code, text).at(path));
        }
    }
}

impl Shape {
    fn is_empty(&self) -> bool {
        self.includes.is_empty()
            && self.rev_includes.is_empty()
            && self.related_queries.is_empty()
            && self.codes.is_empty()
    }
}

/// Adds the kinds of event that a topic's own labels say its events are of.
pub(crate) fn add_codes(shapes: &mut Shapes, offers: &[Offer]) {
    for offer in offers.iter().filter(|offer| !offer.codes().is_empty()) {
        for one in offer.focus_types() {
            let codes = &mut shapes.entry(one).or_default().codes;
            offer.codes().iter().for_each(|code| push_once(codes, code.clone()));
        }
    }
}

fn star() -> Reason {
    let text = "`*` would include whatever there is; name each reference".to_owned();
    (IssueCode::UnsupportedSearch, text)
}

fn never(parameter: &Parameter, target: &str) -> Reason {
    let text = format!("nothing is included: `{}` never refers to {target}", parameter.code());
    (IssueCode::SurprisingTopic, text)
}

fn refers_to(parameter: &Parameter, target: &str) -> bool {
    parameter.targets().is_empty() || parameter.targets().contains(&target)
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
