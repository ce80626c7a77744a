use serde_json::json;

use super::*;
use crate::shared_data::shared;

fn full(channel_type: ChannelType) -> Subscription {
    Subscription {
        id: Some("a".to_owned()),
        status: SubscriptionStatus::Active,
        reason: Some("a test".to_owned()),
        end: Some("2030-01-01T00:00:00Z".to_owned()),
        filters: vec!["Encounter?patient=Patient/1".parse().expect("a filter")],
        channel_type,
        headers: vec![("Authorization".to_owned(), "Bearer: x".to_owned())],
        heartbeat_period: Some(60),
        timeout: Some(10),
        content: PayloadContent::FullResource,
        max_count: Some(5),
        ..Subscription::rest_hook("http://example.org/topic", "https://example.org/hook")
    }
}

#[test]
fn a_subscription_reads_back_as_it_was_written_in_each_version() {
    for version in FhirVersion::ALL {
        for system in [None, Some("https://example.org/channels".to_owned())] {
            let code = if system.is_none() { "rest-hook" } else { "queue" }.to_owned();
            let subscription = full(ChannelType { system, code });
            let resource = subscription.render(version);
            assert_eq!(Subscription::parse(version, &resource), Ok(subscription), "{version}");
        }
    }
}

#[test]
fn the_guides_example_is_read() {
    let resource = json!({
        "resourceType": "Subscription", "id": "m", "status": "active", "reason": "r",
        "criteria": "http://hl7.org/SubscriptionTopic/admission",
        "_criteria": {"extension": [{
            "url": format!("{GUIDE}/backport-filter-criteria"),
            "valueString": "Observation?subject=Patient/123&code=a%26b",
        }]},
        "channel": {"type": "rest-hook", "endpoint": "https://example.org/e", "payload": JSON},
    });
    let read = Subscription::parse(FhirVersion::R4, &resource).expect("a subscription");
    assert_eq!(read.topic, "http://hl7.org/SubscriptionTopic/admission");
    let filters = ["Observation?subject=Patient/123", "Observation?code=a%26b"];
    assert_eq!(read.filters.iter().map(Filter::to_string).collect::<Vec<_>>(), filters);
    assert_eq!(read.render(FhirVersion::R5)["filterBy"][1]["value"], "a&b");
    assert_eq!(read.content, PayloadContent::Empty);
}

#[test]
fn a_topic_may_be_a_urn() {
    let topic = "urn:uuid:0d35f3a0-6d0b-4f5a-8f0e-5d3f0b1a2c3d";
    for version in FhirVersion::ALL {
        let resource = Subscription::websocket(topic).render(version);
        let read = Subscription::parse(version, &resource).map(|read| read.topic);
        assert_eq!(read.as_deref(), Ok(topic), "{version}");
    }
}

#[test]
fn the_guides_files_are_read() {
    for (name, topic) in [
        ("admission", "http://hl7.org/SubscriptionTopic/admission"),
        ("multi-resource", "http://hl7.org/SubscriptionTopic/admission"),
    ] {
        let path = format!("ig-1.1.0/r4b/Subscription-subscription-{name}.json");
        let Some(resource) = shared(&path) else { return };
        let read = Subscription::parse(FhirVersion::R4, &resource).expect(name);
        assert_eq!((read.topic.as_str(), read.channel_type.code.as_str()), (topic, "rest-hook"));
        let written = read.render(FhirVersion::R5);
        assert_eq!(Subscription::parse(FhirVersion::R5, &written), Ok(read), "{name}");
    }
}

#[test]
fn what_is_no_subscription_to_a_topic_is_told_by_element() {
    let query = json!({
        "resourceType": "Subscription", "status": "active",
        "criteria": "Observation?code=http://loinc.org|1",
        "channel": {"type": "rest-hook"},
    });
    for (version, resource, element) in [
        (FhirVersion::R4, query.clone(), "criteria"),
        (FhirVersion::R5, query, "topic"),
        (FhirVersion::R5, json!({"resourceType": "Patient"}), "resourceType"),
        (FhirVersion::R5, json!({"resourceType": "Subscription", "status": "new"}), "status"),
    ] {
        assert_eq!(Subscription::parse(version, &resource), Err(InvalidSubscription(element)));
    }
}
