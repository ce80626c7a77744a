//! Sets that values may be members of: value sets, hierarchies of code systems, groups and lists.
//!
//! What is in a set is read from the resources of this server when a question is asked, so it is
//! as they are at that moment. There is no terminology server: what cannot be told from the ValueSet
//! and CodeSystem resources themselves has no answer, never a guess (I9). Tests: `set/tests.rs`.

use serde_json::Value;
use smol_str::SmolStr;

use crate::lookup::{Answer, Lookup};
use crate::problem::Open;
use crate::reference::{ReferenceOperand, Target};
use crate::token::{Token, TokenOperand, TokenSystem};
use crate::uri::split_version;
use crate::value::redact;
use crate::version::compare_versions;
use crate::{Need, ProblemKind, STEPS_MAX, Scope, SearchValue};

mod hierarchy;
mod members;
mod parts;
mod value_set;

#[cfg(test)]
mod tests;

pub(crate) use hierarchy::Hierarchies;

/// How deep value sets may import each other (I10).
pub const IMPORT_DEPTH_MAX: u32 = 4;

/// The types of the resources that list others.
const LISTING: [&str; 3] = ["CareTeam", "Group", "List"];

/// A set that a value may be a member of.
#[derive(Clone, PartialEq, Eq)]
pub enum Set {
    /// A code, and what is above or below it in its code system (`:above`, `:below`).
    Hierarchy {
        /// The code system.
        system: SmolStr,
        /// The code.
        code: SmolStr,
        /// Whether what is below the code is in the set, or what is above it.
        below: bool,
    },
    /// The members of a Group, List or CareTeam.
    Members {
        /// `Type/id`.
        reference: SmolStr,
    },
    /// A resource, and what is a part of it or what it is a part of, by `partOf` (`:below`,
    /// `:above`).
    Parts {
        /// `Type/id`.
        reference: SmolStr,
        /// Whether its parts are in the set, or what it is a part of.
        below: bool,
    },
    /// The codes of a ValueSet with this canonical URL.
    ValueSet {
        /// The URL.
        url: SmolStr,
        /// The version; the latest if none is asked for.
        version: Option<SmolStr>,
    },
    /// The codes of a ValueSet of this server.
    ValueSetAt {
        /// `ValueSet/id`.
        reference: SmolStr,
    },
}

redact!(Set);

