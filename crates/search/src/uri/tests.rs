use serde_json::json;

use super::*;

fn check(test: UriTest, searched: &str, value: &Uri<'_>, expected: bool) {
    let operand = UriOperand::new(test, searched);
    let operand = operand.unwrap_or_else(|| panic!("{searched} can be searched"));
    assert_eq!(operand.matches(value), expected, "{searched}");
}

#[test]
fn a_uri_is_compared_exactly() {
    let value = Uri::plain("http://acme.org/fhir/ValueSet/123");
    check(UriTest::Exact, "http://acme.org/fhir/ValueSet/123", &value, true);
    check(UriTest::Exact, "http://acme.org/fhir/valueset/123", &value, false);
    check(UriTest::Exact, "http://acme.org/fhir/ValueSet/123/", &value, false);
    check(UriTest::Exact, "http://acme.org/fhir/ValueSet", &value, false);
    check(UriTest::Exact, "urn:oid:1.2.3", &Uri::plain("urn:oid:1.2.3"), true);
}

#[test]
fn below_and_above_go_along_whole_segments() {
    let value = Uri::plain("http://acme.org/fhir/ValueSet/123");
    check(UriTest::Below, "http://acme.org/fhir/", &value, true);
    check(UriTest::Below, "http://acme.org/fhir", &value, true);
    check(UriTest::Below, "http://acme.org/fhir/ValueSet/123", &value, true);
    check(UriTest::Below, "http://acme.org/fhir/ValueSet/12", &value, false);
    check(UriTest::Below, "http://acme.org/fhir/ValueSet/123/x", &value, false);
    check(UriTest::Above, "http://acme.org/fhir/ValueSet/123/_history/5", &value, true);
    check(UriTest::Above, "http://acme.org/fhir/ValueSet/123", &value, true);
    check(UriTest::Above, "http://acme.org/fhir/ValueSet/1234", &value, false);
    check(UriTest::Above, "http://acme.org/fhir", &value, false);
    check(UriTest::Contains, "VALUESET/1", &value, true);
    check(UriTest::Contains, "valueset2", &value, false);
}

#[test]
fn urns_have_nothing_above_or_below() {
    for searched in ["urn:oid:1.2", "URN:uuid:x", "|1", ""] {
        assert_eq!(UriOperand::new(UriTest::Below, searched), None, "{searched}");
        assert_eq!(UriOperand::new(UriTest::Above, searched), None, "{searched}");
    }
    check(UriTest::Above, "http://a/b", &Uri::plain("urn:oid:1"), false);
}

#[test]
fn a_canonical_is_found_with_and_without_its_version() {
    let value = Uri::canonical("http://acme.org/topic|1.1");
    check(UriTest::Exact, "http://acme.org/topic", &value, true);
    check(UriTest::Exact, "http://acme.org/topic|1.1", &value, true);
    check(UriTest::Exact, "http://acme.org/topic|1.2", &value, false);
    check(
        UriTest::Exact,
        "http://acme.org/topic|1.1",
        &Uri::canonical("http://acme.org/topic"),
        false,
    );
    let resource = json!({"url": "http://acme.org/topic", "version": "2"});
    let own = Uri::own("http://acme.org/topic", &resource);
    check(UriTest::Exact, "http://acme.org/topic|2", &own, true);
    check(UriTest::Exact, "http://acme.org/topic|3", &own, false);
}

#[test]
fn versions_of_a_canonical_are_above_and_below_others() {
    let value = Uri::canonical("http://acme.org/topic|1.1");
    check(UriTest::Below, "http://acme.org/topic|1", &value, true);
    check(UriTest::Below, "http://acme.org/topic|1.1", &value, true);
    check(UriTest::Below, "http://acme.org/topic|2", &value, false);
    check(UriTest::Below, "http://acme.org|1", &value, false);
    check(UriTest::Above, "http://acme.org/topic|1.0", &value, true);
    check(UriTest::Above, "http://acme.org/topic|1", &value, false);
    check(UriTest::Above, "http://acme.org/topic|1.1", &value, false);
    check(UriTest::Above, "http://acme.org/topic/x|1.0", &value, false);
    check(UriTest::Below, "http://acme.org/topic|1", &Uri::plain("http://acme.org/topic"), false);
    check(UriTest::Below, "urn:oid:1.2|1", &Uri::canonical("urn:oid:1.2|1.5"), true);
}
