//! Texts, quotas, links and what is accepted.

use cresset_channel::{AddressPolicy, BodyKind};
use cresset_model::{
    Canonical, ClientName, EventNumber, Header, Interaction, Notification, NotificationEvent,
    NotificationResource, NotificationType, Position, ResourceType, SubscriptionKey, VersionId,
};
use jiff::Timestamp;
use url::Url;

use super::*;
use crate::settings::SettingsCache;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn at(seconds: u64) -> Timestamp {
    NOW.checked_add(Duration::from_secs(seconds)).unwrap()
}

fn link() -> Url {
    Url::parse("https://mail.test/email/unsubscribe/r4/s/t").unwrap()
}

fn told(content: PayloadContent, events: u64) -> Notification {
    let event = |number| NotificationEvent {
        number: EventNumber::new(number).unwrap(),
        timestamp: NOW,
        focus: NotificationResource {
            resource_type: ResourceType::new("Encounter").unwrap(),
            id: ResourceId::new(&format!("secret-{number}")).unwrap(),
            version: VersionId::FIRST,
            interaction: Some(Interaction::Create),
            body: Some("{\"text\":\"MARKER\"}".into()),
        },
        additional_context: Vec::new(),
        related_queries: Vec::new(),
        codes: Vec::new(),
    };
    Notification {
        id: "n".to_owned(),
        status_id: "s".to_owned(),
        timestamp: NOW,
        base_url: "https://fhir.test/r4".to_owned(),
        subscription: ResourceId::new("sub").unwrap(),
        topic: Canonical::new("http://topics.test/<secret>&\"topic\""),
        status: SubscriptionStatus::Active,
        notification_type: NotificationType::EventNotification,
        events_since_subscription_start: events,
        events: (1..=events).map(event).collect(),
        errors: Vec::new(),
        content,
    }
}

#[test]
fn a_body_says_no_more_than_the_content_level_allows() {
    for kind in [BodyKind::Html, BodyKind::Plain] {
        let body = |content| text::notification(&told(content, 3), true, &link(), kind);
        let empty = body(PayloadContent::Empty);
        assert!(!empty.contains("secret") && !empty.contains("Encounter"), "{empty}");
        assert!(empty.contains("https://fhir.test/r4/Subscription/sub"));
        for content in [PayloadContent::IdOnly, PayloadContent::FullResource] {
            let body = body(content);
            assert!(body.contains("2: Encounter/secret-2, at 2027-"), "{body}");
            assert!(!body.contains("MARKER"), "resources are for the attachment: {body}");
        }
        for body in [empty, body(PayloadContent::IdOnly)] {
            assert!(body.contains(link().as_str()));
        }
    }
}

#[test]
fn markup_in_a_body_is_the_servers_own() {
    let html = text::notification(&told(PayloadContent::IdOnly, 1), false, &link(), BodyKind::Html);
    assert!(html.contains("http://topics.test/&lt;secret&gt;&amp;&quot;topic&quot;"), "{html}");
    let plain =
        text::notification(&told(PayloadContent::IdOnly, 1), false, &link(), BodyKind::Plain);
    assert!(plain.contains("http://topics.test/<secret>&\"topic\""), "{plain}");
}

#[test]
fn a_long_list_of_events_is_cut() {
    let body =
        text::notification(&told(PayloadContent::IdOnly, 50), true, &link(), BodyKind::Plain);
    assert!(body.contains("secret-20,") && !body.contains("secret-21,"), "{body}");
    assert!(body.contains("And 30 more."));
}