impl Set {
    /// Reads `system|code`, of which `:above` and `:below` need both.
    pub(crate) fn hierarchy(text: &str, below: bool) -> Result<Self, &'static str> {
        let Some(TokenOperand::SystemCode(parts)) = TokenOperand::parse(text) else {
            return Err("system|code: the code system says what is above and below");
        };
        let [system, code] = *parts;
        Ok(Self::Hierarchy { system, code, below })
    }

    /// Reads a reference to a resource of a type that has parts.
    pub(crate) fn parts(text: &str, scope: &Scope<'_>, below: bool) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a reference to a resource of this server that may be a part of \
                                another one, such as Location/1";
        let base_url = scope.base_url.trim_end_matches('/');
        let definitions = scope.parameters.definitions();
        match ReferenceOperand::parse(text, base_url, definitions, None, false) {
            Ok(ReferenceOperand::Local { resource_type, id })
                if resource_type.element("partOf").is_some() =>
            {
                let reference = smol_str::format_smolstr!("{}/{id}", resource_type.name);
                Ok(Self::Parts { reference, below })
            }
            Ok(_) | Err(_) => Err(EXPECTED),
        }
    }

    /// Reads a reference to a Group, List or CareTeam; a bare id is one of `only`.
    pub(crate) fn members(
        text: &str,
        scope: &Scope<'_>,
        only: Option<&'static str>,
    ) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a reference to a Group, List or CareTeam of this server";
        let base_url = scope.base_url.trim_end_matches('/');
        let definitions = scope.parameters.definitions();
        match ReferenceOperand::parse(text, base_url, definitions, only, false) {
            Ok(ReferenceOperand::Local { resource_type, id })
                if LISTING.contains(&resource_type.name)
                    && only.is_none_or(|only| only == resource_type.name) =>
            {
                let reference = smol_str::format_smolstr!("{}/{id}", resource_type.name);
                Ok(Self::Members { reference })
            }
            Ok(_) | Err(_) => Err(EXPECTED),
        }
    }

    /// Reads the canonical URL of a ValueSet, or a reference to one of this server.
    pub(crate) fn value_set(text: &str, scope: &Scope<'_>) -> Result<Self, &'static str> {
        const EXPECTED: &str =
            "the canonical URL of a ValueSet, perhaps with |version, or ValueSet/id";
        match Target::parse(text, scope.base_url.trim_end_matches('/')) {
            // What is after a `|` is the version of a canonical, which a reference does not have.
            Target::Local { resource_type: "ValueSet", id, version: None } => {
                Ok(Self::ValueSetAt { reference: smol_str::format_smolstr!("ValueSet/{id}") })
            }
            Target::Url { url, .. } if url.contains(':') => {
                let (url, version) = split_version(text);
                Ok(Self::ValueSet { url: SmolStr::new(url), version: version.map(SmolStr::new) })
            }
            Target::Contained | Target::Local { .. } | Target::Logical | Target::Url { .. } => {
                Err(EXPECTED)
            }
        }
    }

    /// What it is made of.
    pub fn need(&self) -> Need {
        match self {
            Self::Hierarchy { system, .. } => code_system(system),
            Self::Members { reference }
            | Self::Parts { reference, .. }
            | Self::ValueSetAt { reference } => Need::Resource(reference.clone()),
            Self::ValueSet { url, .. } => {
                Need::Canonical { resource_type: "ValueSet", url: url.clone() }
            }
        }
    }

    /// Whether this resource, found for its need, is of the version that is asked for.
    pub fn is(&self, resource: &Value) -> bool {
        match self {
            Self::Hierarchy { .. }
            | Self::Members { .. }
            | Self::Parts { .. }
            | Self::ValueSetAt { .. } => true,
            Self::ValueSet { version, .. } => {
                let own = resource.get("version").and_then(Value::as_str);
                version.is_none() || version.as_deref() == own
            }
        }
    }

    /// The type of the resources that have to be found by their URL to read it.
    pub(crate) fn searched_type(&self) -> Option<&'static str> {
        match self {
            Self::Hierarchy { .. } => Some("CodeSystem"),
            Self::Members { .. } | Self::Parts { .. } | Self::ValueSetAt { .. } => None,
            Self::ValueSet { .. } => Some("ValueSet"),
        }
    }

    /// Whether a value is a member.
    pub(crate) fn contains(
        &self,
        value: &SearchValue<'_>,
        reader: &mut SetReader<'_, '_>,
    ) -> Result<bool, ProblemKind> {
        match (self, value) {
            (Self::Hierarchy { system, code, below }, SearchValue::Token(token)) => {
                // Whoever is in another code system is neither above nor below.
                let Some(own) = token.code.filter(|_| token.system.is(system)) else {
                    return Ok(false);
                };
                if own == code {
                    return Ok(true);
                }
                reader.is_related((system, None), code, own, *below)
            }
            (Self::Members { .. }, SearchValue::Reference(reference)) => {
                members::contains(reader.one(&self.need())?, reference, reader)
            }
            (Self::Parts { reference: asked, below }, SearchValue::Reference(reference)) => {
                let Target::Local { resource_type, id, .. } = reference.target else {
                    return Ok(false);
                };
                let own = smol_str::format_smolstr!("{resource_type}/{id}");
                match below {
                    true => parts::is_within(reader, own, asked),
                    false => parts::is_within(reader, asked.clone(), &own),
                }
            }
            (Self::ValueSet { version, .. }, SearchValue::Token(token)) => {
                let set = reader.latest(&self.need(), version.as_deref())?;
                reader.has_token(set, token)
            }
            (Self::ValueSetAt { .. }, SearchValue::Token(token)) => {
                let set = reader.one(&self.need())?;
                reader.has_token(set, token)
            }
            (
                Self::Hierarchy { .. }
                | Self::Members { .. }
                | Self::Parts { .. }
                | Self::ValueSet { .. }
                | Self::ValueSetAt { .. },
                _,
            ) => Ok(false),
        }
    }
}

