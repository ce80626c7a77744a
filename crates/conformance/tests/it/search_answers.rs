//! The forms that the answer to a search may have: order, totals, parts of resources, entity tags,
//! and searches of several types and by POST.

use cresset_conformance::{Client, Options, Server, encounter, observation, patient};
use reqwest::Method;
use serde_json::{Value, json};

use crate::rest::link;
use crate::search::ids;

const FORM: &str = "application/x-www-form-urlencoded";

async fn indexed() -> Server {
    Server::start_with(Options::default().set("search.index", "all")).await
}

/// Ids of the matches, in order.
fn in_order(page: &Value) -> Vec<&str> {
    let entries = page["entry"].as_array().into_iter().flatten();
    let matches = entries.filter(|entry| entry["search"]["mode"] == "match");
    matches.map(|entry| entry["resource"]["id"].as_str().expect("an id")).collect()
}

async fn save_people(base: &Client) {
    for (id, family, born) in [
        ("c", "Baker", "1980-01-01"),
        ("a", "Archer", "1990"),
        ("b", "Baker", "1970-05"),
        ("d", "", ""),
    ] {
        let mut person = patient(id);
        person["name"] = json!([{"family": family, "given": [format!("Given-{id}")]}]);
        person["birthDate"] = born.into();
        if family.is_empty() {
            let members = person.as_object_mut().expect("an object");
            members.remove("name");
            members.remove("birthDate");
        }
        base.save(&person).await;
    }
}

#[tokio::test]
async fn matches_come_in_the_order_asked_for_on_all_pages() {
    let server = indexed().await;
    for base in server.bases() {
        save_people(&base).await;
        for (sort, expected) in [
            ("family,birthdate", ["a", "b", "c", "d"]),
            ("family,-birthdate", ["a", "c", "b", "d"]),
            ("-family,birthdate", ["b", "c", "a", "d"]),
            ("birthdate", ["b", "c", "a", "d"]),
            ("-birthdate", ["a", "c", "b", "d"]),
            ("_id", ["a", "b", "c", "d"]),
            ("-_id", ["d", "c", "b", "a"]),
            ("_lastUpdated", ["c", "a", "b", "d"]),
        ] {
            let whole = base.read(&format!("Patient?_sort={sort}")).await;
            assert_eq!(in_order(&whole), expected, "{sort}");
            let mut next = Some(format!("Patient?_sort={sort}&_count=1"));
            let mut paged = Vec::new();
            while let Some(url) = next {
                let page = base.read(&url).await;
                assert_eq!(page["total"], 4, "{page}");
                paged.extend(in_order(&page).into_iter().map(str::to_owned));
                next = link(&page, "next");
            }
            assert_eq!(paged, expected, "{sort}, paged");
        }
        for bad in ["nonsense", "family,", "--family", "_list"] {
            base.get(&format!("Patient?_sort={bad}")).await.refused(400);
        }
    }
}

#[tokio::test]
async fn the_total_is_told_as_asked_for() {
    let server = indexed().await;
    for base in server.bases() {
        save_people(&base).await;
        for (query, total) in [
            ("_count=1", Value::Null),
            ("_total=none", Value::Null),
            ("_count=1&_total=accurate", json!(4)),
            ("_count=1&_total=estimate", json!(4)),
            ("_count=1&family=baker&_total=accurate", json!(2)),
            ("_summary=count", json!(4)),
        ] {
            let page = base.read(&format!("Patient?{query}")).await;
            assert_eq!(page["total"], total, "{query}: {page}");
        }
        let count = base.read("Patient?_summary=count").await;
        assert!(in_order(&count).is_empty(), "{count}");
        base.get("Patient?_total=some").await.refused(400);
    }
}

