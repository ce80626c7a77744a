//! The channel `email`: mails through a real relay, and one that misbehaves.

use cresset_conformance::{
    BadRelay, Client, LINK_BASE_URL, Manner, Options, Relay, Request, Server, Subscribe, TakenMail,
    Version, patient, set, verifies,
};
use reqwest::Method;
use serde_json::json;

const TOPIC: &str = "http://cresset.test/topics/patient-any";
/// The guide's fourth form of a mail.
const XML_MAIL: &str = "text/html;attach=application/fhir+xml";

/// A request for a page, by anybody.
fn page(server: &Server, method: Method, path: &str) -> Request {
    server.base(Version::R4).request(method, &format!("{}{path}", server.url()))
}

/// Status and text.
async fn read(request: Request) -> (u16, String) {
    let reply = request.send().await;
    (reply.status, String::from_utf8_lossy(&reply.body).into_owned())
}

async fn open(server: &Server, path: &str) -> (u16, String) {
    read(page(server, Method::GET, path)).await
}

async fn press(server: &Server, path: &str) -> (u16, String) {
    read(page(server, Method::POST, path)).await
}

/// Subscribes, and confirms as the owner of the mailbox does.
async fn confirmed(server: &Server, relay: &Relay, base: &Client, asked: &Subscribe) -> String {
    let (id, address) = (base.subscribe(asked).await, address(asked, base.version));
    let asking = relay.next(&address).await;
    let (status, text) = press(server, &asking.link("/email/confirm")).await;
    assert_eq!(status, 200, "{text}");
    base.wait_for_status(&id, "active").await;
    id
}

fn address(asked: &Subscribe, version: Version) -> String {
    let json = asked.json(version);
    let endpoint = json["endpoint"].as_str().or(json["channel"]["endpoint"].as_str());
    endpoint.expect("an endpoint").strip_prefix("mailto:").expect("mailto:").to_owned()
}

#[tokio::test]
async fn mails_have_the_body_and_the_attachment_that_the_mime_type_names() {
    verifies!("RQ-CH-60", "RQ-CH-61", "RQ-CH-62", "RQ-CH-64", "RQ-CH-65", "RQ-SB-11");
    for security in ["starttls", "tls"] {
        let relay = Relay::start(security).await;
        let server = Server::start_with(relay.options()).await;
        for base in server.bases() {
            let json = Some("application/fhir+json");
            for (name, mime_type, body_type, attached) in [
                ("plain", "text/plain", "text/plain", None),
                ("html", "text/html", "text/html", None),
                ("both", "text/plain;attach=application/fhir+json", "text/plain", json),
                ("rich", "text/html; attach=application/fhir+json", "text/html", json),
                ("xml", XML_MAIL, "text/html", Some("application/fhir+xml")),
            ] {
                let address = format!("{name}.{}@ward.test", base.version);
                let asked = Subscribe::email(TOPIC, &address).mime_type(mime_type);
                let id = confirmed(&server, &relay, &base, &asked).await;
                base.save(&patient("p")).await;
                let mail = relay.next(&address).await;
                assert_eq!(mail.json["from"], "notifications@cresset.test");
                assert_eq!(mail.json["encrypted"], true, "{security}");
                assert_eq!(mail.json["authenticated"], true, "{security}");
                assert_eq!(mail.header("to"), address);
                assert_eq!(mail.header("auto-submitted"), "auto-generated");
                assert_eq!(mail.json["body_type"], body_type);
                assert!(mail.body().contains("Something has happened"), "{}", mail.body());
                assert!(mail.body().contains("Patient/p"), "{}", mail.body());
                if let Some(form) = attached {
                    let (mime_type, text) = mail.attachments()[0];
                    let mime_type = mime_type.to_ascii_lowercase().replace('"', "");
                    let version = base.version.mime();
                    assert_eq!(mime_type, format!("{form}; fhirversion={version}"));
                    if name == "xml" {
                        assert!(
                            text.starts_with("<?xml") && text.contains("Patient/p\"/>"),
                            "{text}"
                        );
                        continue;
                    }
                    let told = mail.notification(base.version);
                    assert_eq!(told.kind, "event-notification");
                    assert_eq!((told.numbers(), told.subscription_id()), (vec![1], id.as_str()));
                    assert!(told.foci()[0].ends_with("Patient/p"), "{:?}", told.foci());
                } else {
                    assert_eq!(mail.attachments(), []);
                }
                base.remove(&format!("Subscription/{id}")).await;
            }
        }
    }
}

