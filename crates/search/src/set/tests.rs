//! Membership: value sets, hierarchies of code systems, groups, lists and care teams.

use cresset_definitions::FhirVersion;
use cresset_model::IssueCode;
use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::tests::{matches_among, scope};
use crate::{Criteria, Lookup, Need, Problem, ProblemKind, ResourceValues};

mod undecided;

const ANIMALS: &str = "http://x.org/CodeSystem/animals";

/// A code system of animals: nested, and with `parent` properties.
fn animals() -> Value {
    json!({
        "resourceType": "CodeSystem", "id": "a", "url": ANIMALS, "status": "active",
        "content": "complete",
        "concept": [
            {"code": "animal", "concept": [
                {"code": "dog", "concept": [{"code": "poodle"}]},
                {"code": "cat"},
            ]},
            {"code": "pet"},
            {"code": "parrot", "property": [
                {"code": "parent", "valueCode": "animal"}, {"code": "parent", "valueCode": "pet"}
            ]},
        ]
    })
}

fn value_set(url: &str, compose: Value) -> Value {
    json!({
        "resourceType": "ValueSet", "id": url.rsplit('/').next(), "url": url, "status": "active",
        "compose": compose
    })
}

fn include(part: Value) -> Value {
    json!({"include": [part]})
}

fn filtered(op: &str, value: &str) -> Value {
    let filter = json!({"property": "concept", "op": op, "value": value});
    include(json!({"system": ANIMALS, "filter": [filter]}))
}

fn observation(code: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": "o", "status": "final",
        "subject": {"reference": "Patient/eve"},
        "code": {"coding": [{"system": ANIMALS, "code": code}], "text": "an animal"}
    })
}

fn ask(others: &[Value], resource: &Value, query: &str) -> Result<bool, Problem> {
    matches_among(FhirVersion::R4, others, resource, query)
}

fn unavailable(outcome: Result<bool, Problem>) -> &'static str {
    match outcome.as_ref().map_err(Problem::kind) {
        Err(ProblemKind::Unavailable(reason)) => reason,
        _ => panic!("{outcome:?}"),
    }
}

