//! The console as operators use it: in a browser (docs/console.md).
//!
//! What pages look like is kept below `target/test-output/console`.

use std::net::{Ipv4Addr, TcpListener};

use cresset_conformance::{
    Answer, Browser, Look, Options, Receiver, Server, Subscribe, Version, encounter, patient,
    until, verifies,
};
use serde_json::json;

const ADMIN: &str = "the-token-of-an-admin";
const ANY_PATIENT: &str = "http://cresset.test/topics/patient-any";
const STARTED: &str = "http://cresset.test/topics/encounter-start";

/// What would do something where it is not escaped.
const SCRIPT: &str =
    "<script>window.isHacked = true</script><img src=x onerror='window.isHacked = true'>";

async fn server() -> Server {
    Server::start_with(Options::default().client("admin", ADMIN, &["admin"])).await
}

/// A browser whose user has logged in.
async fn operator(server: &Server) -> Browser {
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/console/", server.url())).await;
    browser.fill("#secret", ADMIN).await;
    browser.follow("form.login button").await;
    browser.wait_for_text("Overview").await;
    browser
}

/// Checks what holds for every page: nothing complains, nothing is wider than the window, every field has
/// a label, and there is one heading of the first level.
async fn check_page(browser: &mut Browser, name: &str) {
    assert_eq!(browser.complaints().await, [""; 0], "{name}");
    for (what, expression) in [
        ("nothing is wider than the window", "document.documentElement.scrollWidth <= innerWidth"),
        ("no script of others ran", "window.isHacked === undefined"),
        ("one first heading", "document.querySelectorAll('h1').length === 1"),
        (
            "every field has a label",
            "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]\
             .every((field) => field.labels.length || field.ariaLabel)",
        ),
        (
            "every button and link says something",
            "[...document.querySelectorAll('button, a, summary')].every((one) => one.textContent.trim())",
        ),
        (
            "every table has headings",
            "[...document.querySelectorAll('table')].every((table) => table.querySelector('th[scope]'))",
        ),
    ] {
        let holds = browser.evaluate(expression).await;
        assert_eq!(holds, true, "{name}: {what}\n{}", browser.text().await);
    }
}

#[tokio::test]
async fn every_page_is_whole_by_day_at_night_and_on_a_phone() {
    let server = server().await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4).with_bearer(ADMIN);
    let good =
        base.subscribe(&Subscribe::rest_hook(ANY_PATIENT, &receiver.endpoint("/good"))).await;
    base.wait_for_status(&good, "active").await;
    receiver.always("/failing", Answer::Status(500));
    let failing =
        base.subscribe(&Subscribe::rest_hook(STARTED, &receiver.endpoint("/failing"))).await;
    base.wait_for_status(&failing, "error").await;
    base.subscribe(&Subscribe::websocket(ANY_PATIENT)).await;
    for round in 0..4 {
        base.save(&patient(&format!("p{round}"))).await;
    }
    receiver.event(Version::R4, "/good").await;
    let mut browser = operator(&server).await;
    let console = format!("{}/console", server.url());
    let pages = [
        ("overview", "/".to_owned()),
        ("subscriptions", "/subscriptions".to_owned()),
        ("subscription", format!("/subscriptions/r4/{good}")),
        ("failing-subscription", format!("/subscriptions/r4/{failing}")),
        ("topics", "/topics?version=r5".to_owned()),
        ("topic", "/topics/r4/patient-any".to_owned()),
        ("topic-editor", "/topics/new?version=r5".to_owned()),
        ("live", "/live?topic=r4/patient-any".to_owned()),
        ("explain", format!("/explain?version=r4&subscription={good}")),
        ("try", "/try?version=r5&sample=Observation".to_owned()),
        ("followed", "/try/r4/Patient/p1/1".to_owned()),
    ];
    for look in Look::ALL {
        browser.look(look).await;
        for (name, path) in &pages {
            browser.open(&format!("{console}{path}")).await;
            browser.screenshot("console", &format!("{name}-{}", look.name)).await;
            check_page(&mut browser, &format!("{name} {}", look.name)).await;
        }
    }
}

