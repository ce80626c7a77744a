//! Filters of subscriptions: their grammar in each version, and what they let through.

use cresset_conformance::{
    Client, Filter, Server, Subscribe, Version, encounter, observation, patient, set, verifies,
};
use serde_json::{Value, json};

use crate::topic_forms::{topic, url};

const PATIENTS: &str = "http://cresset.test/topics/patient-any";
const OBSERVATIONS: &str = "http://cresset.test/topics/observation-created";
const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition";

/// A subscription with filters and the foci it should get.
type Case<'c> = (Vec<Filter>, &'c [&'c str]);

/// Subscribes each case, writes the resources, and compares.
async fn check(base: &Client, topic: &str, cases: &[Case<'_>], resources: &[Value]) {
    let mut subscriptions = Vec::new();
    for (filters, _) in cases {
        let mut asked = Subscribe::websocket(topic);
        for filter in filters {
            asked = asked.filter(filter.clone());
        }
        subscriptions.push(base.subscribe(&asked).await);
    }
    for resource in resources {
        base.save(resource).await;
    }
    for ((filters, wanted), subscription) in cases.iter().zip(&subscriptions) {
        let found = base.events(subscription, "").await.foci();
        let found: Vec<&str> =
            found.iter().map(|focus| focus.split('/').next_back().expect("an id")).collect();
        assert_eq!(found, **wanted, "{} {filters:?}", base.version);
    }
}

fn person(id: &str, family: &str, gender: &str, birth_date: &str) -> Value {
    let mut person = patient(id);
    set(&mut person, "/name/0/family", family);
    set(&mut person, "/gender", gender);
    set(&mut person, "/birthDate", birth_date);
    person
}

#[tokio::test]
async fn filters_on_tokens_strings_dates_and_ids() {
    verifies!("RQ-FL-05", "RQ-FL-08", "RQ-FL-13", "RQ-SB-26");
    let server = Server::start().await;
    let people = [
        person("a", "Chalmers", "male", "1974-12-25"),
        person("b", "Chalmersson", "female", "1980-01-01"),
        person("c", "Windsor", "female", "1999"),
        person("d", "chalmers", "other", "2004-02"),
    ];
    let one = |filter: Filter| vec![filter];
    let cases: Vec<Case<'_>> = vec![
        (vec![], &["a", "b", "c", "d"]),
        (one(Filter::new("gender", "female")), &["b", "c"]),
        (one(Filter::new("gender", "female,other")), &["b", "c", "d"]),
        (one(Filter::new("gender", "http://hl7.org/fhir/administrative-gender|male")), &["a"]),
        (one(Filter::new("gender", "http://other.test|male")), &[]),
        (one(Filter::new("gender", "female").modifier("not")), &["a", "d"]),
        (one(Filter::new("family", "chalmers")), &["a", "b", "d"]),
        (one(Filter::new("family", "Chalmers").modifier("exact")), &["a"]),
        (one(Filter::new("family", "HALM").modifier("contains")), &["a", "b", "d"]),
        (one(Filter::new("birthdate", "1999")), &["c"]),
        (one(Filter::new("birthdate", "1980-01-01")), &["b"]),
        (one(Filter::new("birthdate", "1980-01-01").comparator("gt")), &["c", "d"]),
        (one(Filter::new("birthdate", "le1980-01-01")), &["a", "b"]),
        (one(Filter::new("_id", "b")), &["b"]),
        (one(Filter::new("_id", "b,d")), &["b", "d"]),
        (one(Filter::new("id", "Patient/c")), &["c"]),
        (vec![Filter::new("gender", "female"), Filter::new("family", "wind")], &["c"]),
        (
            vec![
                Filter::new("birthdate", "1975").comparator("gt"),
                Filter::new("birthdate", "2000").comparator("lt"),
            ],
            &["b", "c"],
        ),
        (vec![Filter::new("gender", "male"), Filter::new("gender", "female")], &[]),
        (one(Filter::new("gender", "female").of("Patient")), &["b", "c"]),
    ];
    for base in server.bases() {
        check(&base, PATIENTS, &cases, &people).await;
    }
}

#[tokio::test]
async fn filters_on_references_codes_times_and_quantities() {
    verifies!("RQ-FL-04", "RQ-FL-10");
    let server = Server::start().await;
    for base in server.bases() {
        let reference = |id: &str, reference: &str| {
            let mut weight = observation(id, "x", 70.0);
            set(&mut weight, "/subject/reference", reference);
            weight
        };
        let mut early = observation("early", "p", 55.5);
        set(&mut early, "/effectiveDateTime", "2025-07-14");
        set(&mut early, "/code/coding/0/code", "8302-2");
        let mut grams = observation("grams", "q", 80_000.0);
        set(&mut grams, "/valueQuantity/code", "g");
        set(&mut grams, "/valueQuantity/unit", "g");
        let observations = [
            reference("relative", "Patient/p"),
            reference("absolute", &format!("{}/Patient/p", base.url)),
            reference("versioned", "Patient/p/_history/1"),
            reference("elsewhere", "http://elsewhere.test/fhir/Patient/p"),
            early,
            grams,
        ];
        let one = |filter: Filter| vec![filter];
        let own = format!("{}/Patient/p", base.url);
        let all = ["relative", "absolute", "versioned", "elsewhere", "early", "grams"];
        let of_p: &[&str] = &["relative", "absolute", "versioned", "early"];
        let recent: &[&str] = &["relative", "absolute", "versioned", "elsewhere", "grams"];
        let cases: Vec<Case<'_>> = vec![
            (one(Filter::new("patient", "Patient/p")), of_p),
            (one(Filter::new("patient", &own)), of_p),
            (one(Filter::new("subject", "Patient/p")), of_p),
            (one(Filter::new("subject", "http://elsewhere.test/fhir/Patient/p")), &["elsewhere"]),
            (
                one(Filter::new("subject", "Patient/p,Patient/q")),
                &["relative", "absolute", "versioned", "early", "grams"],
            ),
            (one(Filter::new("patient", "Patient/pp")), &[]),
            (one(Filter::new("code", "http://loinc.org|8302-2")), &["early"]),
            (one(Filter::new("code", "29463-7")), recent),
            (one(Filter::new("code", "http://loinc.org|")), &all),
            (one(Filter::new("code", "|29463-7")), &[]),
            (one(Filter::new("category", "vital-signs")), &all),
            (one(Filter::new("category", "laboratory")), &[]),
            (one(Filter::new("date", "2026-03-01")), recent),
            (one(Filter::new("date", "2026").comparator("lt")), &["early"]),
            (one(Filter::new("date", "2026-03-01T08:30:00Z").comparator("ge")), recent),
            (one(Filter::new("date", "2026-03-01T10:30:00+02:00")), recent),
            (one(Filter::new("value-quantity", "55.5")), &["early"]),
            (
                one(Filter::new("value-quantity", "70|http://unitsofmeasure.org|kg")),
                &["relative", "absolute", "versioned", "elsewhere"],
            ),
            (
                one(Filter::new("value-quantity", "60||kg").comparator("gt")),
                &["relative", "absolute", "versioned", "elsewhere"],
            ),
            (one(Filter::new("value-quantity", "60||kg").comparator("lt")), &["early"]),
        ];
        check(&base, OBSERVATIONS, &cases, &observations).await;
    }
}

