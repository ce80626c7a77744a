//! What is refused, where, and why.

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::json;

use super::{scope, shown};
use crate::{CompileErrorKind, Context, EvaluationError, Expression, Scope};

fn check(source: &str, kind: CompileErrorKind, offset: usize, text: &str) {
    let error = Expression::compile(source, &scope("Patient")).expect_err(source);
    assert_eq!((error.kind, error.offset), (kind, offset), "{source}: {error}");
    assert!(error.text.contains(text), "{source}: {error}");
}

#[test]
fn syntax_errors_say_what_was_expected_where() {
    let syntax = |source, offset, text| check(source, CompileErrorKind::Syntax, offset, text);
    syntax("", 0, "expected an operand, found the end");
    syntax("name.", 5, "found the end");
    syntax("name.given)", 10, "expected an operator or the end, found `)`");
    syntax("(name", 5, "expected `)`");
    syntax("name[", 5, "expected an operand");
    syntax("'abc", 0, "has no end");
    syntax("'\\x'", 1, "unknown escape");
    syntax("'\\ud800'", 1, "unknown escape");
    syntax("@2012-13-01", 0, "not a date");
    syntax("@2011-02-29", 0, "not a date");
    syntax("@0000", 0, "not a date");
    syntax("@T25:00", 0, "not a time");
    syntax("@2012-01-01T10:00:00+15:00", 0, "not a date-time");
    syntax("name # family", 5, "unexpected character '#'");
    syntax("1 and and 2", 6, "expected an operand, found `and`");
    syntax("name.where()", 5, "takes 1 argument(s), not 0");
    syntax("name.first(1)", 5, "takes no argument, not 1");
    syntax("99999999999999999999", 0, "too large");
    syntax("name.ofType(1)", 12, "must name a type");
    syntax("/* open", 0, "no end");
    syntax("$thing", 0, "`$this`");
    syntax("name is", 7, "expected a type");
}

#[test]
fn unknown_names_are_found_before_anything_is_evaluated() {
    use CompileErrorKind as Kind;
    check(
        "name.given1",
        Kind::UnknownElement,
        5,
        "`given1` is not an element of HumanName; it has",
    );
    check("Patient.nam", Kind::UnknownElement, 8, "it has id, meta");
    check(
        "Encounter.status",
        Kind::UnknownElement,
        0,
        "starts at Encounter, but is evaluated on Patient",
    );
    check("deceasedBoolean", Kind::UnknownElement, 0, "write `deceased.ofType(boolean)`");
    check("name.where(usage = 'x')", Kind::UnknownElement, 11, "not an element of HumanName");
    check("name.frist()", Kind::UnknownFunction, 5, "no function `frist`");
    check("name.oftype(HumanName)", Kind::UnknownFunction, 5, "is `ofType` meant?");
    check("deceased is datetime", Kind::UnknownType, 12, "`datetime` is not defined in FHIR 4.0.1");
    check("deceased.ofType(FHIR.Boolean1)", Kind::UnknownType, 16, "`FHIR.Boolean1`");
    check("%current.name", Kind::UnknownVariable, 0, "`%current` is not defined here");
    check("name.where($total > 1) or $index = 1", Kind::UnknownVariable, 26, "only inside");
    check("defineVariable('a', 1) | %a", Kind::UnknownVariable, 25, "`%a`");
    check("defineVariable('context', 1)", Kind::UnknownVariable, 0, "already defined");
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    use CompileErrorKind as Kind;
    check("gender.memberOf('http://x')", Kind::Unsupported, 7, "no terminology service");
    check("conformsTo('http://x')", Kind::Unsupported, 0, "profiles are not evaluated");
    check("text.div.htmlChecks()", Kind::Unsupported, 9, "narrative");
    check("birthDate < today()", Kind::Unsupported, 12, "no clock");
    check("children().first()", Kind::Unsupported, 11, "no defined order");
    check("children()[0]", Kind::Unsupported, 10, "no defined order");
    check("%terminologies.expand('x')", Kind::Unsupported, 0, "no service is called");
    check("gender.matches('(')", Kind::Unsupported, 15, "regular expression");
    check("gender.matches('(a{1000}){1000}')", Kind::Unsupported, 15, "too large");
    check("name.startsWith('x')", Kind::WrongType, 5, "needs a string, not HumanName");
    check("iif('a', 1, 2)", Kind::WrongType, 4, "String, not Boolean");
    check("gender > 5", Kind::WrongType, 7, "no order between code and Integer");
    check("birthDate >= '2000'", Kind::WrongType, 10, "no order between date and String");
    check("active < true", Kind::WrongType, 7, "no order between boolean and Boolean");
    check("gender + 5", Kind::WrongType, 7, "not defined for code and Integer");
    check("gender - 'a'", Kind::WrongType, 7, "not defined for code and String");
    check("birthDate + 1", Kind::WrongType, 10, "not defined for date and Integer");
}

#[test]
fn evaluation_errors_name_types_and_places_only() {
    let patient = json!({
        "resourceType": "Patient", "gender": "secret-code",
        "name": [{"family": "Secret"}, {"family": "Hidden"}],
    });
    let check = |source: &str, expect: &str| {
        let error = shown(source, &scope("Patient"), &patient).expect_err(source);
        assert_eq!(error.to_string(), expect, "{source}");
    };
    check("name.family.length()", "length needs a single item (at offset 12)");
    check("name and true", "`and` needs a single item (at offset 5)");
    check("name as HumanName", "`as` needs a single item (at offset 8)");
    // What types an operand has is not known here before it is evaluated.
    check("iif(true, gender, 1) > 5", "code and Integer have no order (at offset 21)");
    check(
        "iif(true, gender, 1) + 5",
        "arithmetic is not defined for code and Integer here (at offset 21)",
    );
    check("gender.abs()", "`abs()` is not defined for this, not code (at offset 7)");
    check("name.where(family)[gender]", "an index must be an integer, not code (at offset 18)");
    check("-gender", "`-` needs a number, not code (at offset 0)");
    check(
        "@2012-01-01 + 1 'mo'",
        "arithmetic is not defined for Date and Quantity here (at offset 12)",
    );
    let expression = Expression::compile("name", &scope("Patient")).expect("compiles");
    let context = Context::new(Some(&patient), "Patient");
    let found = expression.evaluate(&context).expect("found");
    assert!(!format!("{found:?} {context:?}").contains("Secret"));
    assert!(matches!(found.as_boolean(), Err(EvaluationError::Singleton { .. })));
}

#[test]
fn search_parameters_are_read_leniently() {
    let definitions = Definitions::of(FhirVersion::R5);
    let patient = json!({
        "resourceType": "Patient", "deceasedBoolean": true, "name": [{"family": "A"}, {"family": "B"}],
    });
    let check = |source: &str, expect: &[&str]| {
        let scope = Scope::new(definitions).root("Patient");
        Expression::compile(source, &scope)
            .map(|strict| strict.evaluate(&Context::new(Some(&patient), "Patient")).map(|_| ()))
            .map_or(Ok(()), |strict| strict.map_or(Ok(()), |()| Err("works strictly too")))
            .expect(source);
        let found = shown(source, &scope.lenient(), &patient).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(found, expect, "{source}");
    };
    check("Person.name.family | Patient.name.family", &["A", "B"]);
    check("(name as HumanName).family", &["A", "B"]);
    check("(start | requestedPeriod.start).first()", &[]);
    check("deceasedBoolean", &["true"]);
}
