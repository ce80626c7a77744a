use serde_json::json;

use super::*;

fn check(searched: &str, values: &[Token<'_>], expected: bool) {
    let operand = TokenOperand::parse(searched);
    let operand = operand.unwrap_or_else(|| panic!("{searched} is a token"));
    assert_eq!(values.iter().any(|value| operand.matches(value)), expected, "{searched}");
}

#[test]
fn a_coding_is_found_by_code_and_system() {
    let json = json!({"system": "http://loinc.org", "code": "8480-6"});
    let coding = [Token::of_coding(&json).unwrap()];
    check("8480-6", &coding, true);
    check("8480", &coding, false);
    check("http://loinc.org|8480-6", &coding, true);
    check("http://loinc.org|", &coding, true);
    check("http://snomed.info/sct|8480-6", &coding, false);
    check("http://snomed.info/sct|", &coding, false);
    check("|8480-6", &coding, false);
    let json = json!({"code": "Local,1|2"});
    let local = [Token::of_coding(&json).unwrap()];
    check(r"|Local\,1\|2", &local, true);
    check(r"Local\,1\|2", &local, true);
    check(r"local\,1\|2", &local, false);
    check("http://loinc.org|", &local, false);
}

#[test]
fn a_concept_is_each_of_its_codings_and_its_text() {
    let json = json!({
        "coding": [{"system": "a", "code": "1"}, {"system": "b", "code": "2", "display": "Émile"}, {}],
        "text": "A Headache"
    });
    let concept: Vec<_> = Token::of_concept(&json).collect();
    assert_eq!(concept.len(), 3);
    check("a|1", &concept, true);
    check("b|2", &concept, true);
    check("a|2", &concept, false);
    let text = |searched| StringOperand::new(crate::StringTest::StartsWith, searched).unwrap();
    let found = |operand: TokenOperand| concept.iter().any(|token| operand.matches(token));
    assert!(found(TokenOperand::Text(text("a head").into())));
    assert!(found(TokenOperand::Text(text("emil").into())));
    assert!(!found(TokenOperand::Text(text("headache").into())));
}

#[test]
fn a_code_is_found_by_its_start_as_text() {
    let found = |searched: &str, code| {
        let operand = TokenOperand::parse_code_text(searched);
        let operand = operand.unwrap_or_else(|| panic!("{searched} is the start of a code"));
        operand.matches(&Token::new(TokenSystem::Absent, code))
    };
    for code in ["en", "EN", "en-AU", "en-GB"] {
        assert!(found("en", code) && found("EN", code), "{code}");
    }
    assert!(found("en-", "en-AU"));
    assert!(!found("en-", "en"));
    assert!(!found("enau", "en-AU"));
    assert!(!found("AU", "en-AU"));
    assert!(found("ménière", "MENIERE"));
    assert_eq!(TokenOperand::parse_code_text(""), None);
}

#[test]
fn a_mime_type_is_found_with_its_parameters_and_by_its_kind() {
    let found = |searched: &str, code| {
        let operand = TokenOperand::parse_mime_type(searched);
        let operand = operand.unwrap_or_else(|| panic!("{searched} is a MIME type"));
        operand.matches(&Token::new(TokenSystem::Absent, code))
    };
    for code in ["text/xml", "text/xml; charset=UTF-8", "text/xml;charset=UTF-8", "Text/XML ;a=b"] {
        assert!(found("text/xml", code) && found("TEXT", code), "{code}");
    }
    for code in ["text/xml2", "text/plain", "application/xml", "text", ""] {
        assert!(!found("text/xml", code), "{code}");
    }
    assert!(!found("text", "text2/xml"));
    for text in ["", "/", "text/", "/xml", "text/xml; charset=UTF-8", "text/xml/x", "téxt"] {
        assert_eq!(TokenOperand::parse_mime_type(text), None, "{text}");
    }
}

#[test]
fn an_identifier_is_found_by_its_type_too() {
    let json = json!({
        "type": {"coding": [{"system": "t", "code": "MR"}], "text": "Medical record"},
        "system": "urn:oid:1.2", "value": "446053"
    });
    let identifier = [Token::of_identifier(&json).unwrap()];
    check("urn:oid:1.2|446053", &identifier, true);
    check("446053", &identifier, true);
    let of_type = |text: &str| TokenOperand::parse_of_type(text).unwrap().matches(&identifier[0]);
    assert!(of_type("t|MR|446053"));
    assert!(!of_type("t|SS|446053"));
    assert!(!of_type("u|MR|446053"));
    assert!(!of_type("t|MR|446054"));
}

#[test]
fn what_is_no_token_is_refused() {
    for text in ["", "|", "a|b|c", r"a\b", r"\"] {
        assert_eq!(TokenOperand::parse(text), None, "{text}");
    }
    for text in ["", "a|b", "a|b|", "|b|c", "a||c", "a|b|c|d"] {
        assert_eq!(TokenOperand::parse_of_type(text), None, "{text}");
    }
}

#[test]
fn the_system_of_a_code_element_is_implied() {
    let code = [Token::new(TokenSystem::Implied(&["http://hl7.org/fhir/status"]), "active")];
    check("active", &code, true);
    check("|active", &code, true);
    check("http://hl7.org/fhir/status|active", &code, true);
    check("http://other|active", &code, false);
    check("Active", &code, false);
}

#[test]
fn strings_are_compared_without_case() {
    let text = [Token::ignoring_case("Lot-Ä7")];
    check("LOT-ä7", &text, true);
    check("lot-a7", &text, false);
}
