//! Tests of topics in all forms (RQ section 2, TR-23).

use cresset_definitions::FhirVersion;
use cresset_model::{
    Coding, Comparator, CriteriaResult, EventTrigger, FhirPathCriteria, FilterDefinition,
    Interaction, Modifier, NotificationShape, Opaque, Period, QueryCriteria, RelatedQuery,
    ResourceId, ResourceTrigger, Topic, TopicStatus,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::*;
use crate::test_data::{arbitrary_value, shared_values, told};
use crate::{Codec, json};

fn id() -> ResourceId {
    ResourceId::new("t").unwrap()
}

#[test]
fn every_topic_of_others_parses_and_renders_in_every_form() {
    let mut seen = 0;
    for (folder, prefix) in [
        ("topics/r4b-core", "subscriptiontopic-"),
        ("topics/r5-core", "subscriptiontopic-"),
        ("topics/davinci-pas", ""),
        ("topics/fhir-candle", ""),
        ("ig-1.2.0-ballot", "Basic-"),
        ("ig-1.2.0-ballot", "SubscriptionTopic-"),
        ("examples/R4B/SubscriptionTopic", ""),
        ("examples/R5/SubscriptionTopic", ""),
    ] {
        for (path, value) in shared_values(folder, prefix) {
            let resource_type = value["resourceType"].as_str().unwrap();
            if !matches!(resource_type, "Basic" | "SubscriptionTopic") {
                continue;
            }
            let topic = parse_topic_any(&value).unwrap_or_else(|it| panic!("{path:?}: {it}"));
            let triggers = topic.resource_triggers.len() + topic.event_triggers.len();
            assert!(triggers > 0 && !topic.url.is_empty(), "{path:?}");
            assert_eq!(Codec::of(FhirVersion::R4).is_topic(&value), resource_type == "Basic");
            check_round_trip(&topic);
            seen += 1;
        }
    }
    println!("{seen} topics");
}

#[test]
fn basic_in_all_its_forms_is_the_same_topic() {
    let part = |start: &str, name: &str, key: &str, value: Value| {
        let url = format!("{start}{name}");
        json!({ "url": url, key: value })
    };
    let form = |start: &str, trigger_start: &str| {
        let trigger = json!([
            { "url": "resource", "valueUri": "Encounter" },
            { "url": "supportedInteraction", "valueCode": "create" },
            { "url": "queryCriteria", "extension": [
                { "url": "current", "valueString": "status=finished" },
                { "url": "requireBoth", "valueBoolean": true },
            ]},
        ]);
        json!([
            part(start, "url", "valueUri", json!("http://example.org/t")),
            part(start, "title", "valueString", json!("T")),
            part(trigger_start, "resourceTrigger", "extension", trigger),
        ])
    };
    let newer = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic";
    let older = "http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic";
    let status = |start: &str| json!([part(start, "status", "valueCode", json!("active"))]);
    let basic = |extension: Value, modifier: Value| json!({ "resourceType": "Basic", "extension": extension, "modifierExtension": modifier });
    let dot = |start: &str| format!("{start}.");
    let mut inner = form("", "").as_array().unwrap().clone();
    inner.extend(status("").as_array().unwrap().clone());
    let forms = [
        basic(form(&dot(newer), &dot(newer)), status(&dot(newer))),
        basic(form(&dot(older), &dot(older)), status(&dot(older))),
        basic(form(&dot(newer), &dot(older)), status(&dot(newer))),
        basic(json!([{ "url": newer, "extension": inner }]), json!([])),
        basic(json!([{ "url": newer, "extension": form("", "") }]), status(&dot(newer))),
    ];
    let topics: Vec<_> = forms.iter().map(|form| parse_topic_any(form).unwrap()).collect();
    assert_eq!(topics[0].resource_triggers[0].resource, "Encounter");
    assert!(topics[0].resource_triggers[0].query_criteria.as_ref().unwrap().require_both);
    assert_eq!(topics[0].status, TopicStatus::Active);
    for (form, topic) in forms.iter().zip(&topics) {
        assert_eq!(topic, &topics[0], "{form}");
        assert!(is_basic_topic(form));
    }
    assert!(!is_basic_topic(&json!({ "resourceType": "Basic", "extension": [{ "url": "x" }] })));
}

#[test]
fn elements_that_no_topic_has_and_unknown_modifiers_are_refused() {
    let base = |mut more: Value| {
        more["resourceType"] = json!("SubscriptionTopic");
        more["url"] = json!("http://x");
        more["status"] = json!("active");
        parse_topic_any(&more).map(|_| ()).map_err(|issues| told(&issues))
    };
    let refused = |at: &str| Err(vec![at.to_owned()]);
    for (more, verdict) in [
        (
            json!({ "versionAlgorithmString": "semver", "_title": { "id": "a" }, "text": {} }),
            Ok(()),
        ),
        (json!({ "trigger": [] }), refused("InvalidElement SubscriptionTopic.trigger")),
        (
            json!({ "resourceTrigger": [{ "resource": "Patient", "queryCriteria": { "curent": "x" } }] }),
            refused("InvalidElement SubscriptionTopic.resourceTrigger[0].queryCriteria.curent"),
        ),
        (
            json!({ "canFilterBy": [{ "filterParameter": "a", "modifierExtension": [{ "url": "http://y" }] }] }),
            refused("UnknownExtension SubscriptionTopic.canFilterBy[0].modifierExtension"),
        ),
        (json!({ "extension": [{ "url": "http://y", "valueString": "z" }] }), Ok(())),
    ] {
        assert_eq!(base(more.clone()), verdict, "{more}");
    }
    let start = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.";
    let basic = |extension: Value, modifiers: Value| {
        let mut extensions = vec![json!({ "url": format!("{start}url"), "valueUri": "http://x" })];
        extensions.push(extension);
        let status = json!({ "url": format!("{start}status"), "valueCode": "active" });
        let modifiers: Vec<_> =
            modifiers.as_array().unwrap().iter().cloned().chain([status]).collect();
        let basic = json!({ "resourceType": "Basic", "extension": extensions, "modifierExtension": modifiers });
        parse_topic_any(&basic).map(|_| ()).map_err(|issues| told(&issues))
    };
    let foreign = json!({ "url": "http://y", "valueString": "z" });
    assert_eq!(basic(foreign.clone(), json!([])), Ok(()));
    assert_eq!(
        basic(foreign.clone(), json!([foreign])),
        refused("UnknownExtension Basic.modifierExtension[0]")
    );
    let unknown = json!({ "url": format!("{start}trigger"), "valueString": "z" });
    assert_eq!(basic(unknown, json!([])), refused("InvalidElement Basic.extension[1]"));
    let inside = json!({ "url": format!("{start}resourceTrigger"), "extension": [
        { "url": "resource", "valueUri": "Patient" }, { "url": "criteria", "valueString": "x" },
        { "url": "http://y", "valueString": "z" },
    ]});
    assert_eq!(basic(inside, json!([])), refused("InvalidElement Basic.extension[1].extension[1]"));
}

#[test]
fn the_form_of_a_topic_shows_in_its_elements() {
    let form = |more: Value| {
        let mut topic = more;
        topic["resourceType"] = json!("SubscriptionTopic");
        topic_form(&topic).map(TopicForm::name)
    };
    assert_eq!(form(json!({})), Some("R4B or R5"));
    assert_eq!(form(json!({ "name": "x" })), Some("R5"));
    assert_eq!(form(json!({ "canFilterBy": [{ "comparator": ["ge"] }] })), Some("R5"));
    assert_eq!(form(json!({ "canFilterBy": [{ "modifier": ["="] }] })), Some("R4B"));
    assert_eq!(form(json!({ "canFilterBy": [{ "modifier": ["missing"] }] })), Some("R4B or R5"));
    assert_eq!(topic_form(&json!({ "resourceType": "Basic" })), None);
    assert_eq!(topic_form(&json!({ "resourceType": "Patient" })), None);
}

#[test]
fn comparators_are_understood_where_r4b_and_where_r5_puts_them() {
    let filter = |filter: Value| {
        let topic = parse_topic_any(&json!({
            "resourceType": "SubscriptionTopic", "url": "http://x", "status": "active",
            "canFilterBy": [filter],
        }));
        let filter = topic.unwrap().can_filter_by.remove(0);
        (filter.comparators, filter.modifiers, filter.resource)
    };
    let parameter = "filterParameter";
    assert_eq!(
        filter(json!({ parameter: "a", "modifier": ["=", "in", "ge", "eq"] })),
        (vec![Comparator::Eq, Comparator::Ge], vec![Modifier::In], None)
    );
    assert_eq!(
        filter(
            json!({ parameter: "a", "comparator": ["ge"], "modifier": ["in"], "resource": "*" })
        ),
        (vec![Comparator::Ge], vec![Modifier::In], None)
    );
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let topic = json!({
        "resourceType": "SubscriptionTopic",
        "status": "on",
        "resourceTrigger": [
            { "supportedInteraction": ["create", "read"] },
            { "resource": "Parameters", "queryCriteria": { "requireBoth": "yes", "resultForCreate": "x" } },
            7,
        ],
        "eventTrigger": [{ "resource": "Encounter" }, { "resource": "Encounter", "event": { "text": "x" } }],
        "canFilterBy": [{ "modifier": ["is"] }],
        "notificationShape": [{ "include": [""] }],
    });
    assert_eq!(
        told(&parse_topic_any(&topic).unwrap_err()),
        [
            "MissingElement SubscriptionTopic.url",
            "InvalidElement SubscriptionTopic.status",
            "InvalidElement SubscriptionTopic.resourceTrigger[2]",
            "MissingElement SubscriptionTopic.resourceTrigger[0].resource",
            "InvalidElement SubscriptionTopic.resourceTrigger[0].supportedInteraction[1]",
            "InvalidTrigger SubscriptionTopic.resourceTrigger[1].resource",
            "InvalidElement SubscriptionTopic.resourceTrigger[1].queryCriteria.resultForCreate",
            "InvalidElement SubscriptionTopic.resourceTrigger[1].queryCriteria.requireBoth",
            "MissingElement SubscriptionTopic.eventTrigger[0].event",
            "MissingElement SubscriptionTopic.eventTrigger[1].event",
            "MissingElement SubscriptionTopic.canFilterBy[0].filterParameter",
            "InvalidElement SubscriptionTopic.canFilterBy[0].modifier[0]",
            "MissingElement SubscriptionTopic.notificationShape[0].resource",
            "InvalidElement SubscriptionTopic.notificationShape[0].include[0]",
        ]
    );
    assert!(Codec::of(FhirVersion::R4).parse_topic(&topic).is_err());
    assert!(Codec::of(FhirVersion::R5).parse_topic(&json!({ "resourceType": "Basic" })).is_err());
}

#[test]
fn what_tells_people_of_a_topic_is_carried_into_every_form() {
    let mut seen = 0;
    for (folder, prefix) in [
        ("topics/fhir-candle", "subscriptions__r4__basic-"),
        ("topics/r5-core", "subscriptiontopic-example."),
        ("ig-1.2.0-ballot", "Basic-"),
    ] {
        for (path, value) in shared_values(folder, prefix) {
            let topic = parse_topic_any(&value).unwrap();
            assert!(topic.metadata.iter().any(|(name, _)| name == "date"), "{path:?}");
            seen += 1;
        }
    }
    println!("{seen} topics");
    let wrong = json!({
        "resourceType": "SubscriptionTopic", "url": "http://x", "status": "active",
        "date": 2026, "contact": [{ "name": "a" }, "b"], "experimental": "yes",
        "effectivePeriod": "2026",
        "notificationShape": [{
            "resource": "Encounter",
            "extension": [{ "url": crate::urls::RELATED_QUERY, "extension": [
                { "url": "queryType", "valueCode": "x" },
            ]}],
        }],
    });
    let query = "SubscriptionTopic.notificationShape[0].extension[0]";
    assert_eq!(
        told(&parse_topic_any(&wrong).unwrap_err()),
        [
            "InvalidElement SubscriptionTopic.effectivePeriod",
            "InvalidElement SubscriptionTopic.experimental",
            "InvalidElement SubscriptionTopic.date",
            "InvalidElement SubscriptionTopic.contact[1]",
            &format!("MissingElement {query}"),
            &format!("InvalidElement {query}.extension[0].value"),
        ]
    );
}

fn check_round_trip(topic: &Topic) {
    for version in FhirVersion::ALL {
        let bytes = Codec::of(version).render_topic(topic, &id());
        let value = json::parse(&bytes).unwrap();
        let again = Codec::of(version).parse_topic(&value);
        assert_eq!(again.as_ref(), Ok(topic), "{version} {value}");
        assert!(Codec::of(version).is_topic(&value));
    }
}

fn text() -> impl Strategy<Value = String> {
    "[ -~é]{1,12}"
}

fn optional_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn name() -> impl Strategy<Value = SmolStr> {
    text().prop_map(SmolStr::new)
}

/// A set of codes in order, as the reader gives them.
fn some_of<T: Copy + Ord + std::fmt::Debug + 'static>(
    all: &'static [T],
) -> impl Strategy<Value = Vec<T>> {
    prop::collection::btree_set(prop::sample::select(all), 0..3)
        .prop_map(|set| set.into_iter().collect())
}

