//! The official FHIRPath test suites, every test of them: passed, failed or out of scope.
//!
//! A test outside of our scope, or one that we answer otherwise, stands in `tests-data/suite.txt` with
//! the reason. A test that fails and is not listed fails this test, and so does a listed one that
//! passes, so that the list stays true.

use std::collections::BTreeMap;

use cresset_definitions::{Definitions, FhirVersion};
use rust_decimal::Decimal;
use serde_json::Value;

use super::xml::{self, Xml};
use super::{shared, show};
use crate::{Context, EvaluationError, Expression, Item, Quantity, Scope};

/// Tests that must pass at least.
const PASSED_MIN: usize = 2_888;

const LISTED: &str = include_str!("../../../tests-data/suite.txt");

struct Case<'x> {
    name: String,
    expression: &'x str,
    xml: &'x Xml,
    invalid: bool,
}

/// What a test came to; the text says what was found instead.
enum Outcome {
    Passed,
    Failed(String),
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: BTreeMap<&'static str, usize>,
    out_of_scope: BTreeMap<&'static str, usize>,
    surprises: Vec<String>,
}

#[test]
fn the_official_suites_are_answered_as_listed() {
    let mut tally = Tally::default();
    for (version, folder) in
        [(FhirVersion::R4, "r4"), (FhirVersion::R4B, "r4b"), (FhirVersion::R5, "r5")]
    {
        let Some(bytes) = shared::read(&format!("fhirpath/{folder}/tests-fhir-{folder}.xml"))
        else {
            return;
        };
        let suite = xml::read(&String::from_utf8(bytes).expect("UTF-8"));
        let before = tally.passed;
        let mut total = 0;
        for case in cases(&suite) {
            total += 1;
            let name = format!("{folder}/{}", case.name);
            let listed = listed(&name, &case);
            tally.count(&name, listed, run(version, folder, &case));
        }
        println!("{folder}: {} of {total} passed", tally.passed - before);
    }
    tally.report();
}

/// The line about a test: `fail` or `skip`, and the reason.
fn listed(name: &str, case: &Case<'_>) -> Option<(&'static str, &'static str)> {
    let bare = name.split_once('/').map_or(name, |(_, bare)| bare);
    let mode = case.xml.attribute("mode").map(|mode| format!("mode:{mode}"));
    LISTED.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut words = line.splitn(3, ' ');
        let (kind, wanted, reason) = (words.next()?, words.next()?, words.next()?);
        let fits = wanted == name || wanted == bare || mode.as_deref() == Some(wanted);
        fits.then_some((kind, reason))
    })
}

impl Tally {
    fn count(
        &mut self,
        name: &str,
        listed: Option<(&'static str, &'static str)>,
        outcome: Outcome,
    ) {
        match (outcome, listed) {
            (Outcome::Passed, None) => self.passed += 1,
            (Outcome::Passed, Some(("fail", _))) => {
                self.surprises.push(format!("{name} passes now: strike it off the list"));
            }
            (_, Some(("skip", reason))) => *self.out_of_scope.entry(reason).or_default() += 1,
            (Outcome::Passed, Some((kind, _))) => panic!("{kind} is neither fail nor skip"),
            (Outcome::Failed(_), Some((_, reason))) => *self.failed.entry(reason).or_default() += 1,
            (Outcome::Failed(found), None) => self.surprises.push(format!("{name}: {found}")),
        }
    }

    fn report(&self) {
        let sum = |counts: &BTreeMap<&str, usize>| counts.values().sum::<usize>();
        println!(
            "{} passed, {} failed, {} out of scope",
            self.passed,
            sum(&self.failed) + self.surprises.len(),
            sum(&self.out_of_scope)
        );
        for (kind, counts) in [("failed", &self.failed), ("out of scope", &self.out_of_scope)] {
            for (reason, count) in counts {
                println!("{count:4} {kind}: {reason}");
            }
        }
        assert!(self.surprises.is_empty(), "{}", self.surprises.join("\n"));
        assert!(self.passed >= PASSED_MIN, "only {} of {PASSED_MIN} passed", self.passed);
    }
}

