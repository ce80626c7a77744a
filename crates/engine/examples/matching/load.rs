//! The loads: topics, subscriptions to them, and changes of which each is the event of one.

use cresset_definitions::FhirVersion;
use cresset_engine::{Catalog, CompiledSubscription, ResourceChange};
use cresset_model::{
    Canonical, ChannelType, Comparator, FhirPathCriteria, Filter, FilterDefinition, Interaction,
    PayloadContent, Position, ResourceId, ResourceTrigger, Subscription, SubscriptionKey,
    SubscriptionStatus, Topic, TopicStatus,
};
use cresset_search::{Criterion, Parameters, Scope};
use serde_json::Value;

const BASE_URL: &str = "http://server.example/r4";
/// Values of one that filters on a set of patients.
const SET_VALUES: u64 = 8;
/// Topics of the load with many.
const TOPICS: u64 = 1_000;
/// 2020-01-01, from which each subscription to a range of time has a minute of its own.
const FIRST_MINUTE: i64 = 1_577_836_800 / 60;

/// A load by its name in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// W2: a patient each, but of 100 ten have a range, five a set, one a topic with FHIRPath.
    Mixed,
    /// A patient each.
    Patient,
    /// A range of time each.
    Range,
    /// A patient each, to one of 1,000 topics.
    Topics,
    /// A patient each, and a code that all share.
    TwoFilters,
}

impl Load {
    pub(crate) const ALL: [Self; 5] =
        [Self::Patient, Self::TwoFilters, Self::Range, Self::Mixed, Self::Topics];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Patient => "patient",
            Self::Range => "range",
            Self::Topics => "topics",
            Self::TwoFilters => "two-filters",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|load| load.name() == name)
    }

    /// A catalog with the topics of the load.
    pub(crate) fn catalog(self) -> Catalog {
        let mut catalog = Catalog::new(Parameters::of(FhirVersion::R4), BASE_URL);
        let topics = if self == Self::Topics { TOPICS } else { 1 };
        for number in 0..topics {
            add_topic(&mut catalog, &topic(number, None));
        }
        if self == Self::Mixed {
            let status = "%current.status = 'final' and %current.code.coding.exists()";
            add_topic(&mut catalog, &topic(TOPICS, Some(status)));
        }
        catalog
    }

    /// A catalog with so many subscriptions.
    pub(crate) fn subscribed(self, count: u64) -> Catalog {
        let mut catalog = self.catalog();
        for number in 1..=count {
            let compiled = self.compile(&catalog, number);
            catalog.insert_subscription(key(number), compiled);
        }
        catalog
    }

    pub(crate) fn compile(self, catalog: &Catalog, number: u64) -> CompiledSubscription {
        let asked = subscription(self.topic_of(number), self.filters(number));
        catalog.compile_subscription(&asked).expect("the topic offers these filters")
    }

    fn topic_of(self, number: u64) -> u64 {
        match self {
            Self::Topics => number % TOPICS,
            Self::Mixed if number % 100 == 15 => TOPICS,
            Self::Mixed | Self::Patient | Self::Range | Self::TwoFilters => 0,
        }
    }

    fn filters(self, number: u64) -> Vec<Filter> {
        let patient = || filter("patient", None, &format!("Patient/p{number}"));
        match (self, number % 100) {
            (Self::Mixed, 0..5) | (Self::Range, _) => {
                let (from, to) = (minute(number), minute(number + 1));
                vec![
                    filter("date", Some(Comparator::Ge), &from),
                    filter("date", Some(Comparator::Lt), &to),
                ]
            }
            (Self::Mixed, 5..10) => {
                let (from, to) = (number.to_string(), (number + 1).to_string());
                vec![
                    filter("value-quantity", Some(Comparator::Ge), &from),
                    filter("value-quantity", Some(Comparator::Lt), &to),
                ]
            }
            (Self::Mixed, 10..15) => {
                let values = (0..SET_VALUES).map(|one| format!("Patient/p{number}.{one}"));
                vec![filter("patient", None, &values.collect::<Vec<_>>().join(","))]
            }
            (Self::TwoFilters, _) => {
                vec![patient(), filter("code", None, "http://loinc.org|85354-9")]
            }
            (Self::Mixed | Self::Patient | Self::Topics, _) => vec![patient()],
        }
    }

    /// A resource of whose creation only this subscription is told.
    pub(crate) fn resource(self, number: u64) -> Value {
        let (mut patient, mut at, mut value) = (
            format!("Patient/p{number}"),
            "2019-03-14T09:26:53+01:00".to_owned(),
            "0.5".to_owned(),
        );
        match (self, number % 100) {
            (Self::Mixed, 0..5) | (Self::Range, _) => {
                "Patient/nobody".clone_into(&mut patient);
                at = minute(number);
            }
            (Self::Mixed, 5..10) => {
                "Patient/nobody".clone_into(&mut patient);
                value = format!("{number}.5");
            }
            (Self::Mixed, 10..15) => patient.push_str(".3"),
            (Self::Mixed | Self::Patient | Self::Topics | Self::TwoFilters, _) => {}
        }
        let text = OBSERVATION.replace("{patient}", &patient);
        let text = text.replace("{at}", &at).replace("{value}", &value);
        serde_json::from_str(&text).expect("a resource")
    }

    /// The filters of a subscription, each compiled alone, for whoever asks one after the other.
    pub(crate) fn criteria(self, number: u64) -> Vec<Criterion> {
        let scope = Scope { parameters: Parameters::of(FhirVersion::R4), base_url: BASE_URL };
        let criterion = |filter: &Filter| {
            let (name, comparator) = (&filter.parameter, filter.comparator);
            Criterion::new(&scope, "Observation", name, None, comparator, &filter.value)
        };
        let criteria = self.filters(number);
        criteria.iter().map(|filter| criterion(filter).expect("a criterion")).collect()
    }
}