#[tokio::test]
async fn parts_of_resources_are_tagged_and_keep_what_is_mandatory() {
    let server = indexed().await;
    for base in server.bases() {
        let mut weight = observation("w", "p", 70.0);
        weight["text"] = json!({
            "status": "generated",
            "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">70 kg</div>",
        });
        weight["note"] = json!([{"text": "after breakfast"}]);
        base.save(&patient("p")).await;
        base.save(&weight).await;
        for (query, there, gone) in [
            ("_summary=true", &["code", "status", "subject"][..], &["text", "note"][..]),
            ("_summary=data", &["code", "note"], &["text"]),
            ("_summary=text", &["text", "code", "status"], &["note", "subject"]),
            (
                "_elements=subject,note",
                &["subject", "note", "code", "status"],
                &["text", "category"],
            ),
        ] {
            let page = base.read(&format!("Observation?{query}")).await;
            let shown = &page["entry"][0]["resource"];
            for name in there.iter().chain(&["id", "meta", "resourceType"]) {
                assert!(shown.get(name).is_some(), "{query}: {name} in {shown}");
            }
            for name in gone {
                assert!(shown.get(name).is_none(), "{query}: {name} in {shown}");
            }
            let tag = &shown["meta"]["tag"][0];
            assert_eq!(tag["code"], "SUBSETTED", "{query}: {shown}");
            assert_eq!(tag["system"], "http://terminology.hl7.org/CodeSystem/v3-ObservationValue");
        }
        let whole = base.read("Observation?_summary=false").await;
        assert!(whole["entry"][0]["resource"]["meta"].get("tag").is_none(), "{whole}");
        // Elements are those of the matches.
        let both = base.read("Observation?_elements=note&_include=Observation:patient").await;
        assert_eq!(both["entry"][1]["resource"]["active"], true, "{both}");
        assert!(both["entry"][1]["resource"]["meta"].get("tag").is_none(), "{both}");
        for bad in [
            "_summary=all",
            "_elements=",
            "_summary=true&_elements=note",
            "_summary=text&_include=Observation:patient",
            "_contained=true",
        ] {
            base.get(&format!("Observation?{bad}")).await.refused(400);
        }
        base.get("Observation?_contained=false").await.expect(200);
    }
}

#[tokio::test]
async fn all_types_are_searched_by_what_they_have_in_common() {
    let server = indexed().await;
    for base in server.bases() {
        base.save(&patient("one")).await;
        base.save(&encounter(base.version, "two", "planned", "one")).await;
        let mut tagged = patient("three");
        tagged["meta"] = json!({
            "tag": [{"system": "http://x.test", "code": "t"}],
            "security": [{"system": "http://x.test", "code": "s"}],
            "profile": ["http://x.test/profile"],
            "source": "http://x.test/source",
        });
        base.save(&tagged).await;
        let both = "?_type=Patient,Encounter";
        assert_eq!(ids(&base, both).await, ["one", "three", "two"]);
        assert_eq!(ids(&base, &format!("{both}&_id=one,two")).await, ["one", "two"]);
        for query in [
            "?_tag=http://x.test%7Ct",
            "?_security=s",
            "?_profile=http://x.test/profile",
            "?_source=http://x.test/source",
            "?_type=Encounter,Patient&_tag=t&_sort=-_lastUpdated",
        ] {
            assert_eq!(ids(&base, query).await, ["three"], "{query}");
        }
        let mut next = Some(format!("{both}&_count=1"));
        let mut found = Vec::new();
        while let Some(url) = next {
            let page = base.read(&url).await;
            found.extend(in_order(&page).into_iter().map(str::to_owned));
            next = link(&page, "next");
        }
        assert_eq!(found, ["one", "three", "two"]);
        let posted = base.request(Method::POST, "_search").body_as("_type=Patient&_id=one", FORM);
        assert_eq!(in_order(&posted.send().await.expect(200).json()), ["one"]);
        base.get(&format!("{both}&family=marker")).await.refused(400);
        base.get("?_type=Nothing").await.refused(400);
    }
}

#[tokio::test]
async fn a_post_searches_by_its_body_and_its_query() {
    let server = indexed().await;
    for base in server.bases() {
        save_people(&base).await;
        let request = base.request(Method::POST, "Patient/_search?family=baker");
        let reply =
            request.body_as("birthdate=1980-01-01&_sort=_id", FORM).send().await.expect(200);
        let page = reply.json();
        assert_eq!(in_order(&page), ["c"], "{page}");
        let own = link(&page, "self").expect("a self link");
        for part in ["family=baker", "birthdate=1980-01-01", "_sort=_id"] {
            assert!(own.contains(part), "{own}");
        }
        assert_eq!(in_order(&base.read(&own).await), ["c"], "the link says the same by GET");
        let weights = base.request(Method::POST, "Patient/a/Observation/_search");
        weights.body_as("", FORM).send().await.expect(200);
        let form = |form: &'static str| {
            base.request(Method::POST, "Patient/_search").body_as(form, FORM).send()
        };
        for named in ["xml", "application/fhir+xml", "application/fhir%2Bxml"] {
            let posted = base.request(Method::POST, "Patient/_search");
            let xml = posted.body_as(format!("family=baker&_format={named}"), FORM).send().await;
            let xml = xml.expect(200);
            assert!(xml.header("content-type").starts_with("application/fhir+xml"), "{xml}");
            assert!(xml.body.starts_with(b"<"), "{xml}");
        }
        let refused = form("nonsense=1&_format=xml").await.expect(400);
        assert!(refused.header("content-type").starts_with("application/fhir+xml"), "{refused}");
        let pretty = form("family=baker&_pretty=true").await.expect(200);
        assert!(pretty.body.starts_with(b"{\n"), "{pretty}");
        form("_format=turtle").await.refused(406);
        // What the form names goes before what the headers accept.
        for (accepted, named, status) in [
            ("text/html", "", 406),
            ("text/html", "&_format=json", 200),
            ("text/html", "&_format=application/fhir+json", 200),
            ("application/fhir+xml", "&_format=json", 200),
        ] {
            let posted = base.request(Method::POST, "Patient/_search").header("accept", accepted);
            let reply = posted.body_as(format!("family=baker{named}"), FORM).send().await;
            let reply = reply.expect(status);
            let sent = reply.header("content-type");
            assert!(sent.starts_with("application/fhir+json"), "{accepted} {named}: {sent}");
        }
        let json = base.request(Method::POST, "Patient/_search").json(&json!({}));
        json.send().await.refused(415);
    }
}