fn cases(suite: &Xml) -> impl Iterator<Item = Case<'_>> {
    let groups = suite.children.iter().filter(|one| one.name == "group");
    groups.flat_map(|group| &group.children).filter(|one| one.name == "test").map(|test| {
        let expression = test.children.iter().find(|one| one.name == "expression");
        let expression = expression.expect("an expression");
        Case {
            name: test.attribute("name").expect("a name").to_owned(),
            expression: &expression.text,
            xml: test,
            invalid: expression.attribute("invalid").is_some(),
        }
    })
}

/// The input resource; CDA is none.
fn input(version: FhirVersion, folder: &str, file: &str) -> Option<Value> {
    let bytes = shared::read(&format!("fhirpath/{folder}/{file}"))?;
    if file.ends_with(".json") {
        return serde_json::from_slice(&bytes).ok();
    }
    let document = xml::read(&String::from_utf8(bytes).ok()?);
    (document.name != "ClinicalDocument")
        .then(|| xml::resource(Definitions::of(version), &document))
}

fn run(version: FhirVersion, folder: &str, case: &Case<'_>) -> Outcome {
    let file = case.xml.attribute("inputfile").filter(|file| !file.is_empty());
    let resource = file.map(|file| input(version, folder, file));
    let resource = match resource {
        Some(None) => return Outcome::Failed("the input cannot be read".to_owned()),
        Some(resource) => resource,
        None => None,
    };
    let root = resource.as_ref().and_then(|one| one["resourceType"].as_str());
    let mut scope = Scope { root, ..Scope::new(Definitions::of(version)).clock() };
    if case.xml.attribute("mode") == Some("lenient/polymorphics") {
        scope = scope.lenient();
    }
    let expression = match Expression::compile(case.expression, &scope) {
        Ok(expression) => expression,
        Err(_) if case.invalid => return Outcome::Passed,
        Err(error) => return Outcome::Failed(format!("{error} in {:?}", case.expression)),
    };
    let now = "2026-11-23T10:00:00Z".parse().expect("a timestamp");
    let context =
        Context { now: Some(now), ..Context::new(resource.as_ref(), root.unwrap_or_default()) };
    match expression.evaluate(&context) {
        Ok(found) => {
            let found: Vec<_> = found.iter().collect();
            judge(case, &found)
        }
        Err(EvaluationError::Missing(_)) => Outcome::Failed("references are missing".to_owned()),
        Err(_) if case.invalid => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error} in {:?}", case.expression)),
    }
}

fn judge(case: &Case<'_>, found: &[&Item<'_>]) -> Outcome {
    let outputs: Vec<_> = case.xml.children.iter().filter(|one| one.name == "output").collect();
    let shown = || found.iter().map(|one| show(one)).collect::<Vec<_>>().join(", ");
    if case.invalid && outputs.is_empty() {
        return Outcome::Failed(format!("no error but [{}] in {:?}", shown(), case.expression));
    }
    if case.xml.attribute("predicate") == Some("true") {
        return if found.is_empty() { Outcome::Failed(String::new()) } else { Outcome::Passed };
    }
    let mut left: Vec<_> = outputs.iter().collect();
    let is_ordered = case.xml.attribute("ordered") != Some("false");
    let same = found.len() == left.len()
        && found.iter().all(|item| {
            let fits = |output: &&&Xml| is_same(item, output.attribute("type"), &output.text);
            let at = if is_ordered {
                left.first().filter(|one| fits(one)).map(|_| 0)
            } else {
                left.iter().position(fits)
            };
            at.map(|at| left.remove(at)).is_some()
        });
    if same {
        return Outcome::Passed;
    }
    let wanted: Vec<_> = outputs.iter().map(|one| one.text.as_str()).collect();
    Outcome::Failed(format!("[{}] not {wanted:?} in {:?}", shown(), case.expression))
}

fn is_same(item: &Item<'_>, type_name: Option<&str>, text: &str) -> bool {
    let shown = show(item);
    let by_value = match item.as_decimal().zip(text.parse::<Decimal>().ok()) {
        Some((found, wanted)) => found == wanted && found.scale() == wanted.scale(),
        None => shown == text,
    };
    let quantity = if let Item::Quantity(found) = item {
        Quantity::parse(text).is_some_and(|wanted| **found == wanted)
    } else {
        false
    };
    let type_fits = match (type_name, item) {
        (None, _) => true,
        // The suite writes the boundaries of dates as date-times.
        (Some("dateTime"), Item::Date(_)) => true,
        (Some(name), _) => item.type_name().eq_ignore_ascii_case(name),
    };
    type_fits && (by_value || quantity)
}
