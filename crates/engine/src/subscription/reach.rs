//! The focus types of a topic that the filters of a subscription leave it.
//!
//! A filter that names a type says nothing about others (RQ-FL-06). One that names none is asked of
//! every focus type; a type that the topic does not offer it for cannot fit it and has no events
//! (RQ-FL-07, I9): whoever asks for one patient must not get all that has no patient. Where the
//! topic lets filters choose the types, a filter that names such a type chooses it all the same.
//! Tests: `subscription/tests.rs`.

use std::collections::BTreeSet;

type Types = BTreeSet<&'static str>;

/// The types within reach.
pub(super) struct Reach {
    /// Whether filters choose the types, as the topic has it.
    chooses: bool,
    /// The types that filters are for, with the path of each filter.
    bound: Vec<(String, Vec<&'static str>)>,
    /// The types that filters choose.
    chosen: Types,
    /// Those chosen by labels without a type, which only stand in for others: of a label alone every
    /// event is wanted, beside another filter it must not open more than that one.
    chosen_by_label: Types,
    /// The types that filters name.
    named: Types,
    /// The types that some filter is asked of and not offered for.
    closed: Types,
}

impl Reach {
    /// Every type, until there are filters.
    pub(super) fn of(filters_choose_types: bool) -> Self {
        Self {
            chooses: filters_choose_types,
            bound: Vec::new(),
            chosen: Types::new(),
            chosen_by_label: Types::new(),
            named: Types::new(),
            closed: Types::new(),
        }
    }

    /// Adds a filter, which is asked of these types and bound to some of them.
    pub(super) fn add(
        &mut self,
        names_type: bool,
        is_label: bool,
        asked: &[&'static str],
        bound: &[&'static str],
        path: &str,
    ) {
        let chosen =
            if is_label && !names_type { &mut self.chosen_by_label } else { &mut self.chosen };
        chosen.extend(bound);
        if names_type {
            self.named.extend(bound);
        }
        self.closed.extend(asked.iter().filter(|one| !bound.contains(one)));
        self.bound.push((path.to_owned(), bound.to_vec()));
    }

    /// Whether events about a type are wanted if they fit what is asked of it.
    pub(super) fn has(&self, one: &str) -> bool {
        let chosen = if self.chosen.is_empty() { &self.chosen_by_label } else { &self.chosen };
        if !self.chooses || self.bound.is_empty() {
            return !self.closed.contains(one);
        }
        chosen.contains(one) && (self.named.contains(one) || !self.closed.contains(one))
    }

    /// The filters that only are for types out of reach, by their paths.
    pub(super) fn useless(&self) -> Vec<String> {
        let useless = self.bound.iter().filter(|(_, types)| !types.iter().any(|one| self.has(one)));
        useless.map(|(path, _)| path.clone()).collect()
    }
}