#[tokio::test]
async fn the_first_page_renews_itself_and_can_be_used_with_the_keyboard() {
    let server = server().await;
    let base = server.base(Version::R5).with_bearer(ADMIN);
    let mut browser = operator(&server).await;
    browser.wait_for_text("Live.").await;
    let active = "[...document.querySelectorAll('dt')].find((one) => one.textContent === 'active')\
                  .nextElementSibling.textContent.trim() === '1'";
    assert_eq!(browser.evaluate(active).await, false);
    base.subscribe(&Subscribe::websocket(ANY_PATIENT)).await;
    browser.wait_for(active).await;
    // The first stop is the way past the navigation, and what has the focus shows it.
    browser.press("Tab").await;
    assert_eq!(browser.evaluate("document.activeElement.className").await, "skip");
    browser.press("Enter").await;
    browser.wait_for("document.activeElement.id === 'main'").await;
    browser.press("Tab").await;
    let outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle").await;
    assert_eq!(outline, "solid");
    // The focus stays where it is when a part is renewed.
    browser.evaluate("document.querySelector('a[href$=\"status=active\"]').focus()").await;
    base.subscribe(&Subscribe::websocket(ANY_PATIENT)).await;
    browser.wait_for(&active.replace("'1'", "'2'")).await;
    let focused = browser.evaluate("document.activeElement.getAttribute('href')").await;
    assert_eq!(focused, "/console/subscriptions?status=active");
    check_page(&mut browser, "overview").await;
}

#[tokio::test]
async fn an_operator_finds_a_failing_subscription_and_mends_it() {
    let options =
        Options::default().client("admin", ADMIN, &["admin"]).set("audit.level", "changes");
    let server = Server::start_with(options).await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4).with_bearer(ADMIN);
    let subscribe = Subscribe::rest_hook(ANY_PATIENT, &receiver.endpoint("/hook"))
        .header("Authorization", "Bearer old");
    let id = base.subscribe(&subscribe).await;
    base.wait_for_status(&id, "active").await;
    receiver.next("/hook").await;
    receiver.always("/hook", Answer::Status(503));
    base.save(&patient("p")).await;
    base.wait_for_status(&id, "error").await;
    let mut browser = operator(&server).await;
    browser.wait_for_text("failing").await;
    browser.follow("[data-part=failing] a").await;
    browser.follow(&format!("a[href$='{id}']")).await;
    browser.wait_for_text("HTTP 503").await;
    receiver.always("/hook", Answer::Status(200));
    browser.fill("#value", "Bearer new").await;
    browser.follow("form[action$=secret] button").await;
    browser.wait_for_text("The header has its new value.").await;
    browser.follow("form[action$=handshake] button").await;
    base.wait_for_status(&id, "active").await;
    let again = until("the new secret is sent", || async {
        let sent = receiver.all("/hook");
        sent.into_iter().find(|sent| sent.header("authorization") == ["Bearer new"])
    });
    again.await;
    base.save(&patient("q")).await;
    until("events are delivered", || async {
        let events = receiver.all("/hook").into_iter().rev().find(|sent| {
            let told = sent.notification(Version::R4);
            told.numbers().contains(&2) && sent.header("authorization") == ["Bearer new"]
        });
        events.map(|_| ())
    })
    .await;
    let before = receiver.all("/hook").len();
    browser.open(&format!("{}/console/subscriptions/r4/{id}", server.url())).await;
    browser.fill("#since", "1").await;
    browser.fill("#until", "1").await;
    browser.follow("form[action$=resend] button").await;
    browser.wait_for_text("The events are being sent again.").await;
    until("event 1 is sent again", || async {
        let sent = receiver.all("/hook");
        sent[before..]
            .iter()
            .any(|sent| sent.notification(Version::R4).numbers() == [1])
            .then_some(())
    })
    .await;
    // What was sent is shown on demand, and that it was is kept in the trail.
    browser.follow("form[action$=payload] button").await;
    browser.wait_for_text("query-event").await;
    browser.wait_for_text("is kept in the audit trail").await;
    let trail = format!("{}/admin/audit/r4", server.url());
    until("the audit trail has it", || async {
        let trail = base.read(&trail).await;
        let mut entries = trail["entry"].as_array().into_iter().flatten();
        entries.find(|entry| entry["resource"]["action"] == "R").map(|_| ())
    })
    .await;
    browser.open(&format!("{}/console/subscriptions/r4/{id}", server.url())).await;
    browser.click("details.action summary").await;
    browser.follow("form[action$=off] button").await;
    browser.wait_for_text("The subscription is turned off.").await;
    base.wait_for_status(&id, "off").await;
    check_page(&mut browser, "subscription").await;
}

