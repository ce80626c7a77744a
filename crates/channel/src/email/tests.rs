//! Mails to a relay of the test's own, over plain connections, STARTTLS and TLS.

use bytes::Bytes;
use url::Url;

use super::*;

mod relay;

use relay::{Authority, Manners, Relay};

/// Long enough for a machine that is busy with other tests.
const PATIENT: Duration = Duration::from_secs(60);

fn config(relay: &Relay, security: Security) -> EmailConfig {
    EmailConfig { port: relay.port(), security, ..usable() }
}

/// A relay on this machine that nobody has started.
fn usable() -> EmailConfig {
    EmailConfig {
        relay: "localhost".to_owned(),
        port: 25,
        security: Security::Plain,
        credentials: None,
        from: "Cresset <notifications@example.org>".to_owned(),
        reply_to: Some("help@example.org".to_owned()),
        extra_ca_files: Vec::new(),
        addresses: AddressPolicy { allow_local: true, ..AddressPolicy::default() },
        connect_timeout: PATIENT,
        connections_max: 2,
    }
}

fn mail() -> Mail {
    Mail {
        id: "0198c0de".to_owned(),
        to: Recipient::parse("mailto:ward@example.net").unwrap(),
        subject: "Encounter started".to_owned(),
        body_kind: BodyKind::Plain,
        body: "An encounter has started: grüße.\n".to_owned(),
        attachment: None,
        unsubscribe: None,
        date: "2026-01-02T03:04:05Z".parse().unwrap(),
        bytes_max: 1 << 20,
        deadline: PATIENT,
    }
}

