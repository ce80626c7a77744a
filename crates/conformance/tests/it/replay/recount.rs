//! Which changes are events, worked out by hand from JSON: nothing of the product is used.

use cresset_conformance::Filter;
use serde_json::Value;

/// The patient that filters on references look for in Synthea's data.
pub(super) const PATIENT: &str = "replayed-patient";

/// What happened to a resource.
pub(super) struct Change<'c> {
    pub(super) resource_type: &'c str,
    pub(super) id: &'c str,
    pub(super) previous: Option<&'c Value>,
    pub(super) current: Option<&'c Value>,
}

/// Whether a change is an event.
type Fires = fn(&Change<'_>) -> bool;

/// A topic, what a subscription asks of it, and when that gives an event.
pub(super) struct Probe {
    pub(super) topic: &'static str,
    pub(super) filters: Vec<Filter>,
    pub(super) fires: Fires,
}

impl Change<'_> {
    pub(super) fn focus(&self) -> String {
        format!("{}/{}", self.resource_type, self.id)
    }

    fn is(&self, resource_type: &str) -> bool {
        self.resource_type == resource_type
    }

    fn is_create(&self) -> bool {
        self.previous.is_none()
    }

    fn is_update(&self) -> bool {
        self.previous.is_some() && self.current.is_some()
    }

    fn is_delete(&self) -> bool {
        self.current.is_none()
    }

    /// What filters look at: the new state, on delete the last.
    fn state(&self) -> &Value {
        self.current.or(self.previous).expect("one of the two")
    }
}

/// Every subscription of the replay.
pub(super) fn probes() -> Vec<Probe> {
    let mut probes = plain();
    probes.extend(filtered());
    probes
}

fn plain() -> Vec<Probe> {
    let probe = |topic, fires: Fires| Probe { topic, filters: Vec::new(), fires };
    vec![
        probe("patients", |change| change.is("Patient")),
        probe("observations-created", |change| change.is("Observation") && change.is_create()),
        probe("observations-final", |change| {
            // On create the previous state counts as failed, and both are required.
            let before = change.previous.is_some_and(|it| it["status"] == "final");
            let after = change.current.is_none_or(|it| it["status"] != "final");
            change.is("Observation") && before && after
        }),
        probe("encounters-ended", |change| {
            let before = change.previous.is_none_or(|it| has_status(it, &STARTED));
            let after = change.current.is_some_and(|it| has_status(it, &ENDED));
            change.is("Encounter") && before && after
        }),
        probe("encounters-touched", |change| {
            // Either suffices; what a create or delete lacks counts as failed.
            let open = |it: &Value| it["status"] == "in-progress";
            change.is("Encounter")
                && (change.previous.is_some_and(open) || change.current.is_some_and(open))
        }),
        probe("conditions-active", |change| {
            let active = |it: &Value| has_code(&it["clinicalStatus"], None, "active");
            change.is("Condition") && change.current.is_some_and(active)
        }),
        probe("procedures", |change| change.is("Procedure")),
        probe("orders", is_order),
        probe("deleted", |change| change.is_delete()),
        probe("vaccinated-since-2015", |change| {
            let since =
                |it: &Value| it["occurrenceDateTime"].as_str().is_some_and(|at| at >= "2015");
            // On update only the current state is tested; on delete nothing passes.
            change.is("Immunization") && change.current.is_some_and(since)
        }),
        probe("large-amounts", |change| {
            let large = |it: &Value| amount(it).is_some_and(|amount| amount > 100.0);
            change.is("Observation") && change.current.is_some_and(large)
        }),
    ]
}

const STARTED: [&str; 3] = ["planned", "arrived", "in-progress"];
const ENDED: [&str; 2] = ["finished", "completed"];

fn is_order(change: &Change<'_>) -> bool {
    let Some(current) = change.current else { return false };
    let ordered = current["intent"] == "order";
    let medication = change.is("MedicationRequest") && current["status"] == "active";
    let service = change.is("ServiceRequest") && current["status"] != "draft";
    ordered && (medication || service)
}

