//! What is not known of membership: who is meant, and what has to be looked up.

use super::*;

#[test]
fn who_may_be_listed_for_all_that_can_be_told_is_neither_in_nor_out() {
    let group = |entity: Value| {
        let eve = json!({"entity": {"reference": "Patient/eve"}});
        [
            json!({"resourceType": "Group", "id": "g", "actual": true, "member": [eve, {"entity": entity}]}),
        ]
    };
    let identifier = json!({"identifier": {"system": "http://x.org/ids", "value": "1"}});
    let contained = json!({"reference": "#p"});
    let (bob, elsewhere) =
        (json!({"reference": "Patient/bob"}), json!({"reference": "http://other/Patient/eve"}));
    let ask = |others: &[Value], subject: &Value, test: &str| {
        let observation = json!({"resourceType": "Observation", "subject": subject});
        ask(others, &observation, &format!("subject:{test}=Group/g"))
    };
    let known = group(bob.clone());
    for subject in [&identifier, &contained, &json!({"display": "Eve"})] {
        assert_eq!(ask(&known, subject, "in"), Ok(false), "{subject}");
        unavailable(ask(&known, subject, "not-in"));
    }
    assert_eq!(ask(&known, &elsewhere, "not-in"), Ok(true));
    for listed in [&identifier, &contained, &json!({"display": "Bob"})] {
        let group = group(listed.clone());
        assert_eq!(ask(&group, &bob, "in"), Ok(false), "{listed}");
        unavailable(ask(&group, &bob, "not-in"));
        let eve = json!({"reference": "Patient/eve"});
        assert_eq!(ask(&group, &eve, "not-in"), Ok(false), "{listed}");
    }
    // Without a subject nobody is listed.
    assert_eq!(ask(&known, &Value::Null, "not-in"), Ok(true));
}

#[test]
fn a_code_of_an_unknown_system_is_out_of_a_value_set_that_has_it_in_none() {
    const OTHER: &str = "http://x.org/CodeSystem/other";
    let without_system =
        |code: &str| json!({"resourceType": "Observation", "code": {"coding": [{"code": code}]}});
    let listed = json!({"system": ANIMALS, "concept": [{"code": "dog"}]});
    let all = json!({"system": OTHER});
    let not_in = |compose: Value, code: &str| {
        let others = [value_set("http://x.org/ValueSet/v", compose)];
        ask(&others, &without_system(code), "code:not-in=http://x.org/ValueSet/v")
    };
    assert_eq!(not_in(include(listed.clone()), "cat"), Ok(true));
    unavailable(not_in(include(listed.clone()), "dog"));
    unavailable(not_in(include(all.clone()), "cat"));
    // Excluded in one system, it may still be meant in the other.
    unavailable(not_in(json!({"include": [all], "exclude": [listed]}), "dog"));
}

#[test]
fn what_a_value_set_imports_is_missed_in_one_go() {
    let url = |n: usize| format!("http://x.org/ValueSet/{n}");
    let imports = |range: std::ops::Range<usize>| {
        let part = |n: usize| json!({"valueSet": [url(n)]});
        json!({"include": range.map(part).collect::<Vec<_>>()})
    };
    let both = |n: usize, m: usize| json!({"include": [{"valueSet": [url(n), url(m)]}]});
    for (compose, missed) in [(imports(1..40), 39), (both(1, 2), 2)] {
        let set = value_set(&url(0), compose);
        let (scope, code) = (scope(FhirVersion::R4), observation("dog"));
        let mut lookup = Lookup::new(scope);
        lookup.insert(Need::Canonical { resource_type: "ValueSet", url: url(0).into() }, [&set]);
        let query = format!("code:in={}", url(0));
        let criteria = Criteria::parse(&scope, "Observation", &query).unwrap();
        let values = ResourceValues::new(scope, "Observation", &code);
        let problem = criteria.matches(&values, &lookup).unwrap_err();
        assert_eq!(problem.missing().len(), missed);
    }
}
