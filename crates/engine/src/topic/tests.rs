//! Which topics are taken, which are refused, and what their authors are told.

use cresset_model::{
    Coding, CriteriaResult, EventTrigger, FilterDefinition, Interaction, Period, QueryCriteria,
    ResourceTrigger, Topic,
};

use super::*;
use crate::fixtures::{
    catalog, codes, fhir_path_trigger, id, offer, query, query_trigger, topic, trigger,
};

/// The issues of a topic, and whether it is refused.
fn issues(topic: &Topic) -> (bool, Vec<String>) {
    match catalog().compile_topic(&id("t"), topic) {
        Ok((_, warnings)) => (false, codes(&warnings)),
        Err(issues) => (true, codes(&issues)),
    }
}

fn check_refused(topic: &Topic, expected: &[&str]) {
    assert_eq!(issues(topic), (true, expected.iter().map(|one| (*one).to_owned()).collect()));
}

fn check_taken(topic: &Topic, warnings: &[&str]) {
    assert_eq!(issues(topic), (false, warnings.iter().map(|one| (*one).to_owned()).collect()));
}

const RESOURCE: &str = "InvalidTrigger SubscriptionTopic.resourceTrigger[0].resource";

#[test]
fn a_trigger_names_a_resource_type_bare_or_by_url() {
    for resource in [
        "Encounter",
        "http://hl7.org/fhir/StructureDefinition/Encounter",
        "Resource",
        "DomainResource",
    ] {
        check_taken(&topic(vec![trigger(resource)], &[]), &[]);
    }
    let profiles = [
        "http://hl7.org/fhir/us/core/StructureDefinition/us-core-encounter",
        "http://hl7.org/fhir/StructureDefinition/vitalsigns",
        "Nonsense",
        "HumanName",
        "Patient.contact",
        "encounter",
        "",
    ];
    for resource in profiles {
        check_refused(&topic(vec![trigger(resource)], &[]), &[RESOURCE]);
    }
}

#[test]
fn secrets_and_status_resources_are_no_focus() {
    for resource in ["Subscription", "SubscriptionStatus", "Parameters"] {
        check_refused(&topic(vec![trigger(resource)], &[]), &[RESOURCE]);
    }
    let (all, _) =
        catalog().compile_topic(&id("t"), &topic(vec![trigger("Resource")], &[])).unwrap();
    assert!(all.focus_types().contains(&"Encounter") && all.focus_types().contains(&"Bundle"));
    assert!(!all.focus_types().contains(&"Subscription"));
}

#[test]
fn a_topic_that_nothing_can_fire_is_refused() {
    check_refused(&topic(vec![], &[]), &["InvalidTrigger SubscriptionTopic.resourceTrigger"]);
    let event = |resource: &str| EventTrigger {
        description: None,
        event: vec![Coding { system: None, code: "A01".into() }],
        text: None,
        resource: resource.into(),
    };
    let only_events =
        Topic { event_triggers: vec![event("Encounter")], ..topic(vec![], &["patient"]) };
    check_taken(&only_events, &[]);
    let both = Topic { resource_triggers: vec![trigger("Patient")], ..only_events.clone() };
    let (both, _) = catalog().compile_topic(&id("t"), &both).unwrap();
    assert_eq!(both.focus_types(), ["Encounter", "Patient"]);
    for resource in ["Nonsense", "Parameters"] {
        check_refused(
            &Topic { event_triggers: vec![event(resource)], ..only_events.clone() },
            &["InvalidTrigger SubscriptionTopic.eventTrigger[0].resource"],
        );
    }
    let events = vec![event("Encounter"); TRIGGERS_MAX + 1];
    check_refused(
        &Topic { event_triggers: events, ..only_events },
        &["OutOfBounds SubscriptionTopic.eventTrigger"],
    );
}