#[tokio::test]
async fn a_searchset_has_an_entity_tag_that_changes_with_what_is_found() {
    let server = indexed().await;
    for base in server.bases() {
        save_people(&base).await;
        let query = "Patient?family=baker";
        let first = base.get(query).await.expect(200);
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let again = base.request(Method::GET, query).header("if-none-match", &tag);
        let again = again.send().await.expect(304);
        assert!(again.body.is_empty() && again.header("etag") == tag, "{again}");
        for tags in [format!("\"x\", {tag}"), "*".to_owned()] {
            let known = base.request(Method::GET, query).header("if-none-match", &tags);
            known.send().await.expect(304);
        }
        base.save(&patient("other")).await;
        let same = base.request(Method::GET, query).header("if-none-match", &tag);
        same.send().await.expect(304);
        base.remove("Patient/c").await;
        let changed = base.request(Method::GET, query).header("if-none-match", &tag);
        assert_ne!(changed.send().await.expect(200).header("etag"), tag);
    }
}

#[tokio::test]
async fn what_is_ignored_is_told_and_not_in_the_self_link() {
    let server = indexed().await;
    for base in server.bases() {
        base.save(&patient("p")).await;
        let lenient = base.request(Method::GET, "Patient?nonsense=1&family=marker&_contained=true");
        let page = lenient.header("prefer", "handling=lenient").send().await.expect(200).json();
        let own = link(&page, "self").expect("a self link");
        assert!(own.ends_with("/Patient?family=marker"), "{own}");
        let outcome = page["entry"].as_array().expect("entries").last().expect("one");
        assert_eq!(outcome["search"]["mode"], "outcome", "{page}");
        let issues = outcome["resource"]["issue"].as_array().expect("issues");
        assert_eq!(issues.len(), 2, "{page}");
        assert!(issues.iter().all(|issue| issue["severity"] == "warning"), "{page}");
        assert_eq!(in_order(&page), ["p"], "{page}");
    }
}

#[tokio::test]
async fn what_is_ignored_in_part_is_ignored_on_all_pages() {
    let server = indexed().await;
    for base in server.bases() {
        save_people(&base).await;
        base.save(&encounter(base.version, "e", "planned", "a")).await;
        for (query, own, expected) in [
            // The first key can be read, the second cannot.
            ("Patient?_sort=birthdate,nonsense", "/Patient?_count=1", &["c", "a", "b", "d"][..]),
            // Patients have names, encounters have none.
            (
                "?_type=Patient,Encounter&family=archer",
                "?_type=Patient%2CEncounter&_count=1",
                &["c", "a", "b", "d", "e"],
            ),
        ] {
            let lenient = base.request(Method::GET, &format!("{query}&_count=1"));
            let lenient = lenient.header("prefer", "handling=lenient").send().await;
            let mut page = lenient.expect(200).json();
            assert!(link(&page, "self").expect("a self link").ends_with(own), "{page}");
            let mut found = Vec::new();
            loop {
                found.extend(in_order(&page).into_iter().map(str::to_owned));
                let Some(next) = link(&page, "next") else { break };
                page = base.read(&next).await;
            }
            assert_eq!(found, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_refused_though_types_lack_the_parameter() {
    let server = indexed().await;
    for base in server.bases() {
        for query in ["?birthdate=nonsense", "?_type=Encounter,Patient&birthdate=nonsense"] {
            for handling in ["strict", "lenient"] {
                let asked = base.request(Method::GET, query);
                let asked = asked.header("prefer", &format!("handling={handling}"));
                asked.send().await.refused_at(400, "birthdate");
            }
        }
    }
}

#[tokio::test]
async fn an_order_is_of_the_types_that_have_the_parameters_wherever_it_stands() {
    let server = indexed().await;
    for base in server.bases() {
        save_people(&base).await;
        base.save(&encounter(base.version, "e", "planned", "a")).await;
        for query in ["?_sort=-family&family=baker,archer", "?family=baker,archer&_sort=-family"] {
            let page = base.read(query).await;
            assert_eq!(in_order(&page), ["c", "b", "a"], "{query}: {page}");
        }
    }
}
