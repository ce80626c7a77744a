//! Resources of the simulation, and what their changes mean, told in the plainest way.
//!
//! It shares no code with what it checks: it knows a handful of topics and filters only, and reads them
//! back from the bytes in the log.

use cresset_model::Interaction;
use serde_json::{Value, json};

/// What triggers a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicKind {
    /// Every change.
    Any,
    /// What is completed after a create or update.
    Completed,
    /// Two items where one boolean is asked for: an error on most updates.
    Faulty,
    /// What was not in progress before and is now.
    Started,
}

/// What a subscription filters by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Its date is not before 2020; some dates cannot be read.
    Date,
    /// Its patient is female, which is looked up.
    Female,
    /// Nothing.
    None,
    /// It has this status.
    Status(String),
    /// It is about this patient.
    Subject(String),
}

/// An Encounter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encounter {
    pub(crate) status: String,
    pub(crate) subject: String,
    pub(crate) start: Option<String>,
}

/// Whether a change is an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is none.
    No,
    /// Nobody can tell, so it has to be none (I9).
    Unknowable,
    /// It is one.
    Yes,
}

pub(crate) const STATUSES: [&str; 4] = ["planned", "in-progress", "completed", "cancelled"];
pub(crate) const TOPIC_KINDS: [TopicKind; 4] =
    [TopicKind::Any, TopicKind::Completed, TopicKind::Faulty, TopicKind::Started];
/// A date that is none.
pub(crate) const UNREADABLE: &str = "the day before";

impl TopicKind {
    /// The topic with this id. Its URL follows from the id.
    pub(crate) fn json(self, id: &str, marker: &str) -> Value {
        let mut trigger = json!({"resource": "Encounter"});
        let writes = json!(["create", "update"]);
        match self {
            Self::Any => {}
            Self::Completed => {
                trigger["supportedInteraction"] = writes;
                trigger["queryCriteria"] = json!({"current": "status=completed"});
            }
            Self::Faulty => {
                trigger["supportedInteraction"] = writes;
                trigger["fhirPathCriteria"] =
                    "(%previous.empty() | (%previous.status != 'x')) and %current.exists()".into();
            }
            Self::Started => {
                trigger["supportedInteraction"] = writes;
                trigger["queryCriteria"] = json!({
                    "previous": "status:not=in-progress",
                    "resultForCreate": "test-passes",
                    "current": "status=in-progress",
                    "requireBoth": true,
                });
            }
        }
        let offer = |name: &str| json!({"resource": "Encounter", "filterParameter": name});
        json!({
            "resourceType": "SubscriptionTopic", "id": id, "status": "active",
            "url": topic_url(id), "title": format!("{self:?}"), "description": marker,
            "resourceTrigger": [trigger],
            "canFilterBy": [
                offer("status"), offer("subject"), offer("patient.gender"),
                {"resource": "Encounter", "filterParameter": "date", "comparator": ["ge"]},
            ],
        })
    }

    pub(crate) fn read(topic: &Value) -> Option<Self> {
        let title = topic["title"].as_str()?;
        TOPIC_KINDS.into_iter().find(|kind| format!("{kind:?}") == title)
    }

    fn fires(self, previous: Option<&Encounter>, current: Option<&Encounter>) -> Verdict {
        let is = |one: &Encounter, status| one.status == status;
        match self {
            Self::Any => Verdict::Yes,
            Self::Completed => Verdict::of(current.is_some_and(|one| is(one, "completed"))),
            Self::Faulty => match (previous, current) {
                (None, Some(_)) => Verdict::Yes,
                (Some(_), Some(_)) => Verdict::Unknowable,
                (_, None) => Verdict::No,
            },
            Self::Started => Verdict::of(
                previous.is_none_or(|one| !is(one, "in-progress"))
                    && current.is_some_and(|one| is(one, "in-progress")),
            ),
        }
    }
}

pub(crate) fn topic_url(id: &str) -> String {
    format!("http://sim.test/topic/{id}")
}

impl Filter {
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Date => {
                json!([{"filterParameter": "date", "comparator": "ge", "value": "2020-01-01"}])
            }
            Self::Female => json!([{"filterParameter": "patient.gender", "value": "female"}]),
            Self::None => Value::Null,
            Self::Status(status) => json!([{"filterParameter": "status", "value": status}]),
            Self::Subject(patient) => {
                json!([{"filterParameter": "subject", "value": format!("Patient/{patient}")}])
            }
        }
    }

    pub(crate) fn read(subscription: &Value) -> Self {
        let filter = &subscription["filterBy"][0];
        let value = filter["value"].as_str().unwrap_or_default();
        match filter["filterParameter"].as_str() {
            Some("date") => Self::Date,
            Some("patient.gender") => Self::Female,
            Some("status") => Self::Status(value.to_owned()),
            Some(_) => Self::Subject(value.trim_start_matches("Patient/").to_owned()),
            None => Self::None,
        }
    }

    /// `is_female` tells of a patient; one that is not there is not female.
    fn lets_through(&self, one: &Encounter, is_female: impl Fn(&str) -> bool) -> Verdict {
        match self {
            Self::Date => match one.start.as_deref() {
                None => Verdict::No,
                Some(UNREADABLE) => Verdict::Unknowable,
                Some(date) => Verdict::of(date >= "2020"),
            },
            Self::Female => Verdict::of(is_female(&one.subject)),
            Self::None => Verdict::Yes,
            Self::Status(status) => Verdict::of(one.status == *status),
            Self::Subject(patient) => Verdict::of(one.subject == *patient),
        }
    }
}

impl Verdict {
    fn of(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl Encounter {
    pub(crate) fn json(&self, id: &str, marker: &str) -> Value {
        let mut encounter = json!({
            "resourceType": "Encounter", "id": id, "status": self.status,
            "identifier": [{"value": marker}],
            "subject": {"reference": format!("Patient/{}", self.subject)},
        });
        if let Some(start) = &self.start {
            encounter["actualPeriod"] = json!({"start": start, "end": start});
        }
        encounter
    }

    pub(crate) fn read(encounter: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subject = text(&encounter["subject"]["reference"]);
        Self {
            status: text(&encounter["status"]),
            subject: subject.trim_start_matches("Patient/").to_owned(),
            start: encounter["actualPeriod"]["start"].as_str().map(str::to_owned),
        }
    }
}

/// Whether a change of an Encounter is an event of a subscription.
pub(crate) fn verdict(
    (topic, filter): (TopicKind, &Filter),
    interaction: Interaction,
    (previous, current): (Option<&Encounter>, Option<&Encounter>),
    is_female: impl Fn(&str) -> bool,
) -> Verdict {
    let focus = match interaction {
        Interaction::Create | Interaction::Update => current,
        Interaction::Delete => previous,
    };
    let Some(focus) = focus else { return Verdict::No };
    match (topic.fires(previous, current), filter.lets_through(focus, is_female)) {
        (Verdict::No, _) | (_, Verdict::No) => Verdict::No,
        (Verdict::Yes, Verdict::Yes) => Verdict::Yes,
        (Verdict::Unknowable, _) | (_, Verdict::Unknowable) => Verdict::Unknowable,
    }
}