fn filtered() -> Vec<Probe> {
    let with = |topic, filters, fires: Fires| Probe { topic, filters, fires };
    let new = Filter::new;
    vec![
        with("patients", vec![new("gender", "female")], |change| {
            change.is("Patient") && change.state()["gender"] == "female"
        }),
        with("patients", vec![new("family", "ch")], |change| {
            let begins = |family: &str| fold(family).starts_with("ch");
            change.is("Patient") && families(change.state()).any(begins)
        }),
        with("patients", vec![new("family", "Chalmers").modifier("exact")], |change| {
            change.is("Patient") && families(change.state()).any(|family| family == "Chalmers")
        }),
        with("patients", vec![new("family", "an").modifier("contains")], |change| {
            let holds = |family: &str| fold(family).contains("an");
            change.is("Patient") && families(change.state()).any(holds)
        }),
        with("patients", vec![new("birthdate", "1970").comparator("lt")], |change| {
            let born = change.state()["birthDate"].as_str();
            change.is("Patient") && born.is_some_and(|born| &born[..4] < "1970")
        }),
        with("observations-created", vec![new("code", "http://loinc.org|29463-7")], |change| {
            let weight = has_code(&change.state()["code"], Some("http://loinc.org"), "29463-7");
            change.is("Observation") && change.is_create() && weight
        }),
        with("observations-created", vec![new("date", "2013").comparator("ge")], |change| {
            let state = change.state();
            change.is("Observation") && change.is_create() && ends_in_or_after(state, "2013")
        }),
        with(
            "observations-created",
            vec![new("value-quantity", "100").comparator("gt")],
            |change| {
                let large = amount(change.state()).is_some_and(|amount| amount > 100.0);
                change.is("Observation") && change.is_create() && large
            },
        ),
        with("observations-created", vec![new("patient", "Patient/example")], |change| {
            change.is("Observation") && change.is_create() && is_about(change, "example")
        }),
        with("observations-created", vec![new("patient", "Patient/replayed-patient")], |change| {
            change.is("Observation") && change.is_create() && is_about(change, PATIENT)
        }),
        with("procedures", vec![new("patient", "Patient/example")], |change| {
            change.is("Procedure") && is_about(change, "example")
        }),
        with("procedures", vec![new("patient", "Patient/replayed-patient")], |change| {
            change.is("Procedure") && is_about(change, PATIENT)
        }),
        with("procedures", vec![new("status", "completed").modifier("not")], |change| {
            change.is("Procedure") && change.state()["status"] != "completed"
        }),
        with("conditions-active", vec![new("patient", "Patient/example")], |change| {
            let active = |it: &Value| has_code(&it["clinicalStatus"], None, "active");
            let condition = change.is("Condition") && change.current.is_some_and(active);
            condition && is_about(change, "example")
        }),
        with("orders", vec![new("patient", "Patient/pat1")], |change| {
            is_order(change) && is_about(change, "pat1")
        }),
        with("deleted", vec![new("_id", "example")], |change| {
            change.is_delete() && change.id == "example"
        }),
        with("encounters-ended", vec![new("class", "AMB")], |change| {
            let before = change.previous.is_none_or(|it| has_status(it, &STARTED));
            let after = change.current.is_some_and(|it| has_status(it, &ENDED));
            change.is("Encounter")
                && change.is_update() | change.is_create()
                && before
                && after
                && is_ambulatory(change.state())
        }),
    ]
}

fn has_status(resource: &Value, statuses: &[&str]) -> bool {
    resource["status"].as_str().is_some_and(|status| statuses.contains(&status))
}

/// Whether a CodeableConcept has this code.
fn has_code(concept: &Value, system: Option<&str>, code: &str) -> bool {
    let codings = concept["coding"].as_array();
    codings.into_iter().flatten().any(|coding| {
        coding["code"] == code && system.is_none_or(|system| coding["system"] == system)
    })
}

/// A Coding in R4 and R4B, a list of CodeableConcepts in R5.
fn is_ambulatory(encounter: &Value) -> bool {
    let class = &encounter["class"];
    let concepts = class.as_array().into_iter().flatten();
    class["code"] == "AMB" || concepts.into_iter().any(|one| has_code(one, None, "AMB"))
}

fn families(patient: &Value) -> impl Iterator<Item = &str> {
    let names = patient["name"].as_array().into_iter().flatten();
    names.filter_map(|name| name["family"].as_str())
}

/// String search looks at neither case nor accents.
fn fold(text: &str) -> String {
    let plain = |letter| match letter {
        'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'ö' | 'õ' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ñ' => 'n',
        'ç' => 'c',
        other => other,
    };
    text.to_lowercase().chars().map(plain).collect()
}

fn amount(observation: &Value) -> Option<f64> {
    // Numbers are kept as they are written.
    observation["valueQuantity"]["value"].as_f64()
}

/// Whether what an observation is about ends in this year or later.
fn ends_in_or_after(observation: &Value, year: &str) -> bool {
    let single = ["effectiveDateTime", "effectiveInstant"]
        .iter()
        .find_map(|name| observation[*name].as_str());
    if let Some(at) = single {
        return &at[..4] >= year;
    }
    let period = &observation["effectivePeriod"];
    period.is_object() && period["end"].as_str().is_none_or(|end| &end[..4] >= year)
}

/// Whether it is about the patient with this id.
fn is_about(change: &Change<'_>, id: &str) -> bool {
    let state = change.state();
    let mut references = ["subject", "patient"].iter().map(|name| &state[*name]["reference"]);
    references.any(|reference| *reference == format!("Patient/{id}"))
}
