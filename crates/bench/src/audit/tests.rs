use super::{Fault, Ledger};

enum Step {
    Created(&'static str),
    Event(u64, &'static str),
}
use Step::{Created, Event};

fn check(steps: &[Step], counted: u64, expected: Result<(), Fault>) {
    let mut ledger = Ledger::default();
    let mut outcome = Ok(());
    for step in steps {
        outcome = outcome.and_then(|()| match step {
            Created(id) => ledger.acknowledge(id),
            Event(number, focus) => ledger.deliver(*number, focus),
        });
    }
    assert_eq!(outcome.and_then(|()| ledger.close(counted)), expected);
}

#[test]
fn a_full_account_passes_whichever_of_answer_and_event_comes_first() {
    check(&[], 0, Ok(()));
    check(&[Created("a"), Event(1, "a"), Event(2, "b"), Created("b")], 2, Ok(()));
    check(&[Created("a"), Created("b"), Event(1, "a"), Event(2, "b")], 2, Ok(()));
}

#[test]
fn a_skipped_repeated_or_late_number_fails() {
    let gap = Fault::Number { expected: 2, found: 3 };
    check(&[Created("a"), Event(1, "a"), Event(3, "c")], 1, Err(gap));
    let repeat = Fault::Number { expected: 2, found: 1 };
    check(&[Created("a"), Event(1, "a"), Event(1, "a")], 1, Err(repeat));
    check(&[Event(0, "a")], 1, Err(Fault::Number { expected: 1, found: 0 }));
}

#[test]
fn an_event_of_another_resource_fails() {
    let fault = Fault::Focus { number: 2, announced: "c".to_owned(), created: "b".to_owned() };
    check(&[Created("a"), Created("b"), Event(1, "a"), Event(2, "c")], 2, Err(fault));
}

#[test]
fn an_acknowledged_create_without_its_event_fails() {
    let fault = Fault::Missing { missing: 2, from: 2 };
    check(&[Created("a"), Event(1, "a"), Created("b"), Created("c")], 3, Err(fault));
}

#[test]
fn an_event_without_an_acknowledged_create_fails() {
    check(&[Created("a"), Event(1, "a"), Event(2, "b")], 2, Err(Fault::Surplus { surplus: 1 }));
}

#[test]
fn the_servers_own_count_must_agree() {
    let fault = Fault::Count { counted: 2, acknowledged: 1 };
    check(&[Created("a"), Event(1, "a")], 2, Err(fault));
}