#[tokio::test]
async fn filters_look_at_other_resources_and_convert_units() {
    verifies!("RQ-FL-12");
    let server = Server::start().await;
    let members = json!({
        "resourceTrigger": [{"resource": "Observation"}],
        "canFilterBy": [
            {"resource": "Observation", "filterParameter": "patient", "modifier": ["in", "not-in"]},
            {"resource": "Observation", "filterParameter": "patient.gender"},
            {"resource": "Observation", "filterParameter": "code", "modifier": ["in", "below"]},
            {"resource": "Observation", "filterParameter": "value-quantity", "comparator": ["gt"]},
            {
                "resource": "Observation",
                "filterParameter": "code-value-quantity",
                "comparator": ["gt"],
            },
        ],
    });
    let codes = json!({
        "resourceType": "CodeSystem", "id": "c", "url": "http://cresset.test/codes",
        "status": "active", "content": "complete",
        "concept": [{"code": "weight", "concept": [{"code": "dry"}]}, {"code": "height"}],
    });
    let set_of_codes = json!({
        "resourceType": "ValueSet", "id": "v", "url": "http://cresset.test/set", "version": "1",
        "status": "active",
        "compose": {"include": [{"system": "http://loinc.org", "concept": [{"code": "29463-7"}]}]},
    });
    for base in server.bases() {
        let mut group = json!({
            "resourceType": "Group", "id": "g", "type": "person",
            "member": [{"entity": {"reference": "Patient/eve"}}],
        });
        match base.version {
            Version::R4 | Version::R4B => set(&mut group, "/actual", true),
            Version::R5 => set(&mut group, "/membership", "enumerated"),
        }
        let eve = person("eve", "Adams", "female", "1974-12-25");
        let bob = person("bob", "Adams", "male", "1974-12-25");
        for resource in [&topic(base.version, "others", members.clone()), &codes, &set_of_codes] {
            base.save(resource).await;
        }
        for resource in [&group, &eve, &bob] {
            base.save(resource).await;
        }
        let mut dry = observation("dry", "bob", 81_000.0);
        set(&mut dry, "/code/coding/0/system", "http://cresset.test/codes");
        set(&mut dry, "/code/coding/0/code", "dry");
        set(&mut dry, "/valueQuantity/code", "g");
        set(&mut dry, "/valueQuantity/unit", "g");
        let observations =
            [observation("of-eve", "eve", 70.0), observation("of-bob", "bob", 80.0), dry];
        let one = |filter: Filter| vec![filter];
        let cases: Vec<Case<'_>> = vec![
            (one(Filter::new("patient.gender", "female")), &["of-eve"]),
            (one(Filter::new("patient", "Group/g").modifier("in")), &["of-eve"]),
            (one(Filter::new("patient", "Group/g").modifier("not-in")), &["of-bob", "dry"]),
            (
                one(Filter::new("code", "http://cresset.test/set").modifier("in")),
                &["of-eve", "of-bob"],
            ),
            (
                one(Filter::new("code", "http://cresset.test/set|1").modifier("in")),
                &["of-eve", "of-bob"],
            ),
            (one(Filter::new("code", "ValueSet/v").modifier("in")), &["of-eve", "of-bob"]),
            (
                one(Filter::new("code", "http://cresset.test/codes|weight").modifier("below")),
                &["dry"],
            ),
            (
                one(Filter::new("value-quantity", "gt75|http://unitsofmeasure.org|kg")),
                &["of-bob", "dry"],
            ),
            (one(Filter::new("value-quantity", "81|http://unitsofmeasure.org|kg")), &["dry"]),
            (
                one(Filter::new(
                    "code-value-quantity",
                    "http://loinc.org|29463-7$gt75|http://unitsofmeasure.org|kg",
                )),
                &["of-bob"],
            ),
        ];
        check(&base, &url("others"), &cases, &observations).await;
        for absent in [
            Filter::new("patient", "Group/nobody").modifier("in"),
            Filter::new("code", "http://cresset.test/nothing").modifier("in"),
            Filter::new("code", "http://cresset.test/set|2").modifier("in"),
            Filter::new("code", "http://loinc.org|29463-7").modifier("below"),
        ] {
            let asked = Subscribe::websocket(&url("others")).filter(absent).json(base.version);
            base.post("Subscription", &asked).await.refused_as(422, "not-supported");
        }
    }
}