#[test]
fn a_topic_is_in_force_within_its_period_both_ends_included() {
    let period = |start: &str, end: &str| {
        let given = |text: &str| (!text.is_empty()).then(|| text.into());
        let effective_period = Some(Period { start: given(start), end: given(end) });
        Topic { effective_period, ..topic(vec![trigger("Encounter")], &[]) }
    };
    let check = |start: &str, end: &str, at: &str, expected: bool| {
        let (compiled, warnings) = catalog().compile_topic(&id("t"), &period(start, end)).unwrap();
        assert_eq!(codes(&warnings), [""; 0]);
        assert_eq!(compiled.is_effective(at.parse().unwrap()), expected, "{start}..{end} {at}");
    };
    check("2026-02", "", "2026-01-31T23:59:59.999Z", false);
    check("2026-02", "", "2026-02-01T00:00:00Z", true);
    check("", "2026-02", "2026-02-28T23:59:59.999Z", true);
    check("", "2026-02", "2026-03-01T00:00:00Z", false);
    check("2026-02-01T10:00:00+02:00", "2026-02-02", "2026-02-01T08:00:00Z", true);
    check("2026-02-01T10:00:00+02:00", "2026-02-02", "2026-02-01T07:59:59Z", false);
    check_refused(
        &period("soon", "2026"),
        &["InvalidElement SubscriptionTopic.effectivePeriod.start"],
    );
    check_taken(&period("2027", "2026"), &["SurprisingTopic SubscriptionTopic.effectivePeriod"]);
}

#[test]
fn criteria_that_cannot_be_evaluated_are_refused_each_at_its_place() {
    let broken = topic(
        vec![
            query_trigger("Encounter", query("status:not=planned", "stauts=completed&date=never")),
            query_trigger("Patient", query("gender:above=x", "")),
            query_trigger("Patient", query("", "_text=x")),
            query_trigger("Patient", QueryCriteria::default()),
        ],
        &[],
    );
    check_refused(
        &broken,
        &[
            "UnknownSearchParameter SubscriptionTopic.resourceTrigger[0].queryCriteria.current",
            "InvalidSearchValue SubscriptionTopic.resourceTrigger[0].queryCriteria.current",
            "InvalidSearchValue SubscriptionTopic.resourceTrigger[1].queryCriteria.previous",
            "UnsupportedSearch SubscriptionTopic.resourceTrigger[2].queryCriteria.current",
            "InvalidTrigger SubscriptionTopic.resourceTrigger[3].queryCriteria",
        ],
    );
}

#[test]
fn criteria_of_all_types_use_what_all_types_have() {
    check_taken(&topic(vec![query_trigger("Resource", query("", "_tag=a"))], &[]), &[]);
    let of_some = topic(vec![query_trigger("Resource", query("", "status=a"))], &[]);
    check_refused(
        &of_some,
        &["UnknownSearchParameter SubscriptionTopic.resourceTrigger[0].queryCriteria.current"],
    );
}

#[test]
fn an_expression_that_cannot_be_evaluated_is_refused_unless_a_query_says_the_same() {
    let path = "SubscriptionTopic.resourceTrigger[0].fhirPathCriteria";
    let cases = [
        ("%current.status = 'completed'", None),
        ("%previous.id.empty() or %previous.status != 'completed'", None),
        ("status = 'completed'", None),
        ("%current.status = ", Some("InvalidExpression")),
        ("%current.nosuch = 'completed'", Some("InvalidExpression")),
        ("%later.status = 'completed'", Some("InvalidExpression")),
        ("%current.type.memberOf('http://vs.example')", Some("UnsupportedExpression")),
        ("now() > today()", Some("UnsupportedExpression")),
    ];
    for (expression, refused) in cases {
        let alone = topic(vec![fhir_path_trigger("Encounter", expression)], &[]);
        let with_query = ResourceTrigger {
            query_criteria: Some(query("", "status=completed")),
            ..fhir_path_trigger("Encounter", expression)
        };
        let with_query = topic(vec![with_query], &[]);
        match refused {
            None => {
                check_taken(&alone, &[]);
                check_taken(&with_query, &[]);
            }
            Some(code) => {
                let issue = format!("{code} {path}");
                check_refused(&alone, &[&issue]);
                check_taken(&with_query, &[&issue]);
            }
        }
    }
}

#[test]
fn a_union_where_or_is_meant_is_taken_with_a_warning() {
    let path = "SurprisingTopic SubscriptionTopic.resourceTrigger[0].fhirPathCriteria";
    for (expression, warned) in [
        ("(%previous.empty() | (%previous.status != 'a')) and %current.status = 'a'", true),
        ("%current.status = 'a|b' or %current.status = 'it\\'s|'", false),
        ("%current.status = 'it\\'s' | %current.exists()", true),
    ] {
        let topic = topic(vec![fhir_path_trigger("Encounter", expression)], &[]);
        check_taken(&topic, &[path][..usize::from(warned)]);
    }
}

#[test]
fn a_broken_query_beside_a_good_expression_is_a_warning() {
    let both = ResourceTrigger {
        query_criteria: Some(query("", "stauts=completed")),
        ..fhir_path_trigger("Encounter", "%current.status = 'completed'")
    };
    check_taken(
        &topic(vec![both], &[]),
        &["UnknownSearchParameter SubscriptionTopic.resourceTrigger[0].queryCriteria.current"],
    );
}

