//! Which includes are taken, which are refused, and what comes of them.

use cresset_model::{Coding, FilterDefinition, NotificationShape, RelatedQuery, Topic};

use super::{INCLUDES_MAX, Iterate};
use crate::fixtures::{catalog, codes, id, offer, topic, trigger};

fn shape(resource: &str, include: &[&str], rev_include: &[&str]) -> NotificationShape {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    NotificationShape {
        resource: resource.into(),
        include: owned(include),
        rev_include: owned(rev_include),
        related_queries: Vec::new(),
    }
}

fn shaped(focus: &str, shapes: Vec<NotificationShape>) -> Topic {
    Topic { notification_shapes: shapes, ..topic(vec![trigger(focus)], &[]) }
}

/// What goes with an Encounter, `parameter>target` and `<Type:parameter`, and the issues.
fn check(shapes: Vec<NotificationShape>, expected: &[&str], issues: &[&str]) {
    let (compiled, warnings) =
        catalog().compile_topic(&id("t"), &shaped("Encounter", shapes)).unwrap();
    let mut found = Vec::new();
    if let Some(shape) = compiled.shape("Encounter") {
        found.extend(shape.includes.iter().map(|include| {
            format!("{}>{}", include.parameter.code(), include.target.unwrap_or_default())
        }));
        found.extend(
            shape
                .rev_includes
                .iter()
                .map(|include| format!("<{}:{}", include.resource_type, include.parameter.code())),
        );
    }
    assert_eq!(found, expected);
    assert_eq!(codes(&warnings), issues);
    assert_eq!(compiled.shapes().count(), usize::from(!expected.is_empty()));
}

fn include_path(index: usize) -> String {
    format!("SubscriptionTopic.notificationShape[0].include[{index}]")
}

#[test]
fn includes_are_found_with_and_without_a_target_each_once() {
    let all = ["Encounter:patient", "Encounter:subject:Patient", "Encounter:patient"];
    check(vec![shape("Encounter", &all, &[])], &["patient>", "subject>Patient"], &[]);
    check(
        vec![shape(
            "http://hl7.org/fhir/StructureDefinition/Encounter",
            &["_include=Encounter:location", "Resource:service-provider"],
            &[
                "_revinclude=Observation:encounter",
                "Provenance:target",
                "Observation:encounter:Encounter",
            ],
        )],
        &["location>", "service-provider>", "<Observation:encounter", "<Provenance:target"],
        &[],
    );
}

#[test]
fn several_shapes_add_up_and_more_general_ones_count() {
    let shapes = vec![
        shape("Encounter", &["Encounter:patient"], &[]),
        shape("DomainResource", &["Encounter:location", "Encounter:patient"], &[]),
    ];
    check(shapes, &["patient>", "location>"], &[]);
}

#[test]
fn an_iterate_that_names_references_is_followed() {
    let iterates = |include: &[&str]| {
        let shapes = vec![shape("Encounter", include, &[])];
        let (compiled, warnings) =
            catalog().compile_topic(&id("t"), &shaped("Encounter", shapes)).unwrap();
        assert_eq!(codes(&warnings), [""; 0], "{include:?}");
        let shape = compiled.shape("Encounter").unwrap();
        let text = |one: &Iterate| {
            let target = one.include.target.unwrap_or_default();
            format!("{}:{}>{target}", one.resource_type, one.include.parameter.code())
        };
        shape.iterates.iter().map(text).collect::<Vec<_>>()
    };
    for text in [
        "Encounter:patient&iterate=Patient.link",
        "Encounter:patient&iterate=Patient:link",
        "Encounter:patient&_include:iterate=Patient:link",
        "_include=Encounter:patient&iterate=Patient.link&iterate=Patient:link",
    ] {
        assert_eq!(iterates(&[text]), ["Patient:link>"], "{text}");
    }
    let several = [
        "Encounter:patient&iterate=Patient:link:Patient&iterate=Patient.organization",
        "Encounter:location&iterate=Location:partof",
    ];
    assert_eq!(
        iterates(&several),
        ["Patient:link>Patient", "Patient:organization>", "Location:partof>"]
    );
}

#[test]
fn an_unknown_iterate_is_left_out_and_the_simple_include_kept() {
    let warning = format!("UnsupportedSearch {}", include_path(0));
    for text in [
        "Encounter:patient&iterate=Patient.name",
        "Encounter:patient&iterate=Patient.nothing",
        "Encounter:patient&iterate=Patient:link:Device",
        "Encounter:patient&iterate=Nothing.link",
        "Encounter:patient&iterate=Patient",
        "Encounter:patient&iterate=*",
        "Encounter:patient&iterate=",
    ] {
        check(vec![shape("Encounter", &[text], &[])], &["patient>"], &[&warning]);
    }
    let path = "UnsupportedSearch SubscriptionTopic.notificationShape[0].revInclude[0]";
    let text = "Observation:encounter&iterate=Observation:has-member";
    check(vec![shape("Encounter", &[], &[text])], &["<Observation:encounter"], &[path]);
}

