//! Bounds: whatever the expression, it is refused or ends.

use cresset_definitions::{Definitions, FhirVersion};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::scope;
use crate::{
    CompileErrorKind, Context, EXPRESSION_BYTES_MAX, EvaluationError, Expression,
    NESTING_DEPTH_MAX, Scope,
};

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}],
        "contact": [{"name": {"family": "E"}}],
    })
}

fn refused(source: &str) -> CompileErrorKind {
    Expression::compile(source, &scope("Patient")).expect_err("refused").kind
}

fn outcome(source: &str) -> Result<usize, EvaluationError> {
    let expression = Expression::compile(source, &scope("Patient")).expect("compiles");
    let patient = patient();
    expression.evaluate(&Context::new(Some(&patient), "Patient")).map(|found| found.len())
}

#[test]
fn long_and_deep_expressions_are_refused() {
    assert_eq!(refused(&"a".repeat(EXPRESSION_BYTES_MAX + 1)), CompileErrorKind::TooLong);
    assert_eq!(refused(&"(".repeat(9_999)), CompileErrorKind::TooDeep);
    assert_eq!(refused(&format!("{}1", "-".repeat(9_000))), CompileErrorKind::TooDeep);
    assert_eq!(refused(&format!("1{}", "+1".repeat(4_000))), CompileErrorKind::TooDeep);
    assert_eq!(refused(&"iif(true,".repeat(1_000)), CompileErrorKind::TooDeep);
    assert_eq!(refused(&format!("1{}", " is Integer".repeat(500))), CompileErrorKind::TooDeep);
    assert_eq!(refused(&"name[".repeat(1_000)), CompileErrorKind::TooDeep);
}

#[test]
fn long_chains_are_no_nesting() {
    assert_eq!(outcome(&format!("true{}", " and true".repeat(1_000))), Ok(1));
    assert_eq!(outcome(&format!("1{}", "|1".repeat(4_000))), Ok(1));
    assert_eq!(outcome(&format!("name{}", ".first()".repeat(1_000))), Ok(1));
    assert_eq!(outcome(&format!("name{}", "[0]".repeat(3_000))), Ok(1));
}

#[test]
fn the_deepest_expression_that_is_accepted_runs() {
    let levels = NESTING_DEPTH_MAX - 3;
    let parentheses = format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(outcome(&parentheses), Ok(1));
    let levels = NESTING_DEPTH_MAX - 4;
    let nested = format!("{}true{}", "iif(true, ".repeat(levels), ")".repeat(levels));
    assert_eq!(outcome(&nested), Ok(1));
    let selects = format!("{}$this{}", "select(".repeat(levels), ")".repeat(levels));
    assert_eq!(outcome(&selects), Ok(1));
}

#[test]
fn what_runs_away_meets_the_step_limit() {
    let check = |source: &str| {
        let outcome = outcome(source);
        let bounded =
            matches!(outcome, Err(EvaluationError::StepLimit | EvaluationError::TooLarge { .. }));
        assert!(bounded, "{source}: {outcome:?}");
    };
    check("repeatAll($this)");
    check("(1).repeat($this + 1)");
    check("'x'.repeat($this & $this)");
    check(
        "(1 | 2 | 3 | 4).select('abcdefgh').aggregate($total & $this & $total & $total, 'a').repeat($this & 'a')",
    );
    check(
        "descendants().select(%context.descendants().select(%context.descendants().select(%context.descendants().select(%context.descendants()))))",
    );
    let doubled = "defineVariable('a', 'xxxxxxxxxxxxxxxx')".to_owned()
        + &(0..30)
            .map(|n| {
                let from = if n == 0 { "a".to_owned() } else { format!("v{}", n - 1) };
                format!(".defineVariable('v{n}', %{from} & %{from})")
            })
            .collect::<String>();
    check(&doubled);
    check(&format!("'aaaaaaaaaaaaaaaa'{}", ".replace('', 'bbbbbbbbbbbbbbbb')".repeat(9)));
    check(&format!(
        "'aaaaaaaaaaaaaaaa'{}",
        ".replaceMatches('a', '$0$0$0$0$0$0$0$0$0$0$0$0')".repeat(9)
    ));
}

#[test]
fn the_steps_of_a_context_are_the_bound() {
    let expression = Expression::compile("name.given", &scope("Patient")).expect("compiles");
    let patient = patient();
    let steps = |step_max| {
        expression
            .evaluate(&Context { step_max, ..Context::new(Some(&patient), "Patient") })
            .is_ok()
    };
    assert!(!steps(0));
    assert!(!steps(3));
    assert!(steps(20));
}

/// Words of FHIRPath, in any order.
fn fragments() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "name",
        "given",
        "Patient",
        ".",
        ".",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "{}",
        "|",
        "=",
        "!=",
        "~",
        "<",
        ">",
        "and",
        "or",
        "implies",
        "is",
        "as",
        "in",
        "contains",
        "div",
        "mod",
        "+",
        "-",
        "*",
        "/",
        "&",
        "'a'",
        "'\\u00e4'",
        "@2012",
        "@2012-01-01T10:00:00Z",
        "@T10",
        "1",
        "2.5",
        "3L",
        "1 'kg'",
        "4 days",
        "%resource",
        "%`vs-x`",
        "$this",
        "$index",
        "$total",
        "where(",
        "select(",
        "exists()",
        "first()",
        "ofType(",
        "repeat(",
        "iif(",
        "Quantity",
        "System.Integer",
        ",",
        "//",
        "/*",
        "*/",
        "`",
        "\\",
        "é",
        "children()",
        "extension('a')",
        "resolve()",
        "aggregate(",
        "toString()",
        "toQuantity()",
        "lowBoundary(",
        "sort(",
        "defineVariable('x'",
        "%x",
        "matches('",
        "substring(",
        "power(",
        "round(",
    ]);
    prop::collection::vec(words, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_breaks_the_compiler(source in "\\PC{0,200}") {
        let _ = Expression::compile(&source, &scope("Patient")).is_ok();
    }

    #[test]
    fn no_expression_breaks_the_evaluator(source in fragments()) {
        let patient = patient();
        for scope in [scope("Patient"), Scope::new(Definitions::of(FhirVersion::R5)).lenient()] {
            if let Ok(expression) = Expression::compile(&source, &scope) {
                let context = Context { step_max: 5_000, ..Context::new(Some(&patient), "Patient") };
                drop(expression.evaluate(&context));
            }
        }
    }

    #[test]
    fn arithmetic_never_breaks(a in any::<i64>(), b in any::<i64>(), operator in "[-+*/]|div|mod") {
        let source = format!("({a}L {operator} {b}L) | ({a}.5 {operator} {b}.25)");
        if let Ok(expression) = Expression::compile(&source, &scope("Patient")) {
            drop(expression.evaluate(&Context::new(None, "Patient")));
        }
    }

    #[test]
    fn dates_never_break(year in 1..9999_i32, amount in any::<i64>(), unit in "year|month|week|day|hour|second") {
        let source = format!("(@{year:04}-02-28 + {amount}.5 {unit}) | (@{year:04}-12-31T23:59:59.999-12:00 - {amount} {unit}s)");
        if let Ok(expression) = Expression::compile(&source, &scope("Patient")) {
            drop(expression.evaluate(&Context::new(None, "Patient")));
        }
    }
}