#[test]
fn surprising_criteria_are_taken_with_a_warning() {
    let path = "SurprisingTopic SubscriptionTopic.resourceTrigger[0].queryCriteria";
    let passes = Some(CriteriaResult::TestPasses);
    let both = || query("status:not=completed", "status=completed");
    let cases: [(QueryCriteria, &[Interaction], usize); 7] = [
        (QueryCriteria { result_for_create: passes, ..both() }, &[], 0),
        // requireBoth forgotten.
        (QueryCriteria { require_both: false, ..both() }, &[], 1),
        (QueryCriteria { require_both: false, ..both() }, &[Interaction::Create], 0),
        // Every create, and every delete too.
        (
            QueryCriteria { require_both: false, result_for_create: passes, ..both() },
            &[Interaction::Create],
            1,
        ),
        (
            QueryCriteria {
                require_both: false,
                result_for_create: passes,
                result_for_delete: passes,
                ..both()
            },
            &[Interaction::Create, Interaction::Delete],
            2,
        ),
        // Never.
        (both(), &[Interaction::Create], 1),
        (both(), &[Interaction::Create, Interaction::Update], 0),
    ];
    for (criteria, interactions, warnings) in cases {
        let trigger = ResourceTrigger {
            supported_interactions: interactions.to_vec(),
            ..query_trigger("Encounter", criteria.clone())
        };
        let expected = vec![path; warnings];
        let (refused, found) = issues(&topic(vec![trigger], &[]));
        assert_eq!((refused, found), (false, expected.iter().map(ToString::to_string).collect()));
    }
}

#[test]
fn filters_that_no_search_parameter_stands_behind_are_taken_with_a_warning() {
    let parameter = "UnknownSearchParameter SubscriptionTopic.canFilterBy[0].filterParameter";
    let resource = "SurprisingTopic SubscriptionTopic.canFilterBy[0].resource";
    let modifier = "UnsupportedModifier SubscriptionTopic.canFilterBy[0].modifier";
    let comparator = "UnsupportedModifier SubscriptionTopic.canFilterBy[0].comparator";
    let membership = "SurprisingTopic SubscriptionTopic.canFilterBy[0].filterParameter";
    let cases: [(&str, &[&str]); 21] = [
        ("patient", &[]),
        ("Encounter.patient", &[]),
        ("Resource.patient", &[]),
        ("_id", &[]),
        ("id", &[]),
        ("date ge le", &[]),
        ("patient identifier missing", &[]),
        ("hub.event", &[parameter]),
        ("patient.gender not", &[]),
        ("patient.birthdate ge", &[]),
        ("patient.gender ge", &[comparator]),
        ("patient.nope", &[parameter]),
        ("subject:Patient.name exact", &[]),
        ("_has:Observation:encounter:code", &[]),
        ("_has:Observation:nope:code", &[parameter]),
        ("_in", &[membership]),
        ("subject._in", &[]),
        ("Observation.patient", &[resource]),
        ("patient in not-in", &[]),
        ("date ge in not-in", &[modifier, modifier]),
        ("patient ge", &[comparator]),
    ];
    for (offered, warnings) in cases {
        check_taken(&topic(vec![trigger("Encounter")], &[offered]), warnings);
    }
    // Groups have patients as members.
    check_taken(&topic(vec![trigger("Patient")], &["_in"]), &[]);
    check_taken(&topic(vec![trigger("Encounter"), trigger("Patient")], &["_in"]), &[]);
}

#[test]
fn a_filter_may_be_named_by_what_defines_it() {
    let url = "http://hl7.org/fhir/SearchParameter/clinical-patient";
    let by_definition = FilterDefinition { filter_definition: Some(url.into()), ..offer("whose") };
    let by_name = FilterDefinition { filter_parameter: url.into(), ..offer("x") };
    for definition in [by_definition, by_name] {
        let topic =
            Topic { can_filter_by: vec![definition], ..topic(vec![trigger("Encounter")], &[]) };
        let (compiled, warnings) = catalog().compile_topic(&id("t"), &topic).unwrap();
        assert!(warnings.0.is_empty(), "{warnings}");
        let offer = &compiled.offers()[0];
        assert_eq!(offer.name_of("Encounter", &offer.name), Some("patient"));
    }
}

