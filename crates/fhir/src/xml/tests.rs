use cresset_definitions::{Definitions, FhirVersion};
use serde_json::{Value, json};

use super::*;
use crate::json;
use crate::test_data::{shared_lines, told};

fn read(version: FhirVersion, xml: &str) -> Value {
    let bytes = to_json(Definitions::of(version), xml.as_bytes()).unwrap_or_else(|issues| {
        panic!("{issues}: {xml}");
    });
    json::parse(&bytes).expect("what is read is JSON")
}

fn written(version: FhirVersion, resource: &Value) -> String {
    let mut out = String::new();
    from_json(Definitions::of(version), resource, &mut out);
    out
}

#[track_caller]
fn check(json: &str, xml: &str) {
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{xml}");
    let value = json::parse(json.as_bytes()).unwrap();
    assert_eq!(written(FhirVersion::R4, &value), xml);
    let bytes = to_json(Definitions::of(FhirVersion::R4), xml.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), json);
}

#[test]
fn one_resource_has_two_forms() {
    check(
        r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"Ä & <b>","given":["a\nb","c"]}]}"#,
        "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p\"/><active value=\"true\"/><name>\
         <family value=\"Ä &amp; &lt;b&gt;\"/><given value=\"a&#10;b\"/><given value=\"c\"/></name></Patient>",
    );
}

#[test]
fn primitives_keep_their_ids_and_extensions() {
    check(
        r#"{"resourceType":"Patient","name":[{"given":["a",null,"c"],"_given":[null,{"id":"x","extension":[{"url":"u","valueCode":"v"}]},{"id":"y"}]}],"_birthDate":{"extension":[{"url":"u","valueBoolean":false}]}}"#,
        "<Patient xmlns=\"http://hl7.org/fhir\"><name><given value=\"a\"/><given id=\"x\"><extension url=\"u\">\
         <valueCode value=\"v\"/></extension></given><given value=\"c\" id=\"y\"/></name><birthDate>\
         <extension url=\"u\"><valueBoolean value=\"false\"/></extension></birthDate></Patient>",
    );
}

#[test]
fn decimals_markup_and_contained_resources_stay_as_they_are() {
    check(
        r#"{"resourceType":"Observation","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a <b>c</b> &amp; d</div>"},"contained":[{"resourceType":"Patient","id":"p"}],"status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}"#,
        "<Observation xmlns=\"http://hl7.org/fhir\"><text><status value=\"generated\"/>\
         <div xmlns=\"http://www.w3.org/1999/xhtml\">a <b>c</b> &amp; d</div></text><contained>\
         <Patient><id value=\"p\"/></Patient></contained><status value=\"final\"/><code>\
         <text value=\"x\"/></code><valueQuantity><value value=\"1.00\"/></valueQuantity></Observation>",
    );
}

#[test]
fn comments_declarations_and_white_space_say_nothing() {
    let xml = "\u{FEFF}<?xml version='1.0' encoding='utf-8'?><!-- a -->\n<Patient xmlns=\"http://hl7.org/fhir\" \
        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"a b\">\n  <!-- b -->\n \
        <id value=\"p\"></id>\n</Patient>\n";
    assert_eq!(
        read(FhirVersion::R5, xml),
        serde_json::json!({"resourceType": "Patient", "id": "p"})
    );
}

#[test]
fn what_has_no_form_in_json_is_refused() {
    let patient =
        |inside: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">{inside}</Patient>");
    let bomb = "<!DOCTYPE a [<!ENTITY b \"c\"><!ENTITY d \"&b;&b;\">]><Patient xmlns=\"http://hl7.org/fhir\"/>";
    let external = "<!DOCTYPE Patient SYSTEM \"file:///etc/passwd\"><Patient/>";
    let deep = "<extension url=\"a\">".repeat(100);
    let attributes: String = (0..100_000).map(|number| format!(" a{number}=\"\"")).collect();
    for (xml, code) in [
        (String::new(), "NotXml"),
        ("<Patient".to_owned(), "NotXml"),
        (patient("<id value=\"p\">"), "NotXml"),
        (patient("text"), "NotXml"),
        (patient("<![CDATA[x]]>"), "NotXml"),
        (patient("<id value=\"&x;\"/>"), "NotXml"),
        (patient("&x;"), "NotXml"),
        (patient("<contained/>"), "NotXml"),
        (bomb.to_owned(), "NotXml"),
        (external.to_owned(), "NotXml"),
        ("<Patient xmlns=\"http://a.b\"/>".to_owned(), "NotXml"),
        ("<?xml version=\"1.0\" encoding=\"latin1\"?><Patient/>".to_owned(), "NotXml"),
        ("<Patient/><Patient/>".to_owned(), "NotXml"),
        (patient("<id value=\"a\" value=\"b\"/>"), "NotXml"),
        ("<Patint/>".to_owned(), "WrongResourceType"),
        (patient("<nmae/>"), "UnknownElement"),
        (patient("<active value=\"true\" colour=\"red\"/>"), "UnknownElement"),
        (patient(&format!("<active value=\"true\"{attributes}/>")), "UnknownElement"),
        (patient("<active value=\"true\"/><active value=\"false\"/>"), "InvalidElement"),
        (patient("<active/>"), "InvalidElement"),
        (patient(&deep), "NestedTooDeep"),
    ] {
        let result = to_json(Definitions::of(FhirVersion::R4), xml.as_bytes());
        let told = result.as_ref().map_err(told).expect_err(&xml[..xml.len().min(200)]);
        assert!(told.len() == 1 && told[0].starts_with(code), "{told:?}");
    }
    assert!(to_json(Definitions::of(FhirVersion::R4), b"<Patient>\xFF</Patient>").is_err());
}