#[tokio::test]
async fn live_shows_notifications_as_they_come_and_gaps() {
    verifies!("RQ-CH-42", "RQ-CH-44");
    let server = server().await;
    let mut browser = operator(&server).await;
    // Loses the notification of the second event on its way.
    browser
        .before_pages(
            "const Real = WebSocket; window.WebSocket = class extends Real {\
               set onmessage(listen) { super.onmessage = (event) => {\
                 window.hasLost = /lost-one/.test(event.data);\
                 if (!window.hasLost) listen(event); }; } }",
        )
        .await;
    for base in server.bases() {
        let base = base.with_bearer(ADMIN);
        let version = base.version;
        browser.open(&format!("{}/console/live?topic={version}/patient-any", server.url())).await;
        // The second is all of it a value, though a text of filters goes on behind an ampersand.
        for (label, value) in
            [("Patient _id", "seen,lost-one,seen-too"), ("Patient family", "Mark,A&gender=male")]
        {
            let field = format!(
                "[...document.querySelectorAll('label')].find((one) => one.textContent === '{label}').htmlFor"
            );
            let field = browser.evaluate(&field).await;
            browser.fill(&format!("#{}", field.as_str().expect("a field")), value).await;
        }
        // Where the server is not reached, that is told, and one can try again.
        browser
            .evaluate(
                "window.real = fetch; window.fetch = async () => { throw Error('no way'); }; 0",
            )
            .await;
        browser.click("#start").await;
        browser.wait_for_text("Not watching: no way").await;
        browser.evaluate("window.fetch = window.real; 0").await;
        browser.click("#start").await;
        browser.wait_for_text("handshake").await;
        base.save(&patient("seen")).await;
        browser.wait_for_text("Patient/seen").await;
        for id in ["not-asked-for", "lost-one"] {
            base.save(&patient(id)).await;
        }
        browser.wait_for("window.hasLost").await;
        base.save(&patient("seen-too")).await;
        browser.wait_for_text("Patient/seen-too").await;
        browser.wait_for_text("Event 2 is missing.").await;
        assert!(!browser.text().await.contains("not-asked-for"));
        browser.screenshot("console", &format!("live-gap-{version}")).await;
        browser.click("#stop").await;
        until("the subscription ends with the watching", || async {
            let found = base.read("Subscription?status=active").await;
            (found["total"] == 0).then_some(())
        })
        .await;
        check_page(&mut browser, "live").await;
    }
}

#[tokio::test]
async fn a_topic_is_written_with_its_faults_told_while_one_types() {
    let server = server().await;
    let mut browser = operator(&server).await;
    let topic = json!({
        "resourceType": "SubscriptionTopic",
        "url": "http://cresset.test/topics/written",
        "title": format!("Written {SCRIPT}"),
        "status": "active",
        "resourceTrigger": [{
            "resource": "Encounter",
            "supportedInteraction": ["create"],
            "queryCriteria": {"current": "status=finished"},
        }],
    });
    for version in Version::ALL {
        browser.open(&format!("{}/console/topics/new?version={version}", server.url())).await;
        browser.fill("#resource", &topic.to_string().replace("status=", "no-such=")).await;
        browser.wait_for("document.querySelector('#check .issue.error')").await;
        browser.fill("#resource", &topic.to_string()).await;
        browser.wait_for_text("after the change it matches status=finished").await;
        browser.wait_for("!document.querySelector('#check .issue.error')").await;
        browser.follow("form#topic button").await;
        browser.wait_for_text("The topic is saved.").await;
        check_page(&mut browser, "topic").await;
        let base = server.base(version).with_bearer(ADMIN);
        base.subscribe(&Subscribe::websocket("http://cresset.test/topics/written")).await;
    }
}

