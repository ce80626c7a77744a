//! The official FHIRPath test suites, every test of them: passed, failed or out of scope.
//!
//! A test outside of our scope, or one that we answer otherwise, stands in `tests-data/suite.txt` with
//! the reason. A test that fails and is not listed fails this test, and so does a listed one that
//! passes, so that the list stays true. `docs/fhirpath.md` is written from it with `UPDATE_GOLDEN=1`.

use std::collections::{BTreeMap, BTreeSet};

use cresset_definitions::{Definitions, FhirVersion};
use rust_decimal::Decimal;
use serde_json::Value;

use super::xml::{self, Xml};
use super::{shared, show};
use crate::{
    COLLECTION_ITEMS_MAX, Context, EXPRESSION_BYTES_MAX, EvaluationError, Expression, Item,
    NESTING_DEPTH_MAX, Quantity, STEP_MAX_DEFAULT, STRING_BYTES_MAX, Scope,
};

/// Tests that must pass at least.
const PASSED_MIN: usize = 2_888;

const LISTED: &str = include_str!("../../../tests-data/suite.txt");

struct Case<'x> {
    name: String,
    group: String,
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
    /// Passed, failed and out of scope, by version and group of tests.
    counts: BTreeMap<(&'static str, String), [usize; 3]>,
    /// Names by reason.
    failed: BTreeMap<&'static str, Vec<String>>,
    out_of_scope: BTreeMap<&'static str, Vec<String>>,
    surprises: Vec<String>,
}

/// The page that tells of them.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fhirpath.md");

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
        for case in cases(&suite) {
            let name = format!("{folder}/{}", case.name);
            let listed = listed(&name, &case);
            tally.count((folder, &case.group), &name, listed, run(version, folder, &case));
        }
    }
    tally.report();
    tally.check_page();
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
        (version, group): (&'static str, &str),
        name: &str,
        listed: Option<(&'static str, &'static str)>,
        outcome: Outcome,
    ) {
        let counts = self.counts.entry((version, group.to_owned())).or_default();
        match (outcome, listed) {
            (Outcome::Passed, None) => counts[0] += 1,
            (Outcome::Passed, Some(("fail", _))) => {
                self.surprises.push(format!("{name} passes now: strike it off the list"));
            }
            (_, Some(("skip", reason))) => {
                counts[2] += 1;
                self.out_of_scope.entry(reason).or_default().push(name.to_owned());
            }
            (Outcome::Passed, Some((kind, _))) => panic!("{kind} is neither fail nor skip"),
            (Outcome::Failed(_), Some((_, reason))) => {
                counts[1] += 1;
                self.failed.entry(reason).or_default().push(name.to_owned());
            }
            (Outcome::Failed(found), None) => self.surprises.push(format!("{name}: {found}")),
        }
    }

    /// Passed, failed and out of scope in a version, or in all.
    fn sum(&self, version: Option<&str>) -> [usize; 3] {
        let of = self.counts.iter().filter(|((one, _), _)| version.is_none_or(|all| all == *one));
        of.fold([0; 3], |[passed, failed, out], (_, [p, f, o])| [passed + p, failed + f, out + o])
    }

    fn report(&self) {
        let [passed, failed, out] = self.sum(None);
        println!("{passed} passed, {failed} failed, {out} out of scope");
        assert!(self.surprises.is_empty(), "{}", self.surprises.join("\n"));
        assert!(passed >= PASSED_MIN, "only {passed} of {PASSED_MIN} passed");
    }

    fn check_page(&self) {
        let page = self.page();
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(PAGE, &page).unwrap();
        }
        let current = std::fs::read_to_string(PAGE).unwrap_or_default();
        assert!(current == page, "docs/fhirpath.md is stale: run this test with UPDATE_GOLDEN=1");
    }

    fn page(&self) -> String {
        let mut page = include_str!("../../../tests-data/page.md")
            .replace("{EXPRESSION_BYTES_MAX}", &EXPRESSION_BYTES_MAX.to_string())
            .replace("{NESTING_DEPTH_MAX}", &NESTING_DEPTH_MAX.to_string())
            .replace("{STEP_MAX}", &STEP_MAX_DEFAULT.to_string())
            .replace("{COLLECTION_ITEMS_MAX}", &COLLECTION_ITEMS_MAX.to_string())
            .replace("{STRING_BYTES_MAX}", &STRING_BYTES_MAX.to_string());
        page += "| version | tests | passed | failed | out of scope | passed of those in scope |\n";
        page += "|---|--:|--:|--:|--:|--:|\n";
        for version in ["r4", "r4b", "r5", "all"] {
            let [passed, failed, out] = self.sum((version != "all").then_some(version));
            let share = passed as f64 * 100.0 / (passed + failed) as f64;
            let total = passed + failed + out;
            let name = version.to_uppercase();
            let row =
                format!("| {name} | {total} | {passed} | {failed} | {out} | {share:.1} % |\n");
            page += &row;
        }
        page += "\n## Failed\n\n| tests | why |\n|---|---|\n";
        page += &rows(&self.failed);
        page += "\n## Out of scope\n\n| tests | why |\n|---|---|\n";
        page += &rows(&self.out_of_scope);
        page += "\n## Every group of tests\n\n";
        page += "Passed / failed / out of scope; names as in the suites.\n\n";
        page += "| group | R4 | R4B | R5 |\n|---|--:|--:|--:|\n";
        let groups: BTreeSet<&String> = self.counts.keys().map(|(_, group)| group).collect();
        for group in groups {
            let cell = |version| match self.counts.get(&(version, group.clone())) {
                Some([passed, failed, out]) => format!("{passed} / {failed} / {out}"),
                None => "–".to_owned(),
            };
            let row = [cell("r4"), cell("r4b"), cell("r5")].join(" | ");
            page.extend(["| ", group, " | ", &row, " |\n"]);
        }
        page
    }
}

/// Rows of names and the reason they share.
fn rows(by_reason: &BTreeMap<&str, Vec<String>>) -> String {
    let row = |(reason, names): (&&str, &Vec<String>)| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("| {} | {reason} |\n", names.join(", "))
    };
    by_reason.iter().map(row).collect()
}

fn cases(suite: &Xml) -> impl Iterator<Item = Case<'_>> {
    let groups = suite.children.iter().filter(|one| one.name == "group");
    let tests = groups.flat_map(|group| group.children.iter().map(move |test| (group, test)));
    tests.filter(|(_, one)| one.name == "test").map(|(group, test)| {
        let expression = test.children.iter().find(|one| one.name == "expression");
        let expression = expression.expect("an expression");
        Case {
            name: test.attribute("name").expect("a name").to_owned(),
            group: group.attribute("name").unwrap_or("(no name)").to_owned(),
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
        // As a criterion: what is there counts as true unless it is a boolean itself.
        let holds = match found {
            [] => false,
            [one] => one.as_bool().unwrap_or(true),
            _ => true,
        };
        let wanted = outputs.first().map(|one| one.text.as_str());
        return if wanted == Some(if holds { "true" } else { "false" }) {
            Outcome::Passed
        } else {
            Outcome::Failed(format!("{holds} not {wanted:?} in {:?}", case.expression))
        };
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