prop_compose! {
    fn resource_trigger()(
        description in optional_text(),
        resource in name(),
        supported_interactions in prop::collection::vec(prop::sample::select(
            &[Interaction::Create, Interaction::Update, Interaction::Delete][..]), 0..3),
        query in prop::option::of((optional_text(), optional_text(), any::<bool>(),
            prop::option::of(prop::sample::select(CriteriaResult::ALL)))),
        path in optional_text(),
    ) -> ResourceTrigger {
        ResourceTrigger {
            description, resource, supported_interactions,
            query_criteria: query.filter(|_| true).map(|(previous, current, require_both, result)| QueryCriteria {
                previous, current, require_both, result_for_create: result, result_for_delete: result,
            }),
            fhir_path_criteria: path.map(FhirPathCriteria),
        }
    }
}

prop_compose! {
    fn filter_definition()(
        description in optional_text(),
        resource in prop::option::of(name().prop_filter("stands for all", |name| name != "*")),
        filter_parameter in name(),
        filter_definition in prop::option::of(name()),
        comparators in some_of(Comparator::ALL),
        modifiers in some_of(Modifier::ALL),
        code in prop::option::of((prop::option::of(name()), name())),
    ) -> FilterDefinition {
        FilterDefinition {
            description, resource, filter_parameter, filter_definition, comparators, modifiers,
            codes: code.into_iter().map(|(system, code)| Coding { system, code }).collect(),
        }
    }
}

