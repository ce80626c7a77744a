//! Mails to a relay of the test's own, over plain connections, STARTTLS and TLS.

use super::*;

mod relay;

use relay::{Authority, Manners, Relay};

/// Long enough for a machine that is busy with other tests.
const PATIENT: Duration = Duration::from_secs(60);

fn config(relay: &Relay, security: Security) -> EmailConfig {
    EmailConfig {
        relay: "localhost".to_owned(),
        port: relay.port(),
        security,
        credentials: None,
        from: "Cresset <notifications@example.org>".to_owned(),
        extra_ca_files: Vec::new(),
    }
}

fn mail() -> Mail {
    Mail {
        id: "0198c0de".to_owned(),
        endpoint: Url::parse("mailto:ward@example.net").unwrap(),
        subject: "Encounter started".to_owned(),
        body_kind: BodyKind::Plain,
        body: "An encounter has started: grüße.\n".to_owned(),
        attachment: None,
        unsubscribe: None,
        date: "2026-01-02T03:04:05Z".parse().unwrap(),
        deadline: PATIENT,
    }
}

fn with_attachment() -> Mail {
    Mail {
        attachment: Some(MailAttachment {
            file_name: "notification.json".to_owned(),
            content_type: "application/fhir+json; fhirVersion=4.0".to_owned(),
            bytes: Bytes::from_static(br#"{"resourceType":"Bundle","type":"history"}"#),
        }),
        unsubscribe: Some(Url::parse("https://cresset.example.org/unsubscribe?token=t").unwrap()),
        ..mail()
    }
}

fn failure(outcome: &Outcome) -> (FailureKind, &str) {
    match &outcome.verdict {
        Verdict::Failure(failure) => (failure.kind, &failure.detail),
        Verdict::Success { status } => panic!("success with {status}"),
    }
}

fn message(mail: &Mail) -> Result<String, &'static str> {
    let config = EmailConfig {
        relay: "localhost".to_owned(),
        port: 25,
        security: Security::Plain,
        credentials: None,
        from: "Cresset <notifications@example.org>".to_owned(),
        extra_ca_files: Vec::new(),
    };
    let formatted = Email::new(&config).unwrap().message(mail)?.formatted();
    Ok(String::from_utf8(formatted).unwrap())
}

/// The message as it travels, with lines that end as on this machine.
fn check_golden(name: &str, message: &str) {
    let path = format!("{}/src/email/tests/{name}.eml", env!("CARGO_MANIFEST_DIR"));
    let message = message.replace("\r\n", "\n");
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&path, &message).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(message == golden, "{name} changed; see with UPDATE_GOLDEN=1:\n{message}");
}

#[test]
fn a_mail_has_a_body_for_people_and_nothing_else_where_nothing_is_attached() {
    check_golden("plain", &message(&mail()).unwrap());
}

#[test]
fn an_attachment_and_the_end_of_the_subscription_go_with_a_mail() {
    check_golden("attachment", &message(&with_attachment()).unwrap());
    let html = Mail { body_kind: BodyKind::Html, body: "<p>x</p>".to_owned(), ..with_attachment() };
    assert!(message(&html).unwrap().contains("Content-Type: text/html; charset=utf-8"));
}

#[test]
fn a_value_cannot_add_a_header_or_a_recipient() {
    let subject = "a\r\nBcc: b@example.net".to_owned();
    let written = message(&Mail { subject, ..with_attachment() }).unwrap();
    assert!(written.contains("Subject: aBcc: b@example.net\r\n"), "{written}");
    for endpoint in [
        "mailto:a@example.net,b@example.net",
        "mailto:a@example.net?bcc=b@example.net",
        "mailto:a%0D%0ABcc:b@example.net",
        "mailto:a",
        "mailto:",
        "https://example.net/a@example.net",
    ] {
        let mail = Mail { endpoint: Url::parse(endpoint).unwrap(), ..mail() };
        assert_eq!(message(&mail).unwrap_err(), "the endpoint is no mailto: URL of one address");
    }
    let long = message(&Mail { subject: "x".repeat(1_000), ..with_attachment() }).unwrap();
    assert!(!long.contains(&"x".repeat(201)));
}

#[test]
fn no_line_is_longer_than_mail_allows() {
    let bytes = Bytes::from(format!("{{\"text\":\"{}\"}}", "grüße ".repeat(1_000)));
    let long = |attachment| MailAttachment { bytes, ..attachment };
    let mail = Mail { body: "x ".repeat(2_000), ..with_attachment() };
    let mail = Mail { attachment: mail.attachment.clone().map(long), ..mail };
    let written = message(&mail).unwrap();
    assert!(written.lines().all(|line| line.len() <= 998 && line.is_ascii()));
}

