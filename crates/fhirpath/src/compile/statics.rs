//! What is known of a collection before it is evaluated.

use smallvec::{SmallVec, smallvec};

use crate::types::{ItemType, SystemType};

/// The types that items may have, and whether their order means something.
#[derive(Debug, Clone)]
pub(crate) struct Static {
    /// The possible types; none at all if the collection is always empty; `None` if anything.
    pub(crate) types: Option<SmallVec<[ItemType; 2]>>,
    pub(crate) ordered: bool,
}

impl Static {
    pub(crate) fn any() -> Self {
        Self { types: None, ordered: true }
    }

    pub(crate) fn nothing() -> Self {
        Self { types: Some(SmallVec::new()), ordered: true }
    }

    pub(crate) fn of(one: ItemType) -> Self {
        Self { types: Some(smallvec![one]), ordered: true }
    }

    pub(crate) fn system(one: SystemType) -> Self {
        Self::of(ItemType::System(one))
    }

    /// Whether the collection is always empty.
    pub(crate) fn is_nothing(&self) -> bool {
        self.types.as_ref().is_some_and(SmallVec::is_empty)
    }

    /// Adds what else items may be.
    pub(crate) fn add(&mut self, other: &Self) {
        self.ordered &= other.ordered;
        match (&mut self.types, &other.types) {
            (Some(mine), Some(theirs)) => {
                for one in theirs {
                    if !mine.contains(one) {
                        mine.push(*one);
                    }
                }
            }
            (mine, _) => *mine = None,
        }
    }

    /// The one system type that all items' values have, if it is known.
    pub(crate) fn value_type(&self) -> Option<SystemType> {
        let mut types = self.types.as_ref()?.iter().map(|one| one.value_type());
        let first = types.next()??;
        types.all(|one| one == Some(first)).then_some(first)
    }

    /// Whether no item can have a value of this system type.
    pub(crate) fn excludes(&self, wanted: SystemType) -> bool {
        self.types.as_ref().is_some_and(|types| {
            !types.is_empty()
                && types.iter().all(|one| {
                    let found = one.value_type();
                    found != Some(wanted) && found != Some(SystemType::Any)
                })
        })
    }

    /// The names of the types, where all are FHIR's.
    pub(crate) fn fhir_types(&self) -> Option<Box<[&'static str]>> {
        let names = self.types.as_ref()?.iter().map(|one| match one {
            ItemType::Fhir(definition) => Some(definition.name),
            ItemType::System(_) => None,
        });
        names.collect()
    }

    /// The types' names, for messages.
    pub(crate) fn names(&self) -> String {
        match &self.types {
            None => "anything".to_owned(),
            Some(types) => {
                let names: Vec<_> = types.iter().take(4).map(|one| one.name()).collect();
                let more = if types.len() > names.len() { " …" } else { "" };
                names.join(" or ") + more
            }
        }
    }
}
