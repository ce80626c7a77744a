//! What statuses mean, and where messages go.

use super::*;

fn answered(status: u16) -> Sent {
    let kind = FailureKind::Response { status, retry_after: None };
    let failure = channel::Failure { kind, detail: String::new() };
    let verdict = Verdict::Failure(failure);
    judge(&channel::Outcome { verdict, duration: Duration::ZERO, text: None })
}

#[test]
fn an_answer_of_a_relay_is_judged_by_what_it_speaks_of() {
    for (code, subject, outcome, health) in [
        (421, SmtpSubject::Session, "retry", Health::Bad),
        (535, SmtpSubject::Session, "retry", Health::Bad),
        (450, SmtpSubject::Recipient, "retry", Health::Good),
        (451, SmtpSubject::Message, "retry", Health::Good),
        (450, SmtpSubject::Mailbox, "retry", Health::Good),
        (550, SmtpSubject::Mailbox, "gone", Health::Good),
        (550, SmtpSubject::Recipient, "rejected", Health::Good),
        (554, SmtpSubject::Message, "rejected", Health::Good),
    ] {
        let (judged, of_host) = judge_smtp(code, subject, "");
        assert_eq!((word(&judged), of_host), (outcome, health), "{code} {subject:?}");
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::AwaitsConfirmation { .. } | Outcome::Postponed { .. } => "later",
        Outcome::Forgotten => "forgotten",
        Outcome::Gone { .. } => "gone",
        Outcome::Refused { .. } => "refused",
        Outcome::Rejected { .. } => "rejected",
        Outcome::Retry { .. } => "retry",
        Outcome::Success => "success",
        Outcome::Unsent => "unsent",
    }
}

#[test]
fn an_answer_is_judged_for_the_subscription_and_for_the_host() {
    for (status, outcome, health) in [
        (302, "retry", Health::Good),
        (400, "rejected", Health::Good),
        (404, "rejected", Health::Good),
        // A proxy's answer, which the receiver has no part in.
        (407, "retry", Health::Bad),
        (408, "retry", Health::Good),
        (410, "gone", Health::Good),
        (425, "retry", Health::Good),
        (429, "retry", Health::Bad),
        (500, "retry", Health::Good),
        (502, "retry", Health::Bad),
        (503, "retry", Health::Bad),
        (504, "retry", Health::Bad),
    ] {
        let sent = answered(status);
        assert_eq!((word(&sent.outcome), sent.health), (outcome, health), "{status}");
    }
}

#[test]
fn a_name_that_leads_nowhere_allowed_now_is_tried_again_and_want_of_room_is_nobodys_fault() {
    for (kind, outcome) in [
        (FailureKind::NoRoom, "unsent"),
        (FailureKind::Refused, "refused"),
        (FailureKind::RefusedAddress, "retry"),
    ] {
        let failure = channel::Failure { kind, detail: String::new() };
        let verdict = Verdict::Failure(failure);
        let sent = judge(&channel::Outcome { verdict, duration: Duration::ZERO, text: None });
        assert_eq!((word(&sent.outcome), sent.health), (outcome, Health::Unknown), "{kind:?}");
    }
}

#[test]
fn a_message_goes_to_the_operation_of_the_endpoint() {
    for (endpoint, expected) in [
        ("https://a.test", "https://a.test/$process-message"),
        ("https://a.test/fhir", "https://a.test/fhir/$process-message"),
        ("https://a.test/fhir/", "https://a.test/fhir/$process-message"),
        ("https://a.test/fhir?x=y", "https://a.test/fhir/$process-message?x=y"),
        ("https://a.test/fhir/$process-message", "https://a.test/fhir/$process-message"),
        ("https://a.test/fhir/$process-message?x", "https://a.test/fhir/$process-message?x"),
    ] {
        assert_eq!(message_endpoint(Url::parse(endpoint).unwrap()).as_str(), expected);
    }
}

#[test]
fn a_traceparent_has_the_form_of_the_standard_and_another_span_each_time() {
    let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let message = |span| Message { id: String::new(), uuid: Uuid::nil(), trace, span };
    let [one, two] = [[1; 8], [2; 8]].map(|span| message(span).traceparent().unwrap());
    assert!(one.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && one.ends_with("-01"));
    assert!(!one.contains("b7ad6b7169203331"), "a span of its own");
    assert_eq!(one.len(), 55);
    assert_ne!(one, two);
}

#[test]
fn the_query_and_long_parts_of_the_path_may_be_secrets() {
    for (endpoint, expected) in [
        ("https://a-host-with-a-long-name.test/fhir?key=1", vec!["key=1"]),
        ("https://a.test/hooks/T0123456789abcdef/x", vec!["T0123456789abcdef", ""]),
        ("app@example.org", vec![""]),
    ] {
        assert_eq!(secrets_in(endpoint).collect::<Vec<_>>(), expected, "{endpoint}");
    }
}
