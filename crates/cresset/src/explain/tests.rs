//! How an explanation reads.

use super::*;

#[test]
fn an_explanation_is_a_page_of_text() {
    let part = |name: &str, value: &str| json!({ "name": name, "valueString": value });
    let criterion = json!({ "name": "criterion", "part": [
        part("element", "SubscriptionTopic.resourceTrigger[0].queryCriteria.current"),
        part("text", "status=planned"), part("verdict", "holds"), part("value", "planned"),
        { "name": "values-left-out", "valueInteger": 3 },
    ]});
    let answer = json!({ "parameter": [
        part("verdict", "fails"), part("summary", "a filter does not hold"),
        part("topic", "http://x"), part("resource", "Encounter"), part("interaction", "create"),
        { "name": "trigger", "part": [
            part("element", "SubscriptionTopic.resourceTrigger[0]"), part("verdict", "holds"), criterion,
        ]},
        { "name": "filter", "part": [
            part("element", "Subscription.filterBy[0]"), part("text", "patient=1"),
            part("verdict", "not-asked"), part("reason", "it is not for Encounter"),
        ]},
        part("missing", "Patient/1"),
    ]});
    assert_eq!(
        shown(&answer),
        "fails: a filter does not hold\n\
         create of Encounter, topic http://x\n  \
         holds     trigger SubscriptionTopic.resourceTrigger[0]\n    \
         holds     current  status=planned\n              \
         saw planned\n              \
         and 3 more\n  \
         not-asked filter Subscription.filterBy[0]  patient=1\n            \
         it is not for Encounter\n\
         missing: Patient/1\n"
    );
    let changes = json!({ "parameter": [
        { "name": "looked-at", "valueInteger": 9 }, { "name": "concerned", "valueInteger": 2 },
        { "name": "events", "valueInteger": 1 },
        { "name": "change", "part": [part("focus", "Encounter/1/_history/2"), part("at", "2026"), part("verdict", "holds")]},
    ]});
    let text = shown(&changes);
    assert!(text.starts_with("9 changes looked at, 2 about types of the topic, 1 events\n\nEncounter/1/_history/2 at 2026\n  holds"), "{text}");
}