#[tokio::test]
async fn explain_and_try_it_tell_what_becomes_of_a_change() {
    let server = server().await;
    let receiver = Receiver::start().await;
    let mut browser = operator(&server).await;
    for base in server.bases() {
        let base = base.with_bearer(ADMIN);
        let version = base.version;
        let path = format!("/{version}");
        let id = base.subscribe(&Subscribe::rest_hook(STARTED, &receiver.endpoint(&path))).await;
        base.wait_for_status(&id, "active").await;
        browser
            .open(&format!("{}/console/try?version={version}&sample=Encounter", server.url()))
            .await;
        browser.follow("form[method=post][action$=try] button").await;
        browser.wait_for_text("to all").await;
        browser.wait_for_text("HTTP 200").await;
        receiver.event(version, &path).await;
        check_page(&mut browser, "followed").await;
        base.save(&encounter(version, "e", "planned", "p")).await;
        browser
            .open(&format!("{}/console/explain?version={version}&subscription={id}", server.url()))
            .await;
        browser.fill("#focus", "Encounter/e").await;
        browser.follow("form[action$=explain] button").await;
        browser.wait_for_text("no event").await;
        browser.screenshot("console", &format!("explained-{version}")).await;
        browser.click("details summary").await;
        for (field, status) in [("#previous", "planned"), ("#current", "in-progress")] {
            browser.fill(field, &encounter(version, "x", status, "p").to_string()).await;
        }
        browser.follow("form[action$=explain] button").await;
        browser.wait_for_text("it is an event").await;
        let seen =
            "[...document.querySelectorAll('#answer td code')].map((one) => one.textContent)";
        assert_eq!(browser.evaluate(seen).await, json!(["planned", "in-progress"]));
        check_page(&mut browser, "explain").await;
    }
}

#[tokio::test]
async fn nothing_that_others_write_runs_in_a_page() {
    let server = server().await;
    let receiver = Receiver::start().await;
    let base = server.base(Version::R4).with_bearer(ADMIN);
    let mut marked = patient("marked");
    marked["name"] = json!([{"family": SCRIPT}]);
    let subscribe = Subscribe::rest_hook(ANY_PATIENT, &receiver.endpoint("/hook?x=%3Cscript%3E"))
        .header("X-Note", SCRIPT)
        .content("full-resource");
    let id = base.subscribe(&subscribe).await;
    // What an endpoint answers is kept only where it was not sent whole resources.
    let told = Subscribe::rest_hook(ANY_PATIENT, &receiver.endpoint("/told"));
    let told = base.subscribe(&told).await;
    for (id, path) in [(&id, "/hook"), (&told, "/told")] {
        base.wait_for_status(id, "active").await;
        receiver.always(path, Answer::Refused(SCRIPT.to_owned()));
    }
    base.save(&marked).await;
    for id in [&id, &told] {
        base.wait_for_status(id, "error").await;
    }
    let mut browser = operator(&server).await;
    browser.open(&format!("{}/console/subscriptions/r4/{told}", server.url())).await;
    browser.click("[aria-labelledby=attempts] details summary").await;
    browser.wait_for_text(SCRIPT).await;
    check_page(&mut browser, "answer").await;
    let page = format!("{}/console/subscriptions/r4/{id}", server.url());
    browser.open(&page).await;
    check_page(&mut browser, "subscription").await;
    browser.follow("form[action$=payload] button").await;
    browser.wait_for_text("onerror").await;
    browser.wait_for_text("it keeps no audit trail").await;
    let log = server.log();
    let shown = log.lines().find(|line| line.contains("what events tell was shown"));
    assert!(shown.is_some_and(|line| line.contains("admin") && line.contains(&id)), "{log}");
    check_page(&mut browser, "payload").await;
    browser.open(&format!("{}/console/explain?version=r4&subscription={id}", server.url())).await;
    browser.fill("#focus", "Patient/marked").await;
    browser.follow("form[action$=explain] button").await;
    check_page(&mut browser, "explain").await;
    browser.open(&format!("{}/console/", server.url())).await;
    browser.wait_for_text("failing").await;
    check_page(&mut browser, "overview").await;
    assert!(!server.log().contains("isHacked"), "{}", server.log());
}

