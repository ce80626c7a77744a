use super::{Event, Kind, Notification, Status, Token, render};

const NOW: &str = "2026-01-01T00:00:00.000Z";

fn parse(kind: &str, total: u64, focus: Option<&str>) -> Notification {
    let status = Status { subscription: "s1", kind, total, focus };
    let json = render("http://127.0.0.1:1/r4", &status, NOW);
    Notification::parse(json.as_bytes()).expect("what is rendered is read")
}

#[test]
fn what_a_baseline_renders_is_read_back() {
    let event = parse("event-notification", 7, Some("o9"));
    assert_eq!((event.kind, event.subscription.as_str()), (Kind::Event, "s1"));
    assert_eq!(event.events, [Event { number: 7, focus: "o9".to_owned() }]);
    assert_eq!(event.total, Some(7));
    let handshake = parse("handshake", 0, None);
    assert_eq!((handshake.kind, handshake.events.len()), (Kind::Handshake, 0));
    assert_eq!(parse("query-status", 3, None).total, Some(3));
}

#[test]
fn a_frame_of_a_baseline_has_the_size_of_a_real_one() {
    let status =
        Status { subscription: "s1", kind: "event-notification", total: 1, focus: Some("o1") };
    let bytes = render("http://127.0.0.1:8080/r4", &status, NOW).len();
    assert!((1_000..1_500).contains(&bytes), "{bytes} bytes");
}

#[test]
fn several_events_in_one_frame_are_all_read() {
    let json = r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Parameters","parameter":[
        {"name":"type","valueCode":"event-notification"},
        {"name":"notification-event","part":[{"name":"event-number","valueString":"1"},
            {"name":"focus","valueReference":{"reference":"http://h/r4/Observation/a"}}]},
        {"name":"notification-event","part":[{"name":"event-number","valueString":"2"},
            {"name":"focus","valueReference":{"reference":"Observation/b"}}]}]}},
        {"fullUrl":"x","request":{"method":"POST","url":"Observation"}}]}"#;
    let events = Notification::parse(json.as_bytes()).expect("a bundle").events;
    let numbers: Vec<_> = events.iter().map(|event| (event.number, event.focus.as_str())).collect();
    assert_eq!(numbers, [(1, "a"), (2, "b")]);
}

#[test]
fn what_the_audit_cannot_read_is_an_error() {
    for json in [
        "not JSON",
        r#"{"resourceType":"Bundle"}"#,
        r#"{"entry":[{"resource":{"parameter":[{"name":"notification-event","part":[]}]}}]}"#,
        r#"{"entry":[{"resource":{"parameter":[{"name":"events-since-subscription-start","valueString":"x"}]}}]}"#,
    ] {
        assert!(Notification::parse(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn a_token_answer_needs_token_and_url() {
    let json = r#"{"resourceType":"Parameters","parameter":[{"name":"token","valueString":"t"},
        {"name":"expiration","valueDateTime":"2026-01-01T00:00:00Z"},
        {"name":"subscription","valueString":"s1"},{"name":"websocket-url","valueUrl":"ws://h/r4/ws"}]}"#;
    let token = Token::parse(json.as_bytes()).expect("a token");
    let expected = Token { token: "t".to_owned(), websocket_url: "ws://h/r4/ws".to_owned() };
    assert_eq!(token, expected);
    assert!(Token::parse(br#"{"parameter":[{"name":"token","valueString":"t"}]}"#).is_err());
}
