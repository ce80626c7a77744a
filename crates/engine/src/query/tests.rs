//! The truth table of RQ section 2.4, every cell of it.

use cresset_model::{Interaction, QueryCriteria};
use serde_json::{Value, json};

use super::*;
use crate::fixtures::{catalog, catalog_of, change, evaluate, matched, query_trigger, topic};

const RESULTS: [Option<CriteriaResult>; 3] =
    [None, Some(CriteriaResult::TestFails), Some(CriteriaResult::TestPasses)];

/// What each of the two tests does: it is not there, it fails, it passes.
const TESTS: [Option<bool>; 3] = [None, Some(false), Some(true)];

fn encounter(status: &str) -> Value {
    json!({ "resourceType": "Encounter", "id": "1", "status": status })
}

/// The table as the standard has it, with RQ-TP-26 and RQ-TP-27 for what it leaves open.
///
/// `unmade` is the result that stands for the test that cannot be made, `made` the outcome of the
/// other one.
fn expected_without_one(
    unmade: Option<CriteriaResult>,
    has_unmade: bool,
    made: Option<bool>,
    require_both: bool,
) -> bool {
    match (unmade, require_both) {
        (Some(CriteriaResult::TestPasses), false) => true,
        (Some(CriteriaResult::TestPasses), true) => made.unwrap_or(true),
        (Some(CriteriaResult::TestFails), true) => false,
        (Some(CriteriaResult::TestFails), false) => made.unwrap_or(false),
        (None, true) if has_unmade => false,
        (None, _) => made.unwrap_or(false),
    }
}

fn expected(
    criteria: &QueryCriteria,
    interaction: Interaction,
    previous: Option<bool>,
    current: Option<bool>,
) -> bool {
    let both = criteria.require_both;
    match interaction {
        Interaction::Create => {
            expected_without_one(criteria.result_for_create, previous.is_some(), current, both)
        }
        Interaction::Delete => {
            expected_without_one(criteria.result_for_delete, current.is_some(), previous, both)
        }
        Interaction::Update => match (previous, current) {
            (Some(previous), Some(current)) if both => previous && current,
            (Some(previous), Some(current)) => previous || current,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => unreachable!("criteria have one test at least"),
        },
    }
}

/// Every combination of criteria with one test at least, and what its tests do.
fn cells() -> impl Iterator<Item = (QueryCriteria, Option<bool>, Option<bool>)> {
    let tests = TESTS.into_iter().flat_map(|one| TESTS.map(|other| (one, other)));
    let results = RESULTS.into_iter().flat_map(|one| RESULTS.map(|other| (one, other)));
    let options: Vec<_> =
        results.flat_map(|results| [false, true].map(|both| (results, both))).collect();
    tests.filter(|tests| *tests != (None, None)).flat_map(move |(previous, current)| {
        let options = options.clone();
        options.into_iter().map(move |((for_create, for_delete), require_both)| {
            let criteria = QueryCriteria {
                previous: previous.map(|_| "status=planned".to_owned()),
                current: current.map(|_| "status=completed".to_owned()),
                result_for_create: for_create,
                result_for_delete: for_delete,
                require_both,
            };
            (criteria, previous, current)
        })
    })
}

#[test]
fn every_cell_of_the_truth_table_is_as_the_standard_says() {
    let mut count = 0;
    for (criteria, previous, current) in cells() {
        let catalog =
            catalog_of(&topic(vec![query_trigger("Encounter", criteria.clone())], &[]), &[&[]]);
        let before = encounter(if previous == Some(true) { "planned" } else { "cancelled" });
        let after = encounter(if current == Some(true) { "completed" } else { "cancelled" });
        for interaction in [Interaction::Create, Interaction::Delete, Interaction::Update] {
            let states = match interaction {
                Interaction::Create => (None, Some(&after)),
                Interaction::Delete => (Some(&before), None),
                Interaction::Update => (Some(&before), Some(&after)),
            };
            let fired = !matched(&catalog, &change("Encounter", states.0, states.1)).is_empty();
            let expected = expected(&criteria, interaction, previous, current);
            assert_eq!(fired, expected, "{interaction:?} {criteria:?} {previous:?} {current:?}");
            count += 1;
        }
    }
    assert_eq!(count, 8 * 18 * 3);
}

#[test]
fn what_is_foreseen_of_an_interaction_comes_true() {
    for (source, previous, current) in cells() {
        let catalog = catalog();
        let criteria = |query: &Option<String>| {
            query
                .as_ref()
                .map(|query| Criteria::parse(&catalog.scope(), "Encounter", query).unwrap())
        };
        let test = QueryTest {
            previous: criteria(&source.previous),
            current: criteria(&source.current),
            result_for_create: source.result_for_create,
            result_for_delete: source.result_for_delete,
            require_both: source.require_both,
        };
        for interaction in [Interaction::Create, Interaction::Delete, Interaction::Update] {
            let fires = expected(&source, interaction, previous, current);
            match test.foresee(interaction) {
                Foresight::Always => assert!(fires, "{interaction:?} {source:?}"),
                Foresight::Depends => {}
                Foresight::Never => assert!(!fires, "{interaction:?} {source:?}"),
            }
        }
    }
}

/// A period whose start cannot be read makes every test on `date` a problem.
fn unreadable(status: &str) -> Value {
    let period = json!({ "start": "no date" });
    json!({ "resourceType": "Encounter", "id": "1", "status": status, "actualPeriod": period })
}

#[test]
fn a_test_that_cannot_be_evaluated_never_fires_and_is_reported() {
    let cases = [
        // A problem and a failed test: both needed, the failed one decides.
        ("status=planned", true, "cancelled", false, 0),
        // A problem and a passed test: both needed, it is open.
        ("status=planned", true, "planned", false, 1),
        // Either suffices: the passed one decides, the failed one leaves it open.
        ("status=planned", false, "planned", true, 0),
        ("status=planned", false, "cancelled", false, 1),
    ];
    for (previous, require_both, status, fires, problems) in cases {
        let criteria = QueryCriteria {
            previous: Some(previous.to_owned()),
            current: Some("date=ge2020".to_owned()),
            require_both,
            ..QueryCriteria::default()
        };
        let catalog = catalog_of(&topic(vec![query_trigger("Encounter", criteria)], &[]), &[&[]]);
        let (before, after) = (encounter(status), unreadable("completed"));
        let evaluation = evaluate(&catalog, &change("Encounter", Some(&before), Some(&after)));
        assert_eq!(!evaluation.matches.is_empty(), fires, "{require_both} {status}");
        assert_eq!(evaluation.problems.len(), problems, "{require_both} {status}");
    }
}

#[test]
fn an_update_whose_state_before_is_unknown_is_not_taken_for_a_create() {
    let criteria = QueryCriteria {
        previous: Some("status:not=completed".to_owned()),
        current: Some("status=completed".to_owned()),
        result_for_create: Some(CriteriaResult::TestPasses),
        require_both: true,
        ..QueryCriteria::default()
    };
    let catalog = catalog_of(&topic(vec![query_trigger("Encounter", criteria)], &[]), &[&[]]);
    let after = encounter("completed");
    let mut change = change("Encounter", None, Some(&after));
    change.interaction = Interaction::Update;
    let evaluation = evaluate(&catalog, &change);
    assert_eq!((evaluation.matches.len(), evaluation.problems.len()), (0, 1));
}
