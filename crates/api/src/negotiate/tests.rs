//! Media types, preferences and preconditions.

use axum::http::HeaderValue;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn json_of_the_own_version_is_acceptable_and_nothing_else() {
    let check = |accept: &'static str, acceptable: bool| {
        let headers = headers(&[("accept", accept)]);
        assert_eq!(check_accept(FhirVersion::R4, &headers, None).is_ok(), acceptable, "{accept}");
    };
    check("*/*", true);
    check("application/fhir+json", true);
    check("application/fhir+json; fhirVersion=4.0", true);
    check("application/fhir+json; fhirVersion=4.0.1", true);
    check("text/html, application/json;q=0.9", true);
    check("application/fhir+json; fhirVersion=5.0", false);
    check("application/fhir+xml", false);
    check("text/html", false);
    assert!(check_accept(FhirVersion::R4, &headers(&[]), None).is_ok());
}

#[test]
fn the_format_parameter_wins_over_the_header() {
    let json = headers(&[("accept", "application/fhir+json")]);
    let xml = headers(&[("accept", "application/fhir+xml")]);
    assert!(check_accept(FhirVersion::R5, &json, Some("xml")).is_err());
    for format in [
        "json",
        "application/fhir json",
        "application/fhir+json",
        "application/fhir json; fhirVersion=5.0",
    ] {
        assert!(check_accept(FhirVersion::R5, &xml, Some(format)).is_ok(), "{format}");
    }
    let other = "application/fhir json; fhirVersion=4.0";
    assert!(check_accept(FhirVersion::R5, &xml, Some(other)).is_err());
}

#[test]
fn a_body_must_be_said_to_be_json() {
    let check = |content_type: &'static str, good: bool| {
        let headers = headers(&[("content-type", content_type)]);
        assert_eq!(check_content_type(FhirVersion::R4B, &headers).is_ok(), good, "{content_type}");
    };
    check("application/fhir+json", true);
    check("application/json; charset=UTF-8", true);
    check("application/fhir+json; fhirVersion=4.3", true);
    check("application/fhir+json; fhirVersion=4.0", false);
    check("application/json; charset=latin1", false);
    check("application/fhir+xml", false);
    check("", false);
}

#[test]
fn an_etag_names_a_version() {
    for (etag, version) in
        [("W/\"3\"", Some(3)), ("\"3\"", Some(3)), ("3", None), ("W/\"0\"", None)]
    {
        assert_eq!(etag_version(etag).map(VersionId::get), version, "{etag}");
    }
    let read = |name, value| condition(&headers(&[(name, value)]));
    assert_eq!(
        read("if-match", "W/\"2\"").unwrap(),
        Condition::IfMatch(VersionId::new(2).unwrap())
    );
    assert_eq!(read("if-match", "*").unwrap(), Condition::IfExists);
    assert_eq!(read("if-none-match", "*").unwrap(), Condition::IfNoneMatch);
    assert_eq!(read("if-match", "two").unwrap_err().kind(), Kind::Malformed);
    assert_eq!(read("if-none-match", "W/\"2\"").unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn a_representation_comes_back_unless_the_client_prefers_otherwise() {
    let wanted = |value| wanted_return(&headers(&[("prefer", value)]));
    assert_eq!(wanted("return=minimal"), Return::Minimal);
    assert_eq!(wanted("respond-async, return=OperationOutcome"), Return::Outcome);
    assert_eq!(wanted("return=representation; handling=lenient"), Return::Representation);
    assert_eq!(wanted_return(&headers(&[])), Return::Representation);
    assert!(is_lenient(&headers(&[("prefer", "handling=lenient, return=minimal")])));
    assert!(!is_lenient(&headers(&[("prefer", "handling=strict")])));
}

#[test]
fn xml_is_sent_where_it_is_liked_better_than_json() {
    let check = |accept: &'static str, wanted: Format| {
        let headers = headers(&[("accept", accept)]);
        assert_eq!(wanted_format(FhirVersion::R4, &headers, None), wanted, "{accept}");
    };
    check("application/fhir+xml", Format::Xml);
    check("text/xml; fhirVersion=4.0", Format::Xml);
    check("application/fhir+json;q=0.5, application/fhir+xml;q=0.9", Format::Xml);
    check("application/xml; q=0.9, */*; q=0.8", Format::Xml);
    check("application/fhir+xml, application/fhir+json", Format::Json);
    check("application/fhir+xml; fhirVersion=5.0", Format::Json);
    check("*/*", Format::Json);
    check("text/html", Format::Json);
    let xml = headers(&[("accept", "application/fhir+xml")]);
    for (format, wanted) in [
        ("xml", Format::Xml),
        ("application/fhir xml", Format::Xml),
        ("text/xml", Format::Xml),
        ("json", Format::Json),
        ("turtle", Format::Json),
    ] {
        assert_eq!(wanted_format(FhirVersion::R4, &xml, Some(format)), wanted, "{format}");
    }
}