#[test]
fn membership_may_be_asked_of_what_the_focus_refers_to() {
    let url = "http://hl7.org/fhir/SearchParameter/Encounter-subject";
    let definition = FilterDefinition { filter_definition: Some(url.into()), ..offer("_in") };
    let topic = Topic { can_filter_by: vec![definition], ..topic(vec![trigger("Encounter")], &[]) };
    let (compiled, warnings) = catalog().compile_topic(&id("t"), &topic).unwrap();
    assert!(warnings.0.is_empty(), "{warnings}");
    assert_eq!(compiled.offers()[0].name_of("Encounter", "_in"), Some("subject._in"));
}

#[test]
fn a_modifier_that_one_of_several_types_does_not_have_is_told() {
    // A token there, a reference here.
    let types = vec![trigger("ActivityDefinition"), trigger("DocumentReference")];
    let modifier = "UnsupportedModifier SubscriptionTopic.canFilterBy[0].modifier";
    check_taken(&topic(types.clone(), &["context not"]), &[modifier]);
    check_taken(&topic(types, &["context missing"]), &[]);
}

#[test]
fn a_topic_has_bounds() {
    let triggers = vec![trigger("Encounter"); TRIGGERS_MAX + 1];
    check_refused(&topic(triggers, &[]), &["OutOfBounds SubscriptionTopic.resourceTrigger"]);
    let offers = vec!["patient"; OFFERS_MAX + 1];
    check_refused(
        &topic(vec![trigger("Encounter")], &offers),
        &["OutOfBounds SubscriptionTopic.canFilterBy"],
    );
}

#[test]
fn expressions_that_cannot_be_true_are_taken_with_a_warning() {
    let path = "SurprisingTopic SubscriptionTopic.resourceTrigger[0].fhirPathCriteria";
    let (create, update, delete) = (Interaction::Create, Interaction::Update, Interaction::Delete);
    let needs_both = "%previous.status != 'a' and %current.status = 'a'";
    let cases: [(&str, &[Interaction], usize); 9] = [
        (needs_both, &[], 0),
        (needs_both, &[update], 0),
        (needs_both, &[create, update], 1),
        (needs_both, &[create, update, delete], 2),
        (needs_both, &[create], 1),
        ("%previous.empty() or %previous.status != 'a'", &[create, update], 0),
        ("%current.status", &[update], 1),
        ("%current.status = 'a' and false", &[], 1),
        ("%current.exists()", &[delete], 1),
    ];
    for (expression, interactions, warnings) in cases {
        let trigger = ResourceTrigger {
            supported_interactions: interactions.to_vec(),
            ..fhir_path_trigger("Encounter", expression)
        };
        check_taken(&topic(vec![trigger], &[]), &vec![path; warnings]);
    }
}

#[test]
fn what_is_there_twice_or_has_no_effect_is_taken_with_a_warning() {
    let same = topic(
        vec![trigger("Encounter"), trigger("Patient"), trigger("Encounter")],
        &["patient", "patient", "Encounter.patient"],
    );
    check_taken(
        &same,
        &[
            "SurprisingTopic SubscriptionTopic.resourceTrigger[2]",
            "SurprisingTopic SubscriptionTopic.canFilterBy[1].filterParameter",
        ],
    );
    let listed = ResourceTrigger {
        supported_interactions: vec![Interaction::Update, Interaction::Update],
        ..query_trigger(
            "Encounter",
            QueryCriteria {
                result_for_create: Some(CriteriaResult::TestPasses),
                result_for_delete: Some(CriteriaResult::TestFails),
                ..query("status:not=completed", "status=completed")
            },
        )
    };
    check_taken(
        &topic(vec![listed], &["date"]),
        &[
            "SurprisingTopic SubscriptionTopic.resourceTrigger[0].supportedInteraction[1]",
            "SurprisingTopic SubscriptionTopic.resourceTrigger[0].queryCriteria.resultForCreate",
            "SurprisingTopic SubscriptionTopic.canFilterBy[0].comparator",
        ],
    );
}

#[test]
fn an_expression_is_refused_with_the_place_in_it() {
    let source = "%previous.empty() or %current.stauts = 'completed'";
    let refused = catalog()
        .compile_topic(&id("t"), &topic(vec![fhir_path_trigger("Encounter", source)], &[]));
    let text = &refused.unwrap_err().0[0].text;
    let offset = source.find("stauts").unwrap();
    assert!(
        text.ends_with(&format!("(at offset {offset}), before `stauts = 'completed'`")),
        "{text}"
    );
}