#[test]
fn what_can_include_nothing_is_taken_with_a_warning() {
    let unknown = format!("UnknownSearchParameter {}", include_path(0));
    let surprising = format!("SurprisingTopic {}", include_path(0));
    for (text, warning) in [
        ("Encounter:observation", &unknown),
        ("Encounter:status", &unknown),
        ("Condition:patient", &surprising),
        ("Encounter:patient:Device", &surprising),
    ] {
        check(vec![shape("Encounter", &[text], &[])], &[], &[warning]);
    }
    let path = "SubscriptionTopic.notificationShape[0].revInclude[0]";
    for (text, code) in [
        ("Encounter:subject", "SurprisingTopic"),
        ("Observation:encounter:Patient", "SurprisingTopic"),
        ("Subscription:owner", "SurprisingTopic"),
        ("Observation:nothing", "UnknownSearchParameter"),
    ] {
        check(vec![shape("Encounter", &[], &[text])], &[], &[&format!("{code} {path}")]);
    }
    let path = "SurprisingTopic SubscriptionTopic.notificationShape[0].resource";
    check(vec![shape("Patient", &[], &[])], &[], &[path]);
    check(vec![shape("http://example.org/profile", &[], &[])], &[], &[path]);
}

#[test]
fn what_cannot_be_read_or_would_include_everything_is_refused() {
    let cases = [
        ("", "InvalidElement"),
        ("Encounter", "InvalidElement"),
        ("Encounter:", "InvalidElement"),
        ("Encounter:patient:Patient:x", "InvalidElement"),
        ("Encounter:patient:Nothing", "InvalidElement"),
        ("Nothing:patient", "InvalidElement"),
        ("Encounter:patient&_count=3", "InvalidElement"),
        ("*", "UnsupportedSearch"),
        ("Encounter:*", "UnsupportedSearch"),
        ("*:patient", "UnsupportedSearch"),
    ];
    for (text, code) in cases {
        for reverse in [false, true] {
            let texts = [text];
            let (include, rev_include): (&[&str], &[&str]) =
                if reverse { (&[], &texts) } else { (&texts, &[]) };
            let topic = shaped("Encounter", vec![shape("Encounter", include, rev_include)]);
            let issues = catalog().compile_topic(&id("t"), &topic).unwrap_err();
            let element = if reverse { "revInclude" } else { "include" };
            let path = format!("{code} SubscriptionTopic.notificationShape[0].{element}[0]");
            assert_eq!(codes(&issues), [path], "{text}");
        }
    }
    let many = vec!["Encounter:patient"; INCLUDES_MAX + 1];
    let topic = shaped("Encounter", vec![shape("Encounter", &many, &[])]);
    let issues = catalog().compile_topic(&id("t"), &topic).unwrap_err();
    assert_eq!(codes(&issues), ["OutOfBounds SubscriptionTopic.notificationShape"]);
}

#[test]
fn each_focus_type_of_a_general_topic_has_its_own_includes() {
    let shapes = vec![shape(
        "Resource",
        &["Encounter:patient", "Observation:patient"],
        &["Provenance:target"],
    )];
    let (compiled, warnings) =
        catalog().compile_topic(&id("t"), &shaped("Resource", shapes)).unwrap();
    assert_eq!(codes(&warnings), [""; 0]);
    let count = |resource_type| {
        let shape = compiled.shape(resource_type).unwrap();
        (shape.includes.len(), shape.rev_includes.len())
    };
    assert_eq!(count("Encounter"), (1, 1));
    assert_eq!(count("Patient"), (0, 1));
}

#[test]
fn related_queries_are_carried_each_once() {
    let query = RelatedQuery { query_type: None, query: "http://example.org/$more".to_owned() };
    let one =
        NotificationShape { related_queries: vec![query.clone()], ..shape("Encounter", &[], &[]) };
    let topic = shaped("Encounter", vec![one.clone(), one]);
    let (compiled, _) = catalog().compile_topic(&id("t"), &topic).unwrap();
    assert_eq!(compiled.shape("Encounter").unwrap().related_queries, [query]);
}

#[test]
fn kinds_of_event_go_with_the_types_that_they_are_of() {
    let code = |code: &str| Coding { system: None, code: code.into() };
    let label = |text: &str, codes: &[&str]| FilterDefinition {
        codes: codes.iter().map(|one| code(one)).collect(),
        ..offer(text)
    };
    let mut feed = topic(vec![trigger("Encounter"), trigger("Observation")], &["patient"]);
    feed.can_filter_by.push(label("trigger", &["feed-event"]));
    feed.can_filter_by.push(label("Observation.kind", &["result", "feed-event"]));
    feed.can_filter_by.push(label("Patient.kind", &["nothing"]));
    let (compiled, _) = catalog().compile_topic(&id("t"), &feed).unwrap();
    let codes_of = |name: &str| compiled.shape(name).map(|shape| shape.codes.clone());
    assert_eq!(codes_of("Encounter"), Some(vec![code("feed-event")]));
    assert_eq!(codes_of("Observation"), Some(vec![code("feed-event"), code("result")]));
    assert_eq!(codes_of("Patient"), None);
}