fn code_system(url: &str) -> Need {
    Need::Canonical { resource_type: "CodeSystem", url: SmolStr::new(url) }
}

/// Reads sets from what was looked up, with a budget of steps (I10).
pub(crate) struct SetReader<'l, 'a> {
    lookup: &'l Lookup<'a>,
    base_url: &'l str,
    steps_left: u32,
    asks_who_is_out: bool,
}

impl<'l, 'a> SetReader<'l, 'a> {
    /// `base_url` has no final `/`; `asks_who_is_out` if what is no member fits (`:not-in`).
    pub(crate) fn new(lookup: &'l Lookup<'a>, base_url: &'l str, asks_who_is_out: bool) -> Self {
        Self { lookup, base_url, steps_left: STEPS_MAX, asks_who_is_out }
    }

    fn step(&mut self) -> Result<(), ProblemKind> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(ProblemKind::StepLimit)?;
        Ok(())
    }

    /// The resource of a need that names one.
    fn one(&self, need: &Need) -> Result<&'a Value, ProblemKind> {
        self.latest(need, None)
    }

    /// The resource with this version, or of several the latest: an active one before others, the
    /// highest version before lower ones.
    fn latest(&self, need: &Need, version: Option<&str>) -> Result<&'a Value, ProblemKind> {
        let found = match self.lookup.answer(need) {
            Answer::Found(found) => found,
            Answer::Missing => return Err(ProblemKind::Missing(vec![need.clone()])),
            Answer::Unavailable(reason) => return Err(ProblemKind::Unavailable(reason)),
        };
        fn part<'v>(resource: &'v Value, name: &str) -> Option<&'v str> {
            resource.get(name).and_then(Value::as_str)
        }
        let all = found.iter().map(crate::ResourceValues::resource);
        let asked = all.filter(|one| version.is_none() || part(one, "version") == version);
        asked
            .max_by(|a, b| {
                let is_active = |one| part(one, "status") == Some("active");
                let versions = [a, b].map(|one| part(one, "version"));
                is_active(a)
                    .cmp(&is_active(b))
                    .then_with(|| compare_versions(versions[0], versions[1]))
            })
            .ok_or(ProblemKind::Unavailable(
                "what it names (a ValueSet, CodeSystem, Group, List or CareTeam) is not on this server",
            ))
    }

    /// Whether a value set has the code of a token, in any of the systems that it may be of.
    fn has_token(&mut self, set: &'a Value, token: &Token<'_>) -> Result<bool, ProblemKind> {
        let Some(code) = token.code else { return Ok(false) };
        match token.system {
            TokenSystem::Absent | TokenSystem::Implied([]) => {
                // Asked only where it would matter: what the set may need is then looked up.
                let may_have =
                    self.asks_who_is_out && value_set::contains(self, set, (None, code), 0)?;
                if may_have {
                    return self.doubt("a code without a system may be in the ValueSet");
                }
                Ok(false)
            }
            TokenSystem::Implied(systems) => {
                let mut open = Open::default();
                for system in systems {
                    match value_set::contains(self, set, (Some(system), code), 0) {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(problem) => open.add(problem),
                    }
                }
                open.unless(false)
            }
            TokenSystem::Named(system) => value_set::contains(self, set, (Some(system), code), 0),
        }
    }

    /// What a value is that may be a member for all that can be told: no member where members are
    /// wanted, and without an answer where they are not (I9).
    fn doubt(&self, reason: &'static str) -> Result<bool, ProblemKind> {
        if self.asks_who_is_out { Err(ProblemKind::Unavailable(reason)) } else { Ok(false) }
    }

    /// Whether a resource's code is below the one asked for in a code system, or above it.
    fn is_related(
        &mut self,
        (system, version): (&str, Option<&str>),
        asked: &str,
        own: &str,
        below: bool,
    ) -> Result<bool, ProblemKind> {
        let code_system = self.latest(&code_system(system), version)?;
        hierarchy::is_related(self, code_system, asked, own, below)
    }
}