/// Which of these codes are in the value set.
fn members(compose: Value, codes: &[&str]) -> String {
    let others = [animals(), value_set("http://x.org/ValueSet/v", compose)];
    let is_member = |code: &&&str| {
        let code = observation(code);
        let inside = ask(&others, &code, "code:in=http://x.org/ValueSet/v").unwrap();
        let outside = ask(&others, &code, "code:not-in=http://x.org/ValueSet/v").unwrap();
        assert_ne!(inside, outside);
        assert_eq!(ask(&others, &code, "code:in=ValueSet/v"), Ok(inside));
        inside
    };
    codes.iter().filter(is_member).copied().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_value_set_has_what_it_includes_and_does_not_exclude() {
    let all = ["animal", "dog", "poodle", "cat", "pet", "parrot", "stone"];
    let check = |compose: Value, expected: &str| {
        assert_eq!(members(compose.clone(), &all), expected, "{compose}");
    };
    let listed = json!({"system": ANIMALS, "concept": [{"code": "dog"}, {"code": "cat"}]});
    check(include(listed.clone()), "dog cat");
    check(include(json!({"system": "http://other", "concept": [{"code": "dog"}]})), "");
    check(include(json!({"system": ANIMALS})), "animal dog poodle cat pet parrot stone");
    check(
        json!({"include": [{"system": ANIMALS}], "exclude": [listed]}),
        "animal poodle pet parrot stone",
    );
    check(filtered("is-a", "animal"), "animal dog poodle cat parrot");
    check(filtered("descendent-of", "animal"), "dog poodle cat parrot");
    check(filtered("is-a", "pet"), "pet parrot");
    check(filtered("is-not-a", "animal"), "pet stone");
    check(filtered("generalizes", "poodle"), "animal dog poodle");
    check(filtered("=", "cat"), "cat");
    check(
        json!({"include": [filtered("=", "cat")["include"][0], {"system": "http://other"}]}),
        "cat",
    );
}

#[test]
fn value_sets_import_each_other_up_to_a_depth() {
    let url = |n: usize| format!("http://x.org/ValueSet/{n}");
    let chain = |length: usize| {
        let mut all = vec![value_set(
            &url(length),
            include(json!({"system": ANIMALS, "concept": [{"code": "dog"}]})),
        )];
        all.extend(
            (0..length).map(|n| value_set(&url(n), include(json!({"valueSet": [url(n + 1)]})))),
        );
        all
    };
    let query = "code:in=http://x.org/ValueSet/0";
    assert_eq!(ask(&chain(3), &observation("dog"), query), Ok(true));
    assert_eq!(ask(&chain(3), &observation("cat"), query), Ok(false));
    unavailable(ask(&chain(6), &observation("dog"), query));
    let endless = [value_set(&url(0), include(json!({"valueSet": [url(0)]})))];
    unavailable(ask(&endless, &observation("dog"), query));
    // Several imports in one part must all have the code.
    let both = [
        value_set(&url(0), include(json!({"valueSet": [url(1), url(2)]}))),
        value_set(&url(1), include(json!({"system": ANIMALS}))),
        value_set(&url(2), include(json!({"system": ANIMALS, "concept": [{"code": "dog"}]}))),
    ];
    assert_eq!(ask(&both, &observation("dog"), query), Ok(true));
    assert_eq!(ask(&both, &observation("cat"), query), Ok(false));
}

#[test]
fn what_needs_a_terminology_server_has_no_answer() {
    let property = json!({"property": "color", "op": "=", "value": "red"});
    let regex = json!({"property": "concept", "op": "regex", "value": "(a+)+$"});
    for part in [
        json!({"system": ANIMALS, "filter": [property]}),
        json!({"system": ANIMALS, "filter": [regex]}),
        json!({"system": ANIMALS, "filter": [{"property": "concept", "op": "is-a", "value": "stone"}]}),
        json!({"valueSet": ["http://x.org/ValueSet/unknown"]}),
        json!({}),
    ] {
        let others = [animals(), value_set("http://x.org/ValueSet/v", include(part))];
        for modifier in ["in", "not-in"] {
            let query = format!("code:{modifier}=http://x.org/ValueSet/v");
            unavailable(ask(&others, &observation("dog"), &query));
        }
    }
    // Of another system nothing has to be known.
    let foreign = json!({"resourceType": "Observation", "code": {"coding": [{"system": "s", "code": "dog"}]}});
    let others = [value_set("http://x.org/ValueSet/v", filtered("is-a", "animal"))];
    assert_eq!(ask(&others, &foreign, "code:in=http://x.org/ValueSet/v"), Ok(false));
    unavailable(ask(&others, &observation("dog"), "code:in=http://x.org/ValueSet/v"));
}

#[test]
fn an_absent_set_has_no_members_and_no_outsiders() {
    for query in [
        "code:in=http://x.org/ValueSet/v",
        "code:not-in=http://x.org/ValueSet/v",
        "code:in=ValueSet/v",
        "subject:in=Group/g",
        "subject:not-in=Group/g",
        "code:below=http://x.org/CodeSystem/animals|dog",
    ] {
        let reason = unavailable(ask(&[], &observation("cat"), query));
        assert!(reason.contains("not on this server"), "{query}: {reason}");
    }
    // Without a value there is nothing to be inside, whatever the set is.
    let empty = json!({"resourceType": "Observation", "id": "o"});
    assert_eq!(ask(&[], &empty, "code:in=ValueSet/v"), Ok(false));
    assert_eq!(ask(&[], &empty, "code:not-in=ValueSet/v"), Ok(true));
}

#[test]
fn a_complete_expansion_decides_where_the_definition_cannot() {
    let expanded = |expansion: Value, compose: Option<Value>| {
        let mut set = json!({
            "resourceType": "ValueSet", "id": "v", "url": "http://x.org/ValueSet/v",
            "expansion": expansion
        });
        if let Some(compose) = compose {
            set["compose"] = compose;
        }
        set
    };
    let contains = json!([
        {"abstract": true, "system": ANIMALS, "code": "animal", "contains": [
            {"system": ANIMALS, "code": "dog"}
        ]},
    ]);
    let query = "code:in=http://x.org/ValueSet/v";
    let whole = [expanded(json!({"total": 2, "contains": contains}), None)];
    assert_eq!(ask(&whole, &observation("dog"), query), Ok(true));
    assert_eq!(ask(&whole, &observation("cat"), query), Ok(false));
    assert_eq!(ask(&whole, &observation("animal"), query), Ok(false));
    let cut = [expanded(json!({"total": 9, "contains": contains}), None)];
    assert_eq!(ask(&cut, &observation("dog"), query), Ok(true));
    unavailable(ask(&cut, &observation("cat"), query));
    let undecidable = Some(include(json!({"valueSet": ["http://x.org/ValueSet/unknown"]})));
    let both = [expanded(json!({"contains": contains}), undecidable)];
    assert_eq!(ask(&both, &observation("dog"), query), Ok(true));
    assert_eq!(ask(&both, &observation("cat"), query), Ok(false));
}

#[test]
fn a_canonical_means_the_version_it_names_or_the_latest_active_one() {
    let version = |id: &str, version: &str, status: &str, code: &str| {
        let part = json!({"system": ANIMALS, "concept": [{"code": code}]});
        let mut set = value_set("http://x.org/ValueSet/v", include(part));
        set["id"] = json!(id);
        set["version"] = json!(version);
        set["status"] = json!(status);
        set
    };
    let sets = [
        version("a", "1.9", "active", "cat"),
        version("b", "1.10", "active", "dog"),
        version("c", "2.0", "draft", "pet"),
    ];
    let check = |code: &str, version: &str, expected: bool| {
        let query = format!("code:in=http://x.org/ValueSet/v{version}");
        assert_eq!(ask(&sets, &observation(code), &query), Ok(expected), "{code} {version}");
    };
    check("dog", "", true);
    check("cat", "", false);
    check("cat", "|1.9", true);
    check("pet", "|2.0", true);
    unavailable(ask(&sets, &observation("dog"), "code:in=http://x.org/ValueSet/v|3"));
}

#[test]
fn codes_without_a_written_system_are_of_the_systems_their_element_implies() {
    let statuses =
        json!({"system": "http://hl7.org/fhir/observation-status", "concept": [{"code": "final"}]});
    let others = [value_set("http://x.org/ValueSet/v", include(statuses))];
    let mut resource = observation("dog");
    assert_eq!(ask(&others, &resource, "status:in=http://x.org/ValueSet/v"), Ok(true));
    resource["status"] = json!("amended");
    assert_eq!(ask(&others, &resource, "status:in=http://x.org/ValueSet/v"), Ok(false));
    resource["code"]["coding"][0] = json!({"code": "final"});
    assert_eq!(ask(&others, &resource, "code:in=http://x.org/ValueSet/v"), Ok(false));
}

#[test]
fn above_and_below_follow_the_hierarchy_of_a_code_system() {
    let others = [animals()];
    let check = |code: &str, test: &str, expected: bool| {
        let query = format!("code:{test}");
        assert_eq!(ask(&others, &observation(code), &query), Ok(expected), "{code} {test}");
    };
    check("poodle", "below=http://x.org/CodeSystem/animals|animal", true);
    check("animal", "below=http://x.org/CodeSystem/animals|animal", true);
    check("animal", "below=http://x.org/CodeSystem/animals|dog", false);
    check("parrot", "below=http://x.org/CodeSystem/animals|pet", true);
    check("dog", "below=http://x.org/CodeSystem/animals|pet", false);
    check(
        "dog",
        "below=http://x.org/CodeSystem/animals|cat,http://x.org/CodeSystem/animals|dog",
        true,
    );
    check("animal", "above=http://x.org/CodeSystem/animals|poodle", true);
    check("cat", "above=http://x.org/CodeSystem/animals|poodle", false);
    check("dog", "below=http://other|animal", false);
    for (element, value) in [("content", json!("fragment")), ("hierarchyMeaning", json!("part-of"))]
    {
        let mut other = animals();
        other[element] = value;
        unavailable(ask(
            &[other],
            &observation("cat"),
            "code:below=http://x.org/CodeSystem/animals|dog",
        ));
    }
    // Codes that are each other's parents end the search all the same.
    let circle = json!({
        "resourceType": "CodeSystem", "url": ANIMALS, "content": "complete",
        "concept": [
            {"code": "a", "property": [{"code": "parent", "valueCode": "b"}]},
            {"code": "b", "property": [{"code": "parent", "valueCode": "a"}]},
            {"code": "c"},
        ]
    });
    let circle = [circle];
    let query = "code:below=http://x.org/CodeSystem/animals|c";
    assert_eq!(ask(&circle, &observation("a"), query), Ok(false));
}

#[test]
fn members_are_who_is_listed_and_not_out() {
    let listing = |resource: Value| [resource];
    let group = listing(json!({
        "resourceType": "Group", "id": "g", "actual": true,
        "member": [
            {"entity": {"reference": "http://example.org/fhir/Patient/eve"}},
            {"entity": {"reference": "Patient/out"}, "inactive": true},
            {"entity": {"display": "somebody"}, "inactive": true},
        ]
    }));
    let of =
        |subject: &str| json!({"resourceType": "Observation", "subject": {"reference": subject}});
    let check = |others: &[Value], subject: &str, set: &str, expected: bool| {
        let asked = ask(others, &of(subject), &format!("subject:in={set}"));
        assert_eq!(asked, Ok(expected), "{subject} in {set}");
        let asked = ask(others, &of(subject), &format!("subject:not-in={set}"));
        assert_eq!(asked, Ok(!expected), "{subject} not in {set}");
    };
    check(&group, "Patient/eve", "Group/g", true);
    check(&group, "Patient/eve/_history/1", "Group/g", true);
    check(&group, "Patient/out", "Group/g", false);
    check(&group, "Patient/bob", "http://example.org/fhir/Group/g", false);
    let list = listing(json!({
        "resourceType": "List", "id": "l",
        "entry": [{"item": {"reference": "Patient/eve"}}, {"item": {"reference": "Patient/out"}, "deleted": true}]
    }));
    check(&list, "Patient/eve", "List/l", true);
    check(&list, "Patient/out", "List/l", false);
    let team = listing(json!({
        "resourceType": "CareTeam", "id": "t", "participant": [{"member": {"reference": "Patient/eve"}}]
    }));
    check(&team, "Patient/eve", "CareTeam/t", true);
    check(&team, "Patient/bob", "CareTeam/t", false);
    let described = [json!({"resourceType": "Group", "id": "g", "actual": false})];
    unavailable(ask(&described, &of("Patient/eve"), "subject:in=Group/g"));
    unavailable(ask(&described, &of("Patient/eve"), "subject:not-in=Group/g"));
}

#[test]
fn above_and_below_follow_what_is_a_part_of_what() {
    let location = |id: &str, part_of: &str| {
        let part_of = json!({"reference": part_of});
        json!({"resourceType": "Location", "id": id, "partOf": part_of})
    };
    let others = [
        json!({"resourceType": "Location", "id": "house"}),
        location("ward", "http://example.org/fhir/Location/house"),
        location("room", "Location/ward"),
        // In a circle, and in what is not here.
        location("here", "Location/there"),
        location("there", "Location/here"),
        location("lost", "Location/nowhere"),
        location("elsewhere", "http://other.example/Location/house"),
    ];
    let of = |id: &str| {
        let location = json!({"reference": format!("Location/{id}")});
        json!({"resourceType": "Encounter", "location": [{"location": location}]})
    };
    let ask = |id: &str, query: &str| ask(&others, &of(id), query);
    for (id, query, expected) in [
        ("room", "location:below=Location/house", true),
        ("ward", "location:below=Location/house", true),
        ("house", "location:below=Location/house", true),
        ("house", "location:below=Location/ward", false),
        ("room", "location:below=http://example.org/fhir/Location/ward", true),
        ("room", "location:below=Location/here,Location/ward", true),
        ("here", "location:below=Location/there", true),
        ("here", "location:below=Location/house", false),
        ("elsewhere", "location:below=Location/house", false),
        ("house", "location:above=Location/room", true),
        ("room", "location:above=Location/room", true),
        ("room", "location:above=Location/house", false),
    ] {
        assert_eq!(ask(id, query), Ok(expected), "{id} {query}");
    }
    assert!(
        unavailable(ask("lost", "location:below=Location/house")).contains("not on this server")
    );
    unavailable(ask("unknown", "location:below=Location/house"));
    for query in [
        "location:below=house",
        "location:below=Location/house/_history/1",
        "location:below=http://other.example/Location/house",
    ] {
        let refused = Criteria::parse(&scope(FhirVersion::R4), "Encounter", query).unwrap_err();
        assert_eq!(refused.0[0].code, IssueCode::InvalidSearchValue, "{query}");
    }
    // No patient is a part of another one.
    let query = "subject:below=Patient/eve";
    let refused = Criteria::parse(&scope(FhirVersion::R4), "Encounter", query).unwrap_err();
    assert_eq!(refused.0[0].code, IssueCode::UnsupportedSearch);
}

#[test]
fn a_resource_may_be_asked_for_by_the_lists_it_is_in() {
    let others = [
        json!({"resourceType": "List", "id": "l", "entry": [{"item": {"reference": "Patient/eve"}}]}),
        json!({"resourceType": "Group", "id": "g", "member": [{"entity": {"reference": "Patient/bob"}}]}),
    ];
    let check = |version, id: &str, query: &str, expected: bool| {
        let patient = json!({"resourceType": "Patient", "id": id});
        assert_eq!(matches_among(version, &others, &patient, query), Ok(expected), "{id} {query}");
    };
    for version in FhirVersion::ALL {
        check(version, "eve", "_list=l", true);
        check(version, "eve", "_list=List/l", true);
        check(version, "bob", "_list=l", false);
        check(version, "eve", "_in=List/l", true);
        check(version, "bob", "_in=Group/g", true);
        check(version, "bob", "_in=List/l,Group/g", true);
        check(version, "eve", "_in=Group/g", false);
    }
    let refused = |query: &str| {
        let refused = Criteria::parse(&scope(FhirVersion::R5), "Patient", query).unwrap_err();
        refused.0[0].code
    };
    for query in ["_list=$current-problems", "_list=Group/1", "_in=1", "_in=Patient/1", "_in="] {
        assert_eq!(refused(query), IssueCode::InvalidSearchValue, "{query}");
    }
    assert_eq!(refused("_list:missing=true"), IssueCode::UnsupportedModifier);
}

#[test]
fn a_hierarchy_is_read_once_for_all_who_ask() {
    let scope = scope(FhirVersion::R4);
    let (animals, code) = (animals(), observation("poodle"));
    let mut lookup = Lookup::new(scope);
    let url = SmolStr::new(ANIMALS);
    lookup.insert(Need::Canonical { resource_type: "CodeSystem", url }, [&animals]);
    let values = ResourceValues::new(scope, "Observation", &code);
    for (asked, expected) in [("dog", true), ("cat", false), ("animal", true)] {
        let query = format!("code:below={ANIMALS}|{asked}");
        let criteria = Criteria::parse(&scope, "Observation", &query).unwrap();
        assert_eq!(criteria.matches(&values, &lookup), Ok(expected), "{query}");
    }
    assert_eq!(lookup.hierarchies().len(), 1);
}

#[test]
fn reading_a_set_takes_a_bounded_number_of_steps() {
    let many: Vec<_> = (0..1_001).map(|n| json!({"code": format!("c{n}")})).collect();
    let parts: Vec<_> =
        (0..1_000).map(|_| json!({"valueSet": ["http://x.org/ValueSet/1"]})).collect();
    let others = [
        value_set("http://x.org/ValueSet/0", json!({"include": parts})),
        value_set("http://x.org/ValueSet/1", include(json!({"system": ANIMALS, "concept": many}))),
    ];
    let outcome = ask(&others, &observation("dog"), "code:in=http://x.org/ValueSet/0");
    assert_eq!(outcome.unwrap_err().kind(), &ProblemKind::StepLimit);
}