#[tokio::test]
async fn one_mail_carries_one_notification() {
    verifies!("RQ-CH-60", "RQ-SB-07");
    let relay = Relay::start("starttls").await;
    let server = Server::start_with(relay.options()).await;
    for base in server.bases() {
        let address = format!("batch.{}@ward.test", base.version);
        let asked = Subscribe::email(TOPIC, &address).max_count(2);
        let id = base.subscribe(&asked).await;
        let asking = relay.next(&address).await;
        for number in 0..5 {
            base.save(&patient(&format!("p{number}"))).await;
        }
        assert_eq!(press(&server, &asking.link("/email/confirm")).await.0, 200);
        let mut told = Vec::new();
        while told.len() < 3 {
            told.push(relay.next(&address).await.notification(base.version).numbers());
        }
        assert_eq!(told, [vec![1, 2], vec![3, 4], vec![5]], "also what came before it was active");
        base.remove(&format!("Subscription/{id}")).await;
    }
}

#[tokio::test]
async fn a_mail_says_no_more_than_the_content_level_allows() {
    verifies!("RQ-CH-63", "RQ-SS-09");
    let relay = Relay::start("starttls").await;
    let options = relay.options().set("email.allow-full-resource", true);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        for content in ["empty", "id-only", "full-resource"] {
            let address = format!("{content}.{}@ward.test", base.version);
            let asked = Subscribe::email(TOPIC, &address).content(content);
            confirmed(&server, &relay, &base, &asked).await;
        }
        let mut somebody = patient("secret-id");
        set(&mut somebody, "/name", json!([{"family": "Secretname"}]));
        base.save(&somebody).await;
        let mails = ["empty", "id-only", "full-resource"].map(|content| {
            let address = format!("{content}.{}@ward.test", base.version);
            let relay = &relay;
            async move { relay.next(&address).await }
        });
        let [empty, ids, full] = mails;
        let (empty, ids, full) = (empty.await, ids.await, full.await);
        let texts = |mail: &TakenMail| {
            let attached = mail.attachments()[0].1.to_owned();
            assert_eq!(mail.notification(base.version).kind, "event-notification");
            (format!("{}\n{}", mail.header("subject"), mail.body()), attached)
        };
        let (body, attached) = texts(&empty);
        for secret in ["secret-id", "Secretname", TOPIC, "Patient"] {
            assert!(!body.contains(secret) && !attached.contains(secret), "{secret}: {body}");
        }
        let (body, attached) = texts(&ids);
        assert!(body.contains("Patient/secret-id") && attached.contains("secret-id"));
        assert!(!body.contains("Secretname") && !attached.contains("Secretname"));
        let (body, attached) = texts(&full);
        assert!(body.contains("Patient/secret-id") && !body.contains("Secretname"));
        assert!(attached.contains("Secretname"));
    }
}

#[tokio::test]
async fn what_a_mail_cannot_be_is_refused() {
    verifies!("RQ-CH-64", "RQ-SB-11", "RQ-CH-09", "RQ-CH-67", "RQ-SS-05");
    let relay = BadRelay::start([]).await;
    let options = relay.options().set("email.deny-domains", vec!["denied.test"]);
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let good = Subscribe::email(TOPIC, "ward@ward.test");
        let endpoint = if base.version.is_backport() { "/channel/endpoint" } else { "/endpoint" };
        let mut cases = Vec::new();
        for mime_type in [
            "application/fhir+json",
            "text/markdown",
            "text/plain;attach=application/pdf",
            "text/html;attach=application/fhir+turtle",
            "text/plain;attach=application/fhir+json;attach=application/fhir+json",
            "text/plain;inline=application/fhir+json",
        ] {
            cases
                .push((mime_type.to_owned(), good.clone().mime_type(mime_type).json(base.version)));
        }
        for address in [
            "https://ward.test/ward@ward.test",
            "mailto:ward",
            "mailto:a@ward.test,b@ward.test",
            "mailto:a@ward.test?bcc=b@ward.test",
            "mailto:a%0D%0ABcc:b@ward.test",
            "mailto:a@denied.test",
            "mailto:a@below.denied.test",
        ] {
            let mut asked = good.json(base.version);
            set(&mut asked, endpoint, address);
            cases.push((address.to_owned(), asked));
        }
        let injected = good.clone().header("Subject", "News\r\nBcc: b@ward.test");
        cases.push(("a line break".to_owned(), injected.json(base.version)));
        cases
            .push(("Bcc".to_owned(), good.clone().header("Bcc", "b@ward.test").json(base.version)));
        let full = good.clone().content("full-resource");
        cases.push(("full-resource".to_owned(), full.json(base.version)));
        for (what, asked) in cases {
            let reply = base.post("Subscription", &asked).await;
            assert_eq!(reply.status, 422, "{what}: {reply}");
        }
    }
    assert_eq!(relay.seen(), []);
}

