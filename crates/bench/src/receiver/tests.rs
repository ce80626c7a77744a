//! The accounts of an endpoint, and where a request ends.

use super::*;
use crate::notification::Event;

fn notification(kind: Kind, events: &[(u64, &str)]) -> Notification {
    let events =
        events.iter().map(|(number, focus)| Event { number: *number, focus: (*focus).to_owned() });
    Notification { kind, subscription: "s".to_owned(), events: events.collect(), total: None }
}

fn accounts() -> Accounts {
    let account = Account { healthy: true, ..Account::default() };
    Accounts { of: vec![account], ..Accounts::default() }
}

#[test]
fn events_in_order_reach_the_goal_and_repeats_are_counted() {
    let mut accounts = accounts();
    accounts.set_goal(2);
    let now = Instant::now();
    accounts.take(0, &notification(Kind::Event, &[(1, "a")]), now);
    accounts.take(0, &notification(Kind::Event, &[(1, "a")]), now);
    assert_eq!((accounts.missing, accounts.of[0].repeats), (1, 1));
    accounts.take(0, &notification(Kind::Event, &[(2, "b"), (3, "c")]), now);
    assert_eq!((accounts.missing, accounts.fault.as_ref()), (0, None));
    assert_eq!(accounts.of[0].foci, ["a", "b", "c"].map(digest));
}

#[test]
fn a_gap_and_a_number_with_another_focus_are_faults() {
    for second in [(3, "b"), (1, "b")] {
        let mut accounts = accounts();
        accounts.take(0, &notification(Kind::Event, &[(1, "a")]), Instant::now());
        accounts.take(0, &notification(Kind::Event, &[second]), Instant::now());
        assert!(accounts.fault.is_some(), "{second:?}");
    }
}

#[test]
fn a_request_is_whole_when_its_body_is() {
    let bytes = b"POST /hook HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST";
    assert_eq!(request(bytes), Some((42, 45)));
    assert_eq!(request(&bytes[..44]), None);
    assert_eq!(request(&bytes[..20]), None);
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_not_there_and_is_not_waited_for() {
    let receiver = Receiver::open(1).await.unwrap();
    let address =
        receiver.urls()[0].trim_start_matches("http://").trim_end_matches("/hook").to_owned();
    drop(TcpStream::connect(&address).await.unwrap());
    receiver.set_mode(0, Mode::Refusing);
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    receiver.all_reach(1, Duration::from_secs(1)).await.unwrap();
}