#[tokio::test]
async fn a_mail_is_handed_to_the_relay_for_the_address_of_the_endpoint() {
    let relay = Relay::start(Manners::Good, None).await;
    let email = Email::new(&config(&relay, Security::Plain)).unwrap();
    let outcome = email.attempt(&with_attachment()).await;
    assert_eq!(outcome.verdict, Verdict::Success { status: 250 });
    let taken = relay.taken();
    assert_eq!(taken[0].from, "<notifications@example.org>");
    assert_eq!(taken[0].to, "<ward@example.net>");
    assert_eq!(taken[0].data.trim_end(), message(&with_attachment()).unwrap().trim_end());
    assert!(!taken[0].encrypted);
}

#[tokio::test]
async fn what_a_relay_refuses_is_told_by_its_code_and_its_text_is_kept_apart() {
    for (code, manners) in [(550, Manners::Refuse), (451, Manners::Defer)] {
        let relay = Relay::start(manners, None).await;
        let email = Email::new(&config(&relay, Security::Plain)).unwrap();
        let outcome = email.attempt(&with_attachment()).await;
        let (kind, detail) = failure(&outcome);
        assert_eq!(kind, FailureKind::Response { status: code, retry_after: None });
        assert!(!detail.contains("example"), "{detail}");
        assert!(outcome.text.unwrap().as_str().contains("ward@example.net"));
        assert!(relay.taken().is_empty());
    }
}

#[tokio::test]
async fn an_attempt_ends_within_its_deadline_and_without_a_relay_at_once() {
    let relay = Relay::start(Manners::Silent, None).await;
    let email = Email::new(&config(&relay, Security::Plain)).unwrap();
    let mail = Mail { deadline: Duration::from_millis(50), ..with_attachment() };
    let outcome = email.attempt(&mail).await;
    assert_eq!(failure(&outcome).0, FailureKind::NoResponse(NoResponse::Timeout));
    let nobody = EmailConfig { port: 1, ..config(&relay, Security::Plain) };
    let outcome = Email::new(&nobody).unwrap().attempt(&with_attachment()).await;
    assert_eq!(failure(&outcome).0, FailureKind::NoResponse(NoResponse::Connect));
}

#[tokio::test]
async fn tls_and_starttls_protect_mail_and_password_and_nothing_is_sent_without() {
    let authority = Authority::new();
    for (security, manners) in
        [(Security::Tls, Manners::Good), (Security::StartTls, Manners::StartTls)]
    {
        let relay = Relay::start_over(security, manners, &authority).await;
        let trusted = EmailConfig {
            credentials: Some(("cresset".to_owned(), "secret".to_owned())),
            extra_ca_files: vec![authority.file()],
            ..config(&relay, security)
        };
        let outcome = Email::new(&trusted).unwrap().attempt(&with_attachment()).await;
        assert_eq!(outcome.verdict, Verdict::Success { status: 250 }, "{security:?}");
        let taken = relay.taken();
        assert!(taken[0].encrypted && taken[0].authenticated, "{security:?}");

        let untrusted = EmailConfig { extra_ca_files: Vec::new(), ..trusted };
        let outcome = Email::new(&untrusted).unwrap().attempt(&with_attachment()).await;
        assert!(matches!(failure(&outcome).0, FailureKind::NoResponse(_)), "{outcome:?}");
        assert_eq!(relay.taken().len(), 1, "nothing more was sent");
    }
    let plain = Relay::start(Manners::Good, None).await;
    let required = config(&plain, Security::StartTls);
    let outcome = Email::new(&required).unwrap().attempt(&with_attachment()).await;
    assert_eq!(failure(&outcome).0, FailureKind::NoResponse(NoResponse::Interrupted));
    assert!(plain.taken().is_empty(), "a relay without STARTTLS gets nothing");
}

#[test]
fn a_configuration_that_cannot_be_used_stops_the_start() {
    let usable = EmailConfig {
        relay: "localhost".to_owned(),
        port: 25,
        security: Security::Plain,
        credentials: None,
        from: "notifications@example.org".to_owned(),
        extra_ca_files: Vec::new(),
    };
    assert!(Email::new(&usable).is_ok());
    let password = Some(("cresset".to_owned(), "marker".to_owned()));
    let plain_password = EmailConfig { credentials: password, ..usable.clone() };
    assert!(matches!(Email::new(&plain_password), Err(EmailError::PlainPassword)));
    assert!(!format!("{plain_password:?}").contains("marker"));
    let nobody = EmailConfig { from: "nobody".to_owned(), ..usable.clone() };
    assert!(matches!(Email::new(&nobody), Err(EmailError::Sender(_))));
    let extra_ca_files = vec![PathBuf::from("/nowhere/ca.pem")];
    let no_file = EmailConfig { security: Security::Tls, extra_ca_files, ..usable };
    assert!(matches!(Email::new(&no_file), Err(EmailError::CaFile { .. })));
}
