use super::*;

fn named(version: FhirVersion) -> Vec<(&'static str, Value)> {
    let all = own_definitions(version).into_iter();
    all.map(|one| (one.id, json::parse(&one.body).unwrap())).collect()
}

#[test]
fn each_has_the_form_of_its_version_and_the_names_of_its_file() {
    for version in FhirVersion::ALL {
        for one in own_definitions(version) {
            let value = json::parse(&one.body).unwrap();
            let issues = Codec::of(version).validate(&value);
            assert!(issues.0.is_empty(), "{} in {version}: {issues}", one.id);
            assert_eq!(value["resourceType"], one.resource_type);
            assert_eq!(value["id"], one.id);
            let url = format!("https://cresset.dev/fhir/{}/{}", one.resource_type, one.id);
            assert_eq!(value["url"], url.as_str());
        }
    }
}

#[test]
fn a_version_has_what_its_topics_and_its_statement_need() {
    let ids = |version| -> Vec<&str> { named(version).into_iter().map(|(id, _)| id).collect() };
    let extensions = ["event-code", "filters-choose-types", "subscription-retry-period"];
    let of = |operations: &[&'static str]| [&["channel-type"], operations, &extensions].concat();
    assert_eq!(ids(FhirVersion::R4), of(&["Basic-notify-event", "explain"]));
    assert_eq!(ids(FhirVersion::R4B), of(&["SubscriptionTopic-notify-event", "explain"]));
    assert_eq!(ids(FhirVersion::R5), of(&["SubscriptionTopic-notify-event", "explain", "resend"]));
}

#[test]
fn topics_are_what_they_are_in_the_version() {
    for (version, topic_type, place) in [
        (
            FhirVersion::R4,
            "Basic",
            "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.canFilterBy",
        ),
        (FhirVersion::R4B, "SubscriptionTopic", "SubscriptionTopic.canFilterBy"),
        (FhirVersion::R5, "SubscriptionTopic", "SubscriptionTopic.canFilterBy"),
    ] {
        let all = named(version);
        let get = |id| &all.iter().find(|(one, _)| *one == id).unwrap().1;
        assert!(get("explain")["resource"].as_array().unwrap().contains(&topic_type.into()));
        assert_eq!(get("explain")["resource"].as_array().unwrap().len(), 2);
        let contexts = get("event-code")["context"].as_array().unwrap();
        let places: Vec<_> = contexts.iter().map(|one| &one["expression"]).collect();
        assert_eq!(places, [place]);
        assert_eq!(get("event-code")["fhirVersion"], version.full());
    }
}