#[test]
fn a_mailbox_gets_so_many_mails_and_then_one_after_the_other() {
    let quotas = Quotas::default();
    let quota = Quota { count: NonZeroU32::new(3).unwrap(), period: Duration::from_secs(60) };
    let take =
        |mailbox: &str, kind, seconds| quotas.take(mailbox.to_owned(), kind, quota, at(seconds));
    for _ in 0..3 {
        assert_eq!(take("a", MailKind::Notification, 0), Ok(()));
    }
    assert_eq!(take("a", MailKind::Notification, 0), Err(at(20)));
    assert_eq!(take("a", MailKind::Notification, 19), Err(at(20)));
    assert_eq!(take("a", MailKind::Notification, 20), Ok(()));
    assert_eq!(take("a", MailKind::Notification, 20), Err(at(40)));
    assert_eq!(take("a", MailKind::Confirmation, 20), Ok(()), "another bucket");
    assert_eq!(take("b", MailKind::Notification, 20), Ok(()), "another mailbox");
    quotas.give_back("a", MailKind::Notification, quota);
    assert_eq!(take("a", MailKind::Notification, 20), Ok(()), "it did not arrive");
}

#[test]
fn a_crowd_that_is_asked_to_confirm_keeps_only_those_waiting_who_were_not_asked_yet() {
    let quotas = Quotas::default();
    let quota = Quota { count: NonZeroU32::new(3).unwrap(), period: Duration::from_secs(60) };
    let take =
        |mailbox: &str, kind, seconds| quotas.take(mailbox.to_owned(), kind, quota, at(seconds));
    for number in 0..quota::BUCKETS_MAX {
        assert_eq!(take(&number.to_string(), MailKind::Confirmation, 0), Ok(()));
    }
    assert_eq!(take("new", MailKind::Notification, 0), Ok(()), "no confirmation");
    for _ in 0..2 {
        assert_eq!(take("0", MailKind::Confirmation, 0), Ok(()), "it has a bucket");
    }
    assert_eq!(take("0", MailKind::Confirmation, 0), Err(at(20)), "and no other now");
    assert_eq!(take("new", MailKind::Confirmation, 0), Err(at(60)), "there is no room for it");
    quotas.give_back("0", MailKind::Confirmation, quota);
    assert_eq!(take("0", MailKind::Confirmation, 0), Ok(()), "it did not arrive");
    assert_eq!(take("new", MailKind::Confirmation, 20), Ok(()), "the others are full again");
    assert_eq!(take("0", MailKind::Confirmation, 20), Ok(()));
    assert_eq!(take("0", MailKind::Confirmation, 20), Err(at(40)), "the same bucket all the time");
}

fn live(endpoint: &str) -> LiveSubscription {
    let settings = SettingsCache::default().share(subscription(endpoint));
    LiveSubscription::new(
        SubscriptionKey::created_at(Position::new(7).unwrap()),
        (base_of(FhirVersion::R4), ResourceId::new("s").unwrap()),
        Arc::new(ClientName::new("c").unwrap()),
        (settings, SubscriptionStatus::Requested),
        NOW,
    )
}

fn subscription(endpoint: &str) -> Subscription {
    Subscription {
        status: SubscriptionStatus::Requested,
        topic: Canonical::new("http://topics.test/t"),
        end: None,
        filters: Vec::new(),
        channel_type: ChannelType::Email,
        endpoint: Some(endpoint.to_owned()),
        headers: Vec::new(),
        heartbeat_period: None,
        timeout: None,
        max_count: None,
        mime_type: None,
        content: PayloadContent::IdOnly,
        retry_period: None,
    }
}

#[test]
fn a_token_is_worth_nothing_for_another_subscription_address_or_server() {
    let key = LinkKey::new(&[1; 32]);
    let one = live("mailto:a@a.test");
    let token = key.unsubscription(&one, "mailto:a@a.test");
    assert_eq!(token.len(), links::TOKEN_LENGTH);
    assert!(key.is_unsubscription(&one, "mailto:a@a.test", &token));
    assert!(!key.is_unsubscription(&one, "mailto:b@a.test", &token));
    assert!(!LinkKey::new(&[2; 32]).is_unsubscription(&one, "mailto:a@a.test", &token));
    assert!(!key.is_unsubscription(&one, "mailto:a@a.test", "not base64!"));
    assert!(!format!("{key:?}").contains('1'));

    let token = new_token().unwrap();
    let hash = confirmation_hash(one.key, NOW, "mailto:a@a.test", &token);
    assert_eq!(token.len(), links::TOKEN_LENGTH);
    assert_ne!(hash, crate::caller::TokenHash::of(&token).0, "no token for websockets");
    assert_ne!(hash, confirmation_hash(one.key, at(1), "mailto:a@a.test", &token));
    assert_ne!(hash, confirmation_hash(one.key, NOW, "mailto:b@a.test", &token));
}