#[tokio::test]
async fn a_wrong_token_opens_nothing_and_the_console_can_be_switched_off() {
    let server = server().await;
    let mut browser = Browser::start().await;
    browser.open(&format!("{}/console/subscriptions", server.url())).await;
    browser.fill("#secret", "wrong").await;
    browser.follow("form.login button").await;
    browser.wait_for_text("not known here").await;
    browser.fill("#secret", ADMIN).await;
    browser.follow("form.login button").await;
    browser.wait_for_text("Subscriptions").await;
    browser.follow("form.user button").await;
    browser.open(&format!("{}/console/", server.url())).await;
    browser.wait_for("document.querySelector('form.login')").await;
    let off = Server::start_with(Options::default().set("console.serve", "off")).await;
    let base = off.base(Version::R4);
    assert_eq!(base.get(&format!("{}/console/", off.url())).await.status, 404);
}

/// How many subscriptions the console has to stay usable with; `CRESSET_CONSOLE_SUBSCRIPTIONS=100000`
/// for the long form by hand.
fn subscriptions() -> u32 {
    let asked = std::env::var("CRESSET_CONSOLE_SUBSCRIPTIONS");
    asked.map_or(2_000, |count| count.parse().expect("a number"))
}

/// One of many: every tenth has an endpoint of its own that takes no connection at this port.
fn one_of_many(index: u32, port: u16) -> Subscribe {
    match index % 10 {
        0 => {
            let host = Ipv4Addr::from(0x7f01_0000 + index);
            Subscribe::rest_hook(ANY_PATIENT, &format!("http://{host}:{port}/hook"))
        }
        _ => Subscribe::websocket(ANY_PATIENT),
    }
}

/// Checks that a page came soon and is not long, and tells how long it took.
async fn check_quick(browser: &mut Browser, count: u32, name: &str) {
    let took = "Math.round(performance.getEntriesByType('navigation')[0].responseEnd)";
    let took = browser.evaluate(took).await;
    eprintln!("{count} subscriptions: {name} in {took} ms");
    assert!(took.as_f64().expect("a number") < 2_000.0, "{name} took {took} ms");
    let size = browser.evaluate("document.querySelectorAll('*').length").await;
    assert!(size.as_u64().expect("a number") < 3_000, "{name} has {size} elements");
}

#[tokio::test]
async fn pages_stay_usable_with_many_subscriptions() {
    let server = server().await;
    let base = server.base(Version::R4).with_bearer(ADMIN);
    let count = subscriptions();
    let id = base.subscribe(&Subscribe::websocket(ANY_PATIENT)).await;
    // It is taken at one address; at the others nobody listens.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port();
    let others: Vec<u32> = (1..count).collect();
    for batch in others.chunks(1_000) {
        let entries: Vec<_> = batch
            .iter()
            .map(|index| {
                json!({
                    "resource": one_of_many(*index, port).json(Version::R4),
                    "request": {"method": "POST", "url": "Subscription"},
                })
            })
            .collect();
        let bundle = json!({"resourceType": "Bundle", "type": "batch", "entry": entries});
        let answer = base.post("", &bundle).await.expect(200).json();
        let entries = answer["entry"].as_array().expect("entries");
        let refused = entries.iter().find(|entry| entry["response"]["status"] != "201");
        assert_eq!(refused, None);
    }
    let mut browser = operator(&server).await;
    browser.wait_for_text(&with_commas(count)).await;
    // The first page shows the worst twenty of those that fail.
    browser.wait_for_text(&format!("and {} more", (count - 1) / 10 - 20)).await;
    base.save(&patient("p")).await;
    let console = format!("{}/console", server.url());
    for path in [
        "/",
        "/subscriptions",
        "/subscriptions?status=error",
        "/subscriptions?owner=nobody",
        &format!("/subscriptions?endpoint=127.1.0.10:{port}"),
        &format!("/subscriptions/r4/{id}"),
        "/topics",
        "/topics/r4/patient-any",
        "/live?topic=r4/patient-any",
        "/try/r4/Patient/p/1",
        &format!("/explain?version=r4&subscription={id}"),
    ] {
        browser.open(&format!("{console}{path}")).await;
        check_quick(&mut browser, count, path).await;
    }
    browser.fill("#focus", "Patient/p").await;
    browser.follow("form[action$=explain] button").await;
    browser.wait_for_text("it is an event").await;
    check_quick(&mut browser, count, "what /explain answers").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

/// As pages show numbers.
fn with_commas(count: u32) -> String {
    format!("{},{:03}", count / 1_000, count % 1_000)
}