#[tokio::test]
async fn the_strings_of_the_guide_are_read_in_all_their_forms() {
    verifies!(R4, R4B: "RQ-FL-01", "RQ-FL-02", "RQ-FL-03", "RQ-FL-04", "RQ-FL-13");
    let server = Server::start().await;
    let mut comma = person("comma", "Smith, Jones", "male", "1970-01-01");
    set(&mut comma, "/name/0/given", json!(["x"]));
    let people = [
        person("a", "Chalmers", "male", "1974-12-25"),
        person("b", "Windsor", "female", "1980-01-01"),
        comma,
    ];
    let cases: &[(&[&str], &[&str])] = &[
        (&["gender=female"], &["b"]),
        (&["gender:not=female"], &["a", "comma"]),
        (&["Patient.gender=female"], &["b"]),
        (&["Patient.gender:not=female"], &["a", "comma"]),
        (&["Patient?gender=female"], &["b"]),
        (&["Patient?gender:not=female"], &["a", "comma"]),
        (&["Patient?gender:not=female&birthdate=ge1972-01-01"], &["a"]),
        (&["gender=male&family=chal"], &["a"]),
        (&["Patient?gender=male", "family:exact=Chalmers"], &["a"]),
        (&["family:exact=Smith\\, Jones"], &["comma"]),
        (&["family=chal,wind"], &["a", "b"]),
        (&["Patient?id=Patient/b"], &["b"]),
        (&["Patient?_id=b"], &["b"]),
        (&["birthdate=gt1975-01-01"], &["b"]),
        (&["Patient?gender=male", "Patient?gender=female"], &[]),
    ];
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        let mut subscriptions = Vec::new();
        for (strings, _) in cases {
            let mut asked = Subscribe::websocket(PATIENTS).json(base.version);
            let extensions: Vec<Value> = strings
                .iter()
                .map(|text| {
                    json!({"url": format!("{GUIDE}/backport-filter-criteria"), "valueString": text})
                })
                .collect();
            set(&mut asked, "/_criteria", json!({"extension": extensions}));
            let created = base.create(&asked).await;
            subscriptions.push(created["id"].as_str().expect("an id").to_owned());
        }
        for person in &people {
            base.save(person).await;
        }
        for ((strings, wanted), subscription) in cases.iter().zip(&subscriptions) {
            let wanted: Vec<String> = wanted.iter().map(|id| format!("Patient/{id}")).collect();
            let found = base.events(subscription, "").await.foci();
            assert_eq!(found, wanted, "{} {strings:?}", base.version);
        }
        for (text, why) in [
            ("gender", "no value"),
            ("=female", "no name"),
            ("gender=", "an empty value"),
            ("Observation?status=final", "another type"),
            ("Patient?", "nothing"),
            ("", "an empty string"),
        ] {
            let mut asked = Subscribe::websocket(PATIENTS).json(base.version);
            let extension =
                json!({"url": format!("{GUIDE}/backport-filter-criteria"), "valueString": text});
            set(&mut asked, "/_criteria", json!({"extension": [extension]}));
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, 422, "{why}: {reply}");
            reply.refused_at(422, "Subscription.criteria");
        }
    }
}