#[test]
fn an_address_stands_in_a_log_as_a_hash_only() {
    let key = LinkKey::new(&[1; 32]);
    let hash = recipient_hash(&key, "mailto:Ward@Example.test");
    assert_eq!(hash, recipient_hash(&key, "ward@example.test"));
    assert_ne!(hash, recipient_hash(&LinkKey::new(&[2; 32]), "ward@example.test"));
    assert!(!hash.to_ascii_lowercase().contains("ward"));
}

fn config() -> EmailConfig {
    config_of(25)
}

/// For mails to a relay at this port of this machine.
pub(crate) fn config_of(port: u16) -> EmailConfig {
    let relay = cresset_channel::EmailConfig {
        relay: "127.0.0.1".to_owned(),
        port,
        security: cresset_channel::Security::Plain,
        credentials: None,
        from: "n@a.test".to_owned(),
        reply_to: None,
        extra_ca_files: Vec::new(),
        addresses: AddressPolicy { allow_local: true, ..AddressPolicy::default() },
        connect_timeout: Duration::from_secs(1),
        connections_max: 1,
    };
    EmailConfig {
        relay: Email::new(&relay).unwrap(),
        link_base_url: "https://mail.test".to_owned(),
        link_key: LinkKey::new(&[1; 32]),
        confirm: true,
        confirmation_lifetime: Duration::from_secs(60),
        message_bytes_max: 1 << 20,
        allow_full_resource: false,
        allow_domains: Vec::new(),
        deny_domains: Vec::new(),
        mails_per_hour_max: NonZeroU32::MIN,
        confirmations_per_day_max: NonZeroU32::MIN,
        heartbeat_min: Duration::from_secs(1),
    }
}

/// The elements that are refused.
fn refused(config: &EmailConfig, subscription: &Subscription) -> Vec<String> {
    let mut issues = Issues::default();
    check(config, subscription, &mut issues);
    issues.0.into_iter().filter_map(|issue| issue.expression).collect()
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let good = subscription("mailto:ward@example.test");
    assert_eq!(refused(&config(), &good), [""; 0]);
    let full = Subscription { content: PayloadContent::FullResource, ..good.clone() };
    assert_eq!(refused(&config(), &full), ["Subscription.content"]);
    let allowed = EmailConfig { allow_full_resource: true, ..config() };
    assert_eq!(refused(&allowed, &full), [""; 0]);
    let header =
        |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
    for (headers, expected) in [
        (vec![header("Subject", "News")], &[][..]),
        (vec![header("Bcc", "x@x.test")], &["Subscription.parameter[0]"]),
        (vec![header("subject", "a"), header("Subject", "b")], &["Subscription.parameter[1]"]),
        (vec![header("Subject", &"x".repeat(201))], &["Subscription.parameter[0]"]),
    ] {
        assert_eq!(refused(&config(), &Subscription { headers, ..good.clone() }), expected);
    }
}

#[test]
fn domains_are_allowed_and_denied_with_those_below_them() {
    let domains = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let config = EmailConfig {
        allow_domains: domains(&["example.test"]),
        deny_domains: domains(&["bad.example.test"]),
        ..config()
    };
    for (endpoint, expected) in [
        ("mailto:a@example.test", true),
        ("mailto:a@Ward.Example.test", true),
        ("mailto:a@bad.example.test", false),
        ("mailto:a@x.bad.example.test", false),
        ("mailto:a@notexample.test", false),
        ("mailto:a@other.test", false),
    ] {
        assert_eq!(refused(&config, &subscription(endpoint)).is_empty(), expected, "{endpoint}");
    }
}