#[test]
fn hl7s_examples_go_to_xml_and_back_and_are_the_same() {
    for (version, name) in
        [(FhirVersion::R4, "R4"), (FhirVersion::R4B, "R4B"), (FhirVersion::R5, "R5")]
    {
        for line in shared_lines(&format!("examples/all-{name}.ndjson.zst")) {
            let resource = json::parse(&line).expect("HL7's JSON parses");
            if !crate::validation::validate(version, &resource).0.is_empty() {
                // What is not valid may have no form in XML.
                continue;
            }
            let xml = written(version, &resource);
            let back = read(version, &xml);
            assert_eq!(written(version, &back), xml);
            // R5's integer64 is a string, and a number in these examples.
            let (back, resource) = match version {
                FhirVersion::R4 | FhirVersion::R4B => (back, resource),
                FhirVersion::R5 => (without_numbers(back), without_numbers(resource)),
            };
            assert_eq!(back, resource, "{}", &xml[..xml.len().min(2_000)]);
        }
    }
}

/// The same with numbers as strings.
fn without_numbers(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(without_numbers).collect(),
        Value::Number(number) => Value::String(number.to_string()),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, without_numbers(value))).collect(),
        ),
        other @ (Value::Bool(_) | Value::Null | Value::String(_)) => other,
    }
}

#[test]
fn markup_is_well_formed_in_xml_whatever_the_text_is() {
    let body = |div: &str| {
        let resource = json!({"resourceType": "Patient", "text": {"div": div}});
        let xml = written(FhirVersion::R4, &resource);
        let (_, rest) = xml.split_once("<text>").unwrap();
        rest.strip_suffix("</text></Patient>").unwrap().to_owned()
    };
    let div = |inside: &str| format!("<div xmlns=\"{XHTML_NAMESPACE}\">{inside}</div>");
    for kept in [
        "a <b class='x'\n id=\"y\">c</b>&amp;&#160;&#xA0;<br/><!-- d --><![CDATA[<e>]]>",
        "<p xml:lang=\"de\">a</p>",
    ] {
        assert_eq!(body(&div(kept)), div(kept));
    }
    for (inside, expected) in [
        ("a&nbsp;b", "a\u{a0}b"),
        ("<a title=\"&eacute;&lt;\">b</a>", "<a title=\"é&lt;\">b</a>"),
        ("a &unknown; b", "a &amp;unknown; b"),
    ] {
        assert_eq!(body(&div(inside)), div(expected));
    }
    assert_eq!(body("<div>a</div>"), div("a"));
    for bad in [
        "<p>a</p>".to_owned(),
        "a".to_owned(),
        String::new(),
        div("<p>"),
        div("</div><div>"),
        div("") + "</text></Patient></resource></entry><entry>",
        div("") + "&amp;",
        "x".to_owned() + &div(""),
        div("<p a='1'b='2'/>"),
        div("<p a='1' a='2'/>"),
        div("<p a='<'/>"),
        div("<p a/>"),
        div("<p x:y='1'/>"),
        div("<x:p/>"),
        div("a ]]> b"),
        div("a & b"),
        div("&#0;"),
        div("&#x+41;"),
        div("a\u{1}b"),
        div("<!-- a -- b -->"),
        div("<?a b?>"),
        format!("<!DOCTYPE div [<!ENTITY a \"b\">]>{}", div("&a;")),
    ] {
        let body = body(&bad);
        let inside = body.strip_prefix(&div("").replace("</div>", "")).unwrap();
        let inside = inside.strip_suffix("</div>").unwrap();
        assert!(!inside.contains(['<', '\u{1}']), "{bad}: {body}");
    }
    let name = json!({"resourceType": "Patient", "name": [{"family": "a\u{1}b"}]});
    assert!(written(FhirVersion::R4, &name).contains("\"a\u{fffd}b\""));
}

proptest::proptest! {
    #[test]
    fn no_markup_ends_before_its_element(markup in "(<div>|</div>|<[bp/!?]{0,3}|-->|\\]\\]>|x|=|\"|'|>| |&|;|#|x:){0,30}") {
        let resource = json!({"resourceType": "Patient", "text": {"div": markup}});
        let xml = written(FhirVersion::R4, &resource);
        // Read on the other way, it is one element of the narrative.
        let read = to_json(Definitions::of(FhirVersion::R4), xml.as_bytes());
        proptest::prop_assert!(read.is_ok(), "{xml}");
    }

    #[test]
    fn no_input_makes_the_reader_panic(xml in "(<[A-Za-z/?!]{0,3}|Patient|name|value|=|\"|>| |&|;|x){0,40}") {
        let result = to_json(Definitions::of(FhirVersion::R4), xml.as_bytes());
        if let Ok(bytes) = result {
            proptest::prop_assert!(json::parse(&bytes).is_ok());
        }
    }
}