/// What search needs to know of the base.
pub(crate) fn scope() -> Scope<'static> {
    Scope { parameters: Parameters::of(FhirVersion::R4), base_url: BASE_URL }
}

pub(crate) fn key(number: u64) -> SubscriptionKey {
    SubscriptionKey::created_at(Position::new(number).expect("counted from 1"))
}

pub(crate) fn created(resource: &Value) -> ResourceChange<'_> {
    ResourceChange {
        resource_type: "Observation",
        id: "1",
        interaction: Interaction::Create,
        at: jiff::Timestamp::UNIX_EPOCH,
        previous: None,
        current: Some(resource),
    }
}

/// A minute of a range of its own, as a date.
fn minute(number: u64) -> String {
    let minutes = FIRST_MINUTE + i64::try_from(number).expect("few");
    let at = jiff::Timestamp::from_second(minutes * 60).expect("a time");
    at.to_string()
}

fn topic_url(number: u64) -> String {
    format!("http://topics.example/{number}")
}

fn topic(number: u64, expression: Option<&str>) -> Topic {
    let trigger = ResourceTrigger {
        description: None,
        resource: "Observation".into(),
        supported_interactions: vec![Interaction::Create],
        query_criteria: None,
        fhir_path_criteria: expression.map(|text| FhirPathCriteria(text.to_owned())),
    };
    let offer = |name: &str, comparators: &[Comparator]| FilterDefinition {
        description: None,
        resource: None,
        filter_parameter: name.into(),
        filter_definition: None,
        comparators: comparators.to_vec(),
        modifiers: Vec::new(),
        codes: Vec::new(),
    };
    let range = [Comparator::Ge, Comparator::Lt];
    Topic {
        url: topic_url(number).into(),
        version: None,
        title: None,
        description: None,
        status: TopicStatus::Active,
        derived_from: Vec::new(),
        effective_period: None,
        metadata: Vec::new(),
        resource_triggers: vec![trigger],
        event_triggers: Vec::new(),
        can_filter_by: vec![
            offer("patient", &[]),
            offer("code", &[]),
            offer("date", &range),
            offer("value-quantity", &range),
        ],
        filters_choose_types: false,
        notification_shapes: Vec::new(),
    }
}

fn add_topic(catalog: &mut Catalog, topic: &Topic) {
    let name = topic.url.rsplit('/').next().unwrap_or_default();
    let id = ResourceId::new(name).expect("an id");
    let (compiled, _) = catalog.compile_topic(&id, topic).expect("a topic");
    catalog.insert_topic(id, compiled.into());
}

fn filter(parameter: &str, comparator: Option<Comparator>, value: &str) -> Filter {
    Filter {
        resource_type: None,
        parameter: parameter.into(),
        comparator,
        modifier: None,
        value: value.to_owned(),
    }
}

fn subscription(topic: u64, filters: Vec<Filter>) -> Subscription {
    Subscription {
        status: SubscriptionStatus::Active,
        topic: Canonical::new(&topic_url(topic)),
        end: None,
        filters,
        channel_type: ChannelType::RestHook,
        endpoint: None,
        headers: Vec::new(),
        heartbeat_period: None,
        timeout: None,
        max_count: None,
        retry_period: None,
        mime_type: None,
        content: PayloadContent::IdOnly,
    }
}

/// An Observation as an electronic record would send it, 1.3 KB.
const OBSERVATION: &str = concat!(
    r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"1","#,
    r#""lastUpdated":"2026-03-14T09:26:54.123Z","#,
    r#""profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]},"#,
    r#""text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Blood pressure"#,
    r#" 128/82 mmHg, sitting, right arm, taken at rest by the nurse on duty</div>"},"#,
    r#""identifier":[{"system":"urn:ietf:rfc:3986","#,
    r#""value":"urn:uuid:187e0c12-8dd2-67e2-99b2-bf273c878281"}],"status":"final","#,
    r#""category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","#,
    r#""code":"vital-signs","display":"Vital Signs"}]}],"code":{"coding":[{"#,
    r#""system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel"}],"#,
    r#""text":"Blood pressure systolic & diastolic"},"subject":{"reference":"{patient}"},"#,
    r#""effectiveDateTime":"{at}","performer":[{"reference":"Practitioner/nurse-17"}],"#,
    r#""valueQuantity":{"value":{value},"unit":"mmHg","system":"http://unitsofmeasure.org","#,
    r#""code":"mm[Hg]"},"bodySite":{"coding":[{"system":"http://snomed.info/sct","#,
    r#""code":"368209003","display":"Right arm"}]},"component":[{"code":{"coding":[{"#,
    r#""system":"http://loinc.org","code":"8480-6","display":"Systolic"}]},"valueQuantity":"#,
    r#"{"value":128.0,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#,
);