prop_compose! {
    fn event_trigger()(
        description in optional_text(),
        event in prop::collection::vec((prop::option::of(name()), name()), 1..3),
        text in optional_text(),
        resource in name(),
    ) -> EventTrigger {
        let event = event.into_iter().map(|(system, code)| Coding { system, code }).collect();
        EventTrigger { description, event, text, resource }
    }
}

prop_compose! {
    fn shape()(
        resource in name(),
        include in prop::collection::vec(text(), 0..3),
        rev_include in prop::collection::vec(text(), 0..3),
        queries in prop::collection::vec((any::<bool>(), text()), 0..2),
    ) -> NotificationShape {
        let coding = || Opaque(r#"{"code":"x","display":"X"}"#.to_owned());
        let related_queries = queries.into_iter().map(|(typed, query)| {
            RelatedQuery { query_type: typed.then(coding), query }
        }).collect();
        NotificationShape { resource, include, rev_include, related_queries }
    }
}

/// All there is in any version, in the order the reader gives it.
fn metadata() -> impl Strategy<Value = Vec<(SmolStr, Opaque)>> {
    const ALL: [(&str, &str); 17] = [
        ("identifier", r#"{"value":"1"}"#),
        ("identifier", r#"{"value":"2"}"#),
        ("versionAlgorithmString", r#""semver""#),
        ("versionAlgorithmCoding", r#"{"code":"semver"}"#),
        ("name", r#""Name""#),
        ("experimental", "true"),
        ("date", r#""2026-01-01T10:00:00Z""#),
        ("publisher", r#""Publisher""#),
        ("contact", r#"{"name":"a"}"#),
        ("contact", r#"{"name":"b"}"#),
        ("useContext", r#"{"code":{"code":"focus"},"valueQuantity":{"value":1.50}}"#),
        ("jurisdiction", r#"{"text":"J"}"#),
        ("purpose", r#""P""#),
        ("copyright", r#""C""#),
        ("copyrightLabel", r#""L""#),
        ("approvalDate", r#""2026-01-01""#),
        ("lastReviewDate", r#""2026-01""#),
    ];
    prop::sample::subsequence(ALL.to_vec(), 0..=ALL.len()).prop_map(|some| {
        some.into_iter().map(|(name, json)| (name.into(), Opaque(json.to_owned()))).collect()
    })
}

prop_compose! {
    fn period()(start in prop::option::of(name()), end in name()) -> Period {
        Period { start, end: Some(end) }
    }
}

prop_compose! {
    fn topic()(
        url in name(),
        version in prop::option::of(name()),
        title in optional_text(),
        description in optional_text(),
        status in prop::sample::select(TopicStatus::ALL),
        derived_from in prop::collection::vec(name(), 0..3),
        resource_triggers in prop::collection::vec(resource_trigger(), 0..3),
        event_triggers in prop::collection::vec(event_trigger(), 0..2),
        can_filter_by in prop::collection::vec(filter_definition(), 0..3),
        notification_shapes in prop::collection::vec(shape(), 0..2),
        (effective_period, metadata) in (prop::option::of(period()), metadata()),
        filters_choose_types in any::<bool>(),
    ) -> Topic {
        Topic {
            url, version, title, description, status, derived_from, effective_period, metadata,
            resource_triggers, event_triggers, can_filter_by, notification_shapes,
            filters_choose_types,
        }
    }
}

proptest! {
    #[test]
    fn what_is_rendered_parses_to_the_same_topic(topic in topic()) {
        check_round_trip(&topic);
    }

    #[test]
    fn reading_any_topic_never_panics(mut value in arbitrary_value(), basic in any::<bool>()) {
        if let Some(members) = value.as_object_mut() {
            let name = if basic { "Basic" } else { "SubscriptionTopic" };
            members.insert("resourceType".to_owned(), json!(name));
        }
        drop(parse_topic_any(&value));
        is_basic_topic(&value);
    }
}