fn with_attachment() -> Mail {
    Mail {
        attachment: Some(Attachment {
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
        Verdict::Published => panic!("published"),
        Verdict::Success { status } => panic!("success with {status}"),
    }
}

fn message(mail: &Mail) -> Result<String, &'static str> {
    let from = "Cresset <notifications@example.org>".parse().unwrap();
    let reply_to = "help@example.org".parse().unwrap();
    Ok(String::from_utf8(mail.format(&from, Some(&reply_to))?).unwrap())
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
    let long = message(&Mail { subject: "x".repeat(1_000), ..with_attachment() }).unwrap();
    assert!(!long.contains(&"x".repeat(201)));
    let id = "a>\r\nBcc: b@example.net".to_owned();
    assert!(message(&Mail { id, ..mail() }).is_err());
    assert!(message(&Mail { bytes_max: 100, ..mail() }).is_err());
}

#[test]
fn one_click_is_offered_over_https_only() {
    let plain = Url::parse("http://cresset.example.org/unsubscribe").unwrap();
    let written = message(&Mail { unsubscribe: Some(plain), ..mail() }).unwrap();
    assert!(written.contains("List-Unsubscribe: <http://cresset"), "{written}");
    assert!(!written.contains("List-Unsubscribe-Post"), "{written}");
}

#[test]
fn an_endpoint_holds_one_plain_address_and_nothing_else() {
    for (endpoint, expected) in [
        ("mailto:ward@example.net", Ok("ward@example.net")),
        ("MAILTO:Ward.7+x@Example.NET", Ok("Ward.7+x@example.net")),
        ("mailto:a%2Bb@example.net", Ok("a+b@example.net")),
        ("mailto:a@xn--bcher-kva.example", Ok("a@xn--bcher-kva.example")),
        ("mailto:a@example.net,b@example.net", Err(RecipientRefusal::Address)),
        ("mailto:a@example.net%2Cb@example.net", Err(RecipientRefusal::Address)),
        ("mailto:a@example.net;b", Err(RecipientRefusal::Address)),
        ("mailto:a@example.net?bcc=b@example.net", Err(RecipientRefusal::Fields)),
        ("mailto:a@example.net#x", Err(RecipientRefusal::Fields)),
        ("mailto:a%0D%0ABcc:b@example.net", Err(RecipientRefusal::Address)),
        ("mailto:a@example.net%0D%0ARCPT%20TO:<b@x.test>", Err(RecipientRefusal::Address)),
        ("mailto:%22a%20b%22@example.net", Err(RecipientRefusal::Address)),
        ("mailto:a%25b.test@example.net", Err(RecipientRefusal::Address)),
        ("mailto:b.test!a@example.net", Err(RecipientRefusal::Address)),
        ("mailto:<a@example.net>", Err(RecipientRefusal::Address)),
        ("mailto:a@[127.0.0.1]", Err(RecipientRefusal::Address)),
        ("mailto:a@-x.test", Err(RecipientRefusal::Address)),
        ("mailto:.a@example.net", Err(RecipientRefusal::Address)),
        ("mailto:\u{fc}@example.net", Err(RecipientRefusal::Address)),
        ("mailto:a", Err(RecipientRefusal::Address)),
        ("mailto:", Err(RecipientRefusal::Address)),
        ("https://example.net/a@example.net", Err(RecipientRefusal::Scheme)),
        ("\u{fc}\u{fc}\u{fc}\u{fc}", Err(RecipientRefusal::Scheme)),
    ] {
        let parsed = Recipient::parse(endpoint);
        let parsed = parsed.as_ref().map(Recipient::as_str).map_err(|refusal| *refusal);
        assert_eq!(parsed, expected, "{endpoint}");
    }
    let long = format!("mailto:a@{}.test", "x.".repeat(140));
    assert_eq!(Recipient::parse(&long), Err(RecipientRefusal::Length));
    assert!(!format!("{:?}", Recipient::parse("mailto:ward@x.test")).contains("ward"));
}

#[test]
fn no_line_is_longer_than_mail_allows() {
    let bytes = Bytes::from(format!("{{\"text\":\"{}\"}}", "grüße ".repeat(1_000)));
    let long = |attachment| Attachment { bytes, ..attachment };
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
async fn what_a_relay_refuses_is_told_by_code_and_subject_and_its_text_is_kept_apart() {
    for (manners, code, subject) in [
        (Manners::Refuse, 550, SmtpSubject::Recipient),
        (Manners::NoMailbox, 550, SmtpSubject::Mailbox),
        (Manners::Defer, 451, SmtpSubject::Recipient),
        (Manners::RefuseContent, 554, SmtpSubject::Message),
        (Manners::Closing, 421, SmtpSubject::Session),
    ] {
        let relay = Relay::start(manners, None).await;
        let email = Email::new(&config(&relay, Security::Plain)).unwrap();
        let outcome = email.attempt(&with_attachment()).await;
        let (kind, detail) = failure(&outcome);
        assert_eq!(kind, FailureKind::Smtp { code, subject }, "{manners:?}");
        assert!(!detail.contains("example"), "{detail}");
        assert!(outcome.text.unwrap().as_str().contains("ward@example.net"), "{manners:?}");
        assert!(relay.taken().is_empty());
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_replaced_when_it_is_gone() {
    let relay = Relay::start(Manners::Good, None).await;
    let email = Email::new(&config(&relay, Security::Plain)).unwrap();
    for _ in 0..3 {
        assert!(email.attempt(&mail()).await.is_success());
    }
    assert_eq!((relay.connections(), relay.taken().len()), (1, 3));
    let relay = Relay::start(Manners::OneMailAConnection, None).await;
    let email = Email::new(&config(&relay, Security::Plain)).unwrap();
    for _ in 0..3 {
        assert!(email.attempt(&mail()).await.is_success());
    }
    assert_eq!((relay.connections(), relay.taken().len()), (3, 3));
}

#[tokio::test]
async fn a_connection_that_breaks_within_a_mail_is_an_interruption() {
    let relay = Relay::start(Manners::Break, None).await;
    let email = Email::new(&config(&relay, Security::Plain)).unwrap();
    let outcome = email.attempt(&mail()).await;
    assert_eq!(failure(&outcome).0, FailureKind::NoResponse(NoResponse::Interrupted));
}

#[tokio::test]
async fn what_came_before_encryption_is_no_answer_after_it() {
    let authority = Authority::new();
    let relay = Relay::start_over(Security::StartTls, Manners::Inject, &authority).await;
    let trusting = EmailConfig {
        extra_ca_files: vec![authority.file()],
        ..config(&relay, Security::StartTls)
    };
    let outcome = Email::new(&trusting).unwrap().attempt(&mail()).await;
    assert_eq!(failure(&outcome).0, FailureKind::NoResponse(NoResponse::Tls), "{outcome:?}");
    assert!(relay.taken().is_empty());
}

/// A name server with one answer.
struct Known(&'static str);

impl Lookup for Known {
    fn lookup(&self, _: String) -> crate::resolver::Looking {
        let address = self.0.parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn the_relay_is_judged_by_the_address_that_its_name_has() {
    let address_refused = FailureKind::RefusedAddress;
    for (address, security, expected, detail_expected) in [
        ("169.254.169.254", Security::StartTls, address_refused, "the relay is a metadata address"),
        ("224.0.0.1", Security::Tls, address_refused, "the relay is a multicast address"),
        ("192.168.1.1", Security::Plain, FailureKind::Refused, "not spoken to without TLS"),
    ] {
        let elsewhere = EmailConfig { relay: "relay.test".to_owned(), security, ..usable() };
        let email = Email::with_lookup(&elsewhere, Arc::new(Known(address))).unwrap();
        let outcome = email.attempt(&mail()).await;
        let (kind, detail) = failure(&outcome);
        assert_eq!(kind, expected);
        assert!(detail.contains(detail_expected), "{detail}");
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
    assert_eq!(failure(&outcome).0, FailureKind::NoResponse(NoResponse::Tls));
    assert!(plain.taken().is_empty(), "a relay without STARTTLS gets nothing");
}

#[test]
fn a_configuration_that_cannot_be_used_stops_the_start() {
    assert!(Email::new(&usable()).is_ok());
    let password = Some(("cresset".to_owned(), "marker".to_owned()));
    let plain_password = EmailConfig { credentials: password, ..usable() };
    assert!(matches!(Email::new(&plain_password), Err(EmailError::PlainPassword)));
    assert!(!format!("{plain_password:?}").contains("marker"));
    let nobody = EmailConfig { from: "nobody".to_owned(), ..usable() };
    assert!(matches!(Email::new(&nobody), Err(EmailError::Sender(_))));
    let nobody = EmailConfig { reply_to: Some("nobody".to_owned()), ..usable() };
    assert!(matches!(Email::new(&nobody), Err(EmailError::Sender(_))));
    let nowhere = EmailConfig { relay: "no host".to_owned(), ..usable() };
    assert!(matches!(Email::new(&nowhere), Err(EmailError::Relay)));
    let extra_ca_files = vec![PathBuf::from("/nowhere/ca.pem")];
    let no_file = EmailConfig { security: Security::Tls, extra_ca_files, ..usable() };
    assert!(matches!(Email::new(&no_file), Err(EmailError::Tls(_))));
}
