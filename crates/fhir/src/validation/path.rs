//! Where the validator stands; made into text only for an issue.

use std::fmt;

/// A path of a resource's elements, as links to what is above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'p> {
    above: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Item(usize),
    Member(&'p str),
}

impl<'p> Path<'p> {
    pub(super) fn root(resource_type: &'p str) -> Self {
        Self { above: None, step: Step::Member(resource_type) }
    }

    /// A member of the element.
    pub(super) fn member<'c>(&'c self, name: &'c str) -> Path<'c>
    where
        'p: 'c,
    {
        Path { above: Some(self), step: Step::Member(name) }
    }

    /// An item of the list.
    pub(super) fn item<'c>(&'c self, index: usize) -> Path<'c>
    where
        'p: 'c,
    {
        Path { above: Some(self), step: Step::Item(index) }
    }

    /// Whether it is this member, or an item of it.
    pub(super) fn is_in(&self, name: &str) -> bool {
        match (self.step, self.above) {
            (Step::Member(own), _) => own == name,
            (Step::Item(_), Some(above)) => above.is_in(name),
            (Step::Item(_), None) => false,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(above) = self.above {
            above.fmt(f)?;
        }
        match self.step {
            Step::Item(index) => write!(f, "[{index}]"),
            Step::Member(name) if self.above.is_none() => f.write_str(name),
            Step::Member(name) => write!(f, ".{}", crate::element::shortened(name)),
        }
    }
}
