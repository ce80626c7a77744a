//! Collections: what every expression yields.

use std::ops::Deref;

use smallvec::SmallVec;

use crate::error::EvaluationError;
use crate::item::Item;

/// An ordered collection of items, small ones without allocation.
#[derive(Debug, Clone, Default)]
pub struct Collection<'a> {
    items: SmallVec<[Item<'a>; 4]>,
}

impl<'a> Collection<'a> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The truth of it: nothing if empty, the value of a single boolean, true for any other single
    /// item.
    ///
    /// A boolean element that has only extensions counts as empty.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::Singleton`] for several items.
    pub fn as_boolean(&self) -> Result<Option<bool>, EvaluationError> {
        truth(&self.items)
            .ok_or(EvaluationError::Singleton { what: "the expression as a condition", offset: 0 })
    }

    pub(crate) fn push(&mut self, item: Item<'a>) {
        self.items.push(item);
    }
}

/// The truth of a few items; `None` for several.
pub(crate) fn truth(items: &[Item<'_>]) -> Option<Option<bool>> {
    match items {
        [] => Some(None),
        [Item::Node(node)] if node.value().is_null() => Some(None),
        [item] => Some(Some(item.as_bool().unwrap_or(true))),
        _ => None,
    }
}

impl<'a> Deref for Collection<'a> {
    type Target = [Item<'a>];

    fn deref(&self) -> &[Item<'a>] {
        &self.items
    }
}

impl<'a> Extend<Item<'a>> for Collection<'a> {
    fn extend<I: IntoIterator<Item = Item<'a>>>(&mut self, items: I) {
        self.items.extend(items);
    }
}

impl<'a> FromIterator<Item<'a>> for Collection<'a> {
    fn from_iter<I: IntoIterator<Item = Item<'a>>>(items: I) -> Self {
        Self { items: items.into_iter().collect() }
    }
}

impl<'a> IntoIterator for Collection<'a> {
    type Item = Item<'a>;
    type IntoIter = smallvec::IntoIter<[Item<'a>; 4]>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'c, 'a> IntoIterator for &'c Collection<'a> {
    type Item = &'c Item<'a>;
    type IntoIter = std::slice::Iter<'c, Item<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}
