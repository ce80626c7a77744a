//! What an answer depends on besides the resource at hand.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::criterion::Has;
use crate::value::redact;
use crate::{Criterion, Parameter};

/// Other resources that have to be looked up before an answer can be given.
///
/// The caller looks them up as they are at this point of the log, puts them into a
/// [`Lookup`](crate::Lookup), and asks again, a bounded number of times.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The resources of a type that have this canonical URL, in all their versions.
    Canonical {
        /// The type.
        resource_type: &'static str,
        /// The URL, without a version.
        url: SmolStr,
    },
    /// The resources that refer to one (`_has`).
    Referring(Referring),
    /// The resource that this reference names, as it is written.
    Resource(SmolStr),
}

impl Need {
    /// As text for the caller who asks why, who may read: it may hold ids of patients.
    pub fn shown(&self) -> String {
        match self {
            Self::Canonical { resource_type, url } => format!("{resource_type}?url={url}"),
            Self::Referring(referring) => format!(
                "{}?{}={}",
                referring.resource_type(),
                referring.parameter().code(),
                referring.target
            ),
            Self::Resource(reference) => reference.to_string(),
        }
    }
}

/// The resources that refer to one and fit a criterion.
#[derive(Clone)]
pub struct Referring {
    pub(crate) has: Arc<Has>,
    pub(crate) target: SmolStr,
}

impl Referring {
    /// The parameter by which they refer to it.
    pub fn parameter(&self) -> &'static Parameter {
        self.has.reference
    }

    /// Whether this is what a criterion asks for, and not another one that asks the same.
    pub fn is_of(&self, has: &Arc<Has>) -> bool {
        Arc::ptr_eq(&self.has, has)
    }

    /// Their type.
    pub fn resource_type(&self) -> &'static str {
        self.has.resource_type
    }

    /// What they refer to, as `Type/id`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What they have to fit; it is asked again of each that is found, so that it only narrows down.
    pub fn criterion(&self) -> &Criterion {
        &self.has.criterion
    }

    fn key(&self) -> (&'static str, &'static str, &str, &str) {
        (self.resource_type(), self.parameter().code(), &self.target, &self.has.source)
    }
}

impl PartialEq for Referring {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Referring {}

impl PartialOrd for Referring {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Referring {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Referring {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

redact!(Need, Referring);