#[tokio::test]
async fn without_a_relay_there_are_no_mails_and_with_one_the_statement_says_so() {
    verifies!("RQ-CH-64", "RQ-CF-06");
    let off = Server::start().await;
    let relay = BadRelay::start([]).await;
    let on = Server::start_with(relay.options()).await;
    for version in Version::ALL {
        let base = off.base(version);
        let asked = Subscribe::email(TOPIC, "ward@ward.test").json(version);
        let refused = base.post("Subscription", &asked).await.expect(422).to_string();
        assert!(refused.contains("the channel 'email' is not switched on here"), "{refused}");
        for (base, expected) in [(base, false), (on.base(version), true)] {
            let statement = base.read("metadata").await;
            let channels = statement["rest"][0]["documentation"].as_str().expect("channels");
            assert!(channels.contains("rest-hook, websocket, message"), "{channels}");
            assert_eq!(channels.contains("email"), expected, "{channels}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_until_the_owner_of_the_mailbox_has_pressed_the_button() {
    verifies!("RQ-CH-65", "RQ-CH-10", "RQ-SB-23");
    let relay = Relay::start("starttls").await;
    let mut server = Server::start_with(relay.options()).await;
    for version in Version::ALL {
        let address = format!("owner.{version}@ward.test");
        let subject = "A subject for people who agreed";
        let asked = Subscribe::email(TOPIC, &address).status("active").header("Subject", subject);
        let base = server.base(version);
        let id = base.subscribe(&asked).await;
        let asking = relay.next(&address).await;
        assert_eq!(asking.header("subject"), "Please confirm a subscription");
        assert!(!asking.raw().contains(TOPIC) && asking.attachments().is_empty());
        let link = asking.link("/email/confirm");
        base.save(&patient("p")).await;

        // Programs that check mails follow links.
        for _ in 0..2 {
            let (status, text) = open(&server, &link).await;
            assert_eq!(status, 200, "{text}");
            assert!(text.contains("<form method=\"post\">"), "{text}");
        }
        assert_eq!(base.status(&id).await.status, "requested");

        server.restart().await;
        let base = server.base(version);
        let end = link.len() - 1;
        let other = if link.ends_with('A') { 'B' } else { 'A' };
        for wrong in [
            format!("{}{other}", &link[..end]),
            link[..end].to_owned(),
            link.replace("/confirm/", "/unsubscribe/"),
            format!("/email/confirm/{version}/nobody/{}", &link[link.len() - 43..]),
            format!("/email/confirm/r9/{id}/{}", &link[link.len() - 43..]),
        ] {
            assert_eq!(press(&server, &wrong).await.0, 404, "{wrong}");
        }
        assert_eq!(base.status(&id).await.status, "requested");
        let (status, text) = press(&server, &link).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("is confirmed"), "{text}");
        assert_eq!(base.status(&id).await.status, "active", "at once");
        let mail = relay.next(&address).await;
        assert_eq!(mail.notification(version).numbers(), [1], "what came meanwhile");
        assert_eq!(mail.header("subject"), subject);
        assert_eq!(relay.all(&address).len(), 2, "a restart asks nobody twice");
        assert!(open(&server, &link).await.1.contains("is confirmed"));
        base.remove(&format!("Subscription/{id}")).await;
        assert_eq!(press(&server, &link).await.0, 404);
    }
}

#[tokio::test]
async fn a_link_is_void_when_the_client_changes_the_subscription_or_time_is_up() {
    verifies!("RQ-CH-65", "RQ-SB-25");
    let relay = Relay::start("starttls").await;
    let options = relay.options().set("email.confirmation-lifetime", "2s");
    let mut server = Server::start_with(options).await;
    let names = |version| (format!("one.{version}@ward.test"), format!("two.{version}@ward.test"));
    for base in server.bases() {
        let (one, two) = names(base.version);
        let id = format!("moved-{}", base.version);
        base.save(&Subscribe::email(TOPIC, &one).id(&id).json(base.version)).await;
        let link = relay.next(&one).await.link("/email/confirm");
        base.save(&Subscribe::email(TOPIC, &two).id(&id).json(base.version)).await;
        assert_eq!(press(&server, &link).await.0, 404, "it was for another address");
        let link = relay.next(&two).await.link("/email/confirm");
        let status = base.wait_for_status(&id, "error").await;
        let error = status.errors[0].to_string();
        assert!(error.contains("did not confirm in time"), "{error}");
        assert_eq!(press(&server, &link).await.0, 404, "it has expired");
        assert_eq!(base.status(&id).await.status, "error");
    }
    let patient = server.options().clone().set("email.confirmation-lifetime", "1d");
    *server.options() = patient;
    server.restart().await;
    for base in server.bases() {
        let (_, two) = names(base.version);
        let id = format!("moved-{}", base.version);
        base.save(&Subscribe::email(TOPIC, &two).id(&id).json(base.version)).await;
        let link = relay.next(&two).await.link("/email/confirm");
        assert_eq!(press(&server, &link).await.0, 200, "asked anew, as the client asked anew");
        base.wait_for_status(&id, "active").await;
    }
}

#[tokio::test]
async fn every_mail_has_a_link_that_ends_the_subscription() {
    verifies!("RQ-CH-65");
    let relay = Relay::start("starttls").await;
    let mut server = Server::start_with(relay.options()).await;
    for version in Version::ALL {
        let base = server.base(version);
        let address = format!("leaving.{version}@ward.test");
        let asked = Subscribe::email(TOPIC, &address);
        let id = confirmed(&server, &relay, &base, &asked).await;
        base.save(&patient("p")).await;
        let mail = relay.next(&address).await;
        let link = mail.link("/email/unsubscribe");
        assert_eq!(mail.header("list-unsubscribe"), format!("<{LINK_BASE_URL}{link}>"));
        assert_eq!(mail.header("list-unsubscribe-post"), "List-Unsubscribe=One-Click");
        assert_eq!(open(&server, &link).await.0, 200);
        assert_eq!(base.status(&id).await.status, "active", "opening it changes nothing");

        server.restart().await;
        let base = server.base(version);
        let one_click = page(&server, Method::POST, &link)
            .body_as("List-Unsubscribe=One-Click", "application/x-www-form-urlencoded");
        assert_eq!(read(one_click).await.0, 200);
        let status = base.status(&id).await;
        assert_eq!(status.status, "off");
        let error = status.errors[0].to_string();
        assert!(error.contains("the receiver of the mails has ended"), "{error}");
        assert_eq!(press(&server, &link).await.0, 200, "again is no error");
        base.save(&patient("p")).await;

        // The client may ask again; the owner of the mailbox is asked, too.
        base.save(&asked.clone().id(&id).json(version)).await;
        let mut asking = relay.next(&address).await;
        if asking.header("subject") == "News for your subscription" {
            // The kill may have come before it was written down that the first was sent (RQ-CH-03).
            assert_eq!(asking.notification(version).numbers(), [1]);
            asking = relay.next(&address).await;
        }
        assert_eq!(asking.header("subject"), "Please confirm a subscription");
        assert_eq!(press(&server, &asking.link("/email/unsubscribe")).await.0, 200);
        assert_eq!(press(&server, &asking.link("/email/confirm")).await.0, 404);
        assert_eq!(base.status(&id).await.status, "off");
    }
}

#[tokio::test]
async fn pages_run_nothing_load_nothing_and_are_kept_nowhere() {
    let relay = BadRelay::start([]).await;
    let server = Server::start_with(relay.options()).await;
    let token = "A".repeat(43);
    for what in ["confirm", "unsubscribe"] {
        let path = format!("/email/{what}/r4/x/{token}");
        let answer = page(&server, Method::GET, &path).send().await.expect(404);
        let header = |name: &str| answer.header(name).to_owned();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("content-type"), "text/html; charset=utf-8");
    }
}

#[tokio::test]
async fn the_subject_line_is_the_subscribers() {
    verifies!("RQ-CH-66");
    let relay = Relay::start("starttls").await;
    let server = Server::start_with(relay.options()).await;
    for base in server.bases() {
        let address = format!("subject.{}@ward.test", base.version);
        let subject =
            if base.version.is_backport() { "Neues zu ward 7" } else { "Neues für 7 \u{1F3E5}" };
        let asked = Subscribe::email(TOPIC, &address).header("Subject", subject);
        confirmed(&server, &relay, &base, &asked).await;
        base.save(&patient("p")).await;
        assert_eq!(relay.next(&address).await.header("subject"), subject);
        assert!(relay.all(&address)[1].raw().is_ascii());
    }
}

#[tokio::test]
async fn resources_go_by_mail_only_where_the_operator_has_said_so() {
    verifies!("RQ-CH-67", "RQ-SS-05");
    let relay = Relay::start("tls").await;
    let mut server = Server::start_with(relay.options()).await;
    for base in server.bases() {
        let full = Subscribe::email(TOPIC, "full@ward.test").content("full-resource");
        base.post("Subscription", &full.json(base.version)).await.refused(422);
    }
    let allowed = server.options().clone().set("email.allow-full-resource", true);
    *server.options() = allowed;
    server.restart().await;
    let mut ids = Vec::new();
    for base in server.bases() {
        let address = format!("full.{}@ward.test", base.version);
        let full = Subscribe::email(TOPIC, &address).content("full-resource");
        ids.push((base.version, confirmed(&server, &relay, &base, &full).await, address));
    }
    // What was allowed once is not for ever.
    let forbidden = server.options().clone().set("email.allow-full-resource", false);
    *server.options() = forbidden;
    server.restart().await;
    for (version, id, address) in ids {
        let base = server.base(version);
        base.save(&patient("p")).await;
        let status = base.wait_for_status(&id, "error").await;
        assert!(status.errors[0].to_string().contains("full-resource"), "{status:?}");
        assert_eq!(relay.all(&address).len(), 1, "but the question");
    }
}

#[tokio::test]
async fn what_a_relay_puts_off_is_sent_again_as_the_same_mail() {
    verifies!("RQ-CH-04", "RQ-ER-15", "RQ-CH-65");
    let relay = BadRelay::start([]).await;
    let server = Server::start_with(relay.options()).await;
    let mut count = 0;
    for base in server.bases() {
        relay.script([Manner::Recipient("451 4.7.1 grey"), Manner::Take]);
        let id = base.subscribe(&Subscribe::email(TOPIC, "ward@ward.test").timeout(3)).await;
        base.wait_for_status(&id, "active").await;
        relay.script([Manner::Content("452 full"), Manner::Break, Manner::Take, Manner::Hang]);
        base.save(&patient("p")).await;
        count += 5;
        let seen = relay.wait_for(count).await;
        let tried = &seen[count - 3..];
        let ids: Vec<_> = tried.iter().map(|(_, mail)| header(mail, "Message-ID")).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_ne!(ids[0], header(&seen[count - 4].1, "Message-ID"), "the handshake is another");
        base.save(&patient("p")).await;
        count += 2;
        let seen = relay.wait_for(count).await;
        let told: Vec<_> = seen[count - 2..].iter().map(|(manner, _)| *manner).collect();
        assert_eq!(told, [Manner::Hang, Manner::Take], "a relay that hangs costs the timeout");
        base.remove(&format!("Subscription/{id}")).await;
    }
}

fn header(mail: &str, name: &str) -> String {
    let start = format!("{name}: ");
    let line = mail.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{name} in {mail}")).to_owned()
}

#[tokio::test]
async fn what_a_relay_refuses_for_good_ends_the_subscription_with_the_reason() {
    verifies!("RQ-CH-60", "RQ-SB-22");
    let relay = BadRelay::start([]).await;
    let options = relay
        .options()
        .set("delivery.rejection-retries-max", 1)
        .client("admin", "admin-token-of-the-tests", &["admin"])
        .set("log.level", "trace");
    let server = Server::start_with(options).await;
    for base in server.bases().map(|base| base.with_bearer("admin-token-of-the-tests")) {
        for (answer, expected, code) in [
            (Manner::Recipient("550 5.1.1 <ward@ward.test> unknown"), "off", 550),
            (Manner::Recipient("550 5.7.1 <ward@ward.test> not here"), "error", 550),
            (Manner::Content("554 5.6.0 <ward@ward.test> no such mails"), "error", 554),
        ] {
            let asked = Subscribe::email(TOPIC, "ward@ward.test");
            let id = base.subscribe(&asked).await;
            base.wait_for_status(&id, "active").await;
            relay.script([answer, answer, Manner::Take]);
            base.save(&patient("p")).await;
            let status = base.wait_for_status(&id, expected).await;
            let error = status.errors[0].to_string();
            assert!(error.contains(&format!("SMTP code {code}")), "{error}");
            assert!(!error.contains("ward.test"), "{error}");
            let url = format!("{}/admin/subscriptions/{id}/attempts", server.url());
            let attempts = base.get(&url).await.expect(200).json();
            let attempts = attempts["subscriptions"][0]["attempts"].as_array().expect("attempts");
            let (first, last) = (&attempts[0], attempts.last().expect("an attempt"));
            assert_eq!((&first["smtpCode"], &first["httpStatus"]), (&json!(250), &json!(null)));
            assert_eq!(
                (&last["smtpCode"], &last["outcome"]),
                (&json!(code), &json!("error-response"))
            );
            assert!(!last.to_string().contains("ward@ward.test"), "{last}");
            base.remove(&format!("Subscription/{id}")).await;
            relay.forget_script();
        }
    }
    assert!(!server.log().contains("ward.test"), "an address in the log");
}

#[tokio::test]
async fn a_mailbox_gets_so_many_mails_and_no_more() {
    verifies!(R4: "RQ-SS-14");
    let relay = BadRelay::start([]).await;
    let options = relay.options().set("email.mails-per-hour-max", 3);
    let server = Server::start_with(options).await;
    let base = server.base(Version::R4);
    let one = base.subscribe(&Subscribe::email(TOPIC, "ward@ward.test")).await;
    base.wait_for_status(&one, "active").await;
    let two = base.subscribe(&Subscribe::email(TOPIC, "Ward@WARD.test")).await;
    base.wait_for_status(&two, "active").await;
    let other = base.subscribe(&Subscribe::email(TOPIC, "other@ward.test")).await;
    base.wait_for_status(&other, "active").await;
    base.save(&patient("p")).await;
    let seen = relay.wait_for(5).await;
    let told = |address: &str| {
        seen.iter().filter(|(_, mail)| header(mail, "To").eq_ignore_ascii_case(address)).count()
    };
    assert_eq!((told("ward@ward.test"), told("other@ward.test")), (3, 2));
    for id in [&one, &two, &other] {
        assert_eq!(base.status(id).await.status, "active", "to wait is no failure");
    }
    // Somebody else's mails are not held up by it.
    base.save(&patient("p")).await;
    let seen = relay.wait_for(6).await;
    assert_eq!(header(&seen[5].1, "To"), "other@ward.test");
}

#[tokio::test]
async fn heartbeats_go_by_mail_as_often_as_the_operator_allows() {
    verifies!("RQ-CH-65", "RQ-SB-05", "RQ-SB-27");
    let relay = Relay::start("starttls").await;
    let options = relay.options().set("email.heartbeat-min", "2s");
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let address = format!("heart.{}@ward.test", base.version);
        let asked = Subscribe::email(TOPIC, &address).heartbeat_period(1);
        let id = confirmed(&server, &relay, &base, &asked).await;
        let kept = base.read(&format!("Subscription/{id}")).await;
        let extensions = kept["channel"]["extension"].as_array().into_iter().flatten();
        let backport = extensions.filter_map(|one| one["valueUnsignedInt"].as_u64()).next();
        assert_eq!(backport.or(kept["heartbeatPeriod"].as_u64()), Some(2), "raised: {kept}");
        let mail = relay.next(&address).await;
        assert_eq!(mail.notification(base.version).kind, "heartbeat");
        assert!(mail.body().contains("Nothing has happened"));
        base.remove(&format!("Subscription/{id}")).await;
    }
}

#[tokio::test]
async fn a_relay_that_is_not_trusted_gets_nothing() {
    verifies!("RQ-CH-67", "RQ-SB-22");
    let relay = Relay::start("starttls").await;
    let options: Options = relay.options().set("email.extra-ca-files", Vec::<String>::new());
    let server = Server::start_with(options).await;
    for base in server.bases() {
        let address = format!("nobody.{}@ward.test", base.version);
        let id = base.subscribe(&Subscribe::email(TOPIC, &address)).await;
        let status = base.wait_for_status(&id, "error").await;
        let error = status.errors[0].to_string();
        assert!(error.contains("no trusted connection to the relay"), "{error}");
        assert_eq!(relay.all(&address).len(), 0);
    }
}
