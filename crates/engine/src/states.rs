//! The states of a resource before and after a change, and what search finds in them.

use std::cell::OnceCell;

use cresset_model::Interaction;
use cresset_search::{ResourceValues, Scope};
use jiff::Timestamp;
use serde_json::Value;

/// One change of one resource, to be evaluated.
#[derive(Debug, Clone, Copy)]
pub struct ResourceChange<'a> {
    /// Its type.
    pub resource_type: &'a str,
    /// Its id.
    pub id: &'a str,
    /// What was done.
    pub interaction: Interaction,
    /// When; topics are in force for a time only.
    pub at: Timestamp,
    /// The resource before; not looked at for a create.
    pub previous: Option<&'a Value>,
    /// The resource after; not looked at for a delete.
    pub current: Option<&'a Value>,
}

/// Which of the two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Current,
    Previous,
}

/// Both states of one change; search values are extracted once, whoever asks first.
pub(crate) struct States<'e> {
    change: &'e ResourceChange<'e>,
    scope: Scope<'e>,
    current: OnceCell<ResourceValues<'e>>,
    previous: OnceCell<ResourceValues<'e>>,
}

impl<'e> States<'e> {
    pub(crate) fn new(change: &'e ResourceChange<'e>, scope: Scope<'e>) -> Self {
        Self { change, scope, current: OnceCell::new(), previous: OnceCell::new() }
    }

    pub(crate) fn interaction(&self) -> Interaction {
        self.change.interaction
    }

    pub(crate) fn at(&self) -> Timestamp {
        self.change.at
    }

    pub(crate) fn resource_type(&self) -> &'e str {
        self.change.resource_type
    }

    /// The resource in this state; none if the interaction has no such state or nobody knows it.
    pub(crate) fn resource(&self, when: When) -> Option<&'e Value> {
        match (when, self.change.interaction) {
            (When::Current, Interaction::Delete) | (When::Previous, Interaction::Create) => None,
            (When::Current, Interaction::Create | Interaction::Update) => self.change.current,
            (When::Previous, Interaction::Delete | Interaction::Update) => self.change.previous,
        }
    }

    /// What search finds in this state, if the state is known.
    pub(crate) fn values(&self, when: When) -> Option<&ResourceValues<'e>> {
        let resource = self.resource(when)?;
        let cell = match when {
            When::Current => &self.current,
            When::Previous => &self.previous,
        };
        Some(
            cell.get_or_init(|| {
                ResourceValues::new(self.scope, self.change.resource_type, resource)
            }),
        )
    }

    /// The state that filters look at: what is there after the change, or was there before a
    /// delete (RQ-TP-55).
    pub(crate) fn filtered(&self) -> When {
        match self.change.interaction {
            Interaction::Create | Interaction::Update => When::Current,
            Interaction::Delete => When::Previous,
        }
    }
}