#[tokio::test]
async fn a_name_that_the_topic_declares_wins_over_a_type_before_a_dot() {
    verifies!("RQ-FL-03");
    let server = Server::start().await;
    let members = json!({
        "resourceTrigger": [{"resource": "Patient"}],
        "canFilterBy": [{
            "resource": "Patient",
            "filterParameter": "Patient.sex",
            "filterDefinition": "http://hl7.org/fhir/SearchParameter/individual-gender",
        }],
    });
    for base in server.bases().iter().filter(|base| base.version.is_backport()) {
        base.save(&topic(base.version, "dotted", members.clone())).await;
        let asked =
            Subscribe::websocket(&url("dotted")).filter(Filter::new("Patient.sex", "female"));
        let id = base.subscribe(&asked).await;
        base.save(&person("m", "M", "male", "2000")).await;
        base.save(&person("f", "F", "female", "2000")).await;
        assert_eq!(base.events(&id, "").await.foci(), ["Patient/f"]);
    }
}

#[tokio::test]
async fn a_filter_is_for_the_types_it_names_and_leaves_the_others_alone() {
    verifies!("RQ-FL-06", "RQ-FL-07", "RQ-TP-53");
    let server = Server::start().await;
    let topic = "http://cresset.test/topics/visit-or-finding";
    for base in server.bases() {
        let v = base.version;
        let resources = [
            encounter(v, "open-p", "in-progress", "p"),
            encounter(v, "planned-p", "planned", "p"),
            encounter(v, "open-q", "in-progress", "q"),
            observation("of-p", "p", 70.0),
            observation("of-q", "q", 70.0),
        ];
        let cases: Vec<Case<'_>> = vec![
            // Nothing is asked of observations.
            (
                vec![Filter::new("status", "in-progress").of("Encounter")],
                &["open-p", "open-q", "of-p", "of-q"],
            ),
            // Bound to every type where the topic offers it.
            (vec![Filter::new("patient", "Patient/p")], &["open-p", "planned-p", "of-p"]),
            (
                vec![Filter::new("patient", "Patient/p").of("Observation")],
                &["open-p", "planned-p", "open-q", "of-p"],
            ),
            (
                vec![
                    Filter::new("patient", "Patient/p"),
                    Filter::new("status", "planned").of("Encounter"),
                ],
                &["planned-p", "of-p"],
            ),
            // Offered for encounters only: no observation can fit it.
            (vec![Filter::new("status", "in-progress")], &["open-p", "open-q"]),
        ];
        check(&base, topic, &cases, &resources).await;
    }
}

#[tokio::test]
async fn an_r5_filter_names_its_type_by_name_or_by_url() {
    verifies!("RQ-FL-09");
    let server = Server::start().await;
    let base = server.base(Version::R5);
    let url = "http://hl7.org/fhir/StructureDefinition/Patient";
    let cases: Vec<Case<'_>> = vec![
        (vec![Filter::new("gender", "female").of(url)], &["f"]),
        (vec![Filter::new("gender", "female").of("Patient")], &["f"]),
    ];
    let people = [person("m", "M", "male", "2000"), person("f", "F", "female", "2000")];
    check(&base, PATIENTS, &cases, &people).await;
}

#[tokio::test]
async fn filters_see_the_new_state_and_on_delete_the_last_one() {
    verifies!("RQ-TP-55");
    let server = Server::start().await;
    for base in server.bases() {
        let asked = Subscribe::websocket(PATIENTS).filter(Filter::new("gender", "female"));
        let id = base.subscribe(&asked).await;
        for gender in ["male", "female", "other", "female"] {
            base.save(&person("p", "P", gender, "2000")).await;
        }
        assert_eq!(base.count(&id).await, 2);
        base.remove("Patient/p").await;
        assert_eq!(base.count(&id).await, 3);
        base.save(&person("q", "Q", "male", "2000")).await;
        base.remove("Patient/q").await;
        assert_eq!(base.count(&id).await, 3);
    }
}

#[tokio::test]
async fn a_retyped_comparator_list_of_r4b_offers_what_it_names() {
    verifies!("RQ-FL-10", "RQ-SB-31");
    let server = Server::start().await;
    for base in server.bases() {
        let with =
            |filter: Filter| Subscribe::websocket(OBSERVATIONS).filter(filter).json(base.version);
        for good in [
            Filter::new("patient", "Patient/p"),
            Filter::new("date", "2026").comparator("ge"),
            Filter::new("value-quantity", "1").comparator("ne"),
            Filter::new("code", "x"),
        ] {
            base.create(&with(good)).await;
        }
        for bad in [
            Filter::new("patient", "true").modifier("missing"),
            Filter::new("date", "2026").comparator("ne"),
            Filter::new("code", "x").modifier("not"),
            Filter::new("patient", "p").modifier("identifier"),
        ] {
            base.post("Subscription", &with(bad)).await.refused_as(422, "not-supported");
        }
    }
}
